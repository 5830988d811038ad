//! OpenAI's fields: `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, with spans of time as
//! resets: `12ms`, `6m0s`.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

use crate::dialect::standing::{self, Names, Standings, seconds};

const REQUESTS: Names = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
const TOKENS: Names = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];

pub(in crate::dialect) fn announce(standings: &Standings, headers: &mut HeaderMap) {
    let told = [(REQUESTS, standings.requests), (TOKENS, standings.any_tokens())];
    for (names, standing) in told {
        let Some(standing) = standing else { continue };
        standing::merge(headers, names, standing, &spelled(standing.reset));
    }
}

/// A span as these fields spell it, rounded up.
fn spelled(span: Duration) -> String {
    if !span.is_zero() && span <= Duration::from_millis(999) {
        return format!("{}ms", span.as_nanos().div_ceil(1_000_000));
    }
    let whole = seconds(span);
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_spelled_as_sdks_read_them_and_never_too_short() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ms"),
            (12_000_000, "12ms"),
            (999_000_001, "1s"),
            (1_000_000_001, "2s"),
            (360_000_000_000, "6m0s"),
            (3_600_000_000_000, "1h0m0s"),
            (86_399_500_000_000, "24h0m0s"),
        ] {
            assert_eq!(spelled(Duration::from_nanos(nanos)), text);
        }
    }
}
