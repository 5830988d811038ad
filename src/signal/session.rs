//! L4: one session or one device, by the client's own ids, on several accounts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::exchange::Ask;
use super::index::Tiers;
use super::linkage::{CAPACITY, Owner};
use super::registry::{Asked, Ended, Family, Signal, Spec};
use super::shelf::{Kept, Shelf, Shelved};
use crate::identity::Tag;
use crate::time::{Timestamp, days};

pub(super) struct Session;

/// Who has used each session and device.
#[derive(Debug)]
pub(super) struct Sessions(Tiers<Users>);

/// The first account that came with an id, and the foreign ones after it, told apart by 32 bits.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct Users {
    first: Owner,
    others: [u32; OTHERS],
    count: u8,
    /// How many of all of them were established when they came.
    aged: u8,
}

const OTHERS: usize = 7;

/// Established accounts that make an id a constant of some program, which anybody may send.
const CONSTANT: u8 = 3;

impl Kept for Users {}

impl Shelved for Sessions {
    fn shelf(&self) -> Option<&dyn Shelf> {
        Some(&self.0)
    }
}

impl Default for Sessions {
    fn default() -> Self {
        Self(Tiers::new(CAPACITY / 2))
    }
}

impl Signal for Session {
    const SPEC: Spec = Spec {
        id: "L4",
        name: "session",
        family: Family::L,
        says: "carries on sessions or devices of other accounts",
        lookalike: "shared devices; people with an account for work and one of their own",
        weight: 2.5,
        half_life: 720.0,
        // Guessed: a second account on one machine is common, a fourth is a family's or a lab's.
        tail: &[(1.0, 0.06), (2.0, 0.02), (3.0, 0.008), (5.0, 0.003)],
    };

    type Params = Params;
    type Account = ();
    type Fleet = Sessions;

    fn ask(_: &Params, asked: &Asked<'_>, _: &(), fleet: &Sessions) -> Option<f32> {
        fleet.before(asked.ask)
    }

    fn learn(_: &Params, ended: &Ended<'_>, _: &mut (), fleet: &Sessions) -> Option<f32> {
        let ask = &ended.exchange.ask;
        // Others' sessions run through a reseller by its nature.
        if ended.exchange.served() && !ask.caller.attributes.resells() {
            let caller = Owner::of(&ask.caller);
            ask.prompt.sessions.iter().for_each(|id| fleet.enter(*id, &caller, ended.aged));
        }
        fleet.before(ask)
    }

    fn tick(params: &Params, fleet: &Sessions, now: Timestamp) {
        fleet.0.tick(now, days(params.days));
    }
}

impl Sessions {
    /// The most accounts that came with one of these ids before this one did. Whoever was first
    /// is never bound by those that follow.
    fn before(&self, ask: &Ask) -> Option<f32> {
        let caller = Owner::of(&ask.caller);
        if ask.caller.attributes.resells() {
            return None;
        }
        let before = |id: &Tag| self.0.get(*id)?.before(&caller);
        ask.prompt.sessions.iter().filter_map(before).max().map(f32::from)
    }

    /// What is known already is not written again: a session goes on for many requests.
    fn enter(&self, id: Tag, caller: &Owner, aged: bool) {
        if !self.0.get(id).is_some_and(|users| users.knows(caller)) {
            self.0.update(id, aged, |users| users.enter(caller, aged));
        }
    }
}

impl Users {
    fn known(&self) -> &[u32] {
        &self.others[..usize::from(self.count).min(OTHERS)]
    }

    /// Nothing is to be noted of this account, or there is no room for it.
    fn knows(&self, caller: &Owner) -> bool {
        let noted = !self.first.is_foreign_to(caller) && !self.first.is_nobody();
        noted || self.known().contains(&caller.fingerprint()) || usize::from(self.count) >= OTHERS
    }

    fn before(&self, caller: &Owner) -> Option<u8> {
        if self.aged >= CONSTANT || !self.first.is_foreign_to(caller) {
            return None;
        }
        let place = self.known().iter().position(|one| *one == caller.fingerprint());
        Some(1 + place.unwrap_or_else(|| self.known().len()) as u8)
    }

    fn enter(&mut self, caller: &Owner, aged: bool) {
        if self.first.is_nobody() {
            (self.first, self.aged) = (*caller, u8::from(aged));
        } else if self.first.is_foreign_to(caller) && !self.known().contains(&caller.fingerprint())
        {
            self.aged = self.aged.saturating_add(u8::from(aged));
            if let Some(place) = self.others.get_mut(usize::from(self.count)) {
                *place = caller.fingerprint();
                self.count += 1;
            }
        }
    }
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "SessionParams")]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Days after which a session or device is forgotten at the latest; sooner when memory is full.
    #[schemars(range(min = 1))]
    pub days: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self { days: 30 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::exchange::{Exchange, Prompt};
    use super::super::samples::{Around, exchange};
    use super::*;

    fn on(account: u8, ids: &[u64]) -> Exchange {
        let sessions = ids.iter().copied().map(Tag).collect();
        exchange(account, 10, Prompt { sessions, ..Prompt::default() })
    }

    fn learn(fleet: &Sessions, aged: bool, ended: &Exchange) -> Option<f32> {
        let around = Around { aged, ..Around::default() };
        let learnt = Session::learn(&Params::default(), &around.ended(ended), &mut (), fleet);
        let asked = Session::ask(&Params::default(), &around.asked(&ended.ask), &(), fleet);
        assert_eq!(asked, learnt, "a request says what it is learnt to say");
        learnt
    }

    #[test]
    fn those_who_follow_are_bound_and_the_first_is_not() {
        let fleet = Sessions::default();
        let says = |account| learn(&fleet, false, &on(account, &[5, 6]));
        assert_eq!([1, 2, 3, 2, 1].map(says), [None, Some(1.0), Some(2.0), Some(1.0), None]);
        let late: Vec<_> = (4..40).map(says).collect();
        assert_eq!(late.last(), Some(&Some(8.0)), "counted up to eight");
        assert_eq!(learn(&fleet, false, &on(50, &[7])), None);
    }

    #[test]
    fn an_organisation_shares_its_devices_and_a_reseller_its_sessions() {
        let fleet = Sessions::default();
        let in_org = |account| {
            let mut ended = on(account, &[5]);
            ended.ask.caller.org = Some(Tag(7));
            ended
        };
        assert_eq!(learn(&fleet, false, &in_org(1)), None);
        assert_eq!(learn(&fleet, false, &in_org(2)), None);
        assert_eq!(learn(&fleet, false, &on(3, &[5])), Some(1.0));
        let mut reseller = on(4, &[5]);
        reseller.ask.caller.attributes.reseller = Some(true);
        assert_eq!(learn(&fleet, false, &reseller), None);
        let mut elsewhere = on(5, &[5]);
        elsewhere.ask.caller.tenant = "another".into();
        assert_eq!(learn(&fleet, false, &elsewhere), None);
    }

    #[test]
    fn a_constant_that_established_accounts_send_is_nobodys() {
        let fleet = Sessions::default();
        for account in 1..4 {
            learn(&fleet, true, &on(account, &[5]));
        }
        assert_eq!(learn(&fleet, false, &on(9, &[5])), None);
    }
}
