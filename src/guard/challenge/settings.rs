//! The `[guard.challenge]` table.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::webhook::Webhook;

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where people reach this proxy, e.g. `https://api.example.com`. Without it, links name the
    /// host that the refused request was sent to.
    #[schemars(with = "Option<String>")]
    pub base_url: Option<BaseUrl>,
    /// Difficulty of each of the 16 puzzles: 2^bits hashes. Rises with the score and with every
    /// clearance of the last day. 12 takes a browser 0.03 s in all, 16 half a second, 20 seven seconds.
    #[schemars(range(min = 1, max = 22))]
    pub bits: u8,
    /// The highest difficulty asked for.
    #[schemars(range(min = 1, max = 22))]
    pub most_bits: u8,
    /// Seconds a challenge may be answered for.
    pub lifetime_seconds: u32,
    /// What an answer earns: this long and this many requests, whichever ends first.
    pub clear_seconds: u32,
    pub clear_requests: u32,
    /// Answers taken from one address, and for one account, per minute.
    pub answers_per_minute: std::num::NonZeroU32,
    /// Step-up verification by a system of the operator's.
    pub webhook: Option<Webhook>,
}

/// Scheme and authority, perhaps a path: plain enough to stand in a sentence, a page and a command.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct BaseUrl(String);

/// A base that links can't start with.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a base for links: `https://host` or `http://host` is expected")]
pub struct NotABaseUrl(String);

impl BaseUrl {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for BaseUrl {
    type Error = NotABaseUrl;

    fn try_from(text: String) -> Result<Self, NotABaseUrl> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/[]".contains(c);
        let fits = |rest: &str| !rest.is_empty() && rest.len() <= 255 && rest.chars().all(plain);
        if rest.is_some_and(fits) { Ok(Self(text)) } else { Err(NotABaseUrl(text)) }
    }
}

impl From<BaseUrl> for String {
    fn from(url: BaseUrl) -> Self {
        url.0
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            base_url: None,
            bits: 12,
            most_bits: 20,
            lifetime_seconds: 1800,
            clear_seconds: 3600,
            clear_requests: 500,
            answers_per_minute: std::num::NonZeroU32::MIN.saturating_add(9),
            webhook: None,
        }
    }
}

impl Settings {
    /// The most that a command line solves without being asked twice.
    const CAP: u8 = 22;

    /// Bits of each puzzle for an account `excess` nats above the challenge rung that has cleared
    /// `cleared` challenges of late.
    pub(super) fn difficulty(&self, excess: f32, cleared: u8) -> u8 {
        let most = self.most_bits.clamp(1, Self::CAP);
        let harder = excess.clamp(0.0, f32::from(Self::CAP)) as u8;
        self.bits.saturating_add(harder).saturating_add(cleared).clamp(1, most)
    }

    pub(super) fn lifetime(&self) -> Duration {
        Duration::from_secs(self.lifetime_seconds.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_a_plain_address() {
        let base = |text: &str| BaseUrl::try_from(text.to_owned()).is_ok();
        assert!(base("https://api.example.com") && base("http://[::1]:8080/llm"));
        for bent in ["api.example.com", "https://", "ftp://x", "https://a b", "https://a\"", ""] {
            assert!(!base(bent), "{bent}");
        }
    }

    #[test]
    fn difficulty_follows_score_and_history_up_to_the_cap() {
        let settings = Settings::default();
        assert_eq!(settings.difficulty(0.4, 0), 12);
        assert_eq!(settings.difficulty(2.4, 1), 15);
        assert_eq!(settings.difficulty(f32::INFINITY, 255), 20);
        assert_eq!(settings.difficulty(f32::NAN, 0), 12);
    }
}
