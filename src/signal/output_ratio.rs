//! B5: the account takes far more tokens than it puts in, compared with others on the same model.

use rapidhash::v3::rapidhash_v3;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::exchange::{Exchange, Model};
use super::index::Index;
use super::registry::{Ended, Family, Signal, Spec};
use super::shelf::{Kept, Shelf, Shelved};
use crate::identity::Tag;
use crate::time::{Timestamp, days};

pub(super) struct OutputRatio;

/// By how much the account's answers exceed what is usual for their model, in nats, decayed.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct Excess {
    mean: f32,
    seen: u16,
}

/// What is usual for each model: the mean logarithm of output over input of established accounts.
#[derive(Debug)]
pub(super) struct Usual(Index<Mean>);

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct Mean {
    of: f32,
    /// Exchanges, at most [`REACH`].
    seen: f32,
}

/// Models told apart, some 40 bytes each.
const CAPACITY: usize = 1 << 11;

/// What is usual before a model's own answers say so: in public traces of conversations the middle
/// request has seven times the tokens of its answer. Counts as so many exchanges; no model's mean
/// reaches back further than [`REACH`].
const PRIOR: Mean = Mean { of: -2.0, seen: 200.0 };
const REACH: f32 = 5000.0;

/// Logarithms beyond this are accidents.
const WIDEST: f32 = 6.0;

impl Kept for Excess {}
impl Kept for Mean {}

impl Shelved for Usual {
    fn shelf(&self) -> Option<&dyn Shelf> {
        Some(&self.0)
    }
}

impl Default for Usual {
    fn default() -> Self {
        Self(Index::new(CAPACITY))
    }
}

impl Signal for OutputRatio {
    const SPEC: Spec = Spec {
        id: "B5",
        name: "output_ratio",
        family: Family::B,
        says: "takes far more tokens than it puts in, for the model it asks",
        lookalike: "writers of long texts; reasoning models, whose answers are long for everybody",
        // A product has a ratio of its own, so all of its users do: too little to make a crowd
        // of one template speak against its members.
        weight: 0.6,
        half_life: 24.0,
        // Public traces: answers exceed requests for 1 to 4 % of clients, which is two nats above
        // the middle one; on a reasoning model for two thirds, which its own mean takes up.
        tail: &[(1.0, 0.15), (2.0, 0.05), (3.0, 0.025), (4.0, 0.015)],
    };

    type Params = Params;
    type Account = Excess;
    type Fleet = Usual;

    fn learn(
        params: &Params,
        ended: &Ended<'_>,
        account: &mut Excess,
        fleet: &Usual,
    ) -> Option<f32> {
        let ratio = ratio(ended.exchange)?;
        let usual = fleet.of(&ended.exchange.ask.prompt.model, ratio, ended.aged);
        account.seen = account.seen.saturating_add(1);
        let reach = f32::from(account.seen.min(params.memory.max(1)));
        account.mean += (ratio - usual - account.mean) / reach;
        (account.seen >= params.at_least).then_some(account.mean)
    }

    fn tick(_: &Params, fleet: &Usual, now: Timestamp) {
        fleet.0.tick(now, days(60));
    }
}

/// The logarithm of output over input tokens, where the model said something.
fn ratio(exchange: &Exchange) -> Option<f32> {
    let (usage, output) = (exchange.completion.usage, exchange.completion.output());
    let input = usage.input.unwrap_or(exchange.ask.prompt.tokens);
    if !exchange.served() || output == 0 || input == 0 {
        return None;
    }
    Some((output as f32 / input as f32).ln().clamp(-WIDEST, WIDEST))
}

impl Usual {
    /// What is usual for a model. An established account's answer then becomes part of that.
    fn of(&self, model: &Model, ratio: f32, aged: bool) -> f32 {
        let key = Tag(rapidhash_v3(model.as_str().as_bytes()));
        let known = self.0.get(key).filter(|mean| mean.seen > 0.0).unwrap_or(PRIOR);
        if aged {
            self.0.update(key, |mean| {
                let before = if mean.seen > 0.0 { *mean } else { PRIOR };
                let seen = (before.seen + 1.0).min(REACH);
                *mean = Mean { of: before.of + (ratio - before.of) / seen, seen };
            });
        }
        known.of
    }
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "OutputRatioParams")]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Answers before the account's mean says anything.
    pub at_least: u16,
    /// Answers it reaches back.
    #[schemars(range(min = 1))]
    pub memory: u16,
}

impl Default for Params {
    fn default() -> Self {
        Self { at_least: 8, memory: 50 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::exchange::{Ending, Prompt};
    use super::super::samples::{Around, exchange};
    use super::*;
    use crate::dialect::Usage;

    fn answered(model: &str, (input, output): (u32, u32)) -> Exchange {
        let mut ended = exchange(1, 0, Prompt { model: model.into(), ..Prompt::default() });
        ended.completion.usage =
            Usage { input: Some(input), output: Some(output), ..Usage::default() };
        ended
    }

    fn says(fleet: &Usual, exchange: &Exchange, count: usize) -> Option<f32> {
        let (around, mut account) = (Around::default(), Excess::default());
        let ended = around.ended(exchange);
        (0..count)
            .fold(None, |_, _| OutputRatio::learn(&Params::default(), &ended, &mut account, fleet))
    }

    fn usual(fleet: &Usual, exchange: &Exchange) {
        let around = Around { aged: true, ..Around::default() };
        for _ in 0..4000 {
            let ended = around.ended(exchange);
            OutputRatio::learn(&Params::default(), &ended, &mut Excess::default(), fleet);
        }
    }

    #[test]
    fn long_answers_to_short_questions_are_seen_and_conversations_are_not() {
        let (fleet, tail) = (Usual::default(), OutputRatio::SPEC.tail);
        assert!(says(&fleet, &answered("m", (120, 900)), 8) > Some(tail[2].0));
        assert!(says(&fleet, &answered("m", (1000, 140)), 8) < Some(tail[0].0));
        assert_eq!(says(&fleet, &answered("m", (120, 900)), 7), None);
    }

    #[test]
    fn a_model_that_answers_everybody_at_length_says_nothing() {
        let fleet = Usual::default();
        let reasoning = answered("thinker", (150, 1000));
        usual(&fleet, &reasoning);
        assert!(says(&fleet, &reasoning, 20) < Some(OutputRatio::SPEC.tail[0].0));
        assert!(says(&fleet, &answered("other", (150, 1000)), 20) > Some(3.0));
    }

    #[test]
    fn new_accounts_do_not_say_what_is_usual_and_refusals_say_nothing() {
        let fleet = Usual::default();
        assert!(says(&fleet, &answered("m", (100, 900)), 4000) > Some(4.0));
        let refused = Exchange { ending: Ending::Refused, ..answered("m", (100, 900)) };
        assert_eq!(says(&fleet, &refused, 20), None);
        assert_eq!(says(&fleet, &answered("m", (100, 0)), 20), None);
    }
}
