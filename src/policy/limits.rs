//! Limits that hold whatever the score: on requests, on exchanges at once, on tokens.

use std::num::{NonZeroU32, NonZeroU64};

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Pace;
use crate::time::Timestamp;

/// Limits that hold for everyone, whatever their score. All are per account.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<Pace>,
    /// Exchanges of one account at once, held until the answer's body has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<NonZeroU32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<TokenPace>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<TokenPace>,
    /// Input and output together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<TokenPace>,
    /// Input and output together, from midnight to midnight in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_day: Option<NonZeroU64>,
    /// Input and output together, from the first of a month to the next, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_month: Option<NonZeroU64>,
}

/// A rate in tokens and how many of them may be taken at once.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TokenPace {
    pub tokens_per_minute: NonZeroU32,
    pub burst: NonZeroU32,
}

/// What a quota is counted over: fixed windows in UTC.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Period {
    Day,
    Month,
}

impl Period {
    pub const ALL: [Self; 2] = [Self::Day, Self::Month];

    pub const fn index(self) -> usize {
        self as usize
    }

    /// The window `at` lies in, by the milliseconds since the epoch of its start and end.
    pub fn window(self, at: Timestamp) -> (Timestamp, Timestamp) {
        let date = i64::try_from(at.as_millis()).ok();
        let date = date.and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
        let date = date.map_or(Date::MAX, |at| TimeZone::UTC.to_datetime(at).date());
        let (first, last) = match self {
            Self::Day => (date, date),
            Self::Month => (date.first_of_month(), date.last_of_month()),
        };
        (midnight(first), last.tomorrow().map_or(Timestamp::from_millis(u64::MAX), midnight))
    }
}

impl Limits {
    pub fn quota(&self, period: Period) -> Option<NonZeroU64> {
        match period {
            Period::Day => self.tokens_per_day,
            Period::Month => self.tokens_per_month,
        }
    }
}

fn midnight(date: Date) -> Timestamp {
    let at = TimeZone::UTC.to_timestamp(date.to_datetime(Time::midnight()));
    let at = at.map_or(0, jiff::Timestamp::as_millisecond);
    Timestamp::from_millis(u64::try_from(at).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        let at: jiff::Timestamp = text.parse().unwrap();
        Timestamp::from_millis(at.as_millisecond() as u64)
    }

    #[test]
    fn windows_begin_at_midnight_in_utc() {
        let window = |period: Period, text| period.window(at(text));
        let day = (at("2028-02-29T00:00:00Z"), at("2028-03-01T00:00:00Z"));
        let month = (at("2028-02-01T00:00:00Z"), at("2028-03-01T00:00:00Z"));
        for text in ["2028-02-29T00:00:00Z", "2028-02-29T23:59:59.999Z"] {
            assert_eq!(window(Period::Day, text), day);
            assert_eq!(window(Period::Month, text), month);
        }
        assert_eq!(window(Period::Month, "2028-12-31T12:00:00Z").1, at("2029-01-01T00:00:00Z"));
    }

    #[test]
    fn no_time_is_without_a_window() {
        for millis in [0, u64::MAX, i64::MAX as u64] {
            for period in Period::ALL {
                let (start, end) = period.window(Timestamp::from_millis(millis));
                assert!(start < end);
            }
        }
    }
}
