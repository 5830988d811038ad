//! T3: the account's tools are those of many new accounts and few established ones.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::crowd::Facet;
use super::exchange::Exchange;
use super::registry::{Asked, Ended, Family, Signal, Spec};

pub(super) struct Toolset;

impl Signal for Toolset {
    const SPEC: Spec = Spec {
        id: "T3",
        name: "toolset",
        family: Family::T,
        says: "offers a set of tools that only new accounts offer",
        lookalike: "agent products just released, common bundles of tools",
        weight: 1.0,
        half_life: 168.0,
        // As for T1, a little fatter: few bundles serve many products.
        tail: &[(3.0, 0.18), (10.0, 0.08), (30.0, 0.04), (100.0, 0.025), (1000.0, 0.015)],
    };

    type Params = Params;
    type Account = ();
    type Fleet = ();

    fn ask(_: &Params, asked: &Asked<'_>, _: &(), _: &()) -> Option<f32> {
        let tools = asked.ask.prompt.tools;
        if tools == asked.habits.tools {
            None
        } else {
            asked.crowds.freshness(Facet::Tools, tools, asked.ask.at)
        }
    }

    fn learn(_: &Params, ended: &Ended<'_>, _: &mut (), _: &()) -> Option<f32> {
        let Exchange { ask, ended: now, .. } = ended.exchange;
        ended.crowds.freshness(Facet::Tools, ask.prompt.tools, *now)
    }
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "ToolsetParams")]
#[serde(default, deny_unknown_fields)]
pub struct Params {}

#[cfg(test)]
mod tests {
    use super::super::Habits;
    use super::super::exchange::Prompt;
    use super::super::samples::{Around, exchange};
    use super::*;
    use crate::identity::Tag;

    fn with(tools: u64) -> Prompt {
        Prompt { tools: Tag(tools), ..Prompt::default() }
    }

    fn crowd(members: u32, aged: u32) -> Around {
        let (around, mut habits) = (Around::default(), Habits::default());
        habits.take(&exchange(1, 0, with(5)));
        around.join(&habits, members, aged);
        around
    }

    #[test]
    fn a_new_bundle_counts_and_an_established_one_does_not() {
        let says = |around: &Around, tools| {
            let ended = exchange(1, 0, with(tools));
            let asked = Toolset::ask(&Params {}, &around.asked(&ended.ask), &(), &());
            let learned = Toolset::learn(&Params {}, &around.ended(&ended), &mut (), &());
            assert_eq!(asked.is_some(), learned.is_some());
            asked
        };
        assert_eq!(says(&crowd(25, 0), 5), Some(25.0));
        assert!(says(&crowd(900, 600), 5) < Some(1.0));
        assert_eq!(says(&crowd(25, 0), 6), None);
        assert_eq!(says(&crowd(25, 0), 0), None);
    }
}
