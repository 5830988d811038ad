//! From score to action, without flapping.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Action;
use super::share::draw_for;
use crate::identity::AccountId;
use crate::time::{Shift, Timestamp};

/// Scores, in nats, from which each rung holds.
///
/// A rung once entered is left only when the score has fallen `hysteresis` below its threshold and
/// `dwell` has passed, so an account can't flap by resting for a minute.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ladder {
    pub shape: f32,
    pub throttle: f32,
    pub challenge: f32,
    pub drop: f32,
    pub hysteresis: f32,
    /// Seconds.
    pub dwell_seconds: u32,
    /// Seconds within which an account rises once its score calls for it, at a moment that differs by
    /// account and rung and is the same every time: when it does tells little of why. Zero: at once.
    #[schemars(range(max = 86_400))]
    pub onset_seconds: u32,
}

impl Default for Ladder {
    fn default() -> Self {
        Self {
            shape: 0.0,
            throttle: 2.3,
            challenge: 4.6,
            drop: 7.0,
            hysteresis: 1.0,
            dwell_seconds: 600,
            onset_seconds: 0,
        }
    }
}

/// The rung an account is held at, and since when.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Held {
    pub rung: Action,
    pub since: Timestamp,
}

impl Held {
    pub fn shifted(self, by: Shift) -> Self {
        Self { since: self.since.shifted(by), ..self }
    }
}

impl Ladder {
    /// The rung `score` alone calls for.
    pub fn rung(&self, score: f32) -> Action {
        let reached = |action: &Action| score >= self.threshold(*action);
        Action::ALL.into_iter().rev().find(reached).unwrap_or_default()
    }

    /// Score from which `action` holds; minus infinity for allow.
    pub fn threshold(&self, action: Action) -> f32 {
        match action {
            Action::Allow => f32::NEG_INFINITY,
            Action::Shape => self.shape,
            Action::Throttle => self.throttle,
            Action::Challenge => self.challenge,
            Action::Drop => self.drop,
        }
    }

    /// How many times slower than its pace a throttled account goes at `score`: its rate halves with
    /// every nat above the rung, down to a thousandth.
    pub fn tightening(&self, score: f32) -> f64 {
        let factor = f64::from(score - self.throttle).exp2();
        if factor.is_nan() { 1.0 } else { factor.clamp(1.0, 1024.0) }
    }

    /// How long an account waits before it rises to `rung`.
    pub fn onset(&self, account: AccountId, rung: Action) -> Duration {
        let window = u64::from(self.onset_seconds) * 1000;
        Duration::from_millis(draw_for(account, rung) % (window + 1))
    }

    /// Moves an account along the ladder: up at once, down with hysteresis and dwell.
    pub fn hold(&self, held: Held, score: f32, now: Timestamp) -> Held {
        let called = self.rung(score);
        if called > held.rung {
            return Held { rung: called, since: now };
        }
        let dwelt = now.since(held.since) >= Duration::from_secs(self.dwell_seconds.into());
        let relieved = self.rung(score + self.hysteresis);
        if dwelt && relieved < held.rung { Held { rung: relieved, since: now } } else { held }
    }
}
