//! Bounded, expiring, concurrent memory from a tag to whatever is known of it.

mod kept;

use std::hash::BuildHasherDefault;
use std::mem;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{PoisonError, RwLock};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use super::changes::Changes;
use crate::identity::Tag;
use crate::time::Timestamp;

/// A map that holds at most `capacity` entries and forgets those untouched for half to one `life`.
///
/// Two generations: touched entries live in the young one; when it is half full or half a life has
/// passed, it becomes the old one and the previous old one is dropped whole, so forgetting costs
/// nothing per entry. Rotation happens in [`Index::tick`] alone; between two ticks an index that
/// is full takes no new entries. What aged accounts own is kept apart, see [`Tiers`].
#[derive(Debug)]
pub struct Index<V> {
    capacity: usize,
    generations: RwLock<Generations<V>>,
    changes: Changes<u64>,
}

#[derive(Debug)]
struct Generations<V> {
    young: Map<V>,
    /// Entries in `young`; dashmap's own `len` locks every shard.
    count: AtomicUsize,
    old: Map<V>,
    since: Timestamp,
    /// How often the young one has become the old one.
    turn: u32,
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
        let (count, since) = (AtomicUsize::new(0), Timestamp::default());
        let generations = RwLock::new(Generations { young, count, old, since, turn: 0 });
        Self { capacity, generations, changes: Changes::new(2 * capacity) }
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
            Entry::Occupied(mut entry) => {
                self.note(key);
                Some(change(entry.get_mut()))
            }
            Entry::Vacant(place) => {
                let carried = generations.old.remove(&key.0).map(|(_, value)| value);
                if carried.is_none() && generations.count.load(Relaxed) >= self.capacity / 2 {
                    return None;
                }
                generations.count.fetch_add(1, Relaxed);
                let mut entry = place.insert(carried.unwrap_or_default());
                self.note(key);
                Some(change(&mut entry))
            }
        }
    }

    /// Notes that what is known of `key` is to be written down. Under the entry's lock, or once it is
    /// changed: whoever writes it down must not come between.
    pub fn note(&self, key: Tag) {
        self.changes.note(key.0, key.0);
    }

    /// Changes what is known of `key`, if anything is. Does not keep it from being forgotten, nor is
    /// the change noted.
    pub fn amend<R>(&self, key: Tag, change: impl FnOnce(&mut V) -> R) -> Option<R> {
        let generations = self.generations.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut entry) = generations.young.get_mut(&key.0) {
            return Some(change(&mut entry));
        }
        generations.old.get_mut(&key.0).map(|mut entry| change(&mut entry))
    }

    /// Keeps what is known of `key` from being forgotten. False when nothing is.
    pub fn touch(&self, key: Tag) -> bool {
        let generations = self.generations.read().unwrap_or_else(PoisonError::into_inner);
        if generations.young.contains_key(&key.0) {
            return true;
        }
        let Some((_, value)) = generations.old.remove(&key.0) else {
            return false;
        };
        if generations.young.insert(key.0, value).is_none() {
            generations.count.fetch_add(1, Relaxed);
        }
        self.note(key);
        true
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
        if generations.since == Timestamp::default() {
            // The first tick: what came before it is as young as can be.
            generations.since = now;
        }
        let full = *generations.count.get_mut() >= self.capacity * 3 / 8;
        if full || now.since(generations.since) >= life / 2 {
            generations.turn();
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

impl<V> Generations<V> {
    fn turn(&mut self) {
        self.old = mem::replace(&mut self.young, map());
        *self.count.get_mut() = 0;
        self.turn = self.turn.wrapping_add(1);
    }
}

/// Two indexes, one of them for what established accounts own: a flood of new accounts can then
/// only push out the memory of new accounts. An entry stays in the tier it was made in.
#[derive(Debug)]
pub struct Tiers<V> {
    aged: Index<V>,
    fresh: Index<V>,
}

impl<V: Clone + Default> Tiers<V> {
    /// `capacity` is that of each tier.
    pub fn new(capacity: usize) -> Self {
        Self { aged: Index::new(capacity), fresh: Index::new(capacity) }
    }

    pub fn get(&self, key: Tag) -> Option<V> {
        self.aged.get(key).or_else(|| self.fresh.get(key))
    }

    /// As [`Index::update`]; `aged` says in which tier an entry is made that is in neither.
    pub fn update<R>(&self, key: Tag, aged: bool, change: impl FnOnce(&mut V) -> R) -> Option<R> {
        let tier = if aged && !self.fresh.touch(key) || self.aged.touch(key) {
            &self.aged
        } else {
            &self.fresh
        };
        tier.update(key, change)
    }

    pub fn tick(&self, now: Timestamp, life: std::time::Duration) {
        self.aged.tick(now, life);
        self.fresh.tick(now, life);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LIFE: Duration = Duration::from_secs(100);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + seconds * 1000)
    }

    #[test]
    fn untouched_entries_go_after_two_rotations_and_touched_ones_stay() {
        let index = Index::<u32>::new(1000);
        index.tick(at(0), LIFE);
        for key in 1..=3 {
            index.update(Tag(key), |value| *value = 7);
        }
        index.tick(at(50), LIFE);
        assert!(index.touch(Tag(1)) && !index.touch(Tag(9)));
        index.update(Tag(2), |value| *value += 1);
        assert_eq!(index.amend(Tag(3), |value| *value), Some(7));
        index.tick(at(100), LIFE);
        assert_eq!([1, 2, 3, 9].map(|key| index.get(Tag(key))), [Some(7), Some(8), None, None]);
        assert_eq!(index.len(), 2);
    }

    #[test]
    fn nothing_is_forgotten_before_half_a_life() {
        let index = Index::<u32>::new(1000);
        index.update(Tag(1), |value| *value = 7);
        for second in 0..50 {
            index.tick(at(second), LIFE);
        }
        assert_eq!(index.get(Tag(1)), Some(7));
        index.tick(at(50), LIFE);
        assert_eq!(index.get(Tag(1)), Some(7), "old, but not gone");
    }

    #[test]
    fn a_flood_never_holds_more_than_the_capacity() {
        let index = Index::<u32>::new(64);
        let mut taken = 0;
        for key in 0..10_000 {
            taken += u32::from(index.update(Tag(key), |_| ()).is_some());
            if key % 100 == 0 {
                index.tick(at(key / 100), LIFE);
            }
            assert!(index.len() <= 64, "{}", index.len());
        }
        assert!(taken >= 32 * 90, "full between two ticks only: {taken}");
    }

    #[test]
    fn a_full_index_still_knows_what_it_knows() {
        let index = Index::<u32>::new(8);
        (0..100).for_each(|key| {
            index.update(Tag(key), |value| *value += 1);
        });
        assert_eq!(index.update(Tag(0), |value| *value), Some(1));
        assert_eq!(index.update(Tag(99), |value| *value), None);
    }

    #[test]
    fn new_accounts_cannot_push_out_what_aged_ones_own() {
        let tiers = Tiers::<u32>::new(64);
        tiers.update(Tag(1), true, |value| *value = 7);
        tiers.update(Tag(2), false, |value| *value = 8);
        for key in 100..10_000 {
            tiers.update(Tag(key), false, |_| ());
            tiers.tick(at(0), LIFE);
        }
        assert_eq!(tiers.get(Tag(1)), Some(7));
        assert_eq!(tiers.get(Tag(2)), None);
    }

    #[test]
    fn an_entry_has_one_tier_whoever_changes_it() {
        let tiers = Tiers::<u32>::new(64);
        tiers.update(Tag(1), true, |value| *value += 1);
        tiers.update(Tag(1), false, |value| *value += 1);
        tiers.update(Tag(2), false, |value| *value += 1);
        tiers.update(Tag(2), true, |value| *value += 1);
        assert_eq!((tiers.get(Tag(1)), tiers.get(Tag(2))), (Some(2), Some(2)));
        assert_eq!((tiers.aged.len(), tiers.fresh.len()), (1, 1));
    }

    #[test]
    fn two_indexes_with_one_history_are_walked_in_one_order() {
        let walk = || {
            let index = Index::<u64>::new(4096);
            (0..1000_u64).for_each(|key| {
                index.update(Tag(key.wrapping_mul(0x1234_5678_9abc_def1)), |value| *value = key);
            });
            let mut seen = Vec::new();
            index.each(|key, _| seen.push(key));
            seen
        };
        assert_eq!(walk(), walk());
    }
}
