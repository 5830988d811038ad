//! How limits outlive the process: what is owed stays owed, what is used up stays used up.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::{Moment, Recall};
use crate::engine::{Pace, Window};
use crate::policy::Period;
use crate::time::{Shift, Timestamp};

/// A pace as it is written down. Exchanges in flight end with the process.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(in crate::engine) struct KeptPace {
    at: Timestamp,
    /// Nanoseconds that each cell lies ahead of the clock.
    rates: [[u64; 4]; 2],
    throttle: u64,
    windows: Option<Box<[Window; 3]>>,
}

impl KeptPace {
    pub(in crate::engine) fn of(pace: &Pace, now: Moment) -> Self {
        let Pace { rates, throttle, windows, in_flight: _ } = pace;
        let owed = |cell: &AtomicU64| cell.load(Relaxed).saturating_sub(now.nanos);
        let (rates, throttle) =
            (rates.each_ref().map(|cells| cells.each_ref().map(owed)), owed(throttle));
        let windows = windows.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let owing = rates != [[0; 4]; 2] || throttle != 0;
        Self { at: if owing { now.at } else { Timestamp::default() }, rates, throttle, windows }
    }

    pub(super) fn says_nothing(&self) -> bool {
        *self == Self::default()
    }

    pub(in crate::engine) fn pace(self, recall: &Recall) -> Pace {
        let passed = recall.now.at.since(self.at.shifted(recall.shift));
        let passed = u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX);
        // Governor adds to a cell unchecked: it stays far from where sums would wrap.
        let cell = |owed: u64| {
            let left = owed.min(1 << 62).saturating_sub(passed);
            AtomicU64::new(if left == 0 { 0 } else { recall.now.nanos.saturating_add(left) })
        };
        let carried = |mut windows: Box<[Window; 3]>| {
            let each = windows.iter_mut().zip(Period::ALL);
            each.for_each(|(window, period)| window.start = carried(window.start, period, recall));
            windows
        };
        Pace {
            rates: self.rates.map(|cells| cells.map(cell)),
            throttle: cell(self.throttle),
            windows: Mutex::new(self.windows.map(carried)),
            in_flight: Default::default(),
        }
    }
}

/// The window that begins at `start` by the clock that wrote it. What was under way still is, though
/// the clock was stepped to another day since.
fn carried(start: Timestamp, period: Period, recall: &Recall) -> Timestamp {
    let unstepped = recall.now.at.shifted(Shift(recall.stepped.0.saturating_neg()));
    let under_way = start == period.window(unstepped).0;
    if under_way { period.window(recall.now.at).0 } else { start }
}
