//! Paces of the end users that accounts name in their requests.
//!
//! Who names an end user is believed, for only its own account can gain by a lie: its limits, and
//! those of its group and tenant, hold whatever it makes up. So what is forgotten is an account's
//! own as well: where it has its share, or the table is full, the end user that it named longest ago
//! makes room, and begins anew when it is named again. An account that has none to make room while
//! others fill the table is limited as a whole alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use dashmap::DashMap;
use lru::LruCache;

use super::{KeyHash, Pace};
use crate::identity::{AccountId, Tag};
use crate::time::Timestamp;

/// One account may hold so much of the table: 1 in this many.
const SHARE: usize = 16;

/// How long an end user is kept unnamed: until no quota has a window left; sooner, round by round,
/// where the table is nearly full. In hours.
const LIVES: [u64; 3] = [31 * 24, 24, 1];

#[derive(Debug, Default)]
pub(super) struct EndUsers {
    /// Of each account, in the order in which they were last named.
    accounts: DashMap<AccountId, LruCache<Tag, Seat, KeyHash>, KeyHash>,
    count: AtomicUsize,
}

#[derive(Debug)]
struct Seat {
    pace: Arc<Pace>,
    last: Timestamp,
}

impl EndUsers {
    /// The pace of one end user of `account`, where at most `most` are remembered in all.
    pub(super) fn get(
        &self,
        (account, user): (AccountId, Tag),
        at: Timestamp,
        most: usize,
    ) -> Option<Arc<Pace>> {
        let fresh = || LruCache::unbounded_with_hasher(KeyHash::default());
        let mut seats = self.accounts.entry(account).or_insert_with(fresh);
        if let Some(seat) = seats.get_mut(&user) {
            seat.last = seat.last.max(at);
            return Some(Arc::clone(&seat.pace));
        }
        let more = |count: usize| (count < most).then(|| count + 1);
        let fits = seats.len() < (most / SHARE).max(1)
            && self.count.fetch_update(Relaxed, Relaxed, more).is_ok();
        if !fits {
            seats.pop_lru()?;
        }
        let pace = Arc::default();
        seats.put(user, Seat { pace: Arc::clone(&pace), last: at });
        Some(pace)
    }

    /// Forgets those who have not been named for long.
    pub(super) fn sweep(&self, now: Timestamp, most: usize) {
        for (round, hours) in LIVES.into_iter().enumerate() {
            if round > 0 && self.len() <= most / 10 * 9 {
                break;
            }
            let life = Duration::from_secs(hours * 3600);
            self.accounts.retain(|_, seats| {
                while seats.peek_lru().is_some_and(|(_, seat)| now.since(seat.last) >= life) {
                    seats.pop_lru();
                    self.count.fetch_sub(1, Relaxed);
                }
                !seats.is_empty()
            });
        }
    }

    pub(super) fn len(&self) -> usize {
        self.count.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 160;
    const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

    fn pace(table: &EndUsers, account: u8, user: u64) -> Option<Arc<Pace>> {
        table.get((AccountId([account; 16]), Tag(user)), NOW, MOST)
    }

    #[test]
    fn an_account_that_makes_up_end_users_forgets_its_own_and_nobody_elses() {
        let table = EndUsers::default();
        let kept = pace(&table, 1, 1).unwrap();
        for user in 0..10_000 {
            assert!(pace(&table, 2, user).is_some());
        }
        assert_eq!(table.len(), 1 + MOST / SHARE);
        assert!(Arc::ptr_eq(&kept, &pace(&table, 1, 1).unwrap()));
        let latest = pace(&table, 2, 9_999).unwrap();
        assert!(Arc::ptr_eq(&latest, &pace(&table, 2, 9_999).unwrap()));
        assert_eq!(table.len(), 1 + MOST / SHARE, "who is known takes no second seat");
    }

    #[test]
    fn a_full_table_grows_no_further_and_takes_nothing_from_those_in_it() {
        let table = EndUsers::default();
        let kept = pace(&table, 0, 0).unwrap();
        for account in 0..=255 {
            for user in 0..12 {
                let named = pace(&table, account, user);
                assert_eq!(named.is_some(), account < 16, "{account}");
                assert!(table.len() <= MOST);
            }
        }
        assert_eq!(table.len(), MOST);
        assert!(!Arc::ptr_eq(&kept, &pace(&table, 0, 0).unwrap()), "12 were too many for one");
        let hour = NOW + Duration::from_secs(3600);
        table.sweep(hour, MOST);
        assert_eq!((table.len(), table.accounts.len()), (0, 0), "full: an hour is long");
        assert!(pace(&table, 200, 1).is_some());
        table.sweep(hour, MOST);
        assert_eq!(table.len(), 1, "not full: an hour is short");
        table.sweep(NOW + Duration::from_secs(31 * 86_400), MOST);
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn threads_at_once_never_seat_more_than_there_are_seats() {
        let table = EndUsers::default();
        std::thread::scope(|scope| {
            for account in 0..32 {
                let table = &table;
                scope.spawn(move || {
                    for user in 0..200 {
                        let _ = pace(table, account, user);
                        assert!(table.len() <= MOST);
                    }
                });
            }
        });
        let seated: usize = table.accounts.iter().map(|seats| seats.len()).sum();
        assert_eq!((seated, table.len()), (MOST, MOST));
    }
}
