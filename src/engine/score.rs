//! Adding evidence up, in log-odds: `S = prior + sum over families of clip(sum of w e) + group`.

use serde::{Deserialize, Serialize};

use super::settings::Caps;
use super::verdict::Evidence;
use crate::policy::Policy;
use crate::signal::{CATALOGUE, COUNT, Family, Mode, Settings};
use crate::time::{Shift, Timestamp};

/// Evidence against an account may be forgiven by at most this many nats per family.
const FLOOR: f32 = -2.0;

/// A signal's strongest showing, and what has passed since.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(from = "Told", into = "Told")]
pub(super) struct Shown {
    strength: f32,
    /// Seconds of the epoch: an account holds one of these for every signal.
    seconds: u32,
    /// Exchanges of the account at that time.
    exchanges: u32,
}

/// As it is written down.
#[derive(Deserialize, Serialize)]
struct Told {
    strength: f32,
    at: Timestamp,
    exchanges: u32,
}

impl From<Told> for Shown {
    fn from(Told { strength, at, exchanges }: Told) -> Self {
        Self { strength, seconds: seconds(at), exchanges }
    }
}

impl From<Shown> for Told {
    fn from(shown: Shown) -> Self {
        Self { strength: shown.strength, at: shown.at(), exchanges: shown.exchanges }
    }
}

/// Whole seconds; none before 1970 nor after 2106.
fn seconds(at: Timestamp) -> u32 {
    u32::try_from(at.as_millis() / 1000).unwrap_or(u32::MAX)
}

/// Own exchanges that must pass, besides time, before evidence has halved.
const HALVING_EXCHANGES: f32 = 50.0;

impl Shown {
    /// What is left of it. Evidence halves after its half-life or 50 of the account's own
    /// exchanges, whichever comes *later*, so that low and slow can't wait it out.
    pub(super) fn left(&self, half_life: f32, now: Timestamp, exchanges: u32) -> f32 {
        let by_time = now.hours_since(self.at()) / half_life.max(0.01);
        let by_use = exchanges.saturating_sub(self.exchanges) as f32 / HALVING_EXCHANGES;
        self.strength * (-by_time.min(by_use)).exp2()
    }

    pub(super) fn at(self) -> Timestamp {
        Timestamp::from_millis(u64::from(self.seconds) * 1000)
    }

    pub(super) fn shifted(self, by: Shift) -> Self {
        Self { seconds: seconds(self.at().shifted(by)), ..self }
    }

    /// Takes over a new showing if it is stronger than what is left of the old one.
    pub(super) fn show(&mut self, strength: f32, half_life: f32, now: Timestamp, exchanges: u32) {
        if strength >= self.left(half_life, now, exchanges) {
            *self = Self { strength, seconds: seconds(now), exchanges };
        }
    }
}

/// Strength of every signal, 0 to 1.
pub(super) type Strengths = [f32; COUNT];

/// What the strengths add up to under one tenant's weights.
#[derive(Debug)]
pub(super) struct Sum {
    pub(super) families: [f32; Family::ALL.len()],
    pub(super) evidence: Vec<Evidence>,
}

/// Nats by family, capped, and by signal, strongest first.
pub(super) fn sum(strengths: &Strengths, signals: &Settings, caps: &Caps, policy: &Policy) -> Sum {
    let mut families = [0.0; Family::ALL.len()];
    let mut evidence = Vec::new();
    for ((spec, (mode, weight)), strength) in CATALOGUE.iter().zip(signals.knobs()).zip(strengths) {
        let tenant = policy.weights.get(spec.name).copied().unwrap_or(1.0);
        let nats = spec.weight * weight * tenant * strength;
        if mode != Mode::On || nats == 0.0 {
            continue;
        }
        families[spec.family.index()] += nats;
        evidence.push(Evidence { signal: spec.name.to_owned(), nats });
    }
    for family in Family::ALL {
        let sum = &mut families[family.index()];
        *sum = sum.clamp(FLOOR, caps.of(family));
    }
    evidence.sort_by(|a, b| b.nats.total_cmp(&a.nats));
    Sum { families, evidence }
}
