//! Who was offered what and what became of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use stillguard::lab::material::{Cohort, Harvest};

use crate::client::{Fate, Outcome};

/// A line of the table.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Row {
    Honest(Cohort),
    Campaign(usize, Harvest),
}

/// Counts of one row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) accounts: usize,
    pub(crate) offered: u64,
    pub(crate) served: u64,
    pub(crate) throttled: u64,
    pub(crate) challenged: u64,
    pub(crate) dropped: u64,
    pub(crate) failed: u64,
    /// Times a campaign had no account to send with.
    pub(crate) starved: u64,
    /// Accounts that were dropped at least once.
    pub(crate) dropped_accounts: BTreeSet<String>,
    /// First refusal by stillguard: when, and after how many exchanges of this row.
    pub(crate) first: Option<(u64, u64)>,
    /// Answers served by quarter of the whole time.
    pub(crate) quarters: [u64; 4],
    /// Accounts a campaign lost and opened.
    pub(crate) lost: Option<(usize, usize)>,
}

/// A refusal worth explaining.
#[derive(Clone, Debug)]
pub(crate) struct Noted {
    pub(crate) row: Row,
    pub(crate) decision: String,
}

/// Everything counted, shared by all players.
#[derive(Debug)]
pub(crate) struct Board {
    length: u64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    rows: BTreeMap<Row, Counts>,
    /// The last drop and the last other refusal of a campaign: what `explain` is shown with.
    drop: Option<Noted>,
    refusal: Option<Noted>,
}

impl Board {
    /// `length` is the time of play in milliseconds.
    pub(crate) fn new(length: u64) -> Self {
        Self { length, inner: Mutex::default() }
    }

    pub(crate) fn joins(&self, row: Row) {
        self.lock().rows.entry(row).or_default().accounts += 1;
    }

    pub(crate) fn count(&self, row: Row, key: &str, outcome: &Outcome, now: u64) {
        let mut inner = self.lock();
        let quarter = (now * 4 / self.length.max(1)).min(3) as usize;
        let counts = inner.rows.entry(row).or_default();
        counts.offered += 1;
        match outcome.fate {
            Fate::Served(_) => {
                counts.served += 1;
                counts.quarters[quarter] += 1;
            }
            Fate::Throttled(_) => counts.throttled += 1,
            Fate::Challenged => counts.challenged += 1,
            Fate::Dropped => {
                counts.dropped += 1;
                counts.dropped_accounts.insert(key.to_owned());
            }
            Fate::Failed => counts.failed += 1,
        }
        if matches!(outcome.fate, Fate::Served(_) | Fate::Failed) {
            return;
        }
        let offered = counts.offered;
        counts.first.get_or_insert((now, offered));
        if let (Row::Campaign(..), Some(decision)) = (row, outcome.decision.clone()) {
            let noted = Some(Noted { row, decision });
            match outcome.fate {
                Fate::Dropped => inner.drop = noted,
                _ => inner.refusal = noted,
            }
        }
    }

    pub(crate) fn starved(&self, row: Row) {
        self.lock().rows.entry(row).or_default().starved += 1;
    }

    /// How many accounts a campaign lost, of how many it opened.
    pub(crate) fn lost(&self, row: Row, lost: usize, opened: usize) {
        let mut inner = self.lock();
        let counts = inner.rows.entry(row).or_default();
        (counts.lost, counts.accounts) = (Some((lost, opened)), opened);
    }

    pub(crate) fn rows(&self) -> Vec<(Row, Counts)> {
        self.lock().rows.iter().map(|(row, counts)| (*row, counts.clone())).collect()
    }

    /// The decision to explain: a drop if there is one.
    pub(crate) fn noted(&self) -> Option<Noted> {
        let inner = self.lock();
        inner.drop.clone().or_else(|| inner.refusal.clone())
    }

    /// All honest rows, or all campaigns, in one.
    pub(crate) fn total(&self, campaigns: bool) -> Counts {
        let rows = self.rows();
        let of = rows.iter().filter(|(row, _)| matches!(row, Row::Campaign(..)) == campaigns);
        of.fold(Counts::default(), |total, (_, counts)| total.plus(counts))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Row {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Honest(cohort) => cohort.name().to_owned(),
            Self::Campaign(_, harvest) => format!("campaign: {}", harvest.name()),
        }
    }
}

impl Counts {
    pub(crate) fn refused(&self) -> u64 {
        self.throttled + self.challenged + self.dropped
    }

    fn plus(mut self, other: &Self) -> Self {
        self.accounts += other.accounts;
        self.offered += other.offered;
        self.served += other.served;
        self.throttled += other.throttled;
        self.challenged += other.challenged;
        self.dropped += other.dropped;
        self.failed += other.failed;
        self.starved += other.starved;
        self.dropped_accounts.extend(other.dropped_accounts.iter().cloned());
        for (sum, more) in self.quarters.iter_mut().zip(other.quarters) {
            *sum += more;
        }
        self
    }
}
