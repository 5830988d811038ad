//! Challenges that outlive the process: a link stays good, and what is spent stays spent.

use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Challenges, seconds};
use crate::engine::memory::{Extent, Moment, Recall, Record, Remember, Sink};
use crate::identity::AccountId;
use crate::signal::shelf::{decode, encode};
use crate::time::Timestamp;

const SINCE: &str = "challenge.since";
const OPEN: &str = "challenge.open";
const CLEARED: &str = "challenge.cleared";
const SPENT: &str = "challenge.spent";
const TOLD: &str = "challenge.told";
const DENIED: &str = "challenge.denied";
const TAKEN: &str = "challenge.taken";

/// Entries: key, end of life, value.
type Entries<K, V> = Vec<(K, Timestamp, V)>;

/// What there is to write down, or has been read back so far.
#[derive(Debug, Default)]
pub(super) struct Recalled {
    since: Option<Timestamp>,
    open: Entries<[u8; 12], Option<AccountId>>,
    cleared: Entries<[u8; 12], u8>,
    spent: Entries<[u8; 8], ()>,
    told: Entries<AccountId, ()>,
    denied: Entries<AccountId, Timestamp>,
    taken: Entries<[u8; 16], ()>,
}

impl Remember for Challenges {
    fn tables(&self) -> Vec<&'static str> {
        vec![SINCE, OPEN, CLEARED, SPENT, TOLD, DENIED, TAKEN]
    }

    fn watch(&self) {
        let mut memory = self.memory();
        memory.open.watch();
        memory.cleared.watch();
        memory.spent.watch();
        memory.told.watch();
        memory.denied.watch();
        memory.taken.watch();
    }

    /// Says since when all that was spent is known: without it, no link outlives the process.
    fn preamble(&self, out: &mut Sink<'_>) {
        let since = Timestamp::from_millis(u64::from(self.started()) * 1000);
        out(Record { table: SINCE, key: &[], value: Some(&encode(&since)) });
    }

    fn decisions(&self, _: Moment, out: &mut Sink<'_>) {
        let mut memory = self.memory();
        let changes = Recalled {
            since: None,
            open: memory.open.changes(),
            cleared: memory.cleared.changes(),
            spent: memory.spent.changes(),
            told: memory.told.changes(),
            denied: memory.denied.changes(),
            taken: memory.taken.changes(),
        };
        drop(memory);
        changes.tell(out);
    }

    fn evidence(&self, _: Moment, _: &mut Sink<'_>) {}

    fn everything(&self, _: Moment, _: Extent, out: &mut Sink<'_>) {
        let memory = self.memory();
        let all = Recalled {
            since: None,
            open: memory.open.all(),
            cleared: memory.cleared.all(),
            spent: memory.spent.all(),
            told: memory.told.all(),
            denied: memory.denied.all(),
            taken: memory.taken.all(),
        };
        drop(memory);
        all.tell(out);
    }

    fn recall(&self, record: Record<'_>, recall: &Recall) -> bool {
        let mut recalled = self.recalled.lock().unwrap_or_else(PoisonError::into_inner);
        match record.table {
            SINCE => {
                let since = record.value.and_then(decode::<Timestamp>);
                recalled.since = since.map(|since| since.shifted(recall.shift));
                since.is_some()
            }
            OPEN => take(&mut recalled.open, record, recall),
            CLEARED => take(&mut recalled.cleared, record, recall),
            SPENT => take(&mut recalled.spent, record, recall),
            TOLD => take(&mut recalled.told, record, recall),
            TAKEN => take(&mut recalled.taken, record, recall),
            DENIED => {
                let known = recalled.denied.len();
                let taken = take(&mut recalled.denied, record, recall);
                let moved = recalled.denied.iter_mut().skip(known);
                moved.for_each(|(_, _, until)| *until = until.shifted(recall.shift));
                taken
            }
            _ => false,
        }
    }

    fn recalled(&self, whole: bool) {
        let mut recalled = self.recalled.lock().unwrap_or_else(PoisonError::into_inner);
        let recalled = std::mem::take(&mut *recalled);
        let mut memory = self.memory();
        memory.open.put_back(recalled.open);
        memory.cleared.put_back(recalled.cleared);
        memory.spent.put_back(recalled.spent);
        memory.told.put_back(recalled.told);
        memory.denied.put_back(recalled.denied);
        memory.taken.put_back(recalled.taken);
        // Where some may be missing, a link that was spent could be among them.
        if let Some(since) = recalled.since.filter(|_| whole) {
            self.started.store(seconds(since), Relaxed);
        }
    }

    fn waiting(&self) -> usize {
        let memory = self.memory();
        let marks = memory.told.waiting() + memory.denied.waiting() + memory.taken.waiting();
        memory.open.waiting() + memory.cleared.waiting() + memory.spent.waiting() + marks
    }
}

impl Recalled {
    fn tell(self, out: &mut Sink<'_>) {
        put(out, SPENT, self.spent);
        put(out, TAKEN, self.taken);
        put(out, DENIED, self.denied);
        put(out, CLEARED, self.cleared);
        put(out, OPEN, self.open);
        put(out, TOLD, self.told);
    }
}

fn put<K: Serialize, V: Serialize>(
    out: &mut Sink<'_>,
    table: &'static str,
    entries: Entries<K, V>,
) {
    for (key, end, value) in entries {
        out(Record { table, key: &encode(&key), value: Some(&encode(&(end, value))) });
    }
}

fn take<K: DeserializeOwned, V: DeserializeOwned>(
    entries: &mut Entries<K, V>,
    record: Record<'_>,
    recall: &Recall,
) -> bool {
    let value = record.value.and_then(decode::<(Timestamp, V)>);
    let (Some(key), Some((end, value))) = (decode(record.key), value) else { return false };
    let end = end.shifted(recall.shift);
    if end > recall.now.at {
        entries.push((key, end, value));
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::memory::VERSION;
    use crate::identity::Keyring;
    use crate::time::{Clock, Shift};

    fn challenges(clock: Clock) -> Challenges {
        Challenges::new(&Keyring::new([7; 32]), clock)
    }

    #[test]
    fn what_is_spent_and_open_outlives_the_process_until_it_expires() {
        let clock = Clock::starting_at(Timestamp::from_millis(1_790_000_000_000));
        let now = clock.now();
        let (before, hour) = (challenges(clock), super::super::DAY / 24);
        before.watch();
        let account = AccountId([3; 16]);
        let mut memory = before.memory();
        assert_eq!(memory.spent.first([1; 8], (), now, now + hour), Ok(true));
        *memory.open.renew([2; 12], now, hour) = Some(account);
        *memory.cleared.renew([2; 12], now, hour) += 3;
        drop(memory);
        let mut written = Vec::new();
        let moment = Moment { at: now, nanos: 0 };
        before.decisions(moment, &mut |record| {
            written.push((record.table, record.key.to_vec(), record.value.map(<[u8]>::to_vec)));
        });
        before.preamble(&mut |record| {
            written.push((record.table, record.key.to_vec(), record.value.map(<[u8]>::to_vec)));
        });
        assert_eq!((written.len(), before.waiting()), (4, 0));
        let after = |later, whole| {
            let (after, at) = (challenges(Clock::starting_at(now + later)), now + later);
            let shift = Shift(0);
            let now = Moment { at, nanos: 0 };
            let recall = Recall { now, shift, stepped: shift, version: VERSION };
            for (table, key, value) in &written {
                assert!(after.recall(Record { table, key, value: value.as_deref() }, &recall));
            }
            after.recalled(whole);
            // Links that were made before are good as long as it is known which of them are spent.
            assert_eq!(after.started() == before.started(), whole);
            let mut memory = after.memory();
            let open = memory.open.get(&[2; 12], at).copied().flatten();
            let cleared = memory.cleared.get(&[2; 12], at).copied();
            (memory.spent.first([1; 8], (), at, at + hour), open, cleared)
        };
        assert_eq!(after(hour / 2, true), (Ok(false), Some(account), Some(3)));
        assert_eq!(after(hour * 3, false), (Ok(true), None, None));
    }
}
