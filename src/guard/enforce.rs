//! Carrying out a verdict, and the limits that hold whatever the score.

use std::sync::Arc;
use std::time::Duration;

use super::Room;
use http::request::Parts;

use super::budget::{Reservation, Tokens};
use super::challenge;
use super::refusal::Refusal;
use super::throttle::{self, Permit, Wait};
use crate::engine::{Pace, Verdict};
use crate::policy::{Action, Limits, Policy};
use crate::signal::Ask;

/// Lets an exchange pass, with what it holds of its account's limits, or refuses it.
///
/// Accounts the endpoint has not accepted yet own no memory, so they can be neither challenged nor
/// limited one by one: a verdict against one of them slows it in the pace all of them share.
pub(super) fn enforce(
    room: &Room,
    ask: &Ask,
    verdict: &Verdict,
    head: &Parts,
) -> Result<Option<Pass>, Refusal> {
    let engine = &room.shared.engine;
    let policies = engine.policies();
    let policy = policies.of(&ask.caller.tenant);
    let known = engine.pace(ask.caller.account);
    match verdict.outcome() {
        Action::Drop => return Err(Refusal::dropped()),
        Action::Challenge if known.is_some() => {
            return Err(challenged(room, ask, verdict.score - policy.ladder.challenge, head));
        }
        Action::Challenge | Action::Throttle => {
            let pace = known.as_ref().unwrap_or_else(|| engine.strangers());
            slow(room, ask, policy, (verdict, pace))?;
        }
        // Shaping passes until there is something to shape.
        Action::Shape | Action::Allow => {}
    }
    let Some(pace) = known else { return Ok(None) };
    limit(room, ask, policy.limits_of(ask.caller.account), &pace).map(Some)
}

fn challenged(room: &Room, ask: &Ask, excess: f32, head: &Parts) -> Refusal {
    let settings = room.shared.settings.load();
    let (token, expires) = room.challenges.issue(ask, excess, &settings.challenge);
    Refusal::challenged(challenge::link(&room.base(head), &token), expires)
}

/// The throttle that tightens as the score rises.
fn slow(
    room: &Room,
    ask: &Ask,
    policy: &Policy,
    (verdict, pace): (&Verdict, &Arc<Pace>),
) -> Result<(), Refusal> {
    let tightened = throttle::tightening(verdict.score - policy.ladder.throttle);
    let now = room.shared.clock.elapsed_nanos();
    let admitted = throttle::admit(&pace.throttle, policy.throttle, tightened, now);
    admitted.map_err(|wait| Refusal::throttled(Wait::new(wait, ask.id.0.0)))
}

/// What an exchange holds until it has ended.
#[derive(Debug)]
pub(super) struct Pass {
    _permit: Permit,
    pub tokens: Reservation,
}

/// The limits of the tenant's own making. Requests come last: permit and tokens are given back when
/// a later limit refuses, while a request counted in a pace is not.
fn limit(room: &Room, ask: &Ask, limits: &Limits, pace: &Arc<Pace>) -> Result<Pass, Refusal> {
    let refuse = |wait| Refusal::throttled(Wait::new(wait, ask.id.0.0));
    let permit = Permit::take(pace, limits.concurrency);
    let permit = permit.ok_or_else(|| refuse(Duration::from_secs(1)))?;
    let now = room.shared.clock.elapsed_nanos();
    let estimate = Tokens::estimated(&ask.prompt);
    let tokens = Reservation::take(pace, limits, estimate, (now, ask.at)).map_err(refuse)?;
    if let Some(rate) = limits.requests {
        throttle::admit(&pace.limit, rate, 1.0, now).map_err(refuse)?;
    }
    Ok(Pass { _permit: permit, tokens })
}
