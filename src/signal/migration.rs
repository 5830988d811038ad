//! L2: a conversation begun on one account goes on on another.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::exchange::Ask;
use super::index::Tiers;
use super::linkage::{CAPACITY, Distinct, Owner};
use super::registry::{Asked, Ended, Family, Signal, Spec};
use super::shelf::{Kept, Shelf, Shelved};
use crate::identity::Tag;
use crate::time::{Timestamp, days};

pub(super) struct Migration;

/// To whom each prefix that can be continued was given.
#[derive(Debug)]
pub(super) struct Given(Tiers<Entry>);

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct Entry {
    owner: Owner,
    /// The very same conversation came about on several accounts: a demonstration, a greeting, a
    /// cached answer. It tells nothing.
    common: bool,
}

impl Kept for Entry {}

impl Shelved for Given {
    fn shelf(&self) -> Option<&dyn Shelf> {
        Some(&self.0)
    }
}

impl Default for Given {
    fn default() -> Self {
        Self(Tiers::new(CAPACITY))
    }
}

impl Signal for Migration {
    const SPEC: Spec = Spec {
        id: "L2",
        name: "migration",
        family: Family::L,
        says: "continues conversations that other accounts were having",
        lookalike: "one organisation with several accounts, where those are not known; a new key",
        weight: 6.0,
        half_life: 720.0,
        // A changed key carries one or two open conversations over, a shared one is now and then
        // gone on with by its reader. Guessed; fatter than L1's, whose ids can't be retyped.
        tail: &[(1.0, 0.03), (2.0, 0.01), (3.0, 0.004), (5.0, 0.001)],
    };

    type Params = Params;
    type Account = Distinct;
    type Fleet = Given;

    fn ask(_: &Params, asked: &Asked<'_>, account: &Distinct, fleet: &Given) -> Option<f32> {
        if asked.ask.prompt.continues == Tag::default() {
            return None;
        }
        fleet.continued(asked.ask, &mut account.clone())
    }

    fn learn(_: &Params, ended: &Ended<'_>, account: &mut Distinct, fleet: &Given) -> Option<f32> {
        let exchange = ended.exchange;
        let continued = fleet.continued(&exchange.ask, account);
        let prefix = exchange.completion.continues;
        if exchange.served() && prefix != Tag::default() {
            fleet.give(prefix, Owner::of(&exchange.ask.caller), ended.aged);
        }
        continued
    }

    fn tick(params: &Params, fleet: &Given, now: Timestamp) {
        fleet.0.tick(now, days(params.days));
    }
}

impl Given {
    /// Conversations of others the account has gone on with, if this one is another.
    fn continued(&self, ask: &Ask, account: &mut Distinct) -> Option<f32> {
        let prefix = Some(ask.prompt.continues).filter(|prefix| *prefix != Tag::default())?;
        let entry = self.0.get(prefix).filter(|entry| !entry.common)?;
        let foreign = entry.owner.is_foreign_to(&Owner::of(&ask.caller));
        if foreign { account.insert(prefix, ask.at) } else { None }
    }

    fn give(&self, prefix: Tag, to: Owner, aged: bool) {
        self.0.update(prefix, aged, |entry| entry.common |= entry.owner.claim(to));
    }
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "MigrationParams")]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Days after which a conversation is forgotten at the latest; sooner when memory is full.
    #[schemars(range(min = 1))]
    pub days: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self { days: 14 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::exchange::{Exchange, Prompt};
    use super::super::samples::{Around, exchange};
    use super::*;

    /// A turn that continues one prefix and leads to another; zero is none.
    fn turn(account: u8, from: u64, to: u64) -> Exchange {
        let prompt = Prompt { continues: Tag(from), ..Prompt::default() };
        let mut turn = exchange(account, 0, prompt);
        turn.completion.continues = Tag(to);
        turn
    }

    fn learn(fleet: &Given, account: &mut Distinct, exchange: &Exchange) -> Option<f32> {
        Migration::learn(&Params::default(), &Around::default().ended(exchange), account, fleet)
    }

    #[test]
    fn a_conversation_passed_around_counts_on_those_it_is_passed_to() {
        let fleet = Given::default();
        let [mut a, mut b, mut c] = [Distinct::default(), Distinct::default(), Distinct::default()];
        assert_eq!(learn(&fleet, &mut a, &turn(1, 0, 11)), None);
        assert_eq!(learn(&fleet, &mut b, &turn(2, 11, 12)), Some(1.0));
        assert_eq!(learn(&fleet, &mut c, &turn(3, 12, 13)), Some(1.0));
        assert_eq!(learn(&fleet, &mut b, &turn(2, 13, 14)), Some(2.0));
        assert_eq!(learn(&fleet, &mut b, &turn(2, 14, 15)), None, "now its own");
        assert_eq!(learn(&fleet, &mut b, &turn(2, 11, 16)), None, "counted before");
        let (around, ask) = (Around::default(), turn(1, 15, 0).ask);
        let asked = Migration::ask(&Params::default(), &around.asked(&ask), &a, &fleet);
        assert_eq!(asked, Some(1.0));
    }

    #[test]
    fn a_conversation_that_many_come_to_have_says_nothing() {
        let fleet = Given::default();
        for account in 1..4 {
            learn(&fleet, &mut Distinct::default(), &turn(account, 0, 11));
        }
        assert_eq!(learn(&fleet, &mut Distinct::default(), &turn(9, 11, 12)), None);
    }

    #[test]
    fn an_unknown_prefix_says_nothing() {
        let fleet = Given::default();
        assert_eq!(learn(&fleet, &mut Distinct::default(), &turn(1, 77, 0)), None);
        assert_eq!(learn(&fleet, &mut Distinct::default(), &turn(1, 0, 0)), None);
    }

    #[test]
    fn memory_ends() {
        let (fleet, params) = (Given::default(), Params::default());
        let day = |day: u64| super::super::samples::at(day * 24 * 3600);
        Migration::tick(&params, &fleet, day(0));
        learn(&fleet, &mut Distinct::default(), &turn(1, 0, 11));
        (1..15).for_each(|n| Migration::tick(&params, &fleet, day(n)));
        assert_eq!(learn(&fleet, &mut Distinct::default(), &turn(2, 11, 0)), None);
    }
}
