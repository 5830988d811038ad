//! What an exchange adds to a campaign.

use super::Sighting;
use super::harvest::{Harvest, Pivot, Tally};
use super::record::{Campaign, CampaignId, Member, State};
use crate::identity::AccountId;
use crate::signal::New;
use crate::time::Timestamp;

impl Campaign {
    /// Counts an exchange of a member, or of an account that one of its keys condemned.
    pub(super) fn take(
        &mut self,
        sighting: &Sighting,
        (proven, also): (bool, Option<CampaignId>),
        releases: &[New],
    ) {
        let Sighting { at, tally, .. } = sighting;
        if sighting.established {
            return;
        }
        self.about.last_seen = self.about.last_seen.max(*at);
        self.count_rate(*at, tally.tokens());
        self.about.harvest.take(tally);
        self.follow_releases(tally, releases.iter().filter(|new| new.at <= *at));
        if tally.refused && self.refused_since.is_none() {
            self.refused_since = Some(*at);
        }
        if let Some(account) = sighting.account.filter(|_| proven) {
            self.join(account, sighting, also);
        }
    }

    fn join(&mut self, account: AccountId, sighting: &Sighting, also: Option<CampaignId>) {
        let Sighting { at, first, tally, .. } = sighting;
        if !self.members.contains_key(&account) {
            if sighting.counted == Some(self.about.id) {
                return;
            }
            self.about.members += 1;
            self.joined += 1.0;
            let replaces = self.refused_since.is_some_and(|since| *first > since);
            self.about.replacements += u32::from(replaces);
            if let Some(count) = self.about.tenants.get_mut(&sighting.tenant) {
                *count += 1;
            } else if self.about.tenants.len() < Self::TENANTS {
                self.about.tenants.insert(sighting.tenant.clone(), 1);
            }
            if self.members.len() >= Self::MEMBERS {
                return;
            }
        }
        let fresh = || Member { joined: *at, last: *at, exchanges: 0, refused: 0, also: None };
        let member = self.members.entry(account).or_insert_with(fresh);
        member.last = member.last.max(*at);
        member.exchanges = member.exchanges.saturating_add(1);
        member.refused = member.refused.saturating_add(u32::from(tally.refused));
        member.also = also.or(member.also);
    }

    /// Lets what was counted fade with a day, then counts one more.
    fn count_rate(&mut self, now: Timestamp, tokens: f32) {
        self.fade(now);
        self.rate[0] += 1.0;
        self.rate[1] += tokens;
    }

    pub(super) fn fade(&mut self, now: Timestamp) {
        let left = (-now.hours_since(self.counted_at) / 24.0).exp();
        self.rate = self.rate.map(|count| count * left);
        self.joined *= left;
        self.counted_at = self.counted_at.max(now);
    }

    fn follow_releases<'a>(&mut self, tally: &Tally, releases: impl Iterator<Item = &'a New>) {
        // What is refused was asked for all the same.
        for New { model, at, share } in releases {
            let room = self.about.pivots.len() < Harvest::MODELS;
            if !room && !self.about.pivots.contains_key(model) {
                continue;
            }
            let pivot = self.about.pivots.entry(model.clone()).or_default();
            if pivot.released != *at {
                *pivot = Pivot { released: *at, ..Pivot::default() };
            }
            pivot.exchanges += 1;
            pivot.on_new += u64::from(tally.model == *model);
            pivot.fleet_share = *share;
        }
    }

    pub(super) fn absorb(&mut self, other: Self) {
        let both = other.members.keys().filter(|id| self.members.contains_key(id)).count() as u32;
        self.about.members += other.about.members.saturating_sub(both);
        for (account, member) in other.members {
            if self.members.len() < Self::MEMBERS {
                self.members.entry(account).or_insert(member);
            }
        }
        let gone = other.about.id;
        self.members
            .values_mut()
            .for_each(|member| member.also = member.also.filter(|a| *a != gone));
        if other.about.state == State::Contained && self.about.state != State::Contained {
            (self.about.state, self.about.due) = (State::Contained, None);
            self.about.contained_since = other.about.contained_since;
            self.rate_at_onset = other.rate_at_onset;
        }
        self.about.order = self.about.order.take().or(other.about.order);
        self.about.first_seen = self.about.first_seen.min(other.about.first_seen);
        self.about.last_seen = self.about.last_seen.max(other.about.last_seen);
        self.about.replacements += other.about.replacements;
        self.about.harvest.add(other.about.harvest);
        self.refused_since = self.refused_since.into_iter().chain(other.refused_since).min();
        self.rate = [self.rate[0] + other.rate[0], self.rate[1] + other.rate[1]];
        self.joined += other.joined;
        self.about.merged.push(gone);
        self.about.merged.extend(other.about.merged);
        self.about.merged.truncate(Self::TENANTS);
    }
}
