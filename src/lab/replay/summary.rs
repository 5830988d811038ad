//! What a replay found.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::ReplayError;
use crate::engine::Verdict;
use crate::identity::AccountId;
use crate::policy::Action;
use crate::signal::Ask;

/// Bad lines that are kept with their reasons; the rest is only counted.
const KEPT_BAD: usize = 20;

/// Accounts counted one by one; the rest is counted in the totals alone.
const MAX_ACCOUNTS: usize = 1 << 20;

/// Totals of one replay.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    pub lines: u64,
    pub asks: u64,
    /// Ends that found their ask.
    pub ends: u64,
    /// Ends whose ask is not in the log or was given up.
    pub unmatched: u64,
    /// Asks given up because too many were waiting for their end.
    pub given_up: u64,
    /// Asks whose outcome is the one that was logged.
    pub agreements: u64,
    /// How many asks went from one outcome to another.
    #[serde(serialize_with = "pairs")]
    pub disagreements: BTreeMap<(Action, Action), u64>,
    pub accounts: BTreeMap<AccountId, Counts>,
    pub bad: u64,
    pub bad_lines: Vec<BadLine>,
    pub digest: Digest,
}

/// One account's asks by what happens to them now, allow first, and how many of them differ from
/// the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Counts {
    pub asks: u64,
    pub outcomes: [u64; Action::ALL.len()],
    pub changed: u64,
}

/// A line that can't be read, by its number from one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BadLine {
    pub line: u64,
    pub why: String,
}

/// A hash over every verdict in order: equal digests, equal replays. Printed as 64 hex digits.
#[derive(Clone, Debug, Default)]
pub struct Digest(blake3::Hasher);

impl Digest {
    fn take(&mut self, ask: &Ask, verdict: &Verdict) {
        self.0.update(&ask.id.0.0.to_le_bytes());
        // Verdicts hold finite numbers, names and flags, so this can't fail; if it ever does, the
        // digest only becomes coarser.
        if let Ok(text) = serde_json::to_vec(verdict) {
            self.0.update(&(text.len() as u64).to_le_bytes()).update(&text);
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.finalize(), f)
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.finalize() == other.0.finalize()
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl Summary {
    pub(super) fn asked(&mut self, ask: &Ask, logged: &Verdict, now: &Verdict) {
        let (before, after) = (logged.outcome(), now.outcome());
        self.asks += 1;
        self.digest.take(ask, now);
        if before == after {
            self.agreements += 1;
        } else {
            *self.disagreements.entry((before, after)).or_default() += 1;
        }
        let account = ask.caller.account;
        if self.accounts.len() < MAX_ACCOUNTS || self.accounts.contains_key(&account) {
            let counts = self.accounts.entry(account).or_default();
            counts.asks += 1;
            counts.outcomes[after.index()] += 1;
            counts.changed += u64::from(before != after);
        }
    }

    pub(super) fn unreadable(&mut self, line: u64, why: String) {
        self.bad += 1;
        if self.bad_lines.len() < KEPT_BAD {
            self.bad_lines.push(BadLine { line, why });
        }
    }

    /// Turns a log of which more than 1 % can't be read into an error.
    pub(super) fn check(self) -> Result<Self, ReplayError> {
        match self.bad_lines.first() {
            Some(first) if self.bad * 100 > self.lines => Err(ReplayError::TooManyBad {
                bad: self.bad,
                lines: self.lines,
                line: first.line,
                why: first.why.clone(),
            }),
            _ => Ok(self),
        }
    }
}

fn pairs<S: serde::Serializer>(
    pairs: &BTreeMap<(Action, Action), u64>,
    to: S,
) -> Result<S::Ok, S::Error> {
    let named = |(&(before, after), &count): (&(Action, Action), &u64)| {
        (format!("{} -> {}", before.name(), after.name()), count)
    };
    to.collect_map(pairs.iter().map(named))
}
