//! How each model's answers are cut into tokens, learnt from the answers whose usage was told.
//!
//! Models differ in their vocabularies, servers in how many tokens they put into one event; most
//! put exactly one. So a stream that was cut before its usage came can be counted far better than
//! by its text alone: by its text at what each kind of text has cost with its model, and by its
//! events, either as far as it has told the truth so far.

use std::hash::BuildHasherDefault;

use dashmap::DashMap;

use super::tokens::{PARTS, SCRIPTS};
use crate::dialect::Api;
use crate::signal::exchange::{Model, Prompt};

/// Models remembered, some 2 KiB each. What further ones say is counted by its text alone.
const MAX_RATES: usize = 4096;

type Hasher = BuildHasherDefault<rapidhash::fast::RapidHasher<'static>>;

/// The rates of all models, by the API they were asked through.
#[derive(Debug, Default)]
pub struct Rates(DashMap<(Api, Model), Rate, Hasher>);

/// What has passed of an answer: its tokens by estimate, in 64ths and by kind of text; its events
/// that held text; its script.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Passed {
    pub(super) parts: [u32; PARTS],
    pub(super) events: u32,
    pub(super) script: u8,
}

impl Passed {
    fn estimate(&self) -> f64 {
        self.parts.iter().map(|part| f64::from(*part)).sum::<f64>() / 64.0
    }
}

#[derive(Debug, Default)]
struct Rate {
    by_text: ByText,
    /// How far off it has been, by script and over all.
    text_off: [Mean; SCRIPTS + 1],
    per_event: Mean,
    events_off: Mean,
    /// Events of an answer.
    events: Mean,
}

impl Rate {
    fn learn(&mut self, passed: Passed, tokens: u32) {
        let told = f64::from(tokens);
        let off = |counted: f64| ((counted / told - 1.0).abs()).min(1.0);
        if self.by_text.answers > 0 {
            let off = off(self.by_text.count(&passed));
            for place in [usize::from(passed.script), SCRIPTS] {
                if let Some(mean) = self.text_off.get_mut(place) {
                    mean.take(off);
                }
            }
        }
        self.by_text.learn(&passed, told);
        // A whole answer is one event, whatever its length.
        if passed.events > 1 {
            let events = f64::from(passed.events);
            if self.per_event.seen > 0 {
                self.events_off.take(off(events * self.per_event.value));
            }
            // No answer weighs more than this, whatever is said of it.
            self.per_event.take((told / events).clamp(0.25, 64.0));
            self.events.take(events);
        }
    }

    /// Both ways together, each by how sure it is. Fewer events than an answer has say less, and
    /// nothing where they are far from the text: a busy server may put many tokens into one.
    fn count(&self, passed: &Passed) -> f64 {
        let text = self.by_text.count(passed);
        let events = f64::from(passed.events);
        let apart = events * self.per_event.value / text.max(1.0);
        if self.events_off.seen < FEW - 1 || !(0.5..=2.0).contains(&apart) {
            return text;
        }
        let scarce = (self.events.value / events).max(1.0);
        let [of_script, all] = [usize::from(passed.script), SCRIPTS].map(|at| self.text_off[at]);
        let text_off = if of_script.seen < FEW { all } else { of_script };
        let sure = |off: f64| 1.0 / off.max(LEAST_OFF).powi(2);
        let (by_text, by_events) =
            (sure(text_off.value), sure(self.events_off.value * scarce.sqrt()));
        let counted = text * by_text + events * self.per_event.value * by_events;
        counted / (by_text + by_events)
    }
}

/// Answers before which none of it is relied on.
const FEW: u16 = 3;

/// Nothing is surer than this share. Servers that put one token into each event come to it.
const LEAST_OFF: f64 = 0.003;

/// What tokens of estimate have come to, by kind of text: recursive least squares, from one to one.
#[derive(Debug)]
struct ByText {
    answers: u32,
    weights: [f64; PARTS],
    /// Covariance of the weights.
    unsure: [[f64; PARTS]; PARTS],
}

impl Default for ByText {
    fn default() -> Self {
        let unsure = std::array::from_fn(|row| {
            std::array::from_fn(|column| if row == column { AT_FIRST } else { 0.0 })
        });
        Self { answers: 0, weights: [1.0; PARTS], unsure }
    }
}

impl ByText {
    fn count(&self, passed: &Passed) -> f64 {
        let parts = passed.parts.iter().zip(&self.weights);
        parts.map(|(part, weight)| f64::from(*part) / 64.0 * weight.clamp(0.0, MOST)).sum()
    }

    /// Takes in an answer as shares of one told token, so that long ones weigh no more than their
    /// ends and frames make short ones unsure.
    fn learn(&mut self, passed: &Passed, told: f64) {
        // No answer is believed that would put all estimates off beyond these.
        if !(1.0 / MOST..=MOST).contains(&(told / passed.estimate().max(1.0))) {
            return;
        }
        self.answers = self.answers.saturating_add(1);
        let shares = passed.parts.map(|part| f64::from(part) / 64.0 / told);
        let spread: [f64; PARTS] = self.unsure.map(|row| dot(&row, &shares));
        let noise = (NOISE + 1.0 / told).powi(2);
        let scale = dot(&spread, &shares) + noise;
        let miss = (1.0 - dot(&self.weights, &shares)) / scale;
        for (row, place) in spread.iter().zip(0..) {
            self.weights[place] += row * miss;
            for (column, other) in self.unsure[place].iter_mut().zip(&spread) {
                *column -= row * other / scale;
            }
            // Vocabularies change with a model's version: what is old grows unsure again.
            self.unsure[place][place] += DRIFT;
        }
    }
}

fn dot(a: &[f64; PARTS], b: &[f64; PARTS]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Variance of the weights before anything was learnt, and what each answer adds to it.
const AT_FIRST: f64 = 0.25;
const DRIFT: f64 = 1e-5;

/// What the kinds leave unexplained, as a share.
const NOISE: f64 = 0.03;

/// No kind of text costs more than so many times its estimate.
const MOST: f64 = 16.0;

/// A mean that follows what changes.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    value: f64,
    seen: u16,
}

impl Mean {
    /// From so many on, older ones count less.
    const LONG: u16 = 64;

    fn take(&mut self, value: f64) {
        self.seen = (self.seen + 1).min(Self::LONG);
        self.value += (value - self.value) / f64::from(self.seen);
    }
}

impl Rates {
    /// Takes in an answer of `tokens` that said nothing but text and came to its end.
    pub(super) fn learn(&self, model: &(Api, Model), passed: Passed, tokens: u32) {
        if tokens > 0 && (self.0.len() < MAX_RATES || self.0.contains_key(model)) {
            self.0.entry(model.clone()).or_default().learn(passed, tokens);
        }
    }

    /// Tokens of what has passed.
    pub(super) fn count(&self, model: &(Api, Model), passed: &Passed) -> u32 {
        let rate = self.0.get(model);
        // A float that is too large saturates.
        rate.map_or_else(|| passed.estimate().ceil(), |rate| rate.count(passed).round()) as u32
    }
}

/// What an answer's rate goes by.
pub(super) fn key(prompt: &Prompt) -> (Api, Model) {
    (prompt.api, prompt.model.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(words: u32, digits: u32, events: u32) -> Passed {
        let mut parts = [0; PARTS];
        (parts[0], parts[2]) = (words * 64, digits * 64);
        Passed { parts, events, script: 0 }
    }

    #[test]
    fn each_kind_of_text_is_counted_at_what_it_has_cost() {
        let (rates, model) = (Rates::default(), (Api::default(), Model::default()));
        assert_eq!(rates.count(&model, &passed(100, 10, 3)), 110, "nothing is known yet");
        for round in 1..40 {
            let (words, digits) = (50 + round * 7 % 90, round * 5 % 60);
            rates.learn(&model, passed(words, digits, 0), words + 2 * digits);
        }
        for (words, digits) in [(200, 0), (100, 100), (0, 90)] {
            let counted = f64::from(rates.count(&model, &passed(words, digits, 9)));
            let off = (counted / f64::from(words + 2 * digits) - 1.0).abs();
            assert!(off < 0.02, "{words} and {digits}: {counted}");
        }
    }

    #[test]
    fn events_are_relied_on_where_they_tell_the_truth() {
        let (rates, model) = (Rates::default(), (Api::default(), Model::default()));
        for round in 1..20 {
            rates.learn(&model, passed(80 + round * 13 % 40, 0, 100), 100);
        }
        let counted = rates.count(&model, &passed(60, 0, 50));
        assert!((49..=51).contains(&counted), "{counted}");
        let counted = rates.count(&model, &passed(1000, 0, 50));
        assert!((900..=1100).contains(&counted), "they are suddenly large: {counted}");
    }

    #[test]
    fn nothing_that_is_told_makes_the_count_absurd() {
        let (rates, model) = (Rates::default(), (Api::default(), Model::default()));
        for tokens in [0, 1, u32::MAX, 3] {
            for parts in [0, 1, u32::MAX] {
                rates.learn(
                    &model,
                    Passed { parts: [parts; PARTS], events: parts, script: 200 },
                    tokens,
                );
            }
        }
        let counted = rates.count(&model, &passed(100, 0, 0));
        assert!((20..=1600).contains(&counted), "{counted}");
    }
}
