//! How a throttled account is slowed, before its score tightens it.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Pace;

/// The pace of an account at the throttle rung.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Throttle {
    pub requests_per_minute: NonZeroU32,
    pub burst: NonZeroU32,
    /// Exchanges at once; one always fits, however high the score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<NonZeroU32>,
    /// How fast each streamed answer passes; never below one token a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_tokens_per_second: Option<NonZeroU32>,
}

impl Throttle {
    pub fn pace(&self) -> Pace {
        Pace { requests_per_minute: self.requests_per_minute, burst: self.burst }
    }

    /// Exchanges at once, tightened so many times.
    pub fn concurrency(&self, tightened: f64) -> Option<NonZeroU32> {
        let most = (f64::from(self.concurrency?.get()) / tightened) as u32;
        Some(NonZeroU32::new(most).unwrap_or(NonZeroU32::MIN))
    }

    /// Tokens a second of a stream, tightened so many times.
    pub fn stream_rate(&self, tightened: f64) -> Option<f64> {
        Some((f64::from(self.stream_tokens_per_second?.get()) / tightened).max(1.0))
    }
}

impl From<Pace> for Throttle {
    fn from(Pace { requests_per_minute, burst }: Pace) -> Self {
        Self { requests_per_minute, burst, concurrency: None, stream_tokens_per_second: None }
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Pace::default().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rising_score_tightens_all_and_stops_nothing() {
        let throttle = Throttle {
            concurrency: NonZeroU32::new(8),
            stream_tokens_per_second: NonZeroU32::new(20),
            ..Throttle::default()
        };
        let at =
            |times| (throttle.concurrency(times).map(NonZeroU32::get), throttle.stream_rate(times));
        assert_eq!(at(1.0), (Some(8), Some(20.0)));
        assert_eq!(at(4.0), (Some(2), Some(5.0)));
        assert_eq!(at(1024.0), (Some(1), Some(1.0)));
        assert_eq!(Throttle::default().concurrency(4.0), None);
    }
}
