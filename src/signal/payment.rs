//! P1: one payment instrument pays for many new accounts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::crowd::{Crowds, Facet};
use super::exchange::Ask;
use super::registry::{Asked, Ended, Family, Signal, Spec};
use crate::time::Timestamp;

pub(super) struct Payment;

impl Signal for Payment {
    const SPEC: Spec = Spec {
        id: "P1",
        name: "payment",
        family: Family::P,
        says: "shares its means of payment with many new accounts",
        lookalike: "corporate cards; families; agencies that pay for their clients",
        weight: 2.5,
        half_life: 720.0,
        // Guessed: a card on three new accounts is a company's, one on ten is an agency's.
        tail: &[(3.0, 0.03), (10.0, 0.01), (30.0, 0.005)],
    };

    type Params = Params;
    type Account = ();
    type Fleet = ();

    fn ask(_: &Params, asked: &Asked<'_>, _: &(), _: &()) -> Option<f32> {
        if asked.habits.exchanges > 0 { None } else { fresh(asked.ask, asked.crowds, asked.ask.at) }
    }

    fn learn(_: &Params, ended: &Ended<'_>, _: &mut (), _: &()) -> Option<f32> {
        fresh(&ended.exchange.ask, ended.crowds, ended.exchange.ended)
    }
}

fn fresh(ask: &Ask, crowds: &Crowds, now: Timestamp) -> Option<f32> {
    crowds.freshness(Facet::Payment, ask.caller.attributes.payment?, now)
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "PaymentParams")]
#[serde(default, deny_unknown_fields)]
pub struct Params {}

#[cfg(test)]
mod tests {
    use super::super::Habits;
    use super::super::exchange::{Exchange, Prompt};
    use super::super::samples::{Around, exchange};
    use super::*;
    use crate::identity::{Attributes, Tag};

    fn paying_with(card: Option<u64>) -> Exchange {
        let mut ended = exchange(1, 0, Prompt::default());
        ended.ask.caller.attributes = Attributes { payment: card.map(Tag), ..Default::default() };
        ended
    }

    #[test]
    fn a_card_of_many_new_accounts_counts_and_a_companys_does_not() {
        let says = |members, aged, card| {
            let (around, mut habits) = (Around::default(), Habits::default());
            habits.take(&paying_with(Some(5)));
            around.join(&habits, members, aged);
            let ended = paying_with(card);
            let asked = Payment::ask(&Params {}, &around.asked(&ended.ask), &(), &());
            let learned = Payment::learn(&Params {}, &around.ended(&ended), &mut (), &());
            assert_eq!(asked.is_some(), learned.is_some());
            asked
        };
        assert_eq!(says(12, 0, Some(5)), Some(12.0));
        assert!(says(12, 8, Some(5)) < Some(1.0));
        assert_eq!(says(12, 0, Some(6)), None);
        assert_eq!(says(12, 0, None), None);
    }
}
