//! N1: many new accounts behind one network.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::crowd::{Crowds, Facet};
use super::registry::{Asked, Ended, Family, Signal, Spec};
use crate::identity::Tag;

pub(super) struct Egress;

impl Signal for Egress {
    const SPEC: Spec = Spec {
        id: "N1",
        name: "egress",
        family: Family::N,
        says: "shares its network with many new accounts",
        lookalike: "universities, offices and carriers behind one address; cloud functions",
        weight: 0.7,
        half_life: 168.0,
        // Guessed from what NAT does to any crowd: company is ordinary, and a large one says
        // hardly more than a small one (the literature weighs an address by 1/log(d + 5)).
        tail: &[(3.0, 0.35), (10.0, 0.2), (50.0, 0.1), (300.0, 0.06)],
    };

    type Params = Params;
    type Account = ();
    type Fleet = ();

    fn ask(params: &Params, asked: &Asked<'_>, _: &(), _: &()) -> Option<f32> {
        let known = asked.habits.exchanges > 0 && asked.habits.egress == asked.ask.caller.egress;
        if known { None } else { company(params, asked.crowds, asked.ask.caller.egress) }
    }

    fn learn(params: &Params, ended: &Ended<'_>, _: &mut (), _: &()) -> Option<f32> {
        company(params, ended.crowds, ended.exchange.ask.caller.egress)
    }
}

/// New accounts on the network, discounted by the share of established ones among all.
fn company(params: &Params, crowds: &Crowds, egress: Tag) -> Option<f32> {
    let crowd = crowds.get(Facet::Egress.key(egress.0))?;
    let unaged = crowd.members.saturating_sub(crowd.aged) as f32 * (1.0 - crowd.aged_share());
    (egress != Tag::default() && crowd.members >= params.at_least).then_some(unaged)
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "EgressParams")]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Accounts on one network before it counts as shared.
    pub at_least: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self { at_least: 3 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::exchange::Prompt;
    use super::super::samples::{Around, exchange};
    use super::*;

    fn says(members: u32, aged: u32) -> Option<f32> {
        let (mut around, ended) = (Around::default(), exchange(1, 0, Prompt::default()));
        around.habits.take(&ended);
        around.join(&around.habits.clone(), members, aged);
        Egress::learn(&Params::default(), &around.ended(&ended), &mut (), &())
    }

    #[test]
    fn new_company_counts_and_established_company_is_discounted() {
        assert_eq!(says(40, 0), Some(40.0));
        assert_eq!(says(40, 20), Some(10.0));
        assert_eq!(says(2, 0), None);
        assert_eq!(says(0, 0), None);
    }

    #[test]
    fn a_stranger_is_judged_by_where_it_comes_from() {
        let (mut around, ended) = (Around::default(), exchange(1, 0, Prompt::default()));
        let mut other = super::super::Habits::default();
        other.take(&ended);
        around.join(&other, 12, 0);
        let ask =
            |around: &Around| Egress::ask(&Params::default(), &around.asked(&ended.ask), &(), &());
        assert_eq!(ask(&around), Some(12.0));
        around.habits = other;
        assert_eq!(ask(&around), None, "a known account has learned it already");
    }
}
