//! What a campaign takes: by capability, by model, and how fast it moves to a new model.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::dialect::Finish;
use crate::identity::Tag;
use crate::signal::{Ending, Exchange, Model, Phrases, Topics};
use crate::time::Timestamp;

/// What an exchange draws on. Told from features alone, so roughly.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    Reasoning,
    Grading,
    Rewriting,
    Coding,
    /// Agents and tools.
    Agentic,
    DataAnalysis,
    Vision,
    Other,
}

impl Capability {
    const ALL: [Self; 8] = [
        Self::Reasoning,
        Self::Grading,
        Self::Rewriting,
        Self::Coding,
        Self::Agentic,
        Self::DataAnalysis,
        Self::Vision,
        Self::Other,
    ];
}

/// One exchange, counted.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Tally {
    pub(super) served: bool,
    pub(super) refused: bool,
    pub(super) input: u32,
    pub(super) output: u32,
    pub(super) model: Model,
    capabilities: u8,
}

impl Tally {
    pub(in crate::engine) fn of(exchange: &Exchange) -> Self {
        let (prompt, completion) = (&exchange.ask.prompt, &exchange.completion);
        let phrases = prompt.phrases.union(prompt.system_phrases);
        let reasons = Phrases::ELICITS
            .union(Phrases::REVEALS)
            .union(Phrases::TAGS)
            .union(Phrases::SCHEMA)
            .union(Phrases::THINKS_IN);
        let calls = completion.finish == Some(Finish::Tool) || prompt.tools != Tag::default();
        let drawn = [
            phrases.any(reasons) || completion.thinking,
            phrases.any(Phrases::GRADES),
            phrases.any(Phrases::NEUTRALISES),
            prompt.topics.has(Topics::CODE),
            calls,
            prompt.topics.has(Topics::DATA),
            prompt.topics.has(Topics::IMAGES),
        ];
        let bits = (0..).zip(drawn).fold(0, |bits, (place, on)| bits | u8::from(on) << place);
        Self {
            served: exchange.served(),
            refused: exchange.ending == Ending::Refused,
            input: completion.usage.input.unwrap_or(prompt.tokens),
            output: completion.output(),
            model: prompt.model.clone(),
            capabilities: if bits == 0 { 1 << Capability::Other as u8 } else { bits },
        }
    }

    pub(super) fn tokens(&self) -> f32 {
        self.input as f32 + self.output as f32
    }
}

/// What was taken since the campaign was formed. One exchange can draw on several capabilities.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Harvest {
    pub served: u64,
    pub refused: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub by: BTreeMap<Capability, Taken>,
    /// Served exchanges by model, at most [`Harvest::MODELS`]; the rest as `other`.
    pub models: BTreeMap<Model, u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Taken {
    pub exchanges: u64,
    pub output_tokens: u64,
}

impl Harvest {
    pub const MODELS: usize = 16;

    pub(super) fn take(&mut self, tally: &Tally) {
        self.refused += u64::from(tally.refused);
        if !tally.served {
            return;
        }
        self.served += 1;
        self.input_tokens += u64::from(tally.input);
        self.output_tokens += u64::from(tally.output);
        for capability in Capability::ALL {
            if tally.capabilities >> capability as u8 & 1 == 1 {
                let taken = self.by.entry(capability).or_default();
                taken.exchanges += 1;
                taken.output_tokens += u64::from(tally.output);
            }
        }
        let room = self.models.len() < Self::MODELS || self.models.contains_key(&tally.model);
        let model = if room { tally.model.clone() } else { Model::default() };
        *self.models.entry(model).or_default() += 1;
    }

    /// Adds what a campaign took that has become part of this one.
    pub(super) fn add(&mut self, other: Self) {
        self.served += other.served;
        self.refused += other.refused;
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        for (capability, taken) in other.by {
            let sum = self.by.entry(capability).or_default();
            sum.exchanges += taken.exchanges;
            sum.output_tokens += taken.output_tokens;
        }
        for (model, count) in other.models {
            let room = self.models.len() < Self::MODELS || self.models.contains_key(&model);
            *self.models.entry(if room { model } else { Model::default() }).or_default() += count;
        }
    }
}

/// How much of a campaign moved to a new model within a day of its release.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Pivot {
    pub released: Timestamp,
    /// Requests in that day, served or not, and those for the new model.
    pub exchanges: u64,
    pub on_new: u64,
    /// The same share over the whole fleet's answers.
    pub fleet_share: f32,
    /// When it was clear that the campaign moves faster than the fleet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noticed: Option<Timestamp>,
}

impl Pivot {
    /// Requests for the new model below which nothing is clear, and how many times the fleet's share
    /// a campaign's must be, which counts as one in five hundred at least.
    const FEWEST: u64 = 10;
    const FASTER: f32 = 4.0;
    const LEAST: f32 = 0.002;

    /// Notes when the move becomes clear.
    pub(super) fn notice(&mut self, now: Timestamp) {
        let faster = self.share() >= Self::FASTER * self.fleet_share.max(Self::LEAST);
        if self.on_new >= Self::FEWEST && faster {
            self.noticed.get_or_insert(now);
        }
    }

    /// Share that moved, 0 to 1.
    pub fn share(&self) -> f32 {
        self.on_new as f32 / self.exchanges.max(1) as f32
    }
}
