//! X1: what is denied to other accounts is asked by this one, and what is served to them is not.
//!
//! Every denial is an experiment on a relay: it hands on what it was denied, and has no reason to
//! repeat what it was given. Public benchmarks and popular questions reappear either way. Only who
//! answers both halves of the experiment can compare them.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::failover::{Bodies, outcome};
use super::registry::{Asked, Ended, Family, Signal, Spec};
use super::shelf::Kept;

pub(super) struct Probe;

/// One account's part in the experiments, eight bytes.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct Halves {
    /// Its own exchanges: those served and those denied.
    own: [u8; 2],
    /// Denied bodies it has taken over, saturating.
    taken: u16,
    /// Nats so far.
    nats: f32,
}

/// Counts are halved beyond this, so that what the account meets now outweighs what it met.
const MOST: u8 = 200;

/// Exchanges that every account is given to start with: three served and one denied.
const PRIOR: [f32; 2] = [3.0, 1.0];

/// Share of a relay's takeovers that follow a denial, and bounds of the share that would by chance.
const RELAY: f32 = 0.95;
const CHANCE: [f32; 2] = [0.1, 0.9];

impl Kept for Halves {}

impl Signal for Probe {
    const SPEC: Spec = Spec {
        id: "X1",
        name: "probe",
        family: Family::X,
        says: "asks what was denied to other accounts, but not what was served to them",
        lookalike: "one organisation's router over several of its keys, where that is not known",
        // Less than its place among interventions would have: routers that nobody declared do the
        // same, and it speaks of the same requests as L3.
        weight: 3.0,
        half_life: 720.0,
        // Nats of a test that never ends: chance reaches h once in about exp(h) walks. Routers of
        // organisations we can't see keep the tail from falling as fast.
        tail: &[(2.7, 0.03), (4.0, 0.012), (6.0, 0.005), (9.0, 0.002)],
    };

    type Params = Params;
    type Account = Halves;
    type Fleet = Bodies;

    fn ask(params: &Params, asked: &Asked<'_>, account: &Halves, fleet: &Bodies) -> Option<f32> {
        let (denied, share) = fleet.taken_over(asked.ask, params.window())?;
        let mut account = *account;
        account.take(denied, share);
        account.says(params)
    }

    fn learn(
        params: &Params,
        ended: &Ended<'_>,
        account: &mut Halves,
        fleet: &Bodies,
    ) -> Option<f32> {
        let taken = fleet.taken_over(&ended.exchange.ask, params.window());
        if let Some((denied, share)) = taken {
            account.take(denied, share);
        }
        fleet.note_share(ended, account.share());
        if let Some(denied) = outcome(ended.exchange) {
            account.count(denied);
        }
        taken.and_then(|_| account.says(params))
    }
}

impl Halves {
    /// One more body taken over. Wald's sequential test of two proportions, which starts anew where
    /// it has come to nothing: a relay's takeovers follow denials, anybody else's follow a denial as
    /// often as the other account is denied.
    fn take(&mut self, denied: bool, share: f32) {
        let chance = share.clamp(CHANCE[0], CHANCE[1]);
        self.taken = self.taken.saturating_add(u16::from(denied));
        let step = if denied { RELAY / chance } else { (1.0 - RELAY) / (1.0 - chance) };
        self.nats = (self.nats + step.ln()).clamp(0.0, 50.0);
    }

    fn says(&self, params: &Params) -> Option<f32> {
        (self.taken >= params.at_least && self.nats > 0.0).then_some(self.nats)
    }

    /// Share of its own requests that are denied.
    fn share(&self) -> f32 {
        let [served, denied] = [0, 1].map(|half| f32::from(self.own[half]) + PRIOR[half]);
        denied / (served + denied)
    }

    fn count(&mut self, denied: bool) {
        if self.own.iter().any(|half| *half >= MOST) {
            self.own = self.own.map(|half| half / 2);
        }
        self.own[usize::from(denied)] += 1;
    }
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "ProbeParams")]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Seconds after an answer to another account within which its body counts as taken over.
    pub seconds: u32,
    /// Denied bodies taken over before that means anything.
    #[schemars(range(min = 1))]
    pub at_least: u16,
}

impl Params {
    fn window(&self) -> Duration {
        Duration::from_secs(u64::from(self.seconds))
    }
}

impl Default for Params {
    fn default() -> Self {
        Self { seconds: 60, at_least: 2 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::exchange::{Ending, Exchange};
    use super::super::failover::Failover;
    use super::super::samples::{Around, asks, denied};
    use super::*;
    use crate::identity::Tag;

    /// Both signals learn, in the order of the registry.
    fn learn(fleet: &Bodies, account: &mut Halves, exchange: &Exchange) -> Option<f32> {
        let around = Around::default();
        let ended = around.ended(exchange);
        let said = Probe::learn(&Params::default(), &ended, account, fleet);
        Failover::learn(&Default::default(), &ended, &mut Default::default(), fleet);
        said
    }

    /// The most that account 2 shows when it asks all of these after account 1.
    fn follows(first: impl IntoIterator<Item = Exchange>) -> Option<f32> {
        let (fleet, mut one, mut two) = (Bodies::default(), Halves::default(), Halves::default());
        let says = first.into_iter().map(|exchange| {
            learn(&fleet, &mut one, &exchange);
            let own = asks(2, 30, exchange.ask.prompt.body.0);
            let (around, params) = (Around::default(), Params::default());
            let asked = Probe::ask(&params, &around.asked(&own.ask), &two, &fleet);
            let learnt = learn(&fleet, &mut two, &own);
            assert_eq!(asked, learnt);
            learnt
        });
        says.flatten().reduce(f32::max)
    }

    #[test]
    fn taking_over_denied_bodies_alone_is_no_chance() {
        let tail = Probe::SPEC.tail;
        assert_eq!(follows([denied(1, 0, 5)]), None, "once");
        // The others of account 1 are served, and nobody asks them again.
        let said = follows((1..4).map(|body| denied(1, 0, body)));
        assert!(said > Some(tail[0].0), "{said:?}");
        let (fleet, mut one, mut two) = (Bodies::default(), Halves::default(), Halves::default());
        for body in 100..130 {
            learn(&fleet, &mut one, &asks(1, 0, body));
        }
        let said = (1..6).map(|body| {
            learn(&fleet, &mut one, &denied(1, 0, body));
            learn(&fleet, &mut two, &asks(2, 30, body))
        });
        assert!(said.last().flatten() > Some(tail[3].0));
    }

    #[test]
    fn a_benchmark_that_reappears_whatever_became_of_it_is_none() {
        for nth in [2, 3, 5] {
            let some = |body: u64| match body % nth {
                0 => denied(1, 0, body),
                _ => asks(1, 0, body),
            };
            let said = follows((1..60).map(some));
            assert!(said < Some(Probe::SPEC.tail[0].0), "one in {nth}: {said:?}");
        }
        assert_eq!(follows((1..40).map(|body| asks(1, 0, body))), None);
    }

    #[test]
    fn an_account_that_is_always_denied_tells_little_of_who_follows() {
        let (fleet, mut one, mut two) = (Bodies::default(), Halves::default(), Halves::default());
        for body in 100..200 {
            learn(&fleet, &mut one, &denied(1, 0, body));
        }
        for body in 1..9 {
            learn(&fleet, &mut one, &denied(1, 0, body));
            let said = learn(&fleet, &mut two, &asks(2, 30, body));
            assert!(said < Some(Probe::SPEC.tail[0].0), "{said:?}");
        }
    }

    #[test]
    fn retries_outages_and_latecomers_are_no_takeovers() {
        let overload = |body| Exchange { status: 503, ending: Ending::Failed, ..asks(1, 0, body) };
        assert_eq!(follows((1..9).map(overload)), None);
        assert_eq!(follows((1..9).map(|body| denied(2, 0, body))), None, "its own");
        let (fleet, mut account) = (Bodies::default(), Halves::default());
        for body in 1..9 {
            learn(&fleet, &mut Halves::default(), &denied(1, 0, body));
            assert_eq!(learn(&fleet, &mut account, &asks(2, 62, body)), None);
        }
    }

    #[test]
    fn one_organisations_keys_may_take_over_from_each_other() {
        let (fleet, mut account) = (Bodies::default(), Halves::default());
        let ours = |mut exchange: Exchange| {
            exchange.ask.caller.org = Some(Tag(8));
            exchange
        };
        for body in 1..9 {
            learn(&fleet, &mut Halves::default(), &ours(denied(1, 0, body)));
            assert_eq!(learn(&fleet, &mut account, &ours(asks(2, 30, body))), None);
        }
    }
}
