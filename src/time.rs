//! Time as a value, and the one reader of the clock.

#[cfg(feature = "proxy")]
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch.
///
/// Unlike `std::time::Instant` it can be read from a log, so a replay and the live proxy hand the
/// engine the same type.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// From seconds, as logs have them. What lies before the epoch is the epoch.
    pub fn from_seconds(seconds: f64) -> Self {
        Self((seconds * 1000.0).max(0.0) as u64)
    }

    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Time since `earlier`, or zero when `earlier` lies ahead.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Hours since `earlier`, the unit in which evidence decays.
    pub fn hours_since(self, earlier: Self) -> f32 {
        self.0.saturating_sub(earlier.0) as f32 / 3_600_000.0
    }
}

/// So many days of 24 hours.
pub const fn days(days: u32) -> Duration {
    Duration::from_secs(days as u64 * 24 * 3600)
}

/// How far the clock that wrote a time stood from the one that reads it, in milliseconds.
///
/// What memory keeps is read as if the clock had never been stepped: times move with it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Shift(pub i64);

impl Timestamp {
    /// The same moment on a clock that stands `by` away. Zero, which means "never", stays.
    pub const fn shifted(self, by: Shift) -> Self {
        if self.0 == 0 { self } else { Self(self.0.saturating_add_signed(by.0)) }
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }
}

/// The one reader of the clock: the wall clock once, at start, then monotonic time.
///
/// A stepped wall clock therefore neither frees nor bans anybody while the process lives. Follows
/// tokio's clock, so tests that pause it are exact. Time that the machine was suspended has to be told
/// to it, see [`Clock::catch_up`].
#[cfg(feature = "proxy")]
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    epoch: Timestamp,
    base: tokio::time::Instant,
    /// Milliseconds for which monotonic time stood still. Eight bytes that live as long as the process,
    /// which has one clock.
    slept: &'static AtomicU64,
}

#[cfg(feature = "proxy")]
impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    pub fn start() -> Self {
        let unix = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self::starting_at(Timestamp(unix.unwrap_or_default().as_millis() as u64))
    }

    /// A clock that shows `epoch` now.
    pub fn starting_at(epoch: Timestamp) -> Self {
        let slept = Box::leak(Box::new(AtomicU64::new(0)));
        Self { epoch, base: tokio::time::Instant::now(), slept }
    }

    pub fn now(&self) -> Timestamp {
        self.epoch + self.base.elapsed() + Duration::from_millis(self.slept.load(Relaxed))
    }

    /// Goes on to `passed` since the start if it has fallen more than a second behind, as it does while
    /// the machine is suspended. Never back.
    pub fn catch_up(&self, passed: Duration) {
        let behind = passed.saturating_sub(self.base.elapsed());
        let behind = u64::try_from(behind.as_millis()).unwrap_or(u64::MAX);
        if behind > self.slept.load(Relaxed).saturating_add(1000) {
            self.slept.store(behind, Relaxed);
        }
    }

    /// Nanoseconds since this clock started: for measuring spans, not for telling the time.
    pub fn elapsed_nanos(&self) -> u64 {
        u64::try_from(self.base.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(all(test, feature = "proxy"))]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_clock_makes_up_for_a_suspend_and_for_nothing_else() {
        let start = Timestamp::from_millis(1_790_000_000_000);
        let clock = Clock::starting_at(start);
        let hours = |n: u64| Duration::from_secs(n * 3600);
        tokio::time::advance(hours(1)).await;
        clock.catch_up(hours(1) + Duration::from_millis(900));
        assert_eq!(clock.now(), start + hours(1), "clocks drift");
        clock.catch_up(hours(9));
        assert_eq!(clock.now(), start + hours(9), "eight hours of sleep");
        tokio::time::advance(hours(1)).await;
        clock.catch_up(hours(10));
        clock.catch_up(hours(2));
        assert_eq!(clock.now(), start + hours(10));
        assert_eq!(clock.elapsed_nanos(), hours(2).as_nanos() as u64, "spans are of waking time");
    }

    #[test]
    fn a_shift_moves_every_time_but_never() {
        let at = Timestamp::from_millis;
        assert_eq!(at(500).shifted(Shift(-100)), at(400));
        assert_eq!(at(500).shifted(Shift(-1000)), at(0));
        assert_eq!(at(0).shifted(Shift(1000)), at(0));
        assert_eq!(at(u64::MAX).shifted(Shift(i64::MAX)), at(u64::MAX));
    }
}
