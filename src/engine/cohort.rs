//! How unusual a statistic is among honest accounts of the same kind.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use dashmap::DashMap;

use super::KeyHash;
use crate::dialect::Api;
use crate::identity::Client;
use crate::signal::{CATALOGUE, COUNT};

/// Steps of a statistic's scale: below the first value of a signal's tail, then one per value.
pub(super) const STEPS: usize = 8;

/// The prior tail counts as this many accounts: a young deployment's handful of established
/// accounts can't redefine what is normal.
const PRIOR_ACCOUNTS: f32 = 500.0;

/// Surprise at which evidence is full: one honest account in a thousand shows as much.
const FULL: f32 = 1000.0;

/// Accounts of one kind of client, asking through one API.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Cohort(pub(super) Client, pub(super) Api);

/// For every cohort and signal, how many established accounts stand at each step.
///
/// Only established accounts are counted: a campaign would have to wait a week, per account, to
/// make itself look normal. Bounded by the number of cohorts, which are enums.
#[derive(Debug, Default)]
pub(super) struct Cohorts(DashMap<Cohort, Counts, KeyHash>);

#[derive(Debug)]
struct Counts {
    accounts: AtomicU32,
    at: [[AtomicU32; STEPS]; COUNT],
}

impl Default for Counts {
    fn default() -> Self {
        let at = std::array::from_fn(|_| std::array::from_fn(|_| AtomicU32::new(0)));
        Self { accounts: AtomicU32::new(0), at }
    }
}

/// The step of `statistic` on the scale of signal `signal`.
pub(super) fn step(signal: usize, statistic: f32) -> u8 {
    let reached = CATALOGUE[signal].tail.iter().take(STEPS - 1);
    reached.take_while(|(value, _)| statistic >= *value).count() as u8
}

impl Cohorts {
    /// An established account enters its cohort, all of its signals at rest.
    pub(super) fn enter(&self, cohort: Cohort) {
        let counts = self.0.entry(cohort).or_default();
        counts.accounts.fetch_add(1, Relaxed);
        for signal in &counts.at {
            signal[0].fetch_add(1, Relaxed);
        }
    }

    /// An established account moves from one step of a signal to another.
    pub(super) fn shift(&self, cohort: Cohort, signal: usize, from: u8, to: u8) {
        if from != to
            && let Some(counts) = self.0.get(&cohort)
        {
            let at = &counts.at[signal];
            let _ = at[usize::from(from)].fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1));
            at[usize::from(to)].fetch_add(1, Relaxed);
        }
    }

    /// An established account is forgotten.
    pub(super) fn leave(&self, cohort: Cohort, steps: &[u8; COUNT]) {
        if let Some(counts) = self.0.get(&cohort) {
            let _ = counts.accounts.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1));
            for (at, step) in counts.at.iter().zip(steps) {
                let at = &at[usize::from(*step)];
                let _ = at.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1));
            }
        }
    }

    /// Evidence of a statistic, 0 to 1: the surprise `ln(1/p) / ln(1000)`, where `p` is the share
    /// of honest accounts in the cohort that reach its step, prior and own accounts together.
    pub(super) fn strength(&self, cohort: Cohort, signal: usize, statistic: f32) -> f32 {
        let step = usize::from(step(signal, statistic));
        let Some(below) = step.checked_sub(1) else { return 0.0 };
        let prior = CATALOGUE[signal].tail[below].1;
        let (reach, all) = self.0.get(&cohort).map_or((0, 0), |counts| {
            let reach = counts.at[signal][step..].iter().map(|n| n.load(Relaxed)).sum::<u32>();
            (reach, counts.accounts.load(Relaxed))
        });
        let p = (prior * PRIOR_ACCOUNTS + reach as f32) / (PRIOR_ACCOUNTS + all as f32);
        ((1.0 / p.max(1e-6)).ln() / FULL.ln()).clamp(0.0, 1.0)
    }
}
