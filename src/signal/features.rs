//! From text to features: the only place where both are at hand.

use super::exchange::{Completion, Prompt};
use crate::dialect::{Api, Delta, Request};
use crate::identity::Keyring;

/// Turns a request into features. `bytes` is the size of its body.
pub fn inspect(_request: &Request<'_>, _api: Api, _bytes: usize, _keyring: &Keyring) -> Prompt {
    todo!()
}

/// Gathers an answer's features, delta by delta.
#[derive(Debug)]
pub struct Answer {
    completion: Completion,
}

impl Answer {
    /// `body` is the prompt's tag of all turns: what a continuation's prefix starts with.
    pub fn new(_prompt: &Prompt, _keyring: Keyring) -> Self {
        todo!()
    }

    /// Takes in one delta, in order.
    pub fn take(&mut self, _delta: &Delta<'_>) {
        todo!()
    }

    /// Counts bytes that went to the caller.
    pub fn passed(&mut self, bytes: usize) {
        self.completion.bytes += bytes as u64;
    }

    /// What the answer gave away.
    pub fn finish(self) -> Completion {
        self.completion
    }
}
