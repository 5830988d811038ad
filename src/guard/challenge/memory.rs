//! A bounded map whose entries expire in the order they came.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use crate::time::Timestamp;

/// Entries that all live equally long. Holds at most `capacity`.
#[derive(Debug)]
pub(super) struct Expiring<K, V> {
    entries: HashMap<K, (Timestamp, V), rapidhash::fast::RandomState>,
    /// Ends of lives, soonest first. An entry renewed since has a later one as well.
    ends: VecDeque<(Timestamp, K)>,
    capacity: usize,
    /// What of it has changed since somebody asked, once somebody does.
    changed: Option<HashSet<K, rapidhash::fast::RandomState>>,
}

/// There is no room, and nothing may be forgotten to make some.
#[derive(Debug, PartialEq)]
pub(super) struct Full;

impl<K: Copy + Eq + Hash, V> Expiring<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { entries: HashMap::default(), ends: VecDeque::new(), capacity, changed: None }
    }

    /// Starts noting what changes.
    pub(super) fn watch(&mut self) {
        self.changed.get_or_insert_default();
    }

    /// Notes that an entry's value has changed.
    pub(super) fn note(&mut self, key: K) {
        if let Some(changed) = &mut self.changed {
            changed.insert(key);
        }
    }

    /// What has changed since the last call: key, end of life, value.
    pub(super) fn changes(&mut self) -> Vec<(K, Timestamp, V)>
    where
        V: Clone,
    {
        let changed = self.changed.as_mut().map(std::mem::take).unwrap_or_default();
        let told = |key: K| self.entries.get(&key).map(|(end, value)| (key, *end, value.clone()));
        changed.into_iter().filter_map(told).collect()
    }

    /// How many have changed.
    pub(super) fn waiting(&self) -> usize {
        self.changed.as_ref().map_or(0, HashSet::len)
    }

    pub(super) fn all(&self) -> Vec<(K, Timestamp, V)>
    where
        V: Clone,
    {
        self.entries.iter().map(|(key, (end, value))| (*key, *end, value.clone())).collect()
    }

    /// Puts entries back that were written down, those that live longest if there are too many.
    pub(super) fn put_back(&mut self, entries: Vec<(K, Timestamp, V)>) {
        let entries = entries.into_iter().map(|(key, end, value)| (key, (end, value)));
        self.entries = entries.collect();
        let mut ends: Vec<_> = self.entries.iter().map(|(key, (end, _))| (*end, *key)).collect();
        ends.sort_by_key(|(end, _)| *end);
        self.ends = ends.into();
        while self.ends.len() > self.capacity {
            self.forget_oldest();
        }
    }

    /// Whether `key` was not there, and is now. Refuses rather than forget another key.
    pub(super) fn first(
        &mut self,
        key: K,
        value: V,
        now: Timestamp,
        expires: Timestamp,
    ) -> Result<bool, Full> {
        self.expire(now);
        if self.entries.contains_key(&key) {
            return Ok(false);
        }
        if self.ends.len() >= self.capacity {
            return Err(Full);
        }
        self.put(key, value, expires);
        Ok(true)
    }

    /// What is known of `key`, kept for one to two `life`s. Forgets the oldest to make room.
    ///
    /// An entry with a life left is not renewed: however often one key comes, it takes two places.
    pub(super) fn renew(&mut self, key: K, now: Timestamp, life: Duration) -> &mut V
    where
        V: Default,
    {
        self.expire(now);
        let end = self.entries.get(&key).map(|(expires, _)| *expires);
        let known = self.entries.remove(&key).map(|(_, value)| value).unwrap_or_default();
        if let Some(end) = end.filter(|end| end.since(now) >= life) {
            return self.place(key, known, end);
        }
        while self.ends.len() >= self.capacity {
            self.forget_oldest();
        }
        self.put(key, known, now + life * 2)
    }

    pub(super) fn get(&self, key: &K, now: Timestamp) -> Option<&V> {
        let (expires, value) = self.entries.get(key)?;
        (*expires > now).then_some(value)
    }

    fn put(&mut self, key: K, value: V, expires: Timestamp) -> &mut V {
        self.ends.push_back((expires, key));
        self.note(key);
        self.place(key, value, expires)
    }

    fn place(&mut self, key: K, value: V, expires: Timestamp) -> &mut V {
        &mut self.entries.entry(key).insert_entry((expires, value)).into_mut().1
    }

    fn expire(&mut self, now: Timestamp) {
        while self.ends.front().is_some_and(|(end, _)| *end <= now) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((end, key)) = self.ends.pop_front()
            && self.entries.get(&key).is_some_and(|(expires, _)| *expires == end)
        {
            self.entries.remove(&key);
            if let Some(changed) = &mut self.changed {
                changed.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn a_key_is_first_once_until_it_expires() {
        let mut spent = Expiring::new(8);
        assert_eq!(spent.first(1, (), at(0), at(10)), Ok(true));
        assert_eq!(spent.first(1, (), at(9), at(19)), Ok(false));
        assert_eq!(spent.first(1, (), at(10), at(20)), Ok(true));
    }

    #[test]
    fn a_full_map_forgets_nothing_that_must_stay() {
        let mut spent = Expiring::new(2);
        assert_eq!(spent.first(1, (), at(0), at(10)), Ok(true));
        assert_eq!(spent.first(2, (), at(1), at(11)), Ok(true));
        assert_eq!(spent.first(3, (), at(2), at(12)), Err(Full));
        assert_eq!(spent.first(3, (), at(10), at(20)), Ok(true));
        assert_eq!(spent.first(2, (), at(10), at(20)), Ok(false));
    }

    const LIFE: Duration = Duration::from_secs(10);

    #[test]
    fn a_renewed_entry_keeps_its_value_and_outlives_its_first_end() {
        let mut known = Expiring::<_, u32>::new(8);
        *known.renew(1, at(0), LIFE) += 1;
        *known.renew(1, at(15), LIFE) += 1;
        known.renew(2, at(21), LIFE);
        assert_eq!(known.get(&1, at(34)), Some(&2));
        assert_eq!(known.get(&1, at(35)), None);
    }

    #[test]
    fn a_key_that_comes_often_pushes_out_nobody() {
        let mut known = Expiring::<_, u32>::new(4);
        known.renew(1, at(0), LIFE);
        for _ in 0..100 {
            known.renew(2, at(1), LIFE);
        }
        assert!(known.get(&1, at(1)).is_some());
    }

    #[test]
    fn what_is_put_back_expires_as_it_would_have() {
        let mut known = Expiring::<u8, u32>::new(8);
        known.watch();
        *known.renew(1, at(0), LIFE) += 7;
        known.renew(2, at(5), LIFE);
        assert_eq!(known.changes().len(), 2);
        assert_eq!(known.changes().len(), 0);
        *known.renew(1, at(6), LIFE) += 1;
        assert_eq!(known.waiting(), 0, "whoever changes a value says so");
        known.note(1);
        assert_eq!(known.changes(), [(1, at(20), 8)]);
        let mut again = Expiring::new(8);
        again.put_back(known.all());
        assert_eq!(again.first(9, 0, at(21), at(40)), Ok(true));
        assert_eq!((again.get(&1, at(21)), again.get(&2, at(21))), (None, Some(&0)));
        let mut small = Expiring::new(1);
        small.put_back(known.all());
        assert_eq!((small.get(&1, at(7)), small.get(&2, at(7))), (None, Some(&0)));
    }

    #[test]
    fn renewing_never_outgrows_the_capacity() {
        let mut known = Expiring::<_, u32>::new(3);
        for key in 0..100 {
            known.renew(key % 5, at(0), LIFE);
            assert!(known.entries.len() <= 3 && known.ends.len() <= 3);
        }
        assert!(known.get(&4, at(0)).is_some() && known.get(&0, at(0)).is_none());
    }
}
