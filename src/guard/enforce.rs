//! Carrying out a verdict, and the limits that hold whatever the score.

use std::sync::Arc;
use std::time::Duration;

use super::Room;
use http::request::Parts;

use super::budget::Now;
use super::challenge;
use super::limit::{Limiter, Pass};
use super::refusal::Refusal;
use super::throttle;
use crate::engine::{Pace, Verdict};
use crate::policy::{Action, Policy};
use crate::signal::Ask;

/// Lets an exchange pass, with what it holds under its limits, or refuses it.
///
/// Accounts the endpoint has not accepted yet own no memory, so they can be neither challenged nor
/// limited one by one: a verdict against one of them slows it in the pace all of them share.
pub(super) fn enforce(
    room: &Room,
    ask: &Ask,
    verdict: &Verdict,
    head: &Parts,
) -> Result<Pass, Refusal> {
    let engine = &room.shared.engine;
    let policies = engine.policies();
    let policy = policies.of(&ask.caller.tenant);
    let known = engine.pace(ask.caller.account);
    let limiter = Limiter::new(engine, policy, ask, known.as_ref());
    let now = room.now();
    match verdict.outcome() {
        Action::Drop => return Err(Refusal::dropped()),
        Action::Challenge if known.is_some() => {
            return Err(challenged(room, ask, verdict.score - policy.ladder.challenge, head));
        }
        Action::Challenge | Action::Throttle => {
            let pace = known.as_ref().unwrap_or_else(|| engine.strangers());
            let slowed = slow(policy, verdict, pace, now);
            slowed.map_err(|wait| limiter.refuse(ask, wait, now))?;
        }
        // Shaping passes until there is something to shape.
        Action::Shape | Action::Allow => {}
    }
    limiter.admit(ask, now)
}

fn challenged(room: &Room, ask: &Ask, excess: f32, head: &Parts) -> Refusal {
    let settings = room.shared.settings.load();
    let (token, expires) = room.challenges.issue(ask, excess, &settings.challenge);
    Refusal::challenged(challenge::link(&room.base(head), &token), expires)
}

/// The throttle that tightens as the score rises; or how long to wait.
fn slow(policy: &Policy, verdict: &Verdict, pace: &Arc<Pace>, now: Now) -> Result<(), Duration> {
    let tightened = policy.ladder.tightening(verdict.score);
    throttle::admit(&pace.throttle, policy.throttle, tightened, now.0)
}
