//! The limits of the operator's making, in every scope an exchange falls into.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use super::budget::{self, Cost, Now, Reservation, Short};
use super::cap::Cap;
use super::refusal::Refusal;
use super::throttle::{Permit, Wait};
use crate::dialect::{Dialect, Standing, Standings, Usage};
use crate::engine::{Bucket, Engine, Pace};
use crate::policy::{Announce, Containment, Limits, Measure, Policy, Throttle, UnknownUsage};
use crate::signal::{Ask, Exchange};
use crate::time::Timestamp;

/// End user, account, its part in a contained campaign, that campaign, group, tenant.
const SCOPES: usize = 6;
const ACCOUNT: usize = 1;
const CAMPAIGN: [usize; 2] = [2, 3];

/// How long to wait for another exchange to end: nobody knows.
const SOON: Duration = Duration::from_secs(1);

/// What limits one exchange, narrowest scope first: who is over a limit of its own must not even for
/// a moment take what the others share.
#[derive(Debug)]
pub(super) struct Limiter {
    scopes: [Option<Scope>; SCOPES],
    announce: Announce,
    unknown_usage: UnknownUsage,
    /// The endpoint has not accepted the account yet.
    stranger: bool,
    /// Tokens a second of a stream, where it is slowed.
    stream_rate: Option<f64>,
}

/// One set of limits and who is counted under it.
#[derive(Debug)]
struct Scope {
    pace: Arc<Pace>,
    limits: Limits,
    /// How many times more a request and a token cost here than elsewhere.
    dearer: [f64; 2],
    /// Callers are told nothing of it: they shall not learn that they are in a campaign.
    hidden: bool,
}

impl Scope {
    fn new(pace: Arc<Pace>, limits: Limits) -> Self {
        Self { pace, limits, dearer: [1.0; 2], hidden: false }
    }

    /// What the members of a contained campaign share, narrowest first: one member's part, all.
    fn of_campaign(policy: &Containment, bucket: &Bucket) -> [Self; 2] {
        let requests = Limits { requests: Some(policy.requests), ..Limits::default() };
        let both = Limits { tokens: Some(policy.tokens), ..requests };
        let own = [bucket.own_slower(), 1.0];
        [(&bucket.own, requests, own), (&bucket.whole, both, bucket.slower)].map(
            |(pace, limits, dearer)| Self { pace: Arc::clone(pace), limits, dearer, hidden: true },
        )
    }
}

impl Limiter {
    /// `known` is the account's own pace. An account not yet known has none, nor do the end users it
    /// names, but it shares in what its group and tenant have in total.
    pub(super) fn new(
        engine: &Engine,
        policy: &Policy,
        ask: &Ask,
        known: Option<&Arc<Pace>>,
    ) -> Self {
        let tenant = &ask.caller.tenant;
        let group = policy.group_of(ask.caller.account);
        let (each, of_user) = group.map_or((policy.limits, policy.end_user_limits), |group| {
            (group.limits, group.end_user_limits)
        });
        let account = known.map(|pace| Scope::new(Arc::clone(pace), each));
        let named = ask.caller.end_user.filter(|_| known.is_some() && !of_user.is_none());
        let end_user =
            named.and_then(|user| engine.end_user_pace((ask.caller.account, user), ask.at));
        let end_user = end_user.map(|pace| Scope::new(pace, of_user));
        let shared = |limits: Limits, name: Option<&str>| {
            let pace = (!limits.is_none()).then(|| engine.shared_pace(tenant, name));
            pace.map(|pace| Scope::new(pace, limits))
        };
        let group = group.and_then(|group| shared(group.total_limits, Some(&group.name)));
        Self {
            scopes: [end_user, account, None, None, group, shared(policy.total_limits, None)],
            announce: policy.announce,
            unknown_usage: policy.unknown_usage,
            stranger: known.is_none(),
            stream_rate: None,
        }
    }

    /// Narrows what a throttled account may do at once, and slows its streams.
    pub(super) fn tighten(&mut self, throttle: &Throttle, times: f64) {
        self.stream_rate = throttle.stream_rate(times);
        if let (Some(account), Some(most)) =
            (&mut self.scopes[ACCOUNT], throttle.concurrency(times))
        {
            let own = account.limits.concurrency;
            account.limits.concurrency = Some(own.map_or(most, |own| own.min(most)));
        }
    }

    /// The same for a member of a contained campaign.
    pub(super) fn within(mut self, policy: &Policy, bucket: Option<&Bucket>) -> Self {
        if let Some(bucket) = bucket {
            let [own, whole] = Scope::of_campaign(&policy.campaign, bucket);
            let [part, all] = CAMPAIGN;
            (self.scopes[part], self.scopes[all]) = (Some(own), Some(whole));
        }
        self
    }

    /// Reserves what `ask` will cost in every scope, or in none.
    pub(super) fn admit(self, ask: &Ask, now: Now) -> Result<Pass, Refusal> {
        let cost = Cost::estimated(&ask.prompt);
        match self.hold(cost, now) {
            Ok(holds) => {
                let scopes = self.scopes.iter().flatten().filter(|scope| !scope.hidden);
                let cap = Cap::new(scopes.map(|s| (&s.pace, &s.limits)), cost.output);
                let cap = cap.filter(|_| ask.prompt.stream);
                Ok(Pass { limiter: self, cost, charged: Cost::default(), holds, cap })
            }
            Err(Refused::Crowded) => Err(self.refuse(ask, SOON, now)),
            Err(Refused::Contained(wait)) => Err(self.refuse(ask, wait, now)),
            Err(Refused::Short(short)) => {
                let refusal = Refusal::throttled(Wait::new(short.wait, ask.id.0.0), short.scarce);
                Err(refusal.telling(self.told(now)))
            }
        }
    }

    /// Takes scope by scope; what the narrower ones gave is given back when one refuses.
    fn hold(&self, cost: Cost, now: Now) -> Result<[Option<Hold>; SCOPES], Refused> {
        let mut holds = [const { None }; SCOPES];
        for (scope, hold) in self.scopes.iter().zip(&mut holds) {
            *hold = scope.as_ref().map(|scope| Hold::take(scope, cost, now)).transpose()?;
        }
        Ok(holds)
    }

    /// A refusal for a reason that no limit shows. Callers shall not tell it from one that does.
    pub(super) fn refuse(&self, ask: &Ask, wait: Duration, now: Now) -> Refusal {
        let mut standings = self.standings(now);
        let scarce = standings.close(wait);
        Refusal::throttled(Wait::new(wait, ask.id.0.0), scarce).telling(self.tellable(standings))
    }

    /// What callers are told of the limits, if anything.
    fn told(&self, now: Now) -> Option<Told> {
        if self.announce == Announce::Nothing { None } else { self.tellable(self.standings(now)) }
    }

    fn tellable(&self, standings: Standings) -> Option<Told> {
        let how = self.announce;
        (how != Announce::Nothing && !standings.is_empty()).then_some(Told { standings, how })
    }

    fn standings(&self, now: Now) -> Standings {
        let [requests, input, output, tokens] = Measure::ALL.map(|measure| {
            let scopes = self.scopes.iter().flatten().filter(|scope| !scope.hidden);
            let each = scopes.filter_map(|s| budget::standing(&s.pace, &s.limits, measure, now));
            each.reduce(Standing::tighter)
        });
        Standings { requests, input, output, tokens }
    }
}

/// Why a scope refuses.
#[derive(Clone, Copy, Debug)]
enum Refused {
    /// Too many exchanges at once.
    Crowded,
    /// A rate or quota is used up.
    Short(Short),
    /// What a campaign shares is, for so long.
    Contained(Duration),
}

/// What an exchange holds in one scope.
#[derive(Debug)]
struct Hold {
    _permit: Permit,
    reservation: Reservation,
    dearer: [f64; 2],
}

impl Hold {
    fn take(scope: &Scope, cost: Cost, now: Now) -> Result<Self, Refused> {
        let Scope { pace, limits, dearer, hidden } = scope;
        let permit = Permit::take(pace, limits.concurrency).ok_or(Refused::Crowded)?;
        let cost = cost.dearer(*dearer);
        let reservation = Reservation::take(pace, limits, cost, now);
        let reservation = reservation.map_err(|short| match hidden {
            true => Refused::Contained(short.wait),
            false => Refused::Short(short),
        })?;
        Ok(Self { _permit: permit, reservation, dearer: *dearer })
    }
}

/// What an exchange holds until it has ended. Dropped unsettled, all is given back.
#[derive(Debug)]
pub(super) struct Pass {
    limiter: Limiter,
    cost: Cost,
    /// Beside it, what has been charged already.
    charged: Cost,
    holds: [Option<Hold>; SCOPES],
    /// What a stream must not go beyond.
    pub(super) cap: Option<Cap>,
}

impl Pass {
    /// Replaces what was reserved with what `exchange` has cost. `now` is in nanoseconds.
    ///
    /// What the endpoint refuses costs a request, so that nobody asks in vain without end; but not
    /// from accounts it does not know, or anybody could use up what a tenant's accounts share.
    pub(super) fn settle(self, exchange: &Exchange, now: u64) {
        let mut spent = self.cost.spent(exchange, self.limiter.unknown_usage);
        if self.limiter.stranger && !exchange.served() {
            spent.requests = 0;
        }
        spent.input = spent.input.saturating_sub(self.charged.input);
        spent.output = spent.output.saturating_sub(self.charged.output);
        for hold in self.holds.into_iter().flatten() {
            hold.reservation.settle(spent.dearer(hold.dearer), now);
        }
    }

    /// Charges a response over a socket, in every scope and for good: the socket may stay open for
    /// long. The first is the one request that was reserved. True when a scope that cuts has no output
    /// left.
    pub(super) fn charge(&mut self, usage: Usage, first: bool, now: Now) -> bool {
        let (input, output) = (usage.input.unwrap_or_default(), usage.output.unwrap_or_default());
        let more = Cost { requests: u32::from(!first), input, output };
        self.charged = self.charged.plus(more);
        let mut spent = false;
        for Scope { pace, limits, dearer, .. } in self.limiter.scopes.iter().flatten() {
            budget::charge(pace, limits, more.dearer(*dearer), now);
            let none_left = |measure| {
                let standing = budget::standing(pace, limits, measure, now);
                standing.is_some_and(|standing| standing.remaining == 0)
            };
            spent |=
                limits.cut_streams && [Measure::Output, Measure::Tokens].into_iter().any(none_left);
        }
        spent
    }

    pub(super) fn told(&self, now: Now) -> Option<Told> {
        self.limiter.told(now)
    }

    /// Tokens a second of its stream, if it is slowed.
    pub(super) fn stream_rate(&self) -> Option<f64> {
        self.limiter.stream_rate
    }
}

/// Limits as they stand, and how callers are told of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    standings: Standings,
    how: Announce,
}

impl Told {
    /// Adds it to the head of an answer, or of a refusal of our own.
    pub(super) fn tell(
        &self,
        dialect: &dyn Dialect,
        now: Timestamp,
        refused: bool,
        headers: &mut HeaderMap,
    ) {
        dialect.announce(&self.standings, now, headers);
        if self.how == Announce::Ietf {
            self.standings.announce(refused, headers);
        }
    }
}

#[cfg(test)]
mod tests;
