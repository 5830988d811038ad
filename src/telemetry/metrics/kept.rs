//! How memory is kept beyond the process.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::add;

/// What the store says of itself at one time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kept {
    /// There is a store, and it is written.
    pub keeping: bool,
    /// There is no room for all of memory.
    pub lean: bool,
    /// Verdicts are capped, since memory was lost.
    pub learning: bool,
    /// Records that are not on disk yet.
    pub waiting: u64,
    /// Seconds since all decisions were on disk.
    pub age: f64,
    pub bytes: u64,
    pub failures: u64,
    pub snapshots: u64,
    /// Files that could not be read at the last start.
    pub lost: u64,
}

#[derive(Debug)]
pub(super) struct KeptMetrics {
    keeping: Gauge,
    lean: Gauge,
    learning: Gauge,
    waiting: Gauge,
    age: Gauge<f64, AtomicU64>,
    bytes: Gauge,
    failures: Counter,
    snapshots: Counter,
    lost: Gauge,
}

impl KeptMetrics {
    pub(super) fn new(into: &mut Registry) -> Self {
        let (age, bytes) = (Gauge::default(), Gauge::default());
        let help = "Time since all decisions were on disk";
        into.register_with_unit("store_commit_age", help, Unit::Seconds, Gauge::clone(&age));
        into.register_with_unit(
            "store",
            "Disk that memory takes",
            Unit::Bytes,
            Gauge::clone(&bytes),
        );
        Self {
            keeping: add(into, "store_keeping", "Whether memory is written to disk"),
            lean: add(into, "store_lean", "Whether the disk has no room for all of memory"),
            learning: add(into, "store_learning", "Whether verdicts are capped after a loss"),
            waiting: add(into, "store_waiting", "Records that are not on disk yet"),
            age,
            bytes,
            failures: add(into, "store_failures", "Failures to write memory"),
            snapshots: add(into, "store_snapshots", "Snapshots written"),
            lost: add(into, "store_lost", "Files that could not be read at the last start"),
        }
    }

    pub(super) fn set(&self, kept: &Kept) {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.keeping.set(kept.keeping.into());
        self.lean.set(kept.lean.into());
        self.learning.set(kept.learning.into());
        self.waiting.set(number(kept.waiting));
        self.age.set(kept.age);
        self.bytes.set(number(kept.bytes));
        self.failures.inner().store(kept.failures, Relaxed);
        self.snapshots.inner().store(kept.snapshots, Relaxed);
        self.lost.set(number(kept.lost));
    }
}
