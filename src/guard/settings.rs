//! The guard's own knobs: the `[guard]` table.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bind;
use super::challenge;
use super::coding::Coding;
use crate::engine::Verdict;

/// Sizes are bytes, times what their names say.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The largest body read on an inspected route; a larger one is refused with 413.
    pub max_body: usize,
    /// Codings of request bodies that are decoded, to a copy no larger than `max_body`, and read.
    /// Name those the endpoint decodes too: others are refused with 415.
    pub codings: Vec<Coding>,
    /// Bytes that may come of one coded byte, in requests and answers, beyond the first MiB.
    #[schemars(range(min = 1))]
    pub max_ratio: u32,
    /// Request bodies held at once by the whole process; beyond it, requests are refused with 503.
    /// Taken when the guard is made: a reload does not change it.
    pub max_buffered: usize,
    /// A body must have arrived after this long plus its size at `body_bytes_per_second`.
    pub body_seconds: u32,
    pub body_bytes_per_second: u32,
    /// A judgement that took longer, per MiB of body begun, is written down but not carried out.
    pub scoring_deadline_ms: u32,
    /// The largest unstreamed answer that is read; a larger one passes unread.
    pub max_answer: usize,
    /// Asks the endpoint for uncoded answers on inspected routes. Coded ones are decoded to be read;
    /// that costs time and a window of up to 16 MiB each, and no event can be added to them.
    pub narrow_accept_encoding: bool,
    pub challenge: challenge::Settings,
    pub bind: bind::Settings,
    /// Goes wrong on purpose. Only code can set it.
    #[doc(hidden)]
    #[serde(skip)]
    #[schemars(skip)]
    pub fault: Option<Fault>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_body: 32 << 20,
            codings: vec![Coding::Gzip, Coding::Br, Coding::Zstd],
            max_ratio: 100,
            max_buffered: 512 << 20,
            body_seconds: 30,
            body_bytes_per_second: 64 << 10,
            scoring_deadline_ms: 20,
            max_answer: 4 << 20,
            narrow_accept_encoding: true,
            challenge: challenge::Settings::default(),
            bind: bind::Settings::default(),
            fault: None,
        }
    }
}

impl Settings {
    /// How long a judgement on a body of `bytes` may take. Grows with the body: were it fixed, a
    /// caller could buy a verdict that is never carried out with a long enough prompt.
    pub(super) fn scoring_deadline(&self, bytes: usize) -> Duration {
        let share = u32::try_from(bytes >> 20).unwrap_or(u32::MAX).saturating_add(1);
        Duration::from_millis(self.scoring_deadline_ms.into()).saturating_mul(share)
    }

    /// How long the first `received` bytes of a body may take to arrive.
    pub(super) fn body_deadline(&self, received: usize) -> Duration {
        let rate = self.body_bytes_per_second.max(1);
        let earned = received as u64 * 1000 / u64::from(rate);
        Duration::from_secs(self.body_seconds.into()) + Duration::from_millis(earned)
    }
}

/// A failure of scoring, injected by tests: the engine itself has none that a test could call up.
#[doc(hidden)]
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Scoring panics.
    Panics,
    /// Scoring is taken to have needed this long; nothing waits.
    Takes(Duration),
    /// Scoring comes to this verdict.
    Judges(Box<Verdict>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_prompt_buys_no_verdict_that_is_never_carried_out() {
        let settings = Settings::default();
        assert_eq!(settings.scoring_deadline(1000), Duration::from_millis(20));
        assert_eq!(settings.scoring_deadline(10 << 20), Duration::from_millis(220));
    }

    #[test]
    fn a_body_earns_time_by_arriving() {
        let settings = Settings::default();
        assert_eq!(settings.body_deadline(0), Duration::from_secs(30));
        assert_eq!(settings.body_deadline(32 << 20), Duration::from_secs(30 + 512));
    }
}
