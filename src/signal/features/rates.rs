//! How each model's answers are cut into tokens, learnt from the answers whose usage was told.
//!
//! Models differ in their vocabularies, servers in how many tokens they put into one event; most
//! put exactly one. So a stream that was cut before its usage came can be counted far better than
//! by its text alone: by its events where they have told the truth so far, else by its text at the
//! rate its model has had so far.

use std::hash::BuildHasherDefault;

use dashmap::DashMap;

use crate::dialect::Api;
use crate::signal::exchange::{Model, Prompt};

/// Models remembered. Further ones are counted by their text alone.
const MAX_MODELS: usize = 1024;

type Hasher = BuildHasherDefault<rapidhash::fast::RapidHasher<'static>>;

/// The rates of all models, by the API they were asked through.
#[derive(Debug, Default)]
pub struct Rates(DashMap<(Api, Model), Rate, Hasher>);

/// What has passed of an answer: its tokens by estimate, and its events that held text.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Passed {
    pub(super) estimate: u32,
    pub(super) events: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Rate {
    per_estimate: Mean,
    per_event: Mean,
}

/// A running mean, and how far off it has been on average.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    value: f32,
    off: f32,
}

impl Mean {
    /// One answer's share in the mean.
    const STEP: f32 = 0.125;

    fn take(&mut self, tokens: u32, count: u32) {
        if count == 0 {
            return;
        }
        // An answer can't be made to weigh more than this, whatever a model says of itself.
        let rate = (tokens as f32 / count as f32).clamp(0.25, 64.0);
        if self.value == 0.0 {
            *self = Self { value: rate, off: 0.0 };
            return;
        }
        self.off += ((rate / self.value - 1.0).abs() - self.off) * Self::STEP;
        self.value += (rate - self.value) * Self::STEP;
    }
}

impl Rates {
    /// Takes in an answer of `tokens` that said nothing but text and came to its end.
    pub(super) fn learn(&self, prompt: &(Api, Model), passed: Passed, tokens: u32) {
        if !self.0.contains_key(prompt) && self.0.len() >= MAX_MODELS {
            return;
        }
        let mut rate = self.0.entry(prompt.clone()).or_default();
        rate.per_estimate.take(tokens, passed.estimate);
        rate.per_event.take(tokens, passed.events);
    }

    /// Tokens of what has passed.
    pub(super) fn count(&self, prompt: &(Api, Model), passed: Passed) -> u32 {
        let Some(rate) = self.0.get(prompt).map(|rate| *rate) else {
            return passed.estimate;
        };
        let (events, text) = (rate.per_event, rate.per_estimate);
        let by_events = events.value > 0.0 && events.off <= text.off;
        let tokens = if by_events {
            passed.events as f32 * events.value
        } else {
            passed.estimate as f32 * text.value
        };
        tokens.round() as u32
    }
}

/// What an answer's rate goes by.
pub(super) fn key(prompt: &Prompt) -> (Api, Model) {
    (prompt.api, prompt.model.clone())
}
