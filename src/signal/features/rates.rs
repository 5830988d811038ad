//! How each model's answers are cut into tokens, learnt from the answers whose usage was told.
//!
//! Models differ in their vocabularies, servers in how many tokens they put into one event; most
//! put exactly one. So a stream that was cut before its usage came can be counted far better than
//! by its text alone: by its events where they have told the truth so far, else by its text at the
//! rate its model has had so far in the same script.

use std::hash::BuildHasherDefault;

use dashmap::DashMap;

use crate::dialect::Api;
use crate::signal::exchange::{Model, Prompt};

/// Rates remembered. What further models say is counted by its text alone.
const MAX_RATES: usize = 4096;

type Hasher = BuildHasherDefault<rapidhash::fast::RapidHasher<'static>>;

/// The rates of all models, by the API they were asked through and the script they answered in.
#[derive(Debug, Default)]
pub struct Rates(DashMap<(Api, Model, u8), Rate, Hasher>);

/// What has passed of an answer: its tokens by estimate, its events that held text, its script.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Passed {
    pub(super) estimate: u32,
    pub(super) events: u32,
    pub(super) script: u8,
}

#[derive(Clone, Copy, Debug, Default)]
struct Rate {
    per_estimate: Mean,
    per_event: Mean,
}

/// A mean that follows what changes, and how far off it has been on average.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    value: f32,
    off: f32,
    /// Answers taken in, at most [`Mean::LONG`].
    seen: u8,
}

impl Mean {
    /// From so many answers on, older ones count less.
    const LONG: u8 = 64;

    fn take(&mut self, tokens: u32, count: u32) {
        if count == 0 {
            return;
        }
        // No answer weighs more than this, whatever is said of it.
        let rate = (tokens as f32 / count as f32).clamp(0.25, 64.0);
        self.seen = (self.seen + 1).min(Self::LONG);
        let step = 1.0 / f32::from(self.seen);
        if self.seen > 1 {
            self.off += ((rate / self.value - 1.0).abs() - self.off) * step;
        }
        self.value += (rate - self.value) * step;
    }
}

impl Rates {
    /// Takes in an answer of `tokens` that said nothing but text and came to its end.
    pub(super) fn learn(&self, (api, model): &(Api, Model), passed: Passed, tokens: u32) {
        for script in [passed.script, ANY] {
            let key = (*api, model.clone(), script);
            if self.0.len() >= MAX_RATES && !self.0.contains_key(&key) {
                return;
            }
            let mut rate = self.0.entry(key).or_default();
            rate.per_estimate.take(tokens, passed.estimate);
            rate.per_event.take(tokens, passed.events);
        }
    }

    /// Tokens of what has passed. Events are alike in all scripts.
    pub(super) fn count(&self, (api, model): &(Api, Model), passed: Passed) -> u32 {
        let rate = |script| self.0.get(&(*api, model.clone(), script)).map(|rate| *rate);
        let Some(any) = rate(ANY) else { return passed.estimate };
        let text = rate(passed.script).unwrap_or(any).per_estimate;
        let events = any.per_event;
        let tokens = if events.seen >= FEW && events.off <= any.per_estimate.off {
            passed.events as f32 * events.value
        } else {
            passed.estimate as f32 * text.value
        };
        tokens.round() as u32
    }
}

/// All scripts together.
const ANY: u8 = u8::MAX;

/// Streams before which a server's events are not relied on.
const FEW: u8 = 3;

/// What an answer's rate goes by.
pub(super) fn key(prompt: &Prompt) -> (Api, Model) {
    (prompt.api, prompt.model.clone())
}
