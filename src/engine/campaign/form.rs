//! How hot crowds become campaigns.
//!
//! The rule: a key joins the campaign that more than half of its members are in, provided it is hot
//! itself. So one popular key can't glue campaigns together: most who hold it are in none of them.
//! A key whose members are mostly in no campaign begins one, if what is left of its heat without
//! those that another campaign explains is enough; networks and hours of sign-up begin none. Two
//! campaigns are one when half the members of the smaller are in both, or when both work for the most
//! part from one hot template, tool set or means of payment that is mostly theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rapidhash::v3::rapidhash_v3;
use serde::{Deserialize, Serialize};

use super::Sighting;
use super::membership::is_place;
use super::record::{Campaign, CampaignId, State};
use crate::engine::fleet::Fleet;
use crate::engine::settings::Settings;
use crate::identity::{AccountId, Tag};
use crate::signal::{Crowd, Facet, Family, New};
use crate::time::Timestamp;

/// Campaigns at most. Once full, closed ones make room, longest quiet first.
pub(super) const CAMPAIGNS: usize = 256;

/// Hot keys followed at most, and members of each that are known by name: those with the smallest
/// ids, which are keyed hashes, so a fair sample.
pub(super) const KEYS: usize = 4096;
pub(super) const SAMPLE: usize = 64;

/// Members of a sample below which it says nothing, and from which it can say "hardly anyone else".
const FEWEST: usize = 5;
const SURE: usize = 16;

/// Share of a sample that makes a key a campaign's alone.
const ALONE: f32 = 0.9;

/// How often campaigns are reviewed, and a key nobody holds any more is forgotten.
const REVIEW: Duration = Duration::from_secs(15);
const FORGET: Duration = Duration::from_secs(7 * 24 * 3600);

/// All that is remembered of campaigns.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) campaigns: BTreeMap<CampaignId, Campaign>,
    pub(super) hot: BTreeMap<Tag, Hot>,
    pub(super) reviewed: Timestamp,
}

/// A hot key and some of those who hold it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Hot {
    facet: Facet,
    pub(super) sample: BTreeMap<AccountId, Seen>,
    pub(super) last: Timestamp,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Seen {
    campaign: Option<CampaignId>,
    fired: u8,
    established: bool,
}

impl Ledger {
    pub(super) fn take(&mut self, sighting: Sighting, releases: &[New]) {
        let mut campaigns = sighting.matches.proven(sighting.fired);
        let proven = campaigns.next().filter(|_| !sighting.established);
        let also = campaigns.next();
        if let Some(account) = sighting.account {
            let Sighting { fired, established, at, .. } = sighting;
            let seen = Seen { campaign: proven, fired, established };
            for &(facet, key) in &sighting.keys {
                self.follow(key, facet, at, (account, seen));
            }
        }
        let Some(best) = sighting.matches.best(sighting.fired) else { return };
        if let Some(campaign) = self.campaigns.get_mut(&best.campaign) {
            campaign.take(&sighting, (best.proven, also), releases);
        }
    }

    fn follow(
        &mut self,
        key: Tag,
        facet: Facet,
        at: Timestamp,
        (account, seen): (AccountId, Seen),
    ) {
        if self.hot.len() >= KEYS && !self.hot.contains_key(&key) {
            return;
        }
        let fresh = || Hot { facet, sample: BTreeMap::new(), last: at };
        let hot = self.hot.entry(key).or_insert_with(fresh);
        hot.last = hot.last.max(at);
        hot.sample.insert(account, seen);
        if hot.sample.len() > SAMPLE {
            hot.sample.pop_last();
        }
    }

    /// Hot keys followed now.
    #[cfg(test)]
    pub(super) fn followed(&self) -> usize {
        self.hot.len()
    }

    pub(super) fn due(&mut self, now: Timestamp) -> bool {
        let due = now.since(self.reviewed) >= REVIEW;
        if due {
            self.reviewed = now;
        }
        due
    }

    /// Gives every hot key to the campaign it belongs to, and merges campaigns that are one.
    pub(super) fn review(&mut self, now: Timestamp, fleet: &Fleet, settings: &Settings) {
        self.hot.retain(|key, hot| {
            let kept = now.since(hot.last) < FORGET;
            kept && fleet.crowds.get(*key).is_some_and(|crowd| is_followed(&crowd))
        });
        for (key, crowd) in self.hottest(fleet) {
            self.place(key, &crowd, now, (fleet, settings));
        }
        for (into, from) in self.overlapping(settings.campaign.overlap) {
            self.merge(into, from, fleet);
        }
    }

    /// Largest first: a template before the cards that its accounts are paid with.
    fn hottest(&self, fleet: &Fleet) -> Vec<(Tag, Crowd)> {
        let crowds = self.hot.keys().filter_map(|key| Some((*key, fleet.crowds.get(*key)?)));
        let mut hottest: Vec<_> = crowds.collect();
        hottest.sort_by_key(|(key, crowd)| (std::cmp::Reverse(crowd.members), *key));
        hottest
    }

    fn place(
        &mut self,
        key: Tag,
        crowd: &Crowd,
        now: Timestamp,
        (fleet, settings): (&Fleet, &Settings),
    ) {
        let Some(hot) = self.hot.get(&key).filter(|hot| hot.sample.len() >= FEWEST) else { return };
        let (votes, facet, all) = (hot.votes(), hot.facet, hot.sample.len());
        let share = |id: &CampaignId| votes.get(id).map_or(0.0, |v| *v as f32 / all as f32);
        let alone = |id: &CampaignId| share(id) >= ALONE && all >= SURE;
        let most = votes.iter().max_by_key(|(id, votes)| (**votes, std::cmp::Reverse(**id)));
        let most = most.map(|(id, _)| *id);
        let overlap = settings.campaign.overlap;
        let current = Some(CampaignId::from(crowd.campaign)).filter(|_| crowd.campaign.0 != 0);
        // What a key once joined it leaves late, or it would come and go with every sample.
        let stays = current.filter(|id| share(id) >= overlap / 2.0);
        let joins = || most.filter(|id| share(id) > overlap && crowd.heat > 0.0);
        if let Some(id) = stays.or_else(joins) {
            self.mark(key, id, alone(&id), fleet);
            return;
        }
        if let Some(id) = current {
            self.unmark(key, id, fleet);
        }
        if is_place(facet) || crowd.heat <= 0.0 {
            return;
        }
        let within = self.within(&votes, (crowd, all), overlap);
        if let Some((&into, rest)) = within.split_first().filter(|(_, rest)| !rest.is_empty()) {
            rest.iter().for_each(|from| self.merge(into, *from, fleet));
            self.mark(key, into, false, fleet);
        } else if self.begins(key, crowd, (fleet, settings)) {
            self.begin(key, now, fleet);
        }
    }

    /// The campaigns that for the most part are within a crowd which for the most part is theirs,
    /// oldest first.
    fn within(
        &self,
        votes: &BTreeMap<CampaignId, usize>,
        (crowd, all): (&Crowd, usize),
        overlap: f32,
    ) -> Vec<CampaignId> {
        if votes.values().sum::<usize>() as f32 <= all as f32 * overlap {
            return Vec::new();
        }
        let inside = |(id, votes): (&CampaignId, &usize)| {
            let campaign = self.campaigns.get(id)?;
            let here = crowd.members as f32 * *votes as f32 / all as f32;
            let mostly = here > campaign.about.members as f32 * overlap;
            mostly.then_some((campaign.about.first_seen, *id))
        };
        let mut within: Vec<_> = votes.iter().filter_map(inside).collect();
        within.sort();
        within.into_iter().map(|(_, id)| id).collect()
    }

    /// Whether what no campaign explains of a crowd is hot enough for a campaign of its own.
    fn begins(&self, key: Tag, crowd: &Crowd, (fleet, settings): (&Fleet, &Settings)) -> bool {
        let Some(hot) = self.hot.get(&key) else { return false };
        let rest: Vec<_> = hot.sample.values().filter(|seen| seen.campaign.is_none()).collect();
        if rest.len() < FEWEST || rest.len() * 2 < hot.sample.len() {
            return false;
        }
        let share = rest.len() as f32 / hot.sample.len() as f32;
        let members = (crowd.members as f32 * share) as u32;
        let fired = Family::ALL.map(|family| {
            let fired = rest.iter().filter(|seen| seen.fired & family.bit() != 0).count();
            (members as f32 * fired as f32 / rest.len() as f32) as u32
        });
        let left = Crowd { members, fired, ..*crowd };
        fleet.heat(&left, &settings.group) >= settings.campaign.heat
    }

    fn begin(&mut self, key: Tag, now: Timestamp, fleet: &Fleet) {
        if self.campaigns.len() >= CAMPAIGNS && !self.make_room() {
            return;
        }
        let Some(hot) = self.hot.get(&key) else { return };
        let own = hot.facet.family().bit();
        let joins =
            |seen: &Seen| seen.campaign.is_none() && !seen.established && seen.fired & !own != 0;
        let members: BTreeSet<_> =
            hot.sample.iter().filter(|(_, seen)| joins(seen)).map(|(id, _)| *id).collect();
        if members.len() < FEWEST {
            return;
        }
        let mut id = CampaignId::new(mixed(key, now, 1));
        while self.campaigns.contains_key(&id) {
            id = CampaignId::new(Tag::from(id).0 + 1);
        }
        let mut campaign =
            Campaign { draw: mixed(key, now, 2), counted_at: now, ..Campaign::default() };
        (campaign.about.id, campaign.about.first_seen, campaign.about.last_seen) = (id, now, now);
        self.campaigns.insert(id, campaign);
        for hot in self.hot.values_mut() {
            for (account, seen) in &mut hot.sample {
                if members.contains(account) {
                    seen.campaign = Some(id);
                }
            }
        }
        self.mark(key, id, false, fleet);
    }

    /// Forgets the closed campaign that has been quiet longest.
    fn make_room(&mut self) -> bool {
        let forgettable =
            |one: &&Campaign| one.about.state == State::Closed && one.about.order.is_none();
        let closed = self.campaigns.values().filter(forgettable);
        let oldest = closed.min_by_key(|one| (one.about.last_seen, one.about.id));
        let oldest = oldest.map(|one| one.about.id);
        oldest.is_some_and(|id| self.campaigns.remove(&id).is_some())
    }

    fn mark(&mut self, key: Tag, id: CampaignId, condemns: bool, fleet: &Fleet) {
        let Some(facet) = self.hot.get(&key).map(|hot| hot.facet) else { return };
        let Some(campaign) = self.campaigns.get_mut(&id) else {
            // Forgotten: its marks go as they are met.
            fleet.crowds.mark(key, Tag::default(), false);
            return;
        };
        if campaign.keys.len() < Campaign::KEYS || campaign.keys.contains_key(&key) {
            campaign.keys.insert(key, facet);
            fleet.crowds.mark(key, id.into(), condemns);
        }
    }

    fn unmark(&mut self, key: Tag, id: CampaignId, fleet: &Fleet) {
        if let Some(campaign) = self.campaigns.get_mut(&id) {
            campaign.keys.remove(&key);
        }
        fleet.crowds.mark(key, Tag::default(), false);
    }

    /// Pairs of campaigns that are one, the older first.
    fn overlapping(&self, overlap: f32) -> Vec<(CampaignId, CampaignId)> {
        let mut both: BTreeMap<(CampaignId, CampaignId), u32> = BTreeMap::new();
        for (id, campaign) in &self.campaigns {
            for also in campaign.members.values().filter_map(|member| member.also) {
                *both.entry((*id.min(&also), *id.max(&also))).or_default() += 1;
            }
        }
        let one = |(a, b): (CampaignId, CampaignId), both: u32| {
            let (a, b) = (self.campaigns.get(&a)?, self.campaigns.get(&b)?);
            let smaller = a.members.len().min(b.members.len()).max(FEWEST);
            let older = (a.about.first_seen, a.about.id) <= (b.about.first_seen, b.about.id);
            let pair = if older { (a.about.id, b.about.id) } else { (b.about.id, a.about.id) };
            (both as f32 >= smaller as f32 * overlap).then_some(pair)
        };
        both.into_iter().filter_map(|(pair, both)| one(pair, both)).collect()
    }

    fn merge(&mut self, into: CampaignId, from: CampaignId, fleet: &Fleet) {
        if !self.campaigns.contains_key(&into) {
            return;
        }
        let Some(gone) = self.campaigns.remove(&from) else { return };
        for key in gone.keys.keys() {
            self.mark(*key, into, false, fleet);
        }
        for seen in self.hot.values_mut().flat_map(|hot| hot.sample.values_mut()) {
            if seen.campaign == Some(from) {
                seen.campaign = Some(into);
            }
        }
        if let Some(campaign) = self.campaigns.get_mut(&into) {
            campaign.absorb(gone);
        }
    }
}

impl Hot {
    /// Members of the sample by campaign.
    fn votes(&self) -> BTreeMap<CampaignId, usize> {
        let mut votes = BTreeMap::new();
        for id in self.sample.values().filter_map(|seen| seen.campaign) {
            *votes.entry(id).or_default() += 1;
        }
        votes
    }
}

/// Whether a crowd's members are worth a sighting.
pub(in crate::engine) fn is_followed(crowd: &Crowd) -> bool {
    crowd.heat > 0.0 || crowd.campaign != Tag::default()
}

/// Keys are keyed hashes, so nobody outside can tell what comes of this.
fn mixed(key: Tag, now: Timestamp, what: u8) -> u64 {
    let mut bytes = [what; 17];
    bytes[..8].copy_from_slice(&key.0.to_le_bytes());
    bytes[8..16].copy_from_slice(&now.as_millis().to_le_bytes());
    rapidhash_v3(&bytes)
}
