//! Bounded, expiring, concurrent memory from a tag to whatever is known of it.

use std::hash::BuildHasherDefault;
use std::mem;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{PoisonError, RwLock};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use crate::identity::Tag;
use crate::time::Timestamp;

/// A map that holds at most `capacity` entries and forgets those untouched for one to two `life`s.
///
/// Two generations: touched entries live in the young one; when it is half full or half a life has
/// passed, it becomes the old one and the previous old one is dropped whole, so forgetting costs
/// nothing per entry. Rotation happens in [`Index::tick`] alone; between two ticks an index that
/// is full takes no new entries. Callers keep what aged accounts own in an index of its own: a
/// flood of new accounts can then only push out the memory of new accounts.
#[derive(Debug)]
pub struct Index<V> {
    capacity: usize,
    generations: RwLock<Generations<V>>,
}

#[derive(Debug)]
struct Generations<V> {
    young: Map<V>,
    /// Entries in `young`; dashmap's own `len` locks every shard.
    count: AtomicUsize,
    old: Map<V>,
    since: Timestamp,
}

type Map<V> = DashMap<u64, V, BuildHasherDefault<KeyHash>>;

/// Tags are keyed hashes already: their bits serve as they are.
#[derive(Debug, Default)]
struct KeyHash(u64);

impl std::hash::Hasher for KeyHash {
    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, value: u64) {
        // dashmap takes its shard from high bits, hashbrown its group from low ones: spread both.
        self.0 = value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Fixed, so that two machines of different size walk a map in one order.
const SHARDS: usize = 64;

fn map<V>() -> Map<V> {
    DashMap::with_hasher_and_shard_amount(BuildHasherDefault::default(), SHARDS)
}

impl<V: Clone> Index<V> {
    pub fn new(capacity: usize) -> Self {
        let (young, old) = (map(), map());
        let generations =
            Generations { young, count: AtomicUsize::new(0), old, since: Timestamp::default() };
        Self { capacity, generations: RwLock::new(generations) }
    }

    /// A copy of what is known of `key`.
    pub fn get(&self, key: Tag) -> Option<V> {
        let generations = self.generations.read().unwrap_or_else(PoisonError::into_inner);
        let found = generations.young.get(&key.0).map(|entry| entry.clone());
        found.or_else(|| generations.old.get(&key.0).map(|entry| entry.clone()))
    }

    /// Changes what is known of `key`, starting from `V::default()` when nothing is. Returns what
    /// `change` returns, or none when the index is full and `key` is new.
    pub fn update<R>(&self, key: Tag, change: impl FnOnce(&mut V) -> R) -> Option<R>
    where
        V: Default,
    {
        let generations = self.generations.read().unwrap_or_else(PoisonError::into_inner);
        match generations.young.entry(key.0) {
            Entry::Occupied(mut entry) => Some(change(entry.get_mut())),
            Entry::Vacant(place) => {
                let carried = generations.old.remove(&key.0).map(|(_, value)| value);
                if carried.is_none() && generations.count.load(Relaxed) >= self.capacity / 2 {
                    return None;
                }
                generations.count.fetch_add(1, Relaxed);
                Some(change(&mut place.insert(carried.unwrap_or_default())))
            }
        }
    }

    /// Changes what is known of `key`, if anything is.
    pub fn amend<R>(&self, key: Tag, change: impl FnOnce(&mut V) -> R) -> Option<R> {
        let generations = self.generations.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut entry) = generations.young.get_mut(&key.0) {
            return Some(change(&mut entry));
        }
        generations.old.get_mut(&key.0).map(|mut entry| change(&mut entry))
    }

    /// Counts `key` as touched, if it is known.
    pub fn touch(&self, key: Tag) {
        let generations = self.generations.read().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Vacant(place) = generations.young.entry(key.0)
            && let Some((_, value)) = generations.old.remove(&key.0)
        {
            generations.count.fetch_add(1, Relaxed);
            place.insert(value);
        }
    }

    /// Visits every entry, in an order that depends only on the history of calls.
    pub fn each(&self, mut visit: impl FnMut(Tag, &mut V)) {
        let generations = self.generations.read().unwrap_or_else(PoisonError::into_inner);
        for map in [&generations.young, &generations.old] {
            for mut entry in map.iter_mut() {
                visit(Tag(*entry.key()), entry.value_mut());
            }
        }
    }

    /// Forgets the old generation when half a `life` has passed or the young one is half full.
    pub fn tick(&self, now: Timestamp, life: std::time::Duration) {
        let mut generations = self.generations.write().unwrap_or_else(PoisonError::into_inner);
        let full = *generations.count.get_mut() >= self.capacity * 3 / 8;
        if full || now.since(generations.since) >= life / 2 {
            let young = mem::replace(&mut generations.young, map());
            generations.old = young;
            *generations.count.get_mut() = 0;
            generations.since = now;
        }
    }

    pub fn len(&self) -> usize {
        let generations = self.generations.read().unwrap_or_else(PoisonError::into_inner);
        generations.young.len() + generations.old.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
