//! How the store fares: what its writer tells everybody else.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// Written by the writer, read by metrics.
#[derive(Debug, Default)]
pub(super) struct Status {
    pub(super) failing: AtomicBool,
    pub(super) lean: AtomicBool,
    pub(super) waiting: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) snapshots: AtomicU64,
    pub(super) set_aside: AtomicU64,
    /// Nanoseconds of the clock at which all that had changed was on disk.
    pub(super) committed: AtomicU64,
}

/// What `Status` says at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Report {
    /// Everything is written as it should be.
    pub keeping: bool,
    /// There is no room for all of memory: indexes and quiet newcomers are left out.
    pub lean: bool,
    /// Records that have changed and are not on disk yet.
    pub waiting: u64,
    /// Since decisions were last on disk, all of them.
    pub age_nanos: u64,
    /// On disk, all files.
    pub bytes: u64,
    pub failures: u64,
    pub snapshots: u64,
    /// Files that could not be read, at the last start.
    pub lost: u64,
}

impl Status {
    /// `now` is in nanoseconds of the clock.
    pub(super) fn report(&self, now: u64) -> Report {
        Report {
            keeping: !self.failing.load(Relaxed),
            lean: self.lean.load(Relaxed),
            waiting: self.waiting.load(Relaxed),
            age_nanos: now.saturating_sub(self.committed.load(Relaxed)),
            bytes: self.bytes.load(Relaxed),
            failures: self.failures.load(Relaxed),
            snapshots: self.snapshots.load(Relaxed),
            lost: self.set_aside.load(Relaxed),
        }
    }
}
