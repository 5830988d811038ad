//! P4: an account carries what an account that was shut out has left: its card or its sign-up, and
//! beside these its network and its template.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::crowd::{Crowds, Facet};
use super::exchange::Ask;
use super::habits::{caller_keys, prompt_keys};
use super::index::Index;
use super::registry::{Asked, Ended, Family, Signal, Spec};
use super::shelf::{Kept, Shelf, Shelved};
use crate::identity::Tag;
use crate::time::{Shift, Timestamp, days};

pub(super) struct Tombstone;

/// What accounts that were shut out have left, by key.
#[derive(Debug)]
pub(super) struct Graves(Index<Grave>);

/// Keys remembered at once, some 40 bytes each.
const CAPACITY: usize = 1 << 19;

/// Accounts shut out under one key, and when one of them last was.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct Grave {
    accounts: u32,
    at: Timestamp,
}

/// When what an account leaves was written down.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(super) struct Buried(Timestamp);

impl Kept for Grave {
    fn shift(&mut self, by: Shift) {
        self.at = self.at.shifted(by);
    }
}

impl Kept for Buried {
    fn shift(&mut self, by: Shift) {
        self.0 = self.0.shifted(by);
    }
}

impl Default for Graves {
    fn default() -> Self {
        Self(Index::new(CAPACITY))
    }
}

impl Shelved for Graves {
    fn shelf(&self) -> Option<&dyn Shelf> {
        Some(&self.0)
    }
}

/// Exchanges after which an account has shown what it is by itself.
const NEWCOMER: u32 = 50;

impl Signal for Tombstone {
    const SPEC: Spec = Spec {
        id: "P4",
        name: "tombstone",
        family: Family::P,
        says: "carries the card or sign-up of accounts that were shut out",
        lookalike: "recycled cards; neighbours of the guilty in an office or a class",
        weight: 2.5,
        half_life: 720.0,
        // Guessed: one honest account in thirty has a sign-up in common with one that was shut out
        // and few others; one in a hundred a card, or its network, too.
        tail: &[(0.5, 0.06), (1.0, 0.03), (2.0, 0.01), (3.0, 0.004)],
    };

    type Params = Params;
    type Account = Buried;
    type Fleet = Graves;

    fn ask(params: &Params, asked: &Asked<'_>, _: &Buried, fleet: &Graves) -> Option<f32> {
        if asked.aged || asked.habits.exchanges > 0 {
            return None;
        }
        let keys = prompt_keys(&asked.ask.prompt).chain(caller_keys(&asked.ask.caller));
        fleet.carried(params, keys, (asked.crowds, asked.ask.at))
    }

    fn learn(
        params: &Params,
        ended: &Ended<'_>,
        account: &mut Buried,
        fleet: &Graves,
    ) -> Option<f32> {
        let (ask, now) = (&ended.exchange.ask, ended.exchange.ended);
        let keys = || ended.habits.keys().chain(unknown(ended, ask));
        if ended.condemned {
            // Once, and again when it would be forgotten while the account goes on trying.
            if account.0 == Timestamp::default() || now.since(account.0) > params.life() / 2 {
                let first = account.0 == Timestamp::default();
                account.0 = now;
                keys().for_each(|(_, key)| fleet.bury(key, first, now));
            }
            return None;
        }
        if ended.aged || ended.habits.exchanges > NEWCOMER {
            return None;
        }
        fleet.carried(params, keys(), (ended.crowds, now))
    }

    fn tick(params: &Params, fleet: &Graves, now: Timestamp) {
        fleet.0.tick(now, params.life() * 2);
    }
}

/// The keys of an ask whose account has no habits: it was refused before any was known.
fn unknown<'a>(ended: &Ended<'_>, ask: &'a Ask) -> impl Iterator<Item = (Facet, Tag)> + use<'a> {
    let new = ended.habits.exchanges == 0;
    let keys = new.then(|| prompt_keys(&ask.prompt).chain(caller_keys(&ask.caller)));
    keys.into_iter().flatten()
}

/// How much more a card says than what is shared by nature: it is one person's.
const CARD: f32 = 2.5;

/// Keys of user turns that must agree.
const AGREEING: usize = 3;

impl Graves {
    fn bury(&self, key: Tag, first: bool, now: Timestamp) {
        self.0.update(key, |grave| {
            grave.accounts = grave.accounts.saturating_add(u32::from(first)).max(1);
            grave.at = now;
        });
    }

    /// What an account with these keys carries of the dead: for each facet the largest share that they
    /// are of all who use a key.
    fn carried(
        &self,
        params: &Params,
        keys: impl Iterator<Item = (Facet, Tag)>,
        (crowds, now): (&Crowds, Timestamp),
    ) -> Option<f32> {
        let mut most = BTreeMap::<Facet, [f32; AGREEING]>::new();
        for (facet, key) in keys {
            let share = self.share(params, key, (crowds, now));
            if share > 0.0 {
                let held = most.entry(facet).or_default();
                held[0] = held[0].max(share);
                held.sort_by(f32::total_cmp);
            }
        }
        let (mut own, mut shared) = (0.0, 0.0);
        for (facet, [least, .., largest]) in most {
            match facet {
                Facet::Payment => own += CARD * largest,
                Facet::Signup => own += largest,
                // These are pairs of slots, which agree by chance now and then.
                Facet::User => shared += least,
                _ => shared += largest,
            }
        }
        // A template or network alone is what its crowd is judged by already, and must not amplify
        // itself; played against made-up fleets without provisioning data, it cost honest neighbours.
        let carried = if own >= params.least { own + shared } else { 0.0 };
        Some(carried).filter(|carried| *carried >= params.least)
    }

    /// The share of the dead among those who use a key, established users counting as many more.
    fn share(&self, params: &Params, key: Tag, (crowds, now): (&Crowds, Timestamp)) -> f32 {
        let Some(grave) = self.0.get(key).filter(|grave| now.since(grave.at) <= params.life())
        else {
            return 0.0;
        };
        let crowd = crowds.get(key).unwrap_or_default();
        let dead = grave.accounts as f32;
        let living = crowd.members.saturating_sub(grave.accounts) as f32;
        dead / (dead + living + params.established * crowd.aged as f32)
    }
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "TombstoneParams")]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Days for which what an account leaves is remembered.
    #[schemars(range(min = 1, max = 365))]
    pub days: u32,
    /// Users that an established user of a key counts for.
    #[schemars(range(min = 0.0))]
    pub established: f32,
    /// Shares below this, added up and a card counting two and a half, say nothing.
    #[schemars(range(min = 0.0))]
    pub least: f32,
}

impl Params {
    fn life(&self) -> Duration {
        days(self.days)
    }
}

impl Default for Params {
    fn default() -> Self {
        Self { days: 30, established: 5.0, least: 0.25 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Habits;
    use super::super::exchange::{Ending, Exchange, Prompt};
    use super::super::samples::{Around, at, exchange};
    use super::*;
    use crate::identity::Attributes;

    const DAY: u64 = 24 * 3600;

    fn paying(account: u8, day: u64, (card, egress): (u64, u64)) -> Exchange {
        let mut ended = exchange(account, day * DAY, Prompt::default());
        ended.ask.caller.attributes = Attributes { payment: Some(Tag(card)), ..Default::default() };
        ended.ask.caller.egress = Tag(egress);
        ended
    }

    /// An account with habits is shut out.
    fn shut_out(fleet: &Graves, ended: &Exchange, account: &mut Buried) {
        let mut around = Around { condemned: true, ..Around::default() };
        around.habits.take(ended);
        let refused = Exchange { ending: Ending::Refused, status: 403, ..ended.clone() };
        let says = Tombstone::learn(&Params::default(), &around.ended(&refused), account, fleet);
        assert_eq!(says, None);
    }

    fn buried(dead: &[(u64, u64)]) -> Graves {
        let fleet = Graves::default();
        for (account, keys) in (1..).zip(dead) {
            shut_out(&fleet, &paying(account, 0, *keys), &mut Buried::default());
        }
        fleet
    }

    fn asks(fleet: &Graves, around: &Around, ended: &Exchange) -> Option<f32> {
        Tombstone::ask(&Params::default(), &around.asked(&ended.ask), &Buried::default(), fleet)
    }

    #[test]
    fn a_replacement_with_the_card_and_network_of_the_dead_is_known_at_its_first_request() {
        let fleet = buried(&[(5, 9), (6, 9)]);
        let (around, tail) = (Around::default(), Tombstone::SPEC.tail);
        let says = |card, egress| asks(&fleet, &around, &paying(7, 3, (card, egress)));
        assert_eq!(says(5, 9), Some(3.5));
        assert_eq!(says(5, 70), Some(2.5));
        assert_eq!((says(50, 9), says(50, 70)), (None, None));
        assert!(tail[3].0 <= 3.5 && tail[2].0 <= 2.5);
        assert_eq!(asks(&fleet, &around, &paying(7, 31, (5, 9))), None, "after a month");
    }

    #[test]
    fn neighbours_of_the_guilty_are_not_guilty() {
        let fleet = buried(&[(5, 9)]);
        let (around, mut habits) = (Around::default(), Habits::default());
        habits.take(&paying(1, 0, (5, 9)));
        around.join(&habits, 40, 0);
        assert_eq!(asks(&fleet, &around, &paying(7, 3, (5, 9))), None, "one of many");
        let (around, mut habits) = (Around::default(), Habits::default());
        habits.take(&paying(1, 0, (5, 9)));
        around.join(&habits, 6, 4);
        assert_eq!(asks(&fleet, &around, &paying(7, 3, (5, 9))), None, "a company's card");
        let aged = Around { aged: true, ..Around::default() };
        assert_eq!(asks(&fleet, &aged, &paying(7, 3, (5, 9))), None);
    }

    #[test]
    fn a_template_or_network_counts_beside_a_card_and_never_alone() {
        let told = |egress: u64| {
            let mut ended = paying(1, 0, (5, egress));
            ended.ask.prompt.tools = Tag(77);
            ended
        };
        let fleet = Graves::default();
        shut_out(&fleet, &told(9), &mut Buried::default());
        let says = |card, egress| {
            let mut replacement = told(egress);
            replacement.ask.caller.attributes.payment = Some(Tag(card));
            asks(&fleet, &Around::default(), &replacement)
        };
        assert_eq!((says(50, 9), says(50, 70)), (None, None));
        assert_eq!((says(5, 9), says(5, 70)), (Some(4.5), Some(3.5)));
    }

    #[test]
    fn an_account_is_buried_once_however_often_it_is_refused() {
        let (fleet, mut account) = (Graves::default(), Buried::default());
        for _ in 0..30 {
            shut_out(&fleet, &paying(1, 0, (5, 9)), &mut account);
        }
        let grave = |day| {
            let key = Facet::Payment.key(5);
            fleet.0.get(key).filter(|grave| grave.at >= at(day * DAY)).map(|grave| grave.accounts)
        };
        assert_eq!(grave(0), Some(1));
        shut_out(&fleet, &paying(1, 20, (5, 9)), &mut account);
        assert_eq!(grave(20), Some(1), "still trying, and still one");
    }

    #[test]
    fn a_refusal_that_is_no_condemnation_buries_nobody() {
        let fleet = Graves::default();
        let limited = Exchange { ending: Ending::Refused, status: 429, ..paying(1, 0, (5, 9)) };
        let around = Around::default();
        let ended = around.ended(&limited);
        Tombstone::learn(&Params::default(), &ended, &mut Buried::default(), &fleet);
        assert_eq!(asks(&fleet, &Around::default(), &paying(7, 1, (5, 9))), None);
    }
}
