//! How an index outlives the process.
//!
//! An entry is written with the turn of the generation it lies in, so what has been forgotten since
//! needs no word of its own: it belongs to a turn that is over. The index's own state has the empty
//! key; in [`Tiers`] every key begins with the tier's number.

use super::super::changes::Changed;
use super::super::shelf::{Entries, Kept, Shelf, decode, decode_short, encode};
use super::*;
use crate::time::Shift;

/// Which turn it is, and since when.
type State = (u32, Timestamp);

impl<V: Kept + Clone + Send + Sync> Index<V> {
    fn state(&self) -> State {
        let generations = self.generations.read().unwrap_or_else(PoisonError::into_inner);
        (generations.turn, generations.since)
    }

    /// What is known of `key`, with the turn of its generation.
    fn placed(&self, key: u64) -> Option<(u32, V)> {
        let generations = self.generations.read().unwrap_or_else(PoisonError::into_inner);
        let (young, old) = (&generations.young, &generations.old);
        let found = young.get(&key).map(|entry| (generations.turn, entry.clone()));
        found.or_else(|| {
            old.get(&key).map(|entry| (generations.turn.wrapping_sub(1), entry.clone()))
        })
    }

    /// Everything, copied at once: about 10 ns per entry, for which rotation has to wait.
    fn copied(&self) -> Vec<(u64, u32, V)> {
        let generations = self.generations.read().unwrap_or_else(PoisonError::into_inner);
        let (young, old) = (&generations.young, &generations.old);
        let mut all = Vec::with_capacity(generations.count.load(Relaxed) + old.len());
        for (map, turn) in [(young, generations.turn), (old, generations.turn.wrapping_sub(1))] {
            all.extend(map.iter().map(|entry| (*entry.key(), turn, entry.clone())));
        }
        all
    }

    /// What is known of one key, if anything is.
    pub fn entry(&self, key: u64, out: &mut Entries<'_>) {
        if let Some(placed) = self.placed(key) {
            out(&[], &encode(&self.state()));
            out(&key.to_le_bytes(), &encode(&placed));
        }
    }

    fn take_back(&self, key: u64, turn: u32, value: V) {
        let mut generations = self.generations.write().unwrap_or_else(PoisonError::into_inner);
        generations.turn_to(turn);
        // Both are rid of it: it may lie in another generation than when it was last written.
        if generations.young.remove(&key).is_some() {
            *generations.count.get_mut() -= 1;
        }
        generations.old.remove(&key);
        // Half is for new entries, half for those that are carried over from the old generation.
        if turn == generations.turn && *generations.count.get_mut() < self.capacity {
            generations.young.insert(key, value);
            *generations.count.get_mut() += 1;
        } else if turn.wrapping_add(1) == generations.turn && generations.old.len() < self.capacity
        {
            generations.old.insert(key, value);
        }
    }
}

impl<V> Generations<V> {
    /// Turns until it is `turn`; not at all if it is past.
    fn turn_to(&mut self, turn: u32) {
        let ahead = turn.wrapping_sub(self.turn);
        if ahead == 0 || ahead > u32::MAX / 2 {
            return;
        }
        // Two turns forget everything.
        (0..ahead.min(2)).for_each(|_| self.turn());
        self.turn = turn;
    }
}

impl<V: Kept + Clone + Send + Sync> Shelf for Index<V> {
    fn watch(&self) {
        self.changes.watch();
    }

    fn changed(&self, out: &mut Entries<'_>) {
        let Changed::Keys(keys) = self.changes.take() else { return self.all(out) };
        if keys.is_empty() {
            return;
        }
        out(&[], &encode(&self.state()));
        for key in keys {
            if let Some(placed) = self.placed(key) {
                out(&key.to_le_bytes(), &encode(&placed));
            }
        }
    }

    fn all(&self, out: &mut Entries<'_>) {
        out(&[], &encode(&self.state()));
        for (key, turn, value) in self.copied() {
            out(&key.to_le_bytes(), &encode(&(turn, value)));
        }
    }

    fn recall(&self, key: &[u8], value: &[u8], by: Shift) -> bool {
        if key.is_empty() {
            let Some((turn, since)) = decode::<State>(value) else { return false };
            let mut generations = self.generations.write().unwrap_or_else(PoisonError::into_inner);
            generations.turn_to(turn);
            generations.since = since.shifted(by);
            return true;
        }
        let key = key.try_into().map(u64::from_le_bytes);
        let (Ok(key), Some((turn, mut value))) = (key, decode_short::<(u32, V)>(value)) else {
            return false;
        };
        value.shift(by);
        self.take_back(key, turn, value);
        true
    }

    fn waiting(&self) -> usize {
        self.changes.len()
    }
}

impl<V: Kept + Clone + Send + Sync> Shelf for Tiers<V> {
    fn watch(&self) {
        self.each(|_, tier| tier.watch());
    }

    fn changed(&self, out: &mut Entries<'_>) {
        self.each(|number, tier| tier.changed(&mut |key, value| out(&of_tier(number, key), value)));
    }

    fn all(&self, out: &mut Entries<'_>) {
        self.each(|number, tier| tier.all(&mut |key, value| out(&of_tier(number, key), value)));
    }

    fn recall(&self, key: &[u8], value: &[u8], by: Shift) -> bool {
        match key {
            [0, key @ ..] => self.aged.recall(key, value, by),
            [1, key @ ..] => self.fresh.recall(key, value, by),
            _ => false,
        }
    }

    fn waiting(&self) -> usize {
        self.aged.waiting() + self.fresh.waiting()
    }
}

impl<V> Tiers<V> {
    fn each(&self, mut visit: impl FnMut(u8, &Index<V>)) {
        visit(0, &self.aged);
        visit(1, &self.fresh);
    }
}

fn of_tier(number: u8, key: &[u8]) -> Vec<u8> {
    [&[number], key].concat()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    impl Kept for u32 {}

    const LIFE: Duration = Duration::from_secs(100);

    /// One write to a shelf and what is read back of it.
    fn copy(from: &dyn Shelf, to: &dyn Shelf, all: bool) {
        let mut put = |key: &[u8], value: &[u8]| assert!(to.recall(key, value, Shift::default()));
        if all { from.all(&mut put) } else { from.changed(&mut put) }
    }

    fn contents(index: &Index<u32>) -> Vec<(u64, u32, u32)> {
        let mut all = index.copied();
        all.sort_unstable();
        all
    }

    proptest! {
        /// Steps: what to do, with which key, and whether the copy is brought up to date then.
        #[test]
        fn a_copy_kept_up_to_date_is_what_it_copies(
            steps in prop::collection::vec((0u8..4, 0u64..12, any::<bool>()), 1..200)
        ) {
            let (index, kept) = (Index::<u32>::new(16), Index::<u32>::new(16));
            index.watch();
            let mut now = Timestamp::from_millis(1_000_000);
            index.tick(now, LIFE);
            for (what, key, copied) in steps {
                match what {
                    0 | 1 => {
                        index.update(Tag(key), |value| *value += 1);
                    }
                    2 => {
                        index.touch(Tag(key));
                    }
                    _ => {
                        now = now + Duration::from_secs(20);
                        index.tick(now, LIFE);
                    }
                }
                if copied {
                    copy(&index, &kept, false);
                }
            }
            // Turning is told with the next change.
            index.update(Tag(99), |_| ());
            index.note(Tag(99));
            copy(&index, &kept, false);
            prop_assert_eq!(contents(&kept), contents(&index));
            prop_assert_eq!(kept.state(), index.state());
            let whole = Index::<u32>::new(16);
            copy(&index, &whole, true);
            prop_assert_eq!(contents(&whole), contents(&index));
        }

        #[test]
        fn junk_is_taken_by_no_shelf_and_panics_nowhere(key: Vec<u8>, value: Vec<u8>) {
            let tiers = Tiers::<u32>::new(16);
            tiers.recall(&key, &value, Shift(-5));
            tiers.recall(&[0], &value, Shift(i64::MIN));
            prop_assert!(tiers.aged.len() + tiers.fresh.len() <= 1);
        }
    }

    #[test]
    fn each_tier_takes_back_its_own() {
        let (tiers, kept) = (Tiers::<u32>::new(64), Tiers::<u32>::new(64));
        tiers.update(Tag(1), true, |value| *value = 7);
        tiers.update(Tag(2), false, |value| *value = 8);
        copy(&tiers, &kept, true);
        assert_eq!((kept.aged.get(Tag(1)), kept.fresh.get(Tag(2))), (Some(7), Some(8)));
        assert_eq!((kept.aged.len(), kept.fresh.len()), (1, 1));
    }
}
