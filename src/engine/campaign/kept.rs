//! How campaigns outlive the process.
//!
//! What has changed is found by comparing with what was told last, so whoever forms, counts or weighs
//! campaigns need not think of it. No request waits for it: the ledger is `tick`'s. A full one, 256
//! campaigns of 1,024 members, is compared in some 20 ms; memory holds it twice.
//!
//! A campaign's state is a decision, told with the campaign's members and the marks of its keys: whoever
//! was contained is contained after a start. All else is evidence.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use super::form::{CAMPAIGNS, Hot, KEYS, Ledger, SAMPLE};
use super::record::{Campaign, CampaignId, Member};
use super::release::{Answered, Release};
use super::state::{bucket, policy_of};
use super::{Bucket, Campaigns};
use crate::engine::memory::{Extent, KeptPace, Moment, Recall, Record, Sink};
use crate::identity::{AccountId, Tag};
use crate::policy::Policies;
use crate::signal::Model;
use crate::signal::shelf::{decode, encode};
use crate::time::{Shift, Timestamp};

/// As JSON, without members: fields may be added. The empty key is when all were last reviewed.
const HEADS: &str = "campaigns";
/// As JSON, by campaign and account.
const MEMBERS: &str = "campaign-members";
const HOT: &str = "campaign-keys";
const PACES: &str = "campaign-paces";
/// Models that answered. The empty key is since when they are watched.
const MODELS: &str = "models";

pub(in crate::engine) const TABLES: [&str; 5] = [HEADS, MEMBERS, HOT, PACES, MODELS];

/// Whether a table is one of theirs.
pub(in crate::engine) fn is_theirs(table: &str) -> bool {
    TABLES.contains(&table)
}

/// What was told last. Nothing is as long as nobody asks.
#[derive(Debug, Default)]
pub(super) struct Told {
    heads: BTreeMap<CampaignId, Campaign>,
    members: BTreeMap<(CampaignId, AccountId), Member>,
    hot: BTreeMap<Tag, Hot>,
    models: BTreeMap<Model, Answered>,
    paces: BTreeMap<CampaignId, [KeptPace; 2]>,
    reviewed: Timestamp,
    watch: Vec<u8>,
}

/// Records that are given once no lock is held.
#[derive(Default)]
struct Records(Vec<Owned>);

/// Table, key and value.
type Owned = (&'static str, Vec<u8>, Option<Vec<u8>>);

/// Gives the crowd behind a key.
pub(in crate::engine) type Crowded<'a> = dyn FnMut(Tag, &mut Sink<'_>) + 'a;

impl Campaigns {
    /// What there is now has been read back, or is nothing yet.
    pub(in crate::engine) fn watch(&self) {
        let mut told = self.told();
        let ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = told.evidence(&ledger);
    }

    /// Campaigns whose state has changed, with all that makes it hold.
    pub(in crate::engine) fn decisions(&self, crowd: &mut Crowded<'_>, out: &mut Sink<'_>) {
        let mut told = self.told();
        let ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let (records, keys) = told.decisions(&ledger);
        drop((ledger, told));
        records.give(out);
        keys.into_iter().for_each(|key| crowd(key, out));
    }

    pub(in crate::engine) fn evidence(&self, now: Moment, out: &mut Sink<'_>) {
        let mut told = self.told();
        let ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let mut records = told.evidence(&ledger);
        drop(ledger);
        let (models, watch) = (self.releases.models(), self.releases.watch());
        for (model, answered) in differ(&mut told.models, models.iter()) {
            records.put(MODELS, model.as_str().as_bytes(), answered.map(|one| encode(&one)));
        }
        if told.watch != watch {
            records.put(MODELS, &[], Some(watch.clone()));
            told.watch = watch;
        }
        let paces = self.paces(now);
        for (id, paces) in differ(&mut told.paces, paces.iter()) {
            records.put(PACES, &key_of(id), paces.map(|paces| encode(&paces)));
        }
        drop(told);
        records.give(out);
    }

    pub(in crate::engine) fn everything(&self, now: Moment, extent: Extent, out: &mut Sink<'_>) {
        let mut all = Told::default();
        let mut records = {
            let ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
            all.evidence(&ledger)
        };
        if extent == Extent::Lean {
            records.0.retain(|(table, ..)| *table != HOT);
        }
        for (id, paces) in self.paces(now) {
            records.put(PACES, &key_of(id), Some(encode(&paces)));
        }
        if extent == Extent::Whole {
            records.put(MODELS, &[], Some(self.releases.watch()));
            for (model, answered) in self.releases.models() {
                records.put(MODELS, model.as_str().as_bytes(), Some(encode(&answered)));
            }
        }
        records.give(out);
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What members of contained campaigns owe: all together, and strangers.
    fn paces(&self, now: Moment) -> BTreeMap<CampaignId, [KeptPace; 2]> {
        let contained = self.contained.read().unwrap_or_else(PoisonError::into_inner);
        let kept = |bucket: &Bucket| [&bucket.whole, &bucket.own].map(|p| KeptPace::of(p, now));
        contained.iter().map(|(id, bucket)| (*id, kept(bucket))).collect()
    }

    pub(in crate::engine) fn recall(
        &self,
        record: Record<'_>,
        recall: &Recall,
        releases: &[Release],
    ) -> bool {
        let Record { table, key, value } = record;
        let by = recall.shift;
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        match (table, value) {
            (HEADS, Some(value)) if key.is_empty() => ledger.recall_reviewed(value, by),
            (HEADS, _) => {
                id_of(key).is_some_and(|id| ledger.recall_head(id, value, (by, releases)))
            }
            (MEMBERS, _) => ledger.recall_member(key, value, by),
            (HOT, _) => ledger.recall_hot(key, value, by),
            (PACES, _) => id_of(key).is_some_and(|id| self.recall_paces(id, value, recall)),
            (MODELS, Some(value)) if key.is_empty() => self.releases.recall_watch(value, by),
            (MODELS, Some(value)) => {
                let name = std::str::from_utf8(key);
                name.is_ok_and(|name| self.releases.recall_model(name, value, by))
            }
            _ => false,
        }
    }

    fn recall_paces(&self, id: CampaignId, value: Option<&[u8]>, recall: &Recall) -> bool {
        let mut contained = self.contained.write().unwrap_or_else(PoisonError::into_inner);
        let Some(value) = value else { return contained.remove(&id).is_some() };
        let Some(paces) = decode::<[KeptPace; 2]>(value) else { return false };
        let [whole, own] = paces.map(|pace| Arc::new(pace.pace(recall)));
        let room = contained.len() < CAMPAIGNS || contained.contains_key(&id);
        let bucket = Bucket { whole, own, slower: [1.0; 2], members: 1, ordered: false };
        room.then(|| contained.insert(id, bucket)).is_some()
    }

    /// Says anew which campaigns are contained.
    pub(in crate::engine) fn recalled(&self, policies: &Policies) {
        let ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let mut contained = self.contained.write().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *contained);
        for (id, campaign) in ledger.campaigns.iter().filter(|(_, one)| one.is_contained()) {
            let policy = policy_of(campaign, policies);
            contained.insert(*id, bucket(campaign, &policy, before.remove(id)));
        }
    }
}

impl Told {
    /// What has changed of states, and the keys whose marks belong to that.
    fn decisions(&mut self, ledger: &Ledger) -> (Records, Vec<Tag>) {
        let (mut records, mut keys) = (Records::default(), Vec::new());
        let gone = self.heads.keys().filter(|id| !ledger.campaigns.contains_key(id));
        for id in gone.copied().collect::<Vec<_>>() {
            self.heads.remove(&id);
            records.put(HEADS, &key_of(id), None);
        }
        for (id, campaign) in &ledger.campaigns {
            let before = self.heads.get(id);
            let same = before.is_some_and(|before| before.stance() == campaign.stance());
            // One that is merely watched decides nothing.
            if same || before.is_none() && campaign.stance() == Campaign::default().stance() {
                continue;
            }
            let head = campaign.head();
            records.put(HEADS, &key_of(*id), serde_json::to_vec(&head).ok());
            self.heads.insert(*id, head);
            keys.extend(campaign.keys.keys());
            for (account, member) in &campaign.members {
                let told = self.members.insert((*id, *account), member.clone());
                if told.as_ref() != Some(member) {
                    records.member((*id, *account), Some(member));
                }
            }
        }
        (records, keys)
    }

    fn evidence(&mut self, ledger: &Ledger) -> Records {
        let mut records = Records::default();
        if self.reviewed != ledger.reviewed {
            self.reviewed = ledger.reviewed;
            records.put(HEADS, &[], Some(encode(&ledger.reviewed)));
        }
        let heads: Vec<_> = ledger.campaigns.iter().map(|(id, one)| (id, one.head())).collect();
        for (id, head) in differ(&mut self.heads, heads.iter().map(|(id, head)| (*id, head))) {
            records.put(HEADS, &key_of(id), head.and_then(|head| serde_json::to_vec(&head).ok()));
        }
        let members = ledger.campaigns.iter().flat_map(|(id, campaign)| {
            campaign.members.iter().map(|(account, member)| ((*id, *account), member))
        });
        let members: BTreeMap<_, _> = members.collect();
        for (key, member) in differ(&mut self.members, members.iter().map(|(k, v)| (k, *v))) {
            records.member(key, member.as_ref());
        }
        for (key, hot) in differ(&mut self.hot, ledger.hot.iter()) {
            records.put(HOT, &key.0.to_le_bytes(), hot.map(|hot| encode(&hot)));
        }
        records
    }
}

/// What is new, other than told or gone; from then on it is told.
fn differ<'a, K: Clone + Ord + 'a, V: Clone + PartialEq + 'a>(
    told: &mut BTreeMap<K, V>,
    now: impl Iterator<Item = (&'a K, &'a V)> + Clone,
) -> Vec<(K, Option<V>)> {
    // Both are in order, so whoever is gone is met on the way.
    let mut there = now.clone().map(|(key, _)| key).peekable();
    let is_gone = |key: &&K| {
        while there.next_if(|next| *next < *key).is_some() {}
        there.peek() != Some(key)
    };
    let gone: Vec<K> = told.keys().filter(is_gone).cloned().collect();
    gone.iter().for_each(|key| drop(told.remove(key)));
    let changed = now.filter(|(key, value)| told.get(key) != Some(value));
    let changed: Vec<_> = changed.map(|(key, value)| (key.clone(), value.clone())).collect();
    told.extend(changed.iter().cloned());
    let gone = gone.into_iter().map(|key| (key, None));
    gone.chain(changed.into_iter().map(|(key, value)| (key, Some(value)))).collect()
}

impl Records {
    fn put(&mut self, table: &'static str, key: &[u8], value: Option<Vec<u8>>) {
        self.0.push((table, key.to_vec(), value));
    }

    fn member(&mut self, (id, account): (CampaignId, AccountId), member: Option<&Member>) {
        let key = [&key_of(id)[..], &account.0].concat();
        self.put(MEMBERS, &key, member.and_then(|member| serde_json::to_vec(member).ok()));
    }

    fn give(self, out: &mut Sink<'_>) {
        for (table, key, value) in self.0 {
            out(Record { table, key: &key, value: value.as_deref() });
        }
    }
}

fn key_of(id: CampaignId) -> [u8; 8] {
    Tag::from(id).0.to_le_bytes()
}

fn id_of(key: &[u8]) -> Option<CampaignId> {
    tag_of(key).map(CampaignId::from)
}

fn tag_of(key: &[u8]) -> Option<Tag> {
    key.try_into().ok().map(u64::from_le_bytes).map(Tag)
}

impl Ledger {
    fn recall_reviewed(&mut self, value: &[u8], by: Shift) -> bool {
        let reviewed = decode::<Timestamp>(value);
        reviewed.map(|reviewed| self.reviewed = reviewed.shifted(by)).is_some()
    }

    fn recall_head(
        &mut self,
        id: CampaignId,
        value: Option<&[u8]>,
        (by, releases): (Shift, &[Release]),
    ) -> bool {
        let Some(value) = value else { return self.campaigns.remove(&id).is_some() };
        let Ok(mut campaign) = serde_json::from_slice::<Campaign>(value) else { return false };
        let room = self.campaigns.len() < CAMPAIGNS || self.campaigns.contains_key(&id);
        let small = campaign.keys.len() <= Campaign::KEYS && campaign.members.is_empty();
        if !room || !small || campaign.about.id != id {
            return false;
        }
        campaign.shift(by, releases);
        if let Some(known) = self.campaigns.remove(&id) {
            campaign.members = known.members;
        }
        self.campaigns.insert(id, campaign);
        true
    }

    fn recall_member(&mut self, key: &[u8], value: Option<&[u8]>, by: Shift) -> bool {
        let Some((id, account)) = key.split_at_checked(8) else { return false };
        let (Some(id), Ok(account)) = (id_of(id), account.try_into().map(AccountId)) else {
            return false;
        };
        let Some(campaign) = self.campaigns.get_mut(&id) else { return false };
        let Some(value) = value else { return campaign.members.remove(&account).is_some() };
        let Ok(mut member) = serde_json::from_slice::<Member>(value) else { return false };
        let known = campaign.members.contains_key(&account);
        if !known && campaign.members.len() >= Campaign::MEMBERS {
            return false;
        }
        (member.joined, member.last) = (member.joined.shifted(by), member.last.shifted(by));
        campaign.members.insert(account, member);
        true
    }

    fn recall_hot(&mut self, key: &[u8], value: Option<&[u8]>, by: Shift) -> bool {
        let Some(key) = tag_of(key) else { return false };
        let Some(value) = value else { return self.hot.remove(&key).is_some() };
        let Some(mut hot) = decode::<Hot>(value) else { return false };
        let room = self.hot.len() < KEYS || self.hot.contains_key(&key);
        hot.last = hot.last.shifted(by);
        (room && hot.sample.len() <= SAMPLE).then(|| self.hot.insert(key, hot)).is_some()
    }
}

impl Campaign {
    /// Everything but its members.
    fn head(&self) -> Self {
        let Self { about, keys, members: _, .. } = self;
        Self { about: about.clone(), keys: keys.clone(), members: BTreeMap::new(), ..*self }
    }

    /// Moves its times. What operators have named came out when they say.
    fn shift(&mut self, by: Shift, releases: &[Release]) {
        let named = |model: &Model, at: Timestamp| {
            let at = i64::try_from(at.as_millis()).unwrap_or_default();
            releases.iter().any(|one| one.model == *model && one.at.as_millisecond() == at)
        };
        let move_by = |at: &mut Timestamp| *at = at.shifted(by);
        let about = &mut self.about;
        let always = [&mut about.first_seen, &mut about.last_seen, &mut self.counted_at];
        let sometimes = [&mut about.due, &mut about.contained_since];
        let sometimes = sometimes.into_iter().chain([&mut self.refused_since, &mut self.low_since]);
        let ordered = about.order.iter_mut().flat_map(|it| [&mut it.since, &mut it.expires]);
        always.into_iter().chain(sometimes.flatten()).chain(ordered).for_each(move_by);
        let pivots = about.pivots.iter_mut();
        let unnamed = pivots.filter(|(model, pivot)| !named(model, pivot.released));
        unnamed.for_each(|(_, pivot)| move_by(&mut pivot.released));
    }
}
