//! B7: one scaffold, and something new in it every time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::registry::{Ended, Family, Signal, Spec};

pub(super) struct Scaffold;

impl Signal for Scaffold {
    const SPEC: Spec = Spec {
        id: "B7",
        name: "scaffold",
        family: Family::B,
        says: "fills one template with something new in every request",
        lookalike: "retrieval apps, whose questions repeat; batches of classification and ETL",
        weight: 0.8,
        half_life: 24.0,
        // Public traces: a fifth to a third of API clients send input of near-constant length, and
        // all requests of one product may share their first 512 tokens. Those who never repeat a
        // question, nor one that others ask, are fewer; taken as a third of them for a loose template, a
        // tenth for a tight one.
        tail: &[(0.2, 0.1), (0.5, 0.07), (0.8, 0.05), (0.95, 0.03)],
    };

    type Params = Params;
    type Account = ();
    type Fleet = ();

    /// The share of the user turns that is template; nothing to say where turns repeat, be it on
    /// this account or over the fleet: who deals out work does not pay often for one answer, while
    /// classes, evaluations and the users of one product do ask the same.
    fn learn(params: &Params, ended: &Ended<'_>, _: &mut (), _: &()) -> Option<f32> {
        let novelty = ended.habits.novelty(params.at_least)?;
        let scaffold = ended.habits.scaffold()?;
        let new = novelty >= params.novelty && ended.habits.common() <= params.common;
        Some(if new { scaffold } else { 0.0 })
    }
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "ScaffoldParams")]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Requests before the account's habits mean anything.
    pub at_least: u32,
    /// Share of turns that must not have been seen before.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub novelty: f32,
    /// Share of turns, by tokens, that many other accounts may have asked too.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub common: f32,
}

impl Default for Params {
    fn default() -> Self {
        Self { at_least: 8, novelty: 0.98, common: 0.1 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::habits::Askers;
    use super::super::samples::{Around, CHAT, SUBJECTS, exchange, filled, user};
    use super::*;

    fn says(texts: impl IntoIterator<Item = String>) -> Option<f32> {
        asks(&Askers::default(), 1, texts)
    }

    fn asks(fleet: &Askers, who: u8, texts: impl IntoIterator<Item = String>) -> Option<f32> {
        let (mut around, mut last) = (Around::default(), None);
        for text in texts {
            let ended = exchange(who, 0, user(&text));
            around.habits.take(&ended);
            around.habits.share(&ended.ask, fleet);
            last = Scaffold::learn(&Params::default(), &around.ended(&ended), &mut (), &());
        }
        last
    }

    #[test]
    fn a_template_with_new_fillings_is_seen() {
        assert!(says(SUBJECTS.map(filled)) > Some(0.6));
        assert_eq!(says(SUBJECTS[..5].iter().map(|subject| filled(subject))), None);
    }

    #[test]
    fn a_template_filled_with_what_everybody_asks_is_not() {
        let fleet = Askers::default();
        for few in 1..7 {
            assert!(asks(&fleet, few, SUBJECTS.map(filled)) > Some(0.6), "a few to choose from");
        }
        assert_eq!(asks(&fleet, 7, SUBJECTS.map(filled)), Some(0.0));
        assert_eq!(asks(&fleet, 8, SUBJECTS.map(filled)), Some(0.0));
    }

    #[test]
    fn repeated_questions_and_plain_chat_are_not() {
        let repeating = (0..20).map(|n| filled(SUBJECTS[n % 7]));
        assert_eq!(says(repeating), Some(0.0));
        assert!(says(CHAT.map(str::to_owned)) < Some(0.1));
    }
}
