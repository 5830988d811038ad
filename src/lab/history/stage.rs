//! The very engine on a log's own clock: an exchange is learnt from when its answer has ended, and
//! one that is acted on is learnt from as refused.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use super::shares::{Shares, gap};
use crate::engine::{Campaign, Engine, Verdict};
use crate::identity::AccountId;
use crate::policy::Action;
use crate::signal::{Ask, Completion, Ending, Exchange, ExchangeId};
use crate::time::Timestamp;

pub(in crate::lab) struct Stage<'a> {
    engine: &'a Engine,
    /// Answers under way, by the time they end.
    ends: BinaryHeap<Reverse<End>>,
    paces: BTreeMap<AccountId, Timestamp>,
    shares: Shares,
    ticked: Timestamp,
}

impl<'a> Stage<'a> {
    pub(in crate::lab) fn new(engine: &'a Engine) -> Self {
        let (ends, paces, ticked) = (BinaryHeap::new(), BTreeMap::new(), Timestamp::default());
        Self { engine, ends, paces, shares: Shares::default(), ticked }
    }

    /// Judges an ask at its time: what would happen to it, and why.
    pub(in crate::lab) fn meet(&mut self, ask: &Ask) -> (Action, Verdict) {
        self.advance(ask.at);
        let verdict = self.engine.assess(ask);
        (self.carried_out(ask, &verdict), verdict)
    }

    /// Lets the exchange end, at its time: as `served` says, or refused.
    pub(in crate::lab) fn end(
        &mut self,
        ask: Ask,
        action: Action,
        served: impl FnOnce(Ask) -> Exchange,
    ) {
        let exchange = if action <= Action::Shape {
            served(ask)
        } else {
            let status = if action == Action::Throttle { 429 } else { 403 };
            let (ended, completion) = (ask.at, Completion::default());
            Exchange { ask, ended, ending: Ending::Refused, status, completion }
        };
        self.ends.push(Reverse(End(exchange)));
    }

    /// The campaigns the engine has found, largest first.
    pub(in crate::lab) fn campaigns(&self) -> impl Iterator<Item = Campaign> {
        let all = self.engine.campaigns().into_iter();
        all.filter_map(|about| self.engine.campaign(about.id))
    }

    /// What would have happened: a throttled account still gets through at its pace.
    fn carried_out(&mut self, ask: &Ask, verdict: &Verdict) -> Action {
        if verdict.exempt || verdict.cleared {
            return Action::Allow;
        }
        if verdict.action != Action::Throttle {
            return verdict.action;
        }
        let policies = self.engine.policies();
        let policy = policies.of(&ask.caller.tenant);
        let bucket = verdict.campaign.filter(|_| verdict.contained);
        let bucket = bucket.and_then(|id| Some((id, self.engine.bucket(id, ask.caller.account)?)));
        if let Some((id, bucket)) = bucket {
            let passes = self.shares.admit(id, ask, (&policy.campaign, &bucket));
            return if passes { Action::Shape } else { Action::Throttle };
        }
        let gap = gap(policy.throttle.pace(), policy.ladder.tightening(verdict.score));
        let slack = gap * (policy.throttle.burst.get() - 1);
        // The account's theoretical arrival time, as in any GCRA.
        let due = self.paces.entry(ask.caller.account).or_default();
        if *due > ask.at + slack {
            return Action::Throttle;
        }
        *due = (*due).max(ask.at) + gap;
        // Rungs include those below them: what a throttled account is let through with is shaped.
        Action::Shape
    }

    /// Lets answers end and seconds pass up to `now`.
    fn advance(&mut self, now: Timestamp) {
        while self.ends.peek().is_some_and(|Reverse(End(next))| next.ended <= now) {
            if let Some(Reverse(End(exchange))) = self.ends.pop() {
                self.tick(exchange.ended);
                self.engine.learn(&exchange);
            }
        }
        self.tick(now);
    }

    fn tick(&mut self, now: Timestamp) {
        if now.since(self.ticked) >= Duration::from_secs(1) {
            self.ticked = now;
            self.engine.tick(now);
        }
    }
}

/// An exchange, ordered by when it ends; ties go by id, so that a replay has one order.
struct End(Exchange);

impl End {
    fn key(&self) -> (Timestamp, ExchangeId) {
        (self.0.ended, self.0.ask.id)
    }
}

impl PartialEq for End {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for End {}

impl PartialOrd for End {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for End {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}
