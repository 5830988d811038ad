//! A table that the store's users fill themselves: operators' words, reviewers' verdicts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::block::LONGEST;
use crate::engine::memory::{Extent, Moment, Recall, Record, Remember, Sink};

/// Values by name. What is put is in force at once, and on disk when
/// [`Store::commit`](super::Store::commit) returns.
///
/// Values are written as JSON: fields may be added to them, with a default, at any time.
#[derive(Debug)]
pub struct Ledger<V> {
    table: &'static str,
    most: usize,
    entries: Mutex<Entries<V>>,
}

#[derive(Debug)]
struct Entries<V> {
    by_name: BTreeMap<String, V>,
    unwritten: BTreeSet<String>,
}

/// There is no room for one more, or for one so large.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("there is no room for it")]
pub struct Full;

impl<V: Clone + Serialize + DeserializeOwned> Ledger<V> {
    /// `table` names it in files, for ever; it holds `most` entries.
    pub fn new(table: &'static str, most: usize) -> Self {
        let entries = Entries { by_name: BTreeMap::new(), unwritten: BTreeSet::new() };
        Self { table, most, entries: Mutex::new(entries) }
    }

    pub fn get(&self, name: &str) -> Option<V> {
        self.entries().by_name.get(name).cloned()
    }

    /// Everything, by name.
    pub fn all(&self) -> BTreeMap<String, V> {
        self.entries().by_name.clone()
    }

    pub fn put(&self, name: &str, value: V) -> Result<(), Full> {
        let fits = serde_json::to_vec(&value).is_ok_and(|bytes| bytes.len() <= LONGEST);
        let mut entries = self.entries();
        let known = entries.by_name.contains_key(name);
        if !fits || name.len() > 256 || !known && entries.by_name.len() >= self.most {
            return Err(Full);
        }
        entries.by_name.insert(name.to_owned(), value);
        entries.unwritten.insert(name.to_owned());
        Ok(())
    }

    /// What was there.
    pub fn remove(&self, name: &str) -> Option<V> {
        let mut entries = self.entries();
        let removed = entries.by_name.remove(name)?;
        entries.unwritten.insert(name.to_owned());
        Some(removed)
    }

    fn entries(&self) -> MutexGuard<'_, Entries<V>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, entries: impl IntoIterator<Item = (String, Option<V>)>, out: &mut Sink<'_>) {
        for (name, value) in entries {
            let value = value.map(|value| serde_json::to_vec(&value).unwrap_or_default());
            let (table, key) = (self.table, name.as_bytes());
            out(Record { table, key, value: value.as_deref() });
        }
    }
}

impl<V: Clone + Serialize + DeserializeOwned + Send> Remember for Ledger<V> {
    fn tables(&self) -> Vec<&'static str> {
        vec![self.table]
    }

    fn watch(&self) {}

    fn decisions(&self, _: Moment, out: &mut Sink<'_>) {
        let mut entries = self.entries();
        let names = std::mem::take(&mut entries.unwritten).into_iter();
        let told = |name: String| (name.clone(), entries.by_name.get(&name).cloned());
        let told: Vec<_> = names.map(told).collect();
        drop(entries);
        self.tell(told, out);
    }

    fn evidence(&self, _: Moment, _: &mut Sink<'_>) {}

    fn everything(&self, _: Moment, _: Extent, out: &mut Sink<'_>) {
        self.tell(self.all().into_iter().map(|(name, value)| (name, Some(value))), out);
    }

    fn recall(&self, record: Record<'_>, _: &Recall) -> bool {
        let Ok(name) = std::str::from_utf8(record.key) else { return false };
        let Some(value) = record.value else {
            return self.entries().by_name.remove(name).is_some();
        };
        let Ok(value) = serde_json::from_slice(value) else { return false };
        let mut entries = self.entries();
        let room = entries.by_name.len() < self.most;
        if room || entries.by_name.contains_key(name) {
            entries.by_name.insert(name.to_owned(), value);
            return true;
        }
        false
    }

    fn waiting(&self) -> usize {
        self.entries().unwritten.len()
    }
}
