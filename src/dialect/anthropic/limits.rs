//! Anthropic's fields: `anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,
//! remaining,reset}`, with RFC 3339 times as resets.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

use crate::dialect::standing::{self, Names, Standings, seconds};
use crate::time::Timestamp;

macro_rules! names {
    ($measure:literal) => {
        [
            HeaderName::from_static(concat!("anthropic-ratelimit-", $measure, "-limit")),
            HeaderName::from_static(concat!("anthropic-ratelimit-", $measure, "-remaining")),
            HeaderName::from_static(concat!("anthropic-ratelimit-", $measure, "-reset")),
        ]
    };
}
const REQUESTS: Names = names!("requests");
const INPUT: Names = names!("input-tokens");
const OUTPUT: Names = names!("output-tokens");
const TOKENS: Names = names!("tokens");

pub(super) fn announce(standings: &Standings, now: Timestamp, headers: &mut HeaderMap) {
    let told = [
        (REQUESTS, standings.requests),
        (INPUT, standings.input),
        (OUTPUT, standings.output),
        (TOKENS, standings.tokens),
    ];
    for (names, standing) in told {
        let Some(standing) = standing else { continue };
        standing::merge(headers, names, standing, &time(now + standing.reset));
    }
}

/// The second after which it is surely past `at`.
fn time(at: Timestamp) -> String {
    let at = seconds(Duration::from_millis(at.as_millis()));
    let at = i64::try_from(at).ok().and_then(|at| jiff::Timestamp::from_second(at).ok());
    at.unwrap_or(jiff::Timestamp::MAX).to_string()
}
