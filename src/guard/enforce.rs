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
use crate::dialect::Reason;
use crate::engine::{Bucket, Engine, Pace, Verdict};
use crate::policy::{Action, Policy};
use crate::signal::{Ask, Step, Trial};

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
    if policy.regions.refuse(ask.caller.trace.country) && !verdict.exempt {
        return Err(Reason::Region.into());
    }
    let known = engine.pace(ask.caller.account);
    let shares = contained(engine, policy, (ask, verdict));
    let limiter = Limiter::new(engine, policy, ask, known.as_ref());
    let mut limiter = limiter.within(policy, shares.as_ref());
    let now = room.now();
    match verdict.outcome() {
        Action::Drop => return Err(Refusal::dropped()),
        Action::Challenge if known.is_some() => {
            return Err(challenged(room, (ask, verdict), policy.ladder.challenge, head));
        }
        Action::Throttle if shares.is_some() && verdict.score < policy.ladder.throttle => {}
        Action::Challenge | Action::Throttle => {
            let pace = known.as_ref().unwrap_or_else(|| engine.strangers());
            let slowed = slow(policy, verdict, pace, now);
            slowed.map_err(|wait| limiter.refuse(ask, wait, now))?;
            limiter.tighten(&policy.throttle, policy.ladder.tightening(verdict.score));
        }
        // What is shaped passes.
        Action::Shape | Action::Allow => {}
    }
    limiter.admit(ask, now)
}

/// What the caller shares with the other members of its campaign, where that is carried out.
fn contained(engine: &Engine, policy: &Policy, (ask, verdict): (&Ask, &Verdict)) -> Option<Bucket> {
    let contains = verdict.ordered || policy.contains_on(ask.caller.account);
    let carried_out = verdict.contained && verdict.enforced && contains && !verdict.ruled;
    let campaign = verdict.campaign.filter(|_| carried_out)?;
    engine.bucket(campaign, ask.caller.account)
}

/// Puts a challenge to the account, `rung` being the score from which it holds.
fn challenged(room: &Room, (ask, verdict): (&Ask, &Verdict), rung: f32, head: &Parts) -> Refusal {
    let settings = room.shared.settings.load();
    let settings = &settings.challenge;
    let (token, expires) = room.challenges.issue(ask, verdict.score - rung, settings);
    let own = verdict.score - verdict.group >= rung;
    room.tried(&Trial {
        account: ask.caller.account,
        at: room.shared.clock.now(),
        step: if own { Step::Issued } else { Step::IssuedToCrowd },
        from: ask.caller.egress,
        org: ask.caller.org,
        took: 0,
        clearance: None,
    });
    if settings.webhook.is_some() {
        // What the caller says of the host stays out of it.
        let base = settings.base_url.as_ref().map_or("", |base| base.as_str());
        let link = challenge::link(base, &token);
        if !room.challenges.tell(ask, verdict, (&link, expires)) {
            room.shared.telemetry.metrics.webhook("dropped");
        }
    }
    Refusal::challenged(challenge::link(&room.base(head), &token), expires)
}

/// The throttle that tightens as the score rises; or how long to wait.
fn slow(policy: &Policy, verdict: &Verdict, pace: &Arc<Pace>, now: Now) -> Result<(), Duration> {
    let tightened = policy.ladder.tightening(verdict.score);
    throttle::admit(&pace.throttle, policy.throttle.pace(), tightened, now.0)
}
