//! When a campaign is contained, and what its members then share.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Mode, Pace, Share, TokenPace};

/// Containment: from a score and a size on, the members of a campaign who are not established share
/// one pace, so that an account that stays below every limit gains nothing by having company.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Containment {
    /// Whether containment is carried out. Left out: as the throttle rung is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Percent of accounts on which it is carried out.
    pub share: Share,
    /// Nats of evidence, added up over families, from which a campaign is contained.
    #[schemars(range(min = 0.0))]
    pub score: f32,
    /// Fewest members. Small crowds are as likely the users of one tool.
    pub members: u32,
    /// Nats below `score` at which a contained campaign is let go, and minutes it stays so at least.
    #[schemars(range(min = 0.0))]
    pub hysteresis: f32,
    pub dwell_minutes: u32,
    /// Containment starts at a moment within so many minutes that differs by campaign and can't be
    /// foreseen: when it starts tells little about the rule.
    pub onset_minutes: u32,
    /// Share of its own earlier rate that a contained campaign keeps, before its score tightens it.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub keep: f32,
    /// Most that all members together get, however fast they were.
    pub requests: Pace,
    /// The same in tokens, input and output together.
    pub tokens: TokenPace,
}

impl Default for Containment {
    fn default() -> Self {
        let positive = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Self {
            mode: None,
            share: Share::ALL,
            score: 8.0,
            members: 40,
            hysteresis: 2.0,
            dwell_minutes: 360,
            onset_minutes: 30,
            keep: 0.05,
            requests: Pace { requests_per_minute: positive(6), burst: positive(6) },
            tokens: TokenPace { tokens_per_minute: positive(12_000), burst: positive(24_000) },
        }
    }
}

impl Containment {
    /// How many times slower than its pace a campaign goes at `score`: its rate halves with every nat
    /// above the threshold, down to an eighth. Whoever is in it by mistake still gets through.
    pub fn tightening(&self, score: f32) -> f64 {
        let factor = f64::from(score - self.score).exp2();
        if factor.is_nan() { 1.0 } else { factor.clamp(1.0, 8.0) }
    }
}
