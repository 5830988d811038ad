//! Which keys have changed since somebody last asked.

use std::mem;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Notes keys once there is somebody to ask for them: about 20 ns each, before that one load.
///
/// Bounded: where more keys are noted than there is room for, all that is known is that much has
/// changed.
#[derive(Debug)]
pub struct Changes<K> {
    watched: AtomicBool,
    /// Keys that one stripe holds.
    room: usize,
    stripes: [Mutex<Stripe<K>>; STRIPES],
}

#[derive(Debug)]
struct Stripe<K> {
    keys: Vec<K>,
    overflown: bool,
}

/// What has changed, every key once.
#[derive(Debug, PartialEq)]
pub enum Changed<K> {
    Keys(Vec<K>),
    /// More than was noted.
    Anything,
}

/// So that writers on several cores seldom meet.
const STRIPES: usize = 16;

impl<K: Copy + Ord> Changes<K> {
    /// Holds at most `room` keys, repeated ones counted.
    pub fn new(room: usize) -> Self {
        let stripe = |_| Mutex::new(Stripe { keys: Vec::new(), overflown: false });
        let (watched, room) = (AtomicBool::new(false), room.div_ceil(STRIPES));
        Self { watched, room, stripes: std::array::from_fn(stripe) }
    }

    /// Starts noting.
    pub fn watch(&self) {
        self.watched.store(true, Relaxed);
    }

    pub fn is_watched(&self) -> bool {
        self.watched.load(Relaxed)
    }

    /// Notes a key. `spread`, the same for the same key, chooses where.
    pub fn note(&self, key: K, spread: u64) {
        if !self.is_watched() {
            return;
        }
        let mut stripe = lock(&self.stripes[spread as usize % STRIPES]);
        if stripe.keys.len() >= self.room {
            stripe.keys.sort_unstable();
            stripe.keys.dedup();
            if stripe.keys.len() > self.room / 2 {
                *stripe = Stripe { keys: Vec::new(), overflown: true };
            }
        }
        if !stripe.overflown {
            stripe.keys.push(key);
        }
    }

    /// What has changed since the last call.
    pub fn take(&self) -> Changed<K> {
        let (mut keys, mut overflown) = (Vec::new(), false);
        for stripe in &self.stripes {
            let mut stripe = lock(stripe);
            keys.append(&mut stripe.keys);
            overflown |= mem::take(&mut stripe.overflown);
        }
        if overflown {
            return Changed::Anything;
        }
        keys.sort_unstable();
        keys.dedup();
        Changed::Keys(keys)
    }

    /// Keys noted, repeated ones counted.
    pub fn len(&self) -> usize {
        self.stripes.iter().map(|stripe| lock(stripe).keys.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A list of keys is whole after any panic.
fn lock<K>(stripe: &Mutex<Stripe<K>>) -> MutexGuard<'_, Stripe<K>> {
    stripe.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_told_once_however_often_it_changed() {
        let changes = Changes::new(1000);
        changes.note(7, 7);
        assert_eq!(changes.take(), Changed::Keys(vec![]), "nobody watched");
        changes.watch();
        for key in [3, 1, 3, 2, 1] {
            changes.note(key, key);
        }
        assert_eq!(changes.take(), Changed::Keys(vec![1, 2, 3]));
        assert_eq!(changes.take(), Changed::Keys(vec![]));
    }

    #[test]
    fn a_flood_is_bounded_and_not_forgotten() {
        let changes = Changes::new(160);
        changes.watch();
        (0..100_000).for_each(|_| changes.note(1, 1));
        assert_eq!(changes.take(), Changed::Keys(vec![1]), "one key takes one place");
        for key in 0..100_000 {
            changes.note(key, key);
            assert!(changes.len() <= 160);
        }
        assert_eq!(changes.take(), Changed::Anything);
        assert_eq!(changes.take(), Changed::Keys(vec![]));
    }
}
