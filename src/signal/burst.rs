//! P2: many accounts signed up within the same hour, in the same way, and share a mail domain or a
//! network.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::exchange::Ask;
use super::index::Index;
use super::linkage::{Owners, account_tag};
use super::registry::{Asked, Ended, Family, Signal, Spec};
use super::shelf::{Kept, Shelf, Shelved};
use crate::identity::Tag;
use crate::time::{Timestamp, days};

pub(super) struct Burst;

/// The accounts of each mail domain and network, all together and by how they signed up.
#[derive(Debug)]
pub(super) struct Batches(Index<Batch>);

/// Domains, networks and their sign-ups remembered at once, some 50 bytes each.
const CAPACITY: usize = 1 << 19;

/// Exchanges of an account in which it is entered.
const ENTERED: u32 = 3;

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct Batch(Owners);

impl Kept for Batch {}

impl Default for Batches {
    fn default() -> Self {
        Self(Index::new(CAPACITY))
    }
}

impl Shelved for Batches {
    fn shelf(&self) -> Option<&dyn Shelf> {
        Some(&self.0)
    }
}

impl Signal for Burst {
    const SPEC: Spec = Spec {
        id: "P2",
        name: "burst",
        family: Family::P,
        says: "signed up in a burst of accounts of one mail domain or network",
        lookalike: "classrooms, hackathons and companies on their first day",
        weight: 1.0,
        half_life: 720.0,
        // A class that signs up together is as like it as can be, so that the tail stays above the
        // one in ten from which a family speaks in a crowd until a burst is larger than a lecture.
        tail: &[(8.0, 0.4), (20.0, 0.25), (60.0, 0.15), (250.0, 0.05)],
    };

    type Params = Params;
    type Account = ();
    type Fleet = Batches;

    fn ask(params: &Params, asked: &Asked<'_>, _: &(), fleet: &Batches) -> Option<f32> {
        let new = !asked.aged && asked.habits.exchanges == 0;
        if new { fleet.largest(params, asked.ask) } else { None }
    }

    fn learn(params: &Params, ended: &Ended<'_>, _: &mut (), fleet: &Batches) -> Option<f32> {
        let ask = &ended.exchange.ask;
        // Entered once would do: what is written is to be written down, too.
        if ended.habits.exchanges <= ENTERED {
            for (all, burst) in places(ask) {
                fleet.enter(all, ask);
                fleet.enter(burst, ask);
            }
        }
        if ended.aged { None } else { fleet.largest(params, ask) }
    }

    fn tick(params: &Params, fleet: &Batches, now: Timestamp) {
        fleet.0.tick(now, days(params.days));
    }
}

/// A domain or network, and its sign-ups of this hour and kind. None where it is not known how the
/// account signed up, where it belongs to an organisation, whose accounts come together by nature, or
/// says that it resells.
fn places(ask: &Ask) -> impl Iterator<Item = (Tag, Tag)> {
    let attributes = ask.caller.attributes;
    let of_one = ask.caller.org.is_some() || attributes.resells();
    let signup = attributes.signup.filter(|_| !of_one);
    let egress = Some(ask.caller.egress).filter(|egress| *egress != Tag::default());
    let places = [attributes.mail.map(|mail| mixed(mail.0, 1)), egress.map(|tag| mixed(tag.0, 2))];
    places.into_iter().flatten().filter_map(move |place| Some((place, mixed(place.0, signup?.0))))
}

fn mixed(one: u64, other: u64) -> Tag {
    Tag((one ^ other.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
}

impl Batches {
    fn enter(&self, place: Tag, ask: &Ask) {
        self.0.update(place, |batch| batch.0.insert(account_tag(ask.caller.account)));
    }

    /// The largest burst the account is part of, discounted by the share it is of its place's
    /// accounts: what thousands use all year round brings many in any hour.
    fn largest(&self, params: &Params, ask: &Ask) -> Option<f32> {
        let count = |place| self.0.get(place).map_or(0.0, |batch| batch.0.count());
        let bursts = places(ask).map(|(all, burst)| {
            let burst = count(burst);
            burst * burst / count(all).max(burst).max(1.0)
        });
        let largest = bursts.fold(0.0, f32::max);
        (largest >= params.at_least as f32).then_some(largest)
    }
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "BurstParams")]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Accounts that are a burst at least.
    pub at_least: u32,
    /// Days after which a place that nobody uses is forgotten.
    #[schemars(range(min = 1))]
    pub days: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self { at_least: 8, days: 30 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::exchange::{Exchange, Prompt};
    use super::super::samples::{Around, exchange};
    use super::*;
    use crate::identity::Attributes;

    fn signed_up(account: u8, hour: u64, (mail, egress): (Option<u64>, u64)) -> Exchange {
        let mut ended = exchange(account, 0, Prompt::default());
        let (signup, mail) = (Some(Tag(hour)), mail.map(Tag));
        ended.ask.caller.attributes = Attributes { signup, mail, ..Attributes::default() };
        ended.ask.caller.egress = Tag(egress);
        ended
    }

    fn learn(fleet: &Batches, ended: &Exchange) -> Option<f32> {
        Burst::learn(&Params::default(), &Around::default().ended(ended), &mut (), fleet)
    }

    fn asks(fleet: &Batches, ended: &Exchange) -> Option<f32> {
        Burst::ask(&Params::default(), &Around::default().asked(&ended.ask), &(), fleet)
    }

    #[test]
    fn accounts_of_one_hour_and_domain_are_a_burst_wherever_they_call_from() {
        let fleet = Batches::default();
        for n in 0..40 {
            learn(&fleet, &signed_up(n, 5, (Some(9), 100 + u64::from(n))));
        }
        let next = |hour, mail| asks(&fleet, &signed_up(99, hour, (mail, 7)));
        assert!(next(5, Some(9)) > Some(30.0) && next(5, Some(9)) < Some(50.0));
        assert_eq!(next(6, Some(9)), None, "another hour");
        assert_eq!(next(5, Some(8)), None, "another domain");
        assert_eq!(next(5, None), None);
        for _ in 0..50 {
            learn(&fleet, &signed_up(3, 5, (Some(9), 103)));
        }
        assert!(next(5, Some(9)) < Some(50.0), "one account counts once");
    }

    #[test]
    fn a_domain_or_network_that_many_use_all_year_is_discounted() {
        let fleet = Batches::default();
        for n in 0..200 {
            learn(&fleet, &signed_up(n, u64::from(n % 20), (Some(9), 1)));
        }
        assert_eq!(asks(&fleet, &signed_up(250, 5, (Some(9), 1))), None);
    }

    #[test]
    fn an_organisation_s_accounts_and_established_ones_are_no_burst() {
        let fleet = Batches::default();
        for n in 0..40 {
            learn(&fleet, &signed_up(n, 5, (Some(9), 1)));
        }
        let mut of_org = signed_up(99, 5, (Some(9), 1));
        of_org.ask.caller.org = Some(Tag(4));
        assert_eq!((asks(&fleet, &of_org), learn(&fleet, &of_org)), (None, None));
        let aged = Around { aged: true, ..Around::default() };
        let one = signed_up(98, 5, (Some(9), 1));
        assert_eq!(Burst::ask(&Params::default(), &aged.asked(&one.ask), &(), &fleet), None);
    }

    #[test]
    fn a_class_stays_below_what_counts_as_speaking() {
        let of_class = Burst::SPEC.tail.iter().filter(|(size, _)| *size <= 120.0);
        assert!(of_class.map(|(_, share)| *share).all(|share| share > 0.1));
    }
}
