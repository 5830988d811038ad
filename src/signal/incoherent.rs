//! N2: the client's own headers contradict each other, request after request.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::registry::{Asked, Ended, Family, Signal, Spec};
use super::share::{self, Share};

pub(super) struct Incoherent;

impl Signal for Incoherent {
    const SPEC: Spec = Spec {
        id: "N2",
        name: "incoherent",
        family: Family::N,
        says: "sends headers of a client that contradict each other",
        lookalike: "gateways that rewrite some headers; hand-made clients that copy others'",
        weight: 1.0,
        half_life: 168.0,
        // Guessed: copied headers are rare, and what a gateway does to all of an operator's
        // customers, the cohort's own established accounts soon show to be ordinary.
        tail: &[(0.3, 0.05), (0.7, 0.02)],
    };

    type Params = Params;
    type Account = Share;
    type Fleet = ();

    fn ask(params: &Params, asked: &Asked<'_>, account: &Share, _: &()) -> Option<f32> {
        let conflicts = asked.ask.caller.trace.conflicts;
        (!conflicts.is_none()).then(|| account.with_one_more(&params.share()))
    }

    fn learn(params: &Params, ended: &Ended<'_>, account: &mut Share, _: &()) -> Option<f32> {
        let conflicts = ended.exchange.ask.caller.trace.conflicts;
        account.take(&params.share(), !conflicts.is_none())
    }
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "IncoherentParams")]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Requests before the share of those that contradict themselves means anything.
    pub at_least: u32,
    /// Requests the share reaches back.
    #[schemars(range(min = 1))]
    pub memory: u32,
}

impl Params {
    fn share(&self) -> share::Params {
        share::Params { at_least: self.at_least, memory: self.memory, single: 0.0 }
    }
}

impl Default for Params {
    fn default() -> Self {
        Self { at_least: 8, memory: 50 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::exchange::Prompt;
    use super::super::samples::{Around, exchange};
    use super::*;
    use crate::identity::Conflicts;

    fn says(conflicts: impl IntoIterator<Item = u8>) -> Option<f32> {
        let (around, mut account) = (Around::default(), Share::default());
        conflicts.into_iter().fold(None, |_, conflicts| {
            let mut ended = exchange(1, 0, Prompt::default());
            ended.ask.caller.trace.conflicts = Conflicts(conflicts);
            Incoherent::learn(&Params::default(), &around.ended(&ended), &mut account, &())
        })
    }

    #[test]
    fn a_habit_counts_and_a_slip_or_an_upgrade_does_not() {
        assert!(says([Conflicts::PROGRAM; 20]) > Some(0.7));
        assert_eq!(says([Conflicts::PROGRAM; 5]), None, "too few to say");
        assert!(says((0..60).map(|n| u8::from(n % 20 == 0))) < Some(Incoherent::SPEC.tail[0].0));
        assert_eq!(says([0; 40]), Some(0.0));
    }

    #[test]
    fn a_stranger_s_first_request_says_nothing_yet() {
        let mut ask = exchange(1, 0, Prompt::default()).ask;
        ask.caller.trace.conflicts = Conflicts(Conflicts::LANGUAGE);
        let around = Around::default();
        let says = Incoherent::ask(&Params::default(), &around.asked(&ask), &Share::default(), &());
        assert_eq!(says, Some(0.0));
    }
}
