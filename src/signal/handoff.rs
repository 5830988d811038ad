//! S5: the account starts within minutes of another one with the same keys being acted on.

use std::time::Duration;

use rapidhash::v3::rapidhash_v3;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::crowd::{Crowds, Facet, most};
use super::exchange::{Ask, Ending};
use super::habits::{caller_keys, prompt_keys};
use super::index::Index;
use super::linkage::Owner;
use super::registry::{Asked, Ended, Family, Signal, Spec};
use super::shelf::{Kept, Shelf, Shelved};
use crate::identity::Tag;
use crate::time::{Shift, Timestamp, days};

pub(super) struct Handoff;

/// The hour in which the account was last refused, since the epoch.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct Refused(u32);

/// Who was acted on last under each key, and how often somebody new came right then.
#[derive(Debug)]
pub(super) struct Trails(Index<Trail>);

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct Trail {
    gone: Owner,
    at: Timestamp,
    /// Who came last, in 32 bits, and how often anybody did, decayed, as of then.
    came: u32,
    passed: f32,
    passed_at: Timestamp,
}

/// Keys under which somebody was acted on, some 70 bytes each.
const CAPACITY: usize = 1 << 17;

/// Hours without a refusal after which the next one is the first again: who is refused all day is
/// acted on once.
const ANEW: u32 = 24;

/// Hours in which half of the hand-offs are forgotten.
const HALF: f32 = 168.0;

/// Nats at which an arrival is no chance any more.
const SURE: f32 = 4.0;

impl Kept for Refused {
    fn shift(&mut self, by: Shift) {
        let hours = i32::try_from(by.0 / 3_600_000).unwrap_or_default();
        if self.0 != 0 {
            self.0 = self.0.saturating_add_signed(hours);
        }
    }
}

impl Kept for Trail {
    fn shift(&mut self, by: Shift) {
        (self.at, self.passed_at) = (self.at.shifted(by), self.passed_at.shifted(by));
    }
}

impl Shelved for Trails {
    fn shelf(&self) -> Option<&dyn Shelf> {
        Some(&self.0)
    }
}

impl Default for Trails {
    fn default() -> Self {
        Self(Index::new(CAPACITY))
    }
}

impl Signal for Handoff {
    const SPEC: Spec = Spec {
        id: "S5",
        name: "handoff",
        family: Family::S,
        says: "began minutes after accounts with the same template, card or network were acted on",
        lookalike: "a key that is replaced once; products that new customers come to all the time",
        weight: 2.0,
        half_life: 48.0,
        // Guessed: a key of an organisation we don't know is replaced once, seldom twice in a week.
        tail: &[(0.5, 0.12), (1.3, 0.06), (2.2, 0.03), (4.0, 0.01), (8.0, 0.004)],
    };

    type Params = Params;
    type Account = Refused;
    type Fleet = Trails;

    fn ask(params: &Params, asked: &Asked<'_>, _: &Refused, fleet: &Trails) -> Option<f32> {
        if asked.habits.exchanges > 0 {
            return None;
        }
        let Asked { ask, crowds, .. } = asked;
        most(keys(ask).map(|(facet, key)| {
            let trail = fleet.0.get(key).filter(|trail| trail.leads_to(params, ask));
            let after = |trail: Trail| trail.after(params, arrivals(crowds, key, ask.at), ask.at);
            (facet, trail.map_or(0.0, after))
        }))
    }

    fn learn(
        params: &Params,
        ended: &Ended<'_>,
        account: &mut Refused,
        fleet: &Trails,
    ) -> Option<f32> {
        let (exchange, habits) = (ended.exchange, ended.habits);
        let ask = &exchange.ask;
        if exchange.ending == Ending::Refused {
            let hour = u32::try_from(exchange.ended.as_millis() / 3_600_000).unwrap_or(u32::MAX);
            let before = std::mem::replace(&mut account.0, hour);
            if hour.saturating_sub(before) >= ANEW {
                let gone = Owner::of(&ask.caller);
                let held = habits.keys().filter(|(facet, _)| *facet != Facet::Signup);
                held.for_each(|(_, key)| fleet.leave(key, gone, exchange.ended));
            }
        }
        // Habits have taken this exchange in.
        if habits.exchanges != 1 {
            return None;
        }
        most(keys(ask).map(|(facet, key)| (facet, fleet.arrive(params, key, (ask, ended.crowds)))))
    }

    fn tick(_: &Params, fleet: &Trails, now: Timestamp) {
        fleet.0.tick(now, days(28));
    }
}

/// The keys of a newcomer. Who signed up in one hour shares no more than that.
fn keys(ask: &Ask) -> impl Iterator<Item = (Facet, Tag)> {
    let keys = prompt_keys(&ask.prompt).chain(caller_keys(&ask.caller));
    keys.filter(|(facet, _)| *facet != Facet::Signup)
}

/// Accounts that came under a key within about a day.
fn arrivals(crowds: &Crowds, key: Tag, now: Timestamp) -> f32 {
    crowds.get(key).map_or(0.0, |crowd| crowd.recent_at(now))
}

impl Trails {
    fn leave(&self, key: Tag, gone: Owner, at: Timestamp) {
        self.0.update(key, |trail| (trail.gone, trail.at) = (gone, at));
    }

    /// Notes a newcomer. What hand-offs under the key come to with it; nothing where it is none.
    fn arrive(&self, params: &Params, key: Tag, (ask, crowds): (&Ask, &Crowds)) -> f32 {
        if self.0.get(key).is_none_or(|trail| !trail.leads_to(params, ask)) {
            return 0.0;
        }
        let arrivals = arrivals(crowds, key, ask.at);
        let who = (rapidhash_v3(&ask.caller.account.0) >> 32) as u32;
        let passed = self.0.update(key, |trail| {
            // A client's own retry is no second arrival.
            if trail.came != who {
                let passed = trail.after(params, arrivals, ask.at);
                (trail.came, trail.passed, trail.passed_at) = (who, passed, ask.at);
            }
            trail.passed
        });
        passed.unwrap_or_default()
    }
}

impl Trail {
    fn leads_to(&self, params: &Params, ask: &Ask) -> bool {
        let soon = ask.at >= self.at && ask.at.since(self.at) <= params.window();
        soon && self.gone.is_foreign_to(&Owner::of(&ask.caller))
    }

    /// Hand-offs with one more, which counts the less the more often somebody new comes anyway.
    fn after(&self, params: &Params, arrivals: f32, now: Timestamp) -> f32 {
        let passed = self.passed * (-now.hours_since(self.passed_at) / HALF).exp2();
        let expected = arrivals * params.window().as_secs_f32() / 86_400.0;
        let chance = 1.0 - (-expected.max(1e-6)).exp();
        passed + (-chance.ln() / SURE).clamp(0.0, 1.0)
    }
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "HandoffParams")]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Minutes after which nobody has taken over from an account that was acted on.
    #[schemars(range(min = 1))]
    pub minutes: u32,
}

impl Params {
    fn window(&self) -> Duration {
        Duration::from_secs(u64::from(self.minutes) * 60)
    }
}

impl Default for Params {
    fn default() -> Self {
        Self { minutes: 10 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Habits;
    use super::super::exchange::{Exchange, Prompt};
    use super::super::samples::{Around, at, exchange};
    use super::*;

    /// An exchange of an account whose tool set is 5.
    fn asks(account: u8, seconds: u64) -> Exchange {
        exchange(account, seconds, Prompt { tools: Tag(5), ..Prompt::default() })
    }

    fn learn(fleet: &Trails, around: &mut Around, exchange: &Exchange) -> Option<f32> {
        let (params, mut account) = (Params::default(), Refused::default());
        around.habits = Habits::default();
        let asked = Handoff::ask(&params, &around.asked(&exchange.ask), &account, fleet);
        around.habits.take(exchange);
        let learnt = Handoff::learn(&params, &around.ended(exchange), &mut account, fleet);
        if exchange.ending != Ending::Refused {
            assert_eq!(asked, learnt);
        }
        learnt
    }

    /// Accounts that are refused one after the other, each replaced by the next after `gap` seconds:
    /// what the last one shows.
    fn chain(count: u8, gap: u64, around: &mut Around, own: impl Fn(&mut Exchange)) -> Option<f32> {
        let (fleet, mut last) = (Trails::default(), None);
        for n in 0..count {
            let now = u64::from(n) * 3600;
            let mut comes = asks(n + 1, now + gap);
            own(&mut comes);
            last = learn(&fleet, around, &comes);
            let mut goes =
                Exchange { ending: Ending::Refused, status: 403, ..asks(n + 1, now + 3600) };
            own(&mut goes);
            learn(&fleet, around, &goes);
        }
        last
    }

    #[test]
    fn accounts_that_replace_each_other_add_up() {
        let said = chain(6, 120, &mut Around::default(), |_| {});
        assert!(said > Some(Handoff::SPEC.tail[3].0), "{said:?}");
    }

    #[test]
    fn a_key_replaced_once_is_hardly_anything() {
        let said = chain(2, 120, &mut Around::default(), |_| {});
        assert!(said > Some(0.0) && said < Some(Handoff::SPEC.tail[1].0), "{said:?}");
    }

    #[test]
    fn one_organisation_replaces_its_keys_as_it_likes() {
        let ours = |exchange: &mut Exchange| exchange.ask.caller.org = Some(Tag(8));
        assert_eq!(chain(6, 120, &mut Around::default(), ours), None);
    }

    #[test]
    fn who_comes_later_takes_over_from_nobody() {
        assert_eq!(chain(6, 700, &mut Around::default(), |_| {}), None);
    }

    #[test]
    fn newcomers_to_a_product_that_many_come_to_are_none() {
        let mut around = Around::default();
        let key = Facet::Tools.key(5);
        for _ in 0..3000 {
            around.crowds.join(Facet::Tools, key, at(0), |_| {});
        }
        let said = chain(6, 120, &mut around, |_| {});
        assert!(said < Some(Handoff::SPEC.tail[0].0), "{said:?}");
    }

    #[test]
    fn who_goes_on_asking_though_refused_is_acted_on_once() {
        let (fleet, mut account) = (Trails::default(), Refused::default());
        let mut around = Around::default();
        around.habits.take(&asks(1, 0));
        let mut refused = |seconds| {
            let exchange = Exchange { ending: Ending::Refused, ..asks(1, seconds) };
            Handoff::learn(&Params::default(), &around.ended(&exchange), &mut account, &fleet);
        };
        refused(0);
        refused(7200);
        assert_eq!(learn(&fleet, &mut Around::default(), &asks(2, 7260)), None);
    }
}
