//! What the engine remembers of all accounts together, and the upkeep of crowds.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::account::{Account, Keys, speaking};
use super::campaign::{Matches, is_followed, is_place};
use super::cohort::Cohorts;
use super::group::{self, Rates};
use super::settings::Group;
use crate::identity::Tag;
use crate::policy::Action;
use crate::signal::crowd::octave;
use crate::signal::habits::{Askers, caller_keys, prompt_keys};
use crate::signal::{self, Ask, Crowd, Crowds, Facet, Family};
use crate::time::Timestamp;

#[derive(Debug, Default)]
pub(super) struct Fleet {
    pub(super) memory: signal::Fleet,
    pub(super) crowds: Crowds,
    pub(super) cohorts: Cohorts,
    /// Who asked each turn last.
    pub(super) askers: Askers,
    rates: Rates,
    /// Crowds whose counts have changed since the last tick.
    dirty: Mutex<BTreeSet<Tag>>,
    reviewed: Mutex<Timestamp>,
}

/// What the crowds around an ask add to it.
#[derive(Debug, Default)]
pub(super) struct Around {
    pub(super) heat: f32,
    pub(super) facet: Option<Facet>,
    pub(super) floor: Action,
    /// The campaigns its keys are those of.
    pub(super) matches: Matches,
}

/// How often every crowd is weighed anew, changed or not: base rates drift.
const REVIEW: Duration = Duration::from_secs(600);

/// How often an active account keeps its crowds from being forgotten.
const KEEP: Duration = Duration::from_secs(24 * 3600);

/// Hot user keys a prompt must match when nothing else is known of the account: one pair of slots
/// can agree by chance, two hardly.
const MATCHES: usize = 2;

/// Exchanges after which an account has keys of its own, and had the chance to show evidence.
pub(super) const NEWCOMER: u32 = 5;

impl Fleet {
    /// The hottest crowd among the keys this account is counted under and those of this very ask.
    pub(super) fn around(&self, ask: &Ask, account: &Account, group: &Group) -> Around {
        let mut around = Around::default();
        let mut matches = 0;
        for (facet, key) in prompt_keys(&ask.prompt).chain(caller_keys(&ask.caller)) {
            let Some(crowd) = self.crowds.get(key).filter(is_followed) else {
                continue;
            };
            let own = account.keys.contains(key);
            if !own {
                around.matches.add(facet, &crowd, group::floor(&crowd, group));
            }
            matches += usize::from(facet == Facet::User && crowd.heat > 0.0);
            if facet != Facet::User || matches >= MATCHES || own {
                around.weigh(&crowd, facet, account, group);
            }
        }
        for &key in account.keys.as_slice() {
            if let Some(crowd) = self.crowds.get(key).filter(is_followed) {
                let facet = crowd.facet.unwrap_or(Facet::System);
                around.matches.add(facet, &crowd, group::floor(&crowd, group));
                around.weigh(&crowd, facet, account, group);
            }
        }
        around.settle(account);
        around
    }

    /// The hot keys an account is counted under.
    pub(super) fn followed(&self, account: &Account) -> Vec<(Facet, Tag)> {
        let crowd =
            |key: &Tag| self.crowds.get(*key).filter(is_followed).map(|crowd| (*key, crowd));
        let hot = account.keys.as_slice().iter().filter_map(crowd);
        hot.map(|(key, crowd)| (crowd.facet.unwrap_or(Facet::System), key)).collect()
    }

    /// What membership in `crowd` would add to a score, and what each family contributes to it.
    pub(super) fn heat(&self, crowd: &Crowd, group: &Group) -> f32 {
        group::heat(crowd, &self.rates, group)
    }

    pub(super) fn families(&self, crowd: &Crowd, group: &Group) -> [f32; Family::ALL.len()] {
        group::families(crowd, &self.rates, group)
    }

    /// Most established accounts that may share what is acted on.
    pub(super) fn breaker(&self, group: &Group) -> f32 {
        group::breaker(&self.rates, group)
    }

    /// Counts an account under the keys its habits now give, and no longer under those they don't.
    pub(super) fn regroup(&self, account: &mut Account, now: Timestamp, group: &Group) {
        let mut keys = Keys::default();
        let mut facets = [Facet::System; signal::habits::MAX_KEYS];
        for (slot, (facet, key)) in facets.iter_mut().zip(account.habits.keys()) {
            *slot = facet;
            keys.push(key);
        }
        if keys == account.keys {
            return;
        }
        for &key in account.keys.as_slice().iter().filter(|key| !keys.contains(**key)) {
            self.crowds.amend(key, |crowd| account.take_from(crowd));
            self.changed(key, group);
        }
        let mut joined = Keys::default();
        for (&key, facet) in keys.as_slice().iter().zip(facets) {
            let known = account.keys.contains(key);
            if known || self.crowds.join(facet, key, now, |crowd| account.add_to(crowd)) {
                joined.push(key);
                self.changed(key, group);
            }
        }
        account.keys = joined;
    }

    /// Keeps the crowds of an active account from being forgotten; once a day is often enough.
    pub(super) fn keep(&self, account: &mut Account, now: Timestamp) {
        if now.since(account.kept) >= KEEP {
            account.kept = now;
            // A crowd that was forgotten all the same is joined anew with the next exchange.
            let mut kept = Keys::default();
            let known = account.keys.as_slice().iter().filter(|key| self.crowds.touch(**key));
            known.for_each(|key| kept.push(*key));
            account.keys = kept;
        }
    }

    /// Notes which families now speak for an account.
    pub(super) fn speak(&self, account: &mut Account, fired: u8, group: &Group) {
        if fired == account.fired {
            return;
        }
        let (gained, lost) = (fired & !account.fired, account.fired & !fired);
        account.fired = fired;
        for &key in account.keys.as_slice() {
            self.crowds.amend(key, |crowd| {
                speaking(gained).for_each(|family| crowd.fired[family.index()] += 1);
                speaking(lost).for_each(|family| less(&mut crowd.fired[family.index()]));
            });
            self.changed(key, group);
        }
        if account.established {
            self.rate(gained, lost);
        }
    }

    /// Counts an account at the rung it is held at now.
    pub(super) fn recount(&self, account: &mut Account) {
        let (from, to) = (account.counted, account.held.rung);
        if from == to {
            return;
        }
        account.counted = to;
        for &key in account.keys.as_slice() {
            self.crowds.amend(key, |crowd| {
                less(&mut crowd.rungs[from.index()]);
                crowd.rungs[to.index()] += 1;
            });
        }
    }

    /// Counts an account by how much it has asked.
    pub(super) fn reload(&self, account: &mut Account) {
        let load = octave(account.habits.exchanges).map(|octave| octave as u8);
        if load == account.load {
            return;
        }
        let before = std::mem::replace(&mut account.load, load);
        for &key in account.keys.as_slice() {
            self.crowds.amend(key, |crowd| {
                if let Some(octave) = before {
                    less(&mut crowd.loads[usize::from(octave)]);
                }
                if let Some(octave) = load {
                    crowd.loads[usize::from(octave)] += 1;
                }
            });
        }
    }

    /// An account has become established.
    pub(super) fn settled(&self, account: &Account) {
        self.enter(account);
        for &key in account.keys.as_slice() {
            self.crowds.amend(key, |crowd| crowd.aged += 1);
        }
    }

    /// Counts an established account wherever these are counted, crowds aside.
    fn enter(&self, account: &Account) {
        account.enter(&self.cohorts);
        self.rates.established.fetch_add(1, Relaxed);
        self.rate(account.fired, 0);
    }

    /// Counts an account that was read back, where its crowds were, too. It joins the others anew.
    pub(super) fn recount_recalled(&self, account: &mut Account) {
        let mut kept = Keys::default();
        for &key in account.keys.as_slice() {
            let known = self.crowds.amend(key, |crowd| {
                crowd.members += 1;
                account.add_to(crowd);
            });
            if known {
                kept.push(key);
            }
        }
        account.keys = kept;
        if account.established {
            self.enter(account);
        }
    }

    /// When all crowds were last weighed, and how many then were large enough.
    pub(super) fn reviewed(&self) -> (Timestamp, u32) {
        let reviewed = self.reviewed.lock().unwrap_or_else(PoisonError::into_inner);
        (*reviewed, self.rates.crowds.load(Relaxed))
    }

    pub(super) fn recall_reviewed(&self, (at, crowds): (Timestamp, u32)) {
        *self.reviewed.lock().unwrap_or_else(PoisonError::into_inner) = at;
        self.rates.crowds.store(crowds, Relaxed);
    }

    /// An account is forgotten.
    pub(super) fn forget(&self, account: &Account) {
        for &key in account.keys.as_slice() {
            self.crowds.amend(key, |crowd| account.take_from(crowd));
        }
        if account.established {
            self.cohorts.leave(account.cohort, &account.steps);
            lower(&self.rates.established);
            self.rate(0, account.fired);
        }
    }

    /// Weighs changed crowds, and now and then all of them.
    pub(super) fn tick(&self, now: Timestamp, group: &Group) {
        self.crowds.tick(now);
        let dirty = std::mem::take(&mut *self.dirty.lock().unwrap_or_else(PoisonError::into_inner));
        for key in dirty {
            self.crowds.heat(key, |crowd| group::heat(crowd, &self.rates, group));
        }
        let mut reviewed = self.reviewed.lock().unwrap_or_else(PoisonError::into_inner);
        if now.since(*reviewed) >= REVIEW {
            *reviewed = now;
            self.review(group);
        }
    }

    fn review(&self, group: &Group) {
        let mut tested = 0;
        self.crowds.each(|_, crowd| tested += u32::from(crowd.members >= group.min_members));
        self.rates.crowds.store(tested, Relaxed);
        self.crowds.reheat(|crowd| group::heat(crowd, &self.rates, group));
    }

    fn changed(&self, key: Tag, group: &Group) {
        let counts = |crowd: Crowd| crowd.members >= group.min_members || crowd.heat > 0.0;
        if self.crowds.get(key).is_some_and(counts) {
            self.dirty.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        }
    }

    fn rate(&self, gained: u8, lost: u8) {
        for family in speaking(gained) {
            self.rates.fired[family.index()].fetch_add(1, Relaxed);
        }
        for family in speaking(lost) {
            lower(&self.rates.fired[family.index()]);
        }
    }
}

impl Around {
    fn weigh(&mut self, crowd: &Crowd, facet: Facet, account: &Account, group: &Group) {
        // Who has asked a few times and shown nothing but the key is company, not a member. Networks,
        // hours of sign-up and bundles of tools are common: a newcomer has to have shown more.
        let others = account.fired & !group::company(facet) != 0;
        let common = is_place(facet) || facet == Facet::Tools;
        let joins = others || account.habits.exchanges < NEWCOMER && !common;
        if crowd.heat > self.heat && (joins || !is_place(facet)) {
            self.heat = crowd.heat;
            self.facet = Some(facet);
        }
        if joins && crowd.campaign == Tag::default() {
            self.floor = self.floor.max(group::floor(crowd, group));
        }
    }

    /// What a crowd that is a campaign's holds down are the campaign's members, not their neighbours.
    fn settle(&mut self, account: &Account) {
        if account.established {
            self.floor = Action::Allow;
        } else if let Some(found) = self.matches.best(account.fired) {
            self.floor = self.floor.max(found.floor);
        }
    }
}

fn less(count: &mut u32) {
    *count = count.saturating_sub(1);
}

fn lower(count: &AtomicU32) {
    let _ = count.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1));
}
