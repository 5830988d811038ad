//! How much speaks against a campaign, and what becomes of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::form::Ledger;
use super::record::{About, Campaign, CampaignId, State};
use super::{Bucket, Pivot};
use crate::engine::fleet::Fleet;
use crate::engine::settings::Settings;
use crate::policy::{Containment, Policies};
use crate::signal::Family;
use crate::signal::crowd::divergence;
use crate::time::{Timestamp, days};

/// What a review looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Review<'a> {
    pub(super) now: Timestamp,
    pub(super) policies: &'a Policies,
    pub(super) settings: &'a Settings,
    pub(super) fleet: &'a Fleet,
    /// Accounts remembered now.
    pub(super) accounts: usize,
}

/// However small the fleet, a campaign of so many is no mistake of the breaker's kind.
const SPARED: f32 = 100.0;

/// Exchanges in the day of a release below which a move to the new model says nothing, and most
/// nats it can say.
const MOVED: u64 = 20;
const PIVOT_CAP: f32 = 3.0;

impl Review<'_> {
    /// Reviews every campaign, and says anew which are contained.
    pub(super) fn all(&self, ledger: &mut Ledger, contained: &mut BTreeMap<CampaignId, Bucket>) {
        let life = days(self.settings.campaign.forget_after_days.into());
        ledger.campaigns.retain(|_, campaign| {
            let closed = campaign.about.state == State::Closed;
            let few = campaign.about.members < self.settings.group.min_members;
            let quiet = self.now.since(campaign.about.last_seen) >= life;
            !closed || !few && !quiet || campaign.about.order.is_some()
        });
        contained.retain(|id, _| ledger.campaigns.contains_key(id));
        for campaign in ledger.campaigns.values_mut() {
            self.weigh(campaign);
            self.settle(campaign, contained);
        }
    }

    /// Says what becomes of a campaign, and whether it is contained.
    pub(super) fn settle(
        &self,
        campaign: &mut Campaign,
        contained: &mut BTreeMap<CampaignId, Bucket>,
    ) {
        let policy = policy_of(campaign, self.policies);
        match campaign.ordered(self.now) {
            Some(state) => campaign.become_of(state, self.now),
            None => self.follow_rules(campaign, &policy),
        }
        let id = campaign.about.id;
        if campaign.is_contained() {
            let before = contained.get(&id).cloned();
            contained.insert(id, bucket(campaign, &policy, before));
        } else {
            contained.remove(&id);
        }
    }

    /// Evidence by family: the most that any of its hot keys shows.
    fn weigh(&self, campaign: &mut Campaign) {
        let (mut nats, mut aged) = ([0.0_f32; Family::ALL.len()], 0);
        let mut facets = BTreeMap::new();
        for (key, facet) in &campaign.keys {
            let Some(crowd) = self.fleet.crowds.get(*key) else { continue };
            aged = crowd.aged.max(aged);
            let shown = self.fleet.families(&crowd, &self.settings.group);
            nats.iter_mut().zip(shown).for_each(|(most, shown)| *most = most.max(shown));
            *facets.entry(*facet).or_default() += u32::from(crowd.heat > 0.0);
        }
        campaign.about.pivots.values_mut().for_each(|pivot| pivot.notice(self.now));
        let pivot = campaign.about.pivots.values().map(pivoted).fold(0.0, f32::max);
        nats[Family::S.index()] += pivot;
        campaign.fade(self.now);
        let about = &mut campaign.about;
        let shown = Family::ALL.into_iter().zip(nats).filter(|(_, nats)| *nats > 0.0);
        (about.evidence, about.keys) = (shown.collect(), facets);
        (about.score, about.exempt) = (nats.iter().sum(), aged);
        about.growth = campaign.joined;
        let day = days(1);
        let lately = campaign.members.values().filter(|member| self.now.since(member.last) < day);
        let listed = campaign.members.len().max(1) as f32;
        about.active = (lately.count() as f32 * about.members as f32 / listed) as u32;
        campaign.about.tripped = self.is_tripped(&campaign.about);
    }

    /// The circuit breaker: too large a part of the fleet, or too many established accounts.
    fn is_tripped(&self, about: &About) -> bool {
        let most = self.settings.campaign.breaker_share * self.accounts as f32;
        about.members as f32 > most.max(SPARED)
            || about.exempt as f32 > self.fleet.breaker(&self.settings.group)
    }

    fn follow_rules(&self, campaign: &mut Campaign, policy: &Containment) {
        let now = self.now;
        let was_ordered = campaign.about.order.take().is_some();
        let about = &campaign.about;
        let quiet = Duration::from_secs(u64::from(self.settings.campaign.close_after_hours) * 3600);
        let called =
            about.score >= policy.score && about.members >= policy.members && !about.tripped;
        match about.state {
            // What an order held back or up is for the rules again, as if it had just been seen.
            State::Contained if was_ordered && !called => campaign.release(),
            _ if now.since(about.last_seen) >= quiet => campaign.close(),
            State::Closed => campaign.about.state = State::Watching,
            State::Watching if !called => campaign.about.due = None,
            State::Watching => {
                let window = u64::from(policy.onset_minutes) * 60_000;
                let delay = Duration::from_millis(campaign.draw % window.max(1));
                let due = *campaign.about.due.get_or_insert(now + delay);
                if now >= due {
                    campaign.contain(now);
                }
            }
            State::Contained => {
                let low = about.score < policy.score - policy.hysteresis;
                let dwell = Duration::from_secs(u64::from(policy.dwell_minutes) * 60);
                let since = if low { *campaign.low_since.get_or_insert(now) } else { now };
                if !low {
                    campaign.low_since = None;
                }
                if campaign.about.tripped || low && now.since(since) >= dwell {
                    campaign.release();
                }
            }
        }
    }
}

impl Campaign {
    /// What an operator's order says becomes of it, while it holds.
    fn ordered(&self, now: Timestamp) -> Option<State> {
        let order = self.about.order.as_ref().filter(|order| order.expires > now)?;
        Some(order.state)
    }

    fn become_of(&mut self, state: State, now: Timestamp) {
        match state {
            State::Contained if !self.is_contained() => self.contain(now),
            State::Contained => {}
            State::Watching => {
                self.release();
                self.about.due = None;
            }
            State::Closed => self.close(),
        }
    }

    fn contain(&mut self, now: Timestamp) {
        self.about.state = State::Contained;
        self.about.contained_since = Some(now);
        self.about.due = None;
        // The first hours are no measure of a day.
        let hours = now.hours_since(self.about.first_seen).clamp(1.0, 24.0);
        let counted = 24.0 * (1.0 - (-hours / 24.0).exp());
        self.rate_at_onset = Some(self.rate.map(|count| count / counted / 60.0));
    }

    fn release(&mut self) {
        self.about.state = State::Watching;
        (self.about.contained_since, self.low_since, self.rate_at_onset) = (None, None, None);
    }

    fn close(&mut self) {
        self.release();
        self.about.state = State::Closed;
        self.about.due = None;
    }
}

/// The policy of the tenant with most members.
pub(in crate::engine) fn policy_of(campaign: &Campaign, policies: &Policies) -> Containment {
    let most = campaign.about.tenants.iter().max_by_key(|(_, members)| **members);
    most.map_or(policies.defaults().campaign, |(name, _)| policies.of(name).campaign)
}

/// Nats that a move to a new model tells: `n KL(share || fleet's share)` over the inflation that
/// members of any crowd show, capped.
fn pivoted(pivot: &Pivot) -> f32 {
    let (share, fleet) = (pivot.share(), pivot.fleet_share.clamp(0.05, 0.95));
    if pivot.exchanges < MOVED {
        return 0.0;
    }
    (MOVED as f32 * divergence(share, fleet)).min(PIVOT_CAP)
}

/// What members share from now on. Paces go on where they stood.
pub(super) fn bucket(campaign: &Campaign, policy: &Containment, before: Option<Bucket>) -> Bucket {
    let tightened = policy.tightening(campaign.about.score);
    let paces = [
        f64::from(policy.requests.requests_per_minute.get()),
        f64::from(policy.tokens.tokens_per_minute.get()),
    ];
    let rates = campaign.rate_at_onset.unwrap_or_default();
    let slower = |pace: f64, rate: f32| {
        let kept = f64::from(rate * policy.keep).max(pace / SLOWEST);
        (pace / kept).max(1.0) * tightened
    };
    let slower = [slower(paces[0], rates[0]), slower(paces[1], rates[1])];
    let (whole, own) = before.map_or_else(Default::default, |b: Bucket| (b.whole, b.own));
    Bucket {
        whole: Arc::clone(&whole),
        own: Arc::clone(&own),
        slower,
        members: campaign.about.active.max(1),
        ordered: campaign.about.order.is_some(),
    }
}

/// However slow a campaign was before, it is not slowed beyond this.
const SLOWEST: f64 = 10_000.0;

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_790_000_000_000);

    /// What becomes, minute by minute, of a contained campaign whose score falls to `low` at once.
    fn freed_after(policy: &Containment, low: f32) -> Option<u64> {
        let (settings, policies, fleet) = Default::default();
        let mut campaign = Campaign::default();
        campaign.about.members = 100;
        campaign.about.first_seen = START;
        campaign.contain(START);
        (0..2000).find(|minute| {
            let now = START + Duration::from_secs(minute * 60);
            let review = Review {
                now,
                policies: &policies,
                settings: &settings,
                fleet: &fleet,
                accounts: 1,
            };
            (campaign.about.score, campaign.about.last_seen) = (low, now);
            review.follow_rules(&mut campaign, policy);
            campaign.about.state != State::Contained
        })
    }

    #[test]
    fn one_is_let_go_once_its_score_has_been_lower_for_as_long_as_its_tenant_says() {
        let own = Containment { hysteresis: 0.5, dwell_minutes: 30, ..Containment::default() };
        assert_eq!(freed_after(&own, own.score - 0.6), Some(30));
        assert_eq!(freed_after(&own, own.score - 0.4), None);
        let usual = Containment::default();
        assert_eq!(freed_after(&usual, usual.score - 0.6), None);
        assert_eq!(freed_after(&usual, usual.score - 2.1), Some(360));
    }
}
