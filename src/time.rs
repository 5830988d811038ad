//! Time as a value, and the one reader of the clock.

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
/// tokio's clock, so tests that pause it are exact.
#[cfg(feature = "proxy")]
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    epoch: Timestamp,
    base: tokio::time::Instant,
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
        Self { epoch, base: tokio::time::Instant::now() }
    }

    pub fn now(&self) -> Timestamp {
        self.epoch + self.base.elapsed()
    }

    /// Nanoseconds since this clock started: for measuring spans, not for telling the time.
    pub fn elapsed_nanos(&self) -> u64 {
        u64::try_from(self.base.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
