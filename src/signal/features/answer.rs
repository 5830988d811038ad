//! What an answer gives away, gathered while it passes.

use super::chain::{Chain, Said, continued};
use super::tags;
use super::tokens::Estimate;
use crate::dialect::{Delta, Kind};
use crate::identity::{Keyring, Tag};
use crate::signal::exchange::{Completion, Prompt, UsageSource};

/// Gathers an answer's features, delta by delta. Holds no text: hashes and counts.
#[derive(Debug)]
pub struct Answer {
    completion: Completion,
    thread: Chain,
    said: Said,
    emitted: Estimate,
    /// Some delta could be read.
    readable: bool,
    keyring: Keyring,
}

impl Answer {
    /// `prompt.thread` is the tag of all turns: what a continuation's prefix starts with.
    pub fn new(prompt: &Prompt, keyring: Keyring) -> Self {
        Self {
            completion: Completion::default(),
            thread: Chain::from_tag(prompt.thread),
            said: Said::new(&keyring),
            emitted: Estimate::default(),
            readable: false,
            keyring,
        }
    }

    /// Takes in one delta, in order.
    pub fn take(&mut self, delta: &Delta<'_>) {
        self.readable |= !delta.error;
        for (kind, piece) in &delta.pieces {
            self.said.take(*kind, piece);
            self.emitted.take(piece);
            self.completion.thinking |= *kind == Kind::Thinking && !piece.is_empty();
        }
        if !delta.issued.is_empty() {
            self.issue(delta);
        }
        if let Some(usage) = delta.usage {
            self.completion.usage.update(usage);
        }
        self.completion.finish = delta.finish.or(self.completion.finish);
    }

    /// Counts bytes that went to the caller.
    pub fn passed(&mut self, bytes: usize) {
        self.completion.bytes += bytes as u64;
    }

    /// What the answer gave away.
    pub fn finish(mut self) -> Completion {
        let usage = &mut self.completion.usage;
        let emitted = self.emitted.tokens();
        // Where a stream was cut, what its first events reported is less than what has passed.
        let cut = self.completion.finish.is_none() && usage.output < Some(emitted);
        self.completion.source = if usage.output.is_some() && !cut {
            UsageSource::Reported
        } else if self.readable {
            usage.output = Some(emitted);
            UsageSource::Counted
        } else {
            UsageSource::Unknown
        };
        if self.thread != Chain::from_tag(Tag::default()) {
            self.completion.continues = continued(self.thread, self.said).1;
        }
        self.completion
    }

    fn issue(&mut self, delta: &Delta<'_>) {
        let issued = &mut self.completion.issued;
        for tag in tags(&delta.issued, &self.keyring) {
            if issued.len() < Prompt::MAX_IDS && !issued.contains(&tag) {
                issued.push(tag);
            }
        }
    }
}
