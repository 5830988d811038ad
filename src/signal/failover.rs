//! L3: what was denied to one account is asked again, word for word, by another at once.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::exchange::{Ask, Ending, Exchange};
use super::index::Tiers;
use super::linkage::{CAPACITY, Distinct, Owner};
use super::registry::{Asked, Ended, Family, Signal, Spec};
use super::shelf::{Kept, Shelf, Shelved};
use crate::identity::Tag;
use crate::time::{Shift, Timestamp, days};

pub(super) struct Failover;

/// Who asked each body, and to whom it was denied.
#[derive(Debug)]
pub(super) struct Bodies(Tiers<Body>);

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct Body {
    /// Who asked last, and how often the asker changed: an upper bound on the accounts.
    last: Owner,
    changes: u16,
    /// Who was denied, and when it was first since the window closed.
    denied: Owner,
    at: Timestamp,
    /// When the last one was answered, and whether with a denial; none where there was no answer.
    last_at: Timestamp,
    last_denied: Option<bool>,
    /// Share of that account's requests that are denied, in 255ths.
    last_share: u8,
}

impl Kept for Body {
    fn shift(&mut self, by: Shift) {
        (self.at, self.last_at) = (self.at.shifted(by), self.last_at.shifted(by));
    }
}

impl Shelved for Bodies {
    fn shelf(&self) -> Option<&dyn Shelf> {
        Some(&self.0)
    }
}

impl Default for Bodies {
    fn default() -> Self {
        Self(Tiers::new(CAPACITY))
    }
}

impl Signal for Failover {
    const SPEC: Spec = Spec {
        id: "L3",
        name: "failover",
        family: Family::L,
        says: "asks again what other accounts have just been denied",
        lookalike: "public benchmarks; one organisation's router over several of its keys",
        weight: 4.0,
        half_life: 720.0,
        // Equal bodies within a minute of a denial, on a body hardly anyone else asks: by chance
        // almost never, but routers of organisations we can't see are honest and do just that.
        tail: &[(1.0, 0.03), (2.0, 0.012), (3.0, 0.005), (6.0, 0.002)],
    };

    type Params = Params;
    type Account = Distinct;
    type Fleet = Bodies;

    fn ask(params: &Params, asked: &Asked<'_>, account: &Distinct, fleet: &Bodies) -> Option<f32> {
        fleet.failed_over(params, asked.ask, &mut account.clone())
    }

    fn learn(
        params: &Params,
        ended: &Ended<'_>,
        account: &mut Distinct,
        fleet: &Bodies,
    ) -> Option<f32> {
        let failed_over = fleet.failed_over(params, &ended.exchange.ask, account);
        fleet.take(params, ended);
        failed_over
    }

    fn tick(params: &Params, fleet: &Bodies, now: Timestamp) {
        fleet.0.tick(now, days(params.days));
    }
}

impl Bodies {
    /// Different denied bodies the account has taken over, if this one is another.
    fn failed_over(&self, params: &Params, ask: &Ask, account: &mut Distinct) -> Option<f32> {
        let body = Some(ask.prompt.body).filter(|body| *body != Tag::default())?;
        let known = self.0.get(body)?;
        let denied = known.denied.is_foreign_to(&Owner::of(&ask.caller))
            && ask.at >= known.at
            && ask.at.since(known.at) <= params.window();
        if denied && known.changes < params.accounts { account.insert(body, ask.at) } else { None }
    }

    /// Whether the body was last denied or served, where that was to another account, just now; and
    /// how large a share of that one's requests is denied.
    pub(super) fn taken_over(&self, ask: &Ask, window: Duration) -> Option<(bool, f32)> {
        let body = Some(ask.prompt.body).filter(|body| *body != Tag::default())?;
        let known = self.0.get(body)?;
        let foreign = known.last.is_foreign_to(&Owner::of(&ask.caller));
        let soon = ask.at >= known.last_at && ask.at.since(known.last_at) <= window;
        let denied = known.last_denied.filter(|_| foreign && soon)?;
        Some((denied, f32::from(known.last_share) / 255.0))
    }

    /// Notes how large a share of the asker's requests is denied.
    pub(super) fn note_share(&self, ended: &Ended<'_>, share: f32) {
        let body = ended.exchange.ask.prompt.body;
        if body != Tag::default() {
            self.0.update(body, ended.aged, |known| known.last_share = (share * 255.0) as u8);
        }
    }

    fn take(&self, params: &Params, ended: &Ended<'_>) {
        let ask = &ended.exchange.ask;
        if ask.prompt.body == Tag::default() {
            return;
        }
        let caller = Owner::of(&ask.caller);
        self.0.update(ask.prompt.body, ended.aged, |body| {
            if !body.last.is_account(&caller) {
                body.changes = body.changes.saturating_add(u16::from(!body.last.is_nobody()));
                body.last = caller;
            }
            (body.last_at, body.last_denied) = (ended.exchange.ended, outcome(ended.exchange));
            // The first denial stands while its window is open, so that the account denied first
            // does not seem to follow those that took over from it.
            let open = ended.exchange.ended.since(body.at) <= params.window();
            if denies(ended.exchange) && (body.denied.is_nobody() || !open) {
                (body.denied, body.at) = (caller, ended.exchange.ended);
            }
        });
    }
}

/// Whether an exchange was denied or served; none where it failed for another reason.
pub(super) fn outcome(exchange: &Exchange) -> Option<bool> {
    let denied = denies(exchange);
    (denied || exchange.served()).then_some(denied)
}

/// A refusal aimed at the account, by this proxy or by the endpoint: not an overload or an outage.
fn denies(exchange: &Exchange) -> bool {
    exchange.ending == Ending::Refused || matches!(exchange.status, 403 | 429)
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "FailoverParams")]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Seconds after a denial within which the body counts as passed on.
    pub seconds: u32,
    /// A body on more accounts than this is public.
    #[schemars(range(min = 1))]
    pub accounts: u16,
    /// Days after which a body is forgotten at the latest; sooner when memory is full.
    #[schemars(range(min = 1))]
    pub days: u32,
}

impl Params {
    fn window(&self) -> Duration {
        Duration::from_secs(u64::from(self.seconds))
    }
}

impl Default for Params {
    fn default() -> Self {
        Self { seconds: 60, accounts: 4, days: 30 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{Around, asks, denied};
    use super::*;

    fn learn(fleet: &Bodies, account: &mut Distinct, exchange: &Exchange) -> Option<f32> {
        Failover::learn(&Params::default(), &Around::default().ended(exchange), account, fleet)
    }

    fn after(exchanges: &[Exchange], last: &Exchange) -> Option<f32> {
        let fleet = Bodies::default();
        for exchange in exchanges {
            learn(&fleet, &mut Distinct::default(), exchange);
        }
        let around = Around::default();
        let account = Distinct::default();
        let asked = Failover::ask(&Params::default(), &around.asked(&last.ask), &account, &fleet);
        let learned = learn(&fleet, &mut Distinct::default(), last);
        assert_eq!(asked, learned);
        learned
    }

    #[test]
    fn a_denied_body_taken_over_within_a_minute_counts() {
        assert_eq!(after(&[denied(1, 0, 5)], &asks(2, 30, 5)), Some(1.0));
        let upstream = Exchange { status: 429, ..asks(1, 0, 5) };
        assert_eq!(after(&[upstream], &asks(2, 30, 5)), Some(1.0));
    }

    #[test]
    fn anything_else_does_not() {
        assert_eq!(after(&[denied(1, 0, 5)], &asks(2, 62, 5)), None, "late");
        assert_eq!(after(&[denied(1, 0, 5)], &asks(1, 30, 5)), None, "a retry");
        assert_eq!(after(&[asks(1, 0, 5)], &asks(2, 30, 5)), None, "served");
        assert_eq!(after(&[denied(1, 0, 5)], &asks(2, 30, 6)), None, "another body");
        assert_eq!(after(&[denied(1, 0, 0)], &asks(2, 30, 0)), None, "no body");
        let overload = Exchange { status: 503, ending: Ending::Failed, ..asks(1, 0, 5) };
        assert_eq!(after(&[overload], &asks(2, 30, 5)), None);
    }

    #[test]
    fn a_body_that_many_ask_is_public() {
        let mut asked: Vec<_> = (10..16).map(|account| asks(account, 0, 5)).collect();
        asked.push(denied(1, 1, 5));
        assert_eq!(after(&asked, &asks(2, 30, 5)), None);
    }

    #[test]
    fn the_account_denied_first_is_not_the_follower() {
        let exchanges = [denied(1, 0, 5), denied(2, 10, 5)];
        assert_eq!(after(&exchanges, &asks(1, 20, 5)), None);
        assert_eq!(after(&exchanges, &asks(3, 20, 5)), Some(1.0));
    }

    #[test]
    fn different_bodies_add_up() {
        let (fleet, mut account) = (Bodies::default(), Distinct::default());
        let said: Vec<_> = (1..4)
            .map(|body| {
                learn(&fleet, &mut Distinct::default(), &denied(1, 0, body));
                learn(&fleet, &mut account, &asks(2, 5, body))
            })
            .collect();
        assert_eq!(said, [Some(1.0), Some(2.0), Some(3.0)]);
    }
}
