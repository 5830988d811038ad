//! What callers are told of the limits they are under.

use std::fmt::Write;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::Scarce;

/// One limit as it stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// The most that may be used at once or, of a quota, in its window.
    pub limit: u64,
    /// How much of it may be used now.
    pub remaining: u64,
    /// Until all of it is there again.
    pub reset: Duration,
    /// How long it takes to come back once it is used up, or the quota's window.
    pub window: Duration,
}

/// The tightest limit on each measure, where there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Standings {
    pub requests: Option<Standing>,
    pub input: Option<Standing>,
    pub output: Option<Standing>,
    /// Input and output together.
    pub tokens: Option<Standing>,
}

impl Standing {
    /// The one that leaves less: what is shown must never promise what another limit refuses.
    pub fn tighter(self, other: Self) -> Self {
        let key = |standing: &Self| (standing.remaining, std::cmp::Reverse(standing.reset));
        if key(&other) < key(&self) { other } else { self }
    }
}

impl Standings {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The tightest limit on tokens of any kind, for APIs that have words for one.
    pub(super) fn any_tokens(&self) -> Option<Standing> {
        let all = [self.tokens, self.input, self.output].into_iter().flatten();
        all.reduce(Standing::tighter)
    }

    /// Whatever is left of requests, none may be sent for now; where they are not limited, tokens are
    /// said to be what there is too much of.
    pub fn close(&mut self, wait: Duration) -> Scarce {
        let Self { requests, input, output, tokens } = self;
        let scarce = if requests.is_some() { Scarce::Requests } else { Scarce::Tokens };
        let Some(standing) = [requests, tokens, output, input].into_iter().flatten().next() else {
            return Scarce::Requests;
        };
        standing.remaining = 0;
        standing.reset = standing.reset.max(wait);
        scarce
    }

    /// Adds the IETF's `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10)
    /// beside what the endpoint says in them: a list of policies, of which every one holds. In a
    /// refusal `retry-after` alone tells the time, since it must not be earlier than `t`.
    pub fn announce(&self, refused: bool, headers: &mut HeaderMap) {
        const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
        const STATE: HeaderName = HeaderName::from_static("ratelimit");
        let (mut policy, mut state) = (String::new(), String::new());
        let named = [
            ("requests", self.requests),
            ("input-tokens", self.input),
            ("output-tokens", self.output),
            ("tokens", self.tokens),
        ];
        for (name, standing) in named {
            let Some(Standing { limit, remaining, reset, window }) = standing else { continue };
            let comma = if policy.is_empty() { "" } else { ", " };
            let (limit, remaining) = (limit.min(LARGEST), remaining.min(LARGEST));
            // Writing to a string can't fail.
            let _ = write!(policy, "{comma}\"{name}\";q={limit};w={}", seconds(window).max(1));
            if name != "requests" {
                policy.push_str(";qu=\"tokens\"");
            }
            let _ = write!(state, "{comma}\"{name}\";r={remaining}");
            if !refused {
                let _ = write!(state, ";t={}", seconds(reset));
            }
        }
        for (name, text) in [(POLICY, policy), (STATE, state)] {
            if let Some(value) = HeaderValue::try_from(text).ok().filter(|text| !text.is_empty()) {
                headers.append(name, value);
            }
        }
    }
}

/// The largest integer of structured fields.
const LARGEST: u64 = 999_999_999_999_999;

/// Whole seconds, rounded up.
pub(super) fn seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0)).min(LARGEST)
}

/// Names of the fields that tell of one limit: the limit, what remains, when it is reset.
pub(super) type Names = [HeaderName; 3];

/// Shows a limit of ours where it is tighter than the endpoint's own, all three fields together; else
/// leaves the endpoint's as they came. What remains there may be no number: then nothing is known.
pub(super) fn merge(headers: &mut HeaderMap, names: Names, ours: Standing, reset: &str) {
    let theirs = headers.get_all(&names[1]).iter();
    let theirs = theirs.map(|text| text.to_str().ok()?.trim().parse::<u64>().ok());
    if theirs.min().flatten().is_some_and(|left| left <= ours.remaining) {
        return;
    }
    let [limit, remaining, at] = names;
    headers.insert(limit, ours.limit.into());
    headers.insert(remaining, ours.remaining.into());
    match HeaderValue::from_str(reset) {
        Ok(reset) => drop(headers.insert(at, reset)),
        Err(_) => drop(headers.remove(at)),
    }
}

#[cfg(test)]
#[path = "standing_tests.rs"]
mod tests;
