//! Weights of signals from labelled logs, by regularised logistic regression.
//!
//! Each account is one sample: the most nats every signal ever gave it. What a weight multiplies is
//! those nats, so a coefficient *is* the multiplier that `[signals.<name>] weight` takes: 0 to 4,
//! drawn towards 1, the weight that ships.

mod reviewed;

use std::collections::BTreeMap;
use std::io::BufRead;

pub use self::reviewed::reviewed;
use super::history::{self, Wanted};
use super::replay::ReplayError;
use crate::engine::{Engine, Settings, Verdict};
use crate::identity::Keyring;
use crate::policy::{self, Policies};
use crate::signal::{CATALOGUE, COUNT};

/// One account of a labelled log.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Most nats of each signal, in the order of the catalogue.
    pub nats: [f64; COUNT],
    /// What crowds added at most: no weight changes it.
    pub group: f64,
    pub attack: bool,
    /// Where it comes from: its label, or an honest account's class.
    pub source: String,
}

impl Sample {
    fn new(attack: bool, source: String) -> Self {
        Self { nats: [0.0; COUNT], group: 0.0, attack, source }
    }

    fn see(&mut self, verdict: &Verdict) {
        self.group = self.group.max(f64::from(verdict.group));
        for evidence in &verdict.evidence {
            if let Some(at) = CATALOGUE.iter().position(|spec| spec.name == evidence.signal) {
                self.nats[at] = self.nats[at].max(f64::from(evidence.nats));
            }
        }
    }
}

/// Multipliers of every signal, and what is added before the odds.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    pub multipliers: [f64; COUNT],
    pub intercept: f64,
}

/// How well scores under some weights tell the sides apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// Area under the curve.
    pub area: f64,
    /// Share of attack accounts that score above all but one honest account in a thousand.
    pub caught: f64,
}

/// Strength of the pull towards the weights that ship.
const PULL: f64 = 0.02;
const STEPS: usize = 3_000;
const RATE: f64 = 0.05;
const MOST: f64 = 4.0;

/// Replays a labelled log, letting everything pass, and gathers its accounts. Unlabelled ones are
/// left out.
///
/// # Errors
/// As those of a replay.
pub fn samples(settings: &Settings, log: impl BufRead) -> Result<Vec<Sample>, ReplayError> {
    let engine = Engine::new(settings.clone(), open());
    let mut accounts = BTreeMap::<String, Sample>::new();
    history::watch(
        &engine,
        (&Keyring::new([0; 32]), &|_, _| {}),
        (log, Wanted::default()),
        |seen| {
            let known = seen.known;
            let attack = known.label.starts_with("campaign");
            if !attack && known.label != "benign" {
                return;
            }
            let source = if attack { known.label } else { known.class.unwrap_or("benign") };
            let fresh = || Sample::new(attack, source.to_owned());
            let sample = accounts.entry(known.account.to_owned()).or_insert_with(fresh);
            sample.see(seen.verdict);
        },
    )?;
    Ok(accounts.into_values().collect())
}

/// Policies under which nothing is ever acted on, so that what one account does to another's
/// evidence stays what it was.
fn open() -> Policies {
    let mut settings = policy::Settings::default();
    let ladder = serde_json::json!({"shape": 1e6, "throttle": 1e6, "challenge": 1e6, "drop": 1e6});
    // A ladder is data: one that can't be read leaves the one that ships, which only adds noise.
    if let Ok(ladder) = serde_json::from_value(ladder) {
        settings.defaults.ladder = ladder;
    }
    Policies::from(&settings)
}

impl Weights {
    /// Those that ship.
    pub fn shipped() -> Self {
        Self { multipliers: [1.0; COUNT], intercept: 0.0 }
    }

    /// Fits `samples`. Campaigns count alike, whatever their size, as do both sides.
    pub fn fitted(samples: &[Sample]) -> Self {
        let shares = shares(samples);
        let mut weights = Self { intercept: -3.0, ..Self::shipped() };
        for _ in 0..STEPS {
            let mut slope = [0.0; COUNT];
            let mut lift = 0.0;
            for (sample, share) in samples.iter().zip(&shares) {
                let odds = weights.score(sample);
                let off =
                    (1.0 / (1.0 + (-odds).exp()) - f64::from(u8::from(sample.attack))) * share;
                lift += off;
                slope.iter_mut().zip(sample.nats).for_each(|(slope, nats)| *slope += off * nats);
            }
            for (multiplier, slope) in weights.multipliers.iter_mut().zip(slope) {
                let pulled = slope + 2.0 * PULL * (*multiplier - 1.0);
                *multiplier = (*multiplier - RATE * pulled).clamp(0.0, MOST);
            }
            weights.intercept -= RATE * lift;
        }
        weights
    }

    fn score(&self, sample: &Sample) -> f64 {
        let nats =
            self.multipliers.iter().zip(sample.nats).map(|(multiplier, nats)| multiplier * nats);
        self.intercept + sample.group + nats.sum::<f64>()
    }

    pub fn fit(&self, samples: &[Sample]) -> Fit {
        let mut scored: Vec<_> =
            samples.iter().map(|sample| (self.score(sample), sample.attack)).collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (caught, _, area) = super::baseline::curve(&scored);
        Fit { area, caught }
    }

    /// A configuration file that holds these weights and nothing else.
    pub fn toml(&self) -> String {
        let tables = CATALOGUE.iter().zip(self.multipliers).map(|(spec, multiplier)| {
            format!("[signals.{}]\nweight = {multiplier:.3}\n", spec.name)
        });
        let head = "# Weights of signals, written by `stillguard tune`. A file that says\n\
            # `weights_file = \"...\"` takes them over.\n\n";
        head.to_owned() + &tables.collect::<Vec<_>>().join("\n")
    }
}

/// What each sample counts: both sides weigh one half, and each source of a side the same.
fn shares(samples: &[Sample]) -> Vec<f64> {
    let mut sizes = BTreeMap::<(bool, &str), f64>::new();
    for sample in samples {
        *sizes.entry((sample.attack, &sample.source)).or_default() += 1.0;
    }
    let sources =
        |attack: bool| sizes.keys().filter(|(side, _)| *side == attack).count().max(1) as f64;
    let (attacks, honests) = (sources(true), sources(false));
    let share = |sample: &Sample| {
        let size = sizes.get(&(sample.attack, &*sample.source)).copied().unwrap_or(1.0);
        0.5 / size / if sample.attack { attacks } else { honests }
    };
    samples.iter().map(share).collect()
}

/// Every other source, by name, of each side: the first to fit, the second to judge by. Returns the
/// sources with their halves.
pub fn halves(samples: Vec<Sample>) -> (Vec<Sample>, Vec<Sample>, BTreeMap<String, bool>) {
    let mut sources: Vec<_> =
        samples.iter().map(|sample| (sample.attack, sample.source.clone())).collect();
    sources.sort();
    sources.dedup();
    let mut count = [0, 0];
    let fitted = sources.into_iter().map(|(attack, source)| {
        let count = &mut count[usize::from(attack)];
        *count += 1;
        (source, *count % 2 == 1)
    });
    let fitted: BTreeMap<String, bool> = fitted.collect();
    let (fit, judge) =
        samples.into_iter().partition(|sample| fitted.get(&sample.source) == Some(&true));
    (fit, judge, fitted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(attack: bool, source: &str, nats: &[f64]) -> Sample {
        let mut all = [0.0; COUNT];
        all[..nats.len()].copy_from_slice(nats);
        Sample { nats: all, group: 0.0, attack, source: source.to_owned() }
    }

    /// The first signal tells the sides apart, the second speaks for everybody.
    fn labelled() -> Vec<Sample> {
        let one = |n: u32| {
            let noise = f64::from(n % 7) / 7.0;
            [sample(true, "campaign:a", &[1.5, noise]), sample(false, "chat", &[0.1, noise + 0.4])]
        };
        (0..60).flat_map(one).collect()
    }

    #[test]
    fn what_tells_the_sides_apart_gains_weight_and_noise_loses_it() {
        let weights = Weights::fitted(&labelled());
        assert!(weights.multipliers[0] > 1.5, "{weights:?}");
        assert!(weights.multipliers[1] < 0.9, "{weights:?}");
        let untouched = weights.multipliers[COUNT - 1];
        assert!((untouched - 1.0).abs() < 1e-6, "{untouched}");
        let (before, after) = (Weights::shipped().fit(&labelled()), weights.fit(&labelled()));
        assert!(after.area >= before.area && after.caught > 0.99, "{before:?} {after:?}");
    }

    #[test]
    fn no_source_is_in_both_halves() {
        let all = ["a", "b", "c"].map(|name| sample(true, name, &[1.0]));
        let honest = ["x", "y"].map(|name| sample(false, name, &[0.0]));
        let (fit, judge, halves) = halves(all.into_iter().chain(honest).collect());
        assert_eq!((fit.len(), judge.len(), halves.len()), (3, 2, 5));
        assert!(fit.iter().all(|one| judge.iter().all(|other| one.source != other.source)));
    }

    #[test]
    fn a_large_campaign_does_not_outweigh_a_small_one() {
        let mut samples = vec![sample(true, "small", &[1.0])];
        samples.extend((0..99).map(|_| sample(true, "large", &[1.0])));
        let shares = shares(&samples);
        assert!((shares[0] - 0.25).abs() < 1e-9 && (shares[1] * 99.0 - 0.25).abs() < 1e-9);
    }
}
