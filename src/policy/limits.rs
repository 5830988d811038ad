//! Limits that hold whatever the score: on requests, on exchanges at once, on tokens.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Pace;
use crate::time::Timestamp;

/// Limits that hold whatever the score: on each end user or account by itself, or on many accounts
/// together.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Counts the completions asked for: `n`, each prompt of a list, each line of a batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<Pace>,
    /// Exchanges at once, held until the answer's body has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<NonZeroU32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<TokenPace>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<TokenPace>,
    /// Input and output together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<TokenPace>,
    /// On average so many a second, and as many at once.
    pub per_second: Quotas,
    /// From one full hour to the next.
    pub per_hour: Quotas,
    /// From midnight to midnight in UTC.
    pub per_day: Quotas,
    /// From the first of a month to the next, in UTC.
    pub per_month: Quotas,
    /// Stop a stream that goes beyond the output tokens its account has left. Without it the stream
    /// runs on, and later requests wait for what it has overdrawn.
    #[serde(skip_serializing_if = "is_false")]
    pub cut_streams: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes by reference")]
fn is_false(set: &bool) -> bool {
    !set
}

/// A rate in tokens and how many of them may be taken at once.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TokenPace {
    pub tokens_per_minute: NonZeroU32,
    pub burst: NonZeroU32,
}

/// How much may be used in one span of time.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<NonZeroU64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<NonZeroU64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<NonZeroU64>,
    /// Input and output together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<NonZeroU64>,
}

/// What limits count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Measure {
    Requests,
    Input,
    Output,
    /// Input and output together.
    Tokens,
}

impl Measure {
    /// In the order they are taken.
    pub const ALL: [Self; 4] = [Self::Requests, Self::Input, Self::Output, Self::Tokens];

    pub const fn index(self) -> usize {
        self as usize
    }
}

/// So many in each of these, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    pub amount: NonZeroU32,
    pub every: Every,
    pub burst: NonZeroU32,
}

/// What a rate is given in. One of each may hold at a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Every {
    Second,
    Minute,
}

impl Every {
    pub const ALL: [Self; 2] = [Self::Second, Self::Minute];

    pub const fn index(self) -> usize {
        self as usize
    }

    pub const fn seconds(self) -> u32 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
        }
    }
}

impl From<Pace> for Rate {
    fn from(pace: Pace) -> Self {
        Self { amount: pace.requests_per_minute, every: Every::Minute, burst: pace.burst }
    }
}

impl From<TokenPace> for Rate {
    fn from(pace: TokenPace) -> Self {
        Self { amount: pace.tokens_per_minute, every: Every::Minute, burst: pace.burst }
    }
}

/// What a quota is counted over: fixed windows in UTC.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Period {
    Hour,
    Day,
    Month,
}

const HOUR: u64 = 3_600_000;

impl Period {
    pub const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Month];

    pub const fn index(self) -> usize {
        self as usize
    }

    /// When the window that `at` lies in begins and ends.
    pub fn window(self, at: Timestamp) -> (Timestamp, Timestamp) {
        if self == Self::Hour {
            let start = Timestamp::from_millis((at.as_millis() / HOUR).saturating_mul(HOUR));
            return (start, start + Duration::from_millis(HOUR));
        }
        let date = i64::try_from(at.as_millis()).ok();
        let date = date.and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
        let date = date.map_or(Date::MAX, |at| TimeZone::UTC.to_datetime(at).date());
        let (first, last) = match self {
            Self::Hour | Self::Day => (date, date),
            Self::Month => (date.first_of_month(), date.last_of_month()),
        };
        (midnight(first), last.tomorrow().map_or(Timestamp::from_millis(u64::MAX), midnight))
    }
}

impl Limits {
    /// Whether output counts against anything.
    pub fn any_on_output(&self) -> bool {
        [Measure::Output, Measure::Tokens].into_iter().any(|measure| {
            let limited = |period| self.quotas(period).of(measure).is_some();
            let paced = |every| self.rate(every, measure).is_some();
            Every::ALL.into_iter().any(paced) || Period::ALL.into_iter().any(limited)
        })
    }

    pub fn rate(&self, every: Every, measure: Measure) -> Option<Rate> {
        match every {
            Every::Second => self.per_second.of(measure).map(|amount| {
                let amount = NonZeroU32::try_from(amount).unwrap_or(NonZeroU32::MAX);
                Rate { amount, every, burst: amount }
            }),
            Every::Minute => self.per_minute(measure),
        }
    }

    fn per_minute(&self, measure: Measure) -> Option<Rate> {
        match measure {
            Measure::Requests => self.requests.map(Rate::from),
            Measure::Input => self.input_tokens.map(Rate::from),
            Measure::Output => self.output_tokens.map(Rate::from),
            Measure::Tokens => self.tokens.map(Rate::from),
        }
    }

    pub fn quotas(&self, period: Period) -> &Quotas {
        match period {
            Period::Hour => &self.per_hour,
            Period::Day => &self.per_day,
            Period::Month => &self.per_month,
        }
    }

    /// Whether nothing is limited.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether some window of time is.
    pub fn has_quotas(&self) -> bool {
        Period::ALL.into_iter().any(|period| *self.quotas(period) != Quotas::default())
    }
}

impl Quotas {
    pub fn of(&self, measure: Measure) -> Option<NonZeroU64> {
        match measure {
            Measure::Requests => self.requests,
            Measure::Input => self.input_tokens,
            Measure::Output => self.output_tokens,
            Measure::Tokens => self.tokens,
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
