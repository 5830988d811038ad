//! Memory that outlives the process, as records: a table, a key and a value.
//!
//! The engine writes nothing down itself. Whoever does asks for what has changed, or for everything,
//! and gives it back after a start. Every record is whole in itself and replaces the one before it, so
//! records may be written twice, or late, and still be read back as they were last written.
//!
//! To keep something new: a field of an account goes to the end of `Saved`, where
//! older records read as if it were zero; what a signal remembers is kept as it is; an index of the engine's own is one more of
//! `Engine::shelves`, any other table one more name, with its arm in [`Remember::recall`].

mod engine;
mod pace;
#[cfg(test)]
pub(super) mod tests;

use std::collections::BTreeMap;
use std::sync::Mutex;

pub(super) use self::pace::KeptPace;
use super::account::Account;
use super::{Engine, Timestamp};
use crate::identity::AccountId;
use crate::policy::Action;
use crate::signal::changes::Changes;
use crate::time::Shift;

/// Somebody whose memory outlives the process. Methods that give records may be called at any time,
/// and hold no lock while they give one.
pub trait Remember: Send + Sync {
    /// Names of the tables, each the same for ever. A record of a table that nobody has is dropped.
    fn tables(&self) -> Vec<&'static str>;

    /// Starts noting changes. Until then nothing has changed.
    fn watch(&self);

    /// What a reader needs to understand the records after it. It comes first in every file.
    fn preamble(&self, _: &mut Sink<'_>) {}

    /// Decisions taken since the last call: what a caller is refused by, or was granted.
    fn decisions(&self, now: Moment, out: &mut Sink<'_>);

    /// All else that has changed since the last call.
    fn evidence(&self, now: Moment, out: &mut Sink<'_>);

    /// Everything there is; where there is no room for that, what `extent` says.
    fn everything(&self, now: Moment, extent: Extent, out: &mut Sink<'_>);

    /// Takes back a record. False when it says nothing.
    fn recall(&self, record: Record<'_>, recall: &Recall) -> bool;

    /// Every record there was has been given back; `whole`: and none is known to be missing.
    fn recalled(&self, _whole: bool) {}

    /// About how many records have changed.
    fn waiting(&self) -> usize;
}

/// Takes records.
pub type Sink<'a> = dyn FnMut(Record<'_>) + 'a;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Record<'a> {
    pub table: &'static str,
    pub key: &'a [u8],
    /// None: the key is gone.
    pub value: Option<&'a [u8]>,
}

/// How soon a change must be on disk: in a fraction of a second or in some seconds.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Urgency {
    Evidence,
    Decision,
}

/// How much of memory is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Extent {
    Whole,
    /// Accounts that are established, held or cleared, and crowds: what can't be learnt anew within
    /// the hour. No fleet index, no newcomer that nothing speaks against.
    Lean,
}

/// The time of day, and nanoseconds of the same clock.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub at: Timestamp,
    pub nanos: u64,
}

/// When records are read back, and by which clock they were written.
#[derive(Clone, Copy, Debug)]
pub struct Recall {
    pub now: Moment,
    /// How far times move.
    pub shift: Shift,
    /// How much of that is known to be a step of the clock. The rest is an absence of which nobody
    /// knows how long it really was: evidence sits it out, while a quota's day may well be over.
    pub stepped: Shift,
    /// The [`VERSION`] of the build that wrote them.
    pub version: u16,
}

/// The shape of records. It rises when a build before would misread one, which then leaves the file
/// alone; a build after it reads what [`Recall::version`] says. A field added at a record's end needs
/// no new one.
pub const VERSION: u16 = 1;

/// What of the engine's memory is not written down yet.
#[derive(Debug)]
pub(super) struct Unwritten {
    decisions: Changes<AccountId>,
    evidence: Changes<AccountId>,
    marks: Mutex<Option<Marks>>,
    pools: Mutex<BTreeMap<Vec<u8>, KeptPace>>,
    /// Which signal of this build each one of the file being read is.
    columns: Mutex<Vec<Option<usize>>>,
}

/// When what was done last: sweep, review with its crowds, and the learning period.
type Marks = (Timestamp, (Timestamp, u32), (Timestamp, Action));

impl Default for Unwritten {
    fn default() -> Self {
        // An account is noted once, so there is a bound without one.
        let changes = || Changes::new(usize::MAX);
        let (decisions, evidence) = (changes(), changes());
        let (marks, pools, columns) = Default::default();
        Self { decisions, evidence, marks, pools, columns }
    }
}

impl Unwritten {
    fn of(&self, urgency: Urgency) -> &Changes<AccountId> {
        match urgency {
            Urgency::Evidence => &self.evidence,
            Urgency::Decision => &self.decisions,
        }
    }

    /// An account is no longer there.
    pub(super) fn forgotten(&self, id: AccountId) {
        self.evidence.note(id, spread(id));
    }
}

impl Engine {
    /// Notes that an account is to be written down. The account is locked: whoever writes it down
    /// can't come between.
    pub(super) fn note(&self, id: AccountId, account: &mut Account, urgency: Urgency) {
        let changes = self.unwritten.of(urgency);
        if changes.is_watched() && account.unwritten < Some(urgency) {
            account.unwritten = Some(urgency);
            changes.note(id, spread(id));
        }
    }
}

fn spread(id: AccountId) -> u64 {
    u64::from(id.0[15])
}
