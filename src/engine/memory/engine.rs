//! The engine's own memory as records.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Extent, KeptPace, Moment, Recall, Record, Remember, Sink, Urgency};
use crate::engine::account::{Account, Saved};
use crate::engine::{Engine, Ruling, campaign, lock};
use crate::identity::{AccountId, Provision, TenantName};
use crate::policy::Action;
use crate::signal::changes::Changed;
use crate::signal::shelf::{Shelf, decode, decode_short, encode};
use crate::signal::{CATALOGUE, COUNT};

/// Names of signals, in the order in which accounts name them by number.
const COLUMNS: &str = "signals";
const ACCOUNTS: &str = "accounts";
const CROWDS: &str = "crowds";
const MARKS: &str = "marks";
const POOLS: &str = "pools";
/// As JSON: operators' words are few, and more will be said with them.
const RULINGS: &str = "rulings";
const ASKERS: &str = "askers";
/// As JSON, too.
const PROVISIONS: &str = "provisions";

impl Remember for Engine {
    fn tables(&self) -> Vec<&'static str> {
        let own = [COLUMNS, ACCOUNTS, CROWDS, MARKS, POOLS, RULINGS, PROVISIONS].into_iter();
        let own = own.chain(campaign::TABLES);
        own.chain(self.shelves().skip(1).map(|(name, _)| name)).collect()
    }

    fn watch(&self) {
        self.unwritten.evidence.watch();
        self.unwritten.decisions.watch();
        self.rulings.unwritten.watch();
        self.campaigns.watch();
        self.provisions.unwritten.watch();
        self.shelves().for_each(|(_, shelf)| shelf.watch());
    }

    fn preamble(&self, out: &mut Sink<'_>) {
        let names: Vec<_> = CATALOGUE.iter().map(|spec| spec.name).collect();
        put(out, COLUMNS, &[], &encode(&names));
    }

    fn decisions(&self, now: Moment, out: &mut Sink<'_>) {
        self.marks(false, out);
        match self.rulings.unwritten.take() {
            Changed::Keys(accounts) => accounts.into_iter().for_each(|id| self.ruling(id, out)),
            Changed::Anything => self.every_ruling(out),
        }
        match self.provisions.unwritten.take() {
            Changed::Keys(accounts) => accounts.into_iter().for_each(|id| self.told_of(id, out)),
            Changed::Anything => self.told_of_all(out),
        }
        self.changed_accounts(Urgency::Decision, now, out);
        self.campaigns.decisions(
            &mut |key, out| {
                self.fleet.crowds.entry(key, &mut |key, value| put(out, CROWDS, key, value));
            },
            out,
        );
    }

    fn evidence(&self, now: Moment, out: &mut Sink<'_>) {
        self.changed_accounts(Urgency::Evidence, now, out);
        self.pools_told(false, now, out);
        self.campaigns.evidence(now, out);
        for (name, shelf) in self.shelves() {
            shelf.changed(&mut |key, value| put(out, name, key, value));
        }
    }

    fn everything(&self, now: Moment, extent: Extent, out: &mut Sink<'_>) {
        self.marks(true, out);
        self.every_ruling(out);
        self.told_of_all(out);
        self.pools_told(true, now, out);
        self.campaigns.everything(now, extent, out);
        for (id, account) in self.every_account() {
            let account = lock(&account).clone();
            if extent == Extent::Whole || account.must_last() {
                put(out, ACCOUNTS, &id.0, &encode(&Saved::of(account, now)));
            }
        }
        let shelves = if extent == Extent::Whole { COUNT + 1 } else { 1 };
        for (name, shelf) in self.shelves().take(shelves) {
            shelf.all(&mut |key, value| put(out, name, key, value));
        }
    }

    fn recall(&self, record: Record<'_>, recall: &Recall) -> bool {
        let (key, value) = (record.key, record.value);
        match (record.table, value) {
            (ACCOUNTS, value) => self.recall_account(key, value, recall),
            (RULINGS, value) => self.recall_ruling(key, value, recall),
            (PROVISIONS, value) => self.recall_provision(key, value),
            (COLUMNS, Some(value)) => self.recall_columns(value),
            (MARKS, Some(value)) => self.recall_marks(value, recall),
            (POOLS, Some(value)) => self.recall_pool(key, value, recall),
            (table, _) if campaign::is_theirs(table) => {
                self.campaigns.recall(record, recall, &self.rules().settings.campaign.releases)
            }
            (table, Some(value)) => {
                let shelf = self.shelves().find(|(name, _)| *name == table);
                shelf.is_some_and(|(_, shelf)| shelf.recall(key, value, recall.shift))
            }
            (_, None) => false,
        }
    }

    fn recalled(&self, _: bool) {
        for (_, account) in self.every_account() {
            self.fleet.recount_recalled(&mut lock(&account));
        }
        self.campaigns.recalled(&self.rules().policies);
    }

    fn waiting(&self) -> usize {
        let shelves = self.shelves().map(|(_, shelf)| shelf.waiting()).sum::<usize>();
        let accounts = self.unwritten.decisions.len() + self.unwritten.evidence.len();
        let orders = self.rulings.unwritten.len() + self.provisions.unwritten.len();
        accounts + orders + shelves
    }
}

impl Engine {
    /// Crowds first, then who asked what, then what the signals remember of the fleet.
    fn shelves(&self) -> impl Iterator<Item = (&'static str, &dyn Shelf)> {
        let signals = self.fleet.memory.shelves().into_iter();
        let signals = signals.filter_map(|(name, shelf)| Some((name, shelf?)));
        let own = [(CROWDS, self.fleet.crowds.shelf()), (ASKERS, self.fleet.askers.shelf())];
        own.into_iter().chain(signals)
    }

    /// Everybody at once, about 30 ns each: a shard is locked no longer than for its own.
    fn every_account(&self) -> Vec<(AccountId, Arc<Mutex<Account>>)> {
        self.accounts.iter().map(|entry| (*entry.key(), Arc::clone(entry.value()))).collect()
    }

    fn changed_accounts(&self, urgency: Urgency, now: Moment, out: &mut Sink<'_>) {
        let Changed::Keys(ids) = self.unwritten.of(urgency).take() else { return };
        for id in ids {
            let Some(account) = self.find(id) else {
                out(Record { table: ACCOUNTS, key: &id.0, value: None });
                continue;
            };
            let copy = {
                let mut account = lock(&account);
                account.unwritten = None;
                account.clone()
            };
            put(out, ACCOUNTS, &id.0, &encode(&Saved::of(copy, now)));
        }
    }

    fn ruling(&self, id: AccountId, out: &mut Sink<'_>) {
        let ruling = self.rulings.of(id).map(|ruling| serde_json::to_vec(&ruling));
        let value = ruling.as_ref().and_then(|ruling| ruling.as_deref().ok());
        out(Record { table: RULINGS, key: &id.0, value });
    }

    fn every_ruling(&self, out: &mut Sink<'_>) {
        self.rulings.all().into_iter().for_each(|ruling| self.ruling(ruling.account, out));
    }

    fn recall_ruling(&self, key: &[u8], value: Option<&[u8]>, recall: &Recall) -> bool {
        let Some(value) = value else {
            let id = key.try_into().map(AccountId);
            return id.is_ok_and(|id| self.rulings.lift(id));
        };
        let Ok(mut ruling) = serde_json::from_slice::<Ruling>(value) else { return false };
        ruling.since = ruling.since.shifted(recall.shift);
        ruling.expires = ruling.expires.shifted(recall.shift);
        self.rulings.put(ruling)
    }

    fn told_of(&self, id: AccountId, out: &mut Sink<'_>) {
        let told = self.provisions.of(id).map(|provision| serde_json::to_vec(&provision));
        let value = told.as_ref().and_then(|told| told.as_deref().ok());
        out(Record { table: PROVISIONS, key: &id.0, value });
    }

    fn told_of_all(&self, out: &mut Sink<'_>) {
        self.provisions.all().into_iter().for_each(|id| self.told_of(id, out));
    }

    /// Times in it are the operator's, not of the clock that wrote it down: they are not moved.
    fn recall_provision(&self, key: &[u8], value: Option<&[u8]>) -> bool {
        let Ok(id) = key.try_into().map(AccountId) else { return false };
        let provision = value.map_or_else(|| Ok(Provision::default()), serde_json::from_slice);
        provision.is_ok_and(|provision| self.provisions.put(id, provision))
    }

    fn marks(&self, always: bool, out: &mut Sink<'_>) {
        let swept = *self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        let marks = (swept, self.fleet.reviewed(), self.learning.until());
        let told = self.unwritten.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let told = { told }.replace(marks);
        if always || told != Some(marks) {
            put(out, MARKS, &[], &encode(&marks));
        }
    }

    fn pools_told(&self, always: bool, now: Moment, out: &mut Sink<'_>) {
        for (tenant, group, pace) in self.pools.all() {
            let (key, kept) = (encode(&(tenant.as_str(), group)), KeptPace::of(&pace, now));
            let told = self.unwritten.pools.lock().unwrap_or_else(PoisonError::into_inner);
            let told = { told }.insert(key.clone(), kept.clone());
            if told.as_ref() != Some(&kept) && !kept.says_nothing() || always {
                put(out, POOLS, &key, &encode(&kept));
            }
        }
    }

    fn recall_account(&self, key: &[u8], value: Option<&[u8]>, recall: &Recall) -> bool {
        let Ok(id) = key.try_into().map(AccountId) else { return false };
        let Some(value) = value else { return self.accounts.remove(&id).is_some() };
        let columns = self.unwritten.columns.lock().unwrap_or_else(PoisonError::into_inner);
        let account =
            decode_short::<Saved>(value).and_then(|saved| saved.account(&columns, recall));
        let room = self.accounts.len() < self.rules().settings.max_accounts;
        let Some(account) = account.filter(|_| room || self.accounts.contains_key(&id)) else {
            return false;
        };
        self.accounts.insert(id, Arc::new(Mutex::new(account)));
        true
    }

    fn recall_columns(&self, value: &[u8]) -> bool {
        let Some(names) = decode::<Vec<String>>(value) else { return false };
        let place = |name: &String| CATALOGUE.iter().position(|spec| spec.name == name.as_str());
        *self.unwritten.columns.lock().unwrap_or_else(PoisonError::into_inner) =
            names.iter().map(place).collect();
        true
    }

    fn recall_marks(&self, value: &[u8], recall: &Recall) -> bool {
        let marks = decode::<super::Marks>(value);
        let Some((swept, (reviewed, crowds), (until, highest))) = marks else { return false };
        let by = recall.shift;
        *self.swept.lock().unwrap_or_else(PoisonError::into_inner) = swept.shifted(by);
        self.fleet.recall_reviewed((reviewed.shifted(by), crowds));
        self.learning.set(until.shifted(by), highest);
        true
    }

    fn recall_pool(&self, key: &[u8], value: &[u8], recall: &Recall) -> bool {
        let key = decode::<(String, Option<String>)>(key);
        let (Some((tenant, group)), Some(pace)) = (key, decode::<KeptPace>(value)) else {
            return false;
        };
        let tenant = TenantName::from(tenant.as_str());
        self.pools.put(&tenant, group.as_deref(), pace.pace(recall));
        true
    }
}

impl Account {
    /// Whether it takes long to learn anew, or was decided.
    fn must_last(&self) -> bool {
        self.established || self.held.rung > Action::Allow || self.clearance.is_some()
    }
}

fn put(out: &mut Sink<'_>, table: &'static str, key: &[u8], value: &[u8]) {
    out(Record { table, key, value: Some(value) });
}
