//! Which runs the protocol consists of.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Figures, Outcome, Trial};
use crate::engine;
use crate::lab::material::Corpus;
use crate::lab::world::{Evasion, Scenario};
use crate::policy::Policies;
use crate::signal::{self, CATALOGUE, Family};

/// A part of the protocol. Each is a table of its own.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Every seed as the scenario says: the target table.
    Base,
    /// Every seed with nothing known of how accounts came to be.
    Provisioning,
    /// All campaigns hot, all of them slow; bans replaced after 1, 6 and 24 hours.
    Regimes,
    /// Each family of signals switched off.
    Ablation,
    /// Each evasion by all campaigns, and the worst three together.
    Evasions,
}

impl Part {
    pub const ALL: [Self; 5] =
        [Self::Base, Self::Provisioning, Self::Regimes, Self::Ablation, Self::Evasions];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Provisioning => "provisioning",
            Self::Regimes => "regimes",
            Self::Ablation => "ablation",
            Self::Evasions => "evasions",
        }
    }
}

/// The whole protocol on one scenario.
#[derive(Clone, Debug)]
pub struct Suite {
    pub scenario: Scenario,
    pub scale: f64,
    pub seeds: Vec<u64>,
    pub corpus: Option<Arc<Corpus>>,
    pub engine: engine::Settings,
    pub policies: Policies,
    pub parts: Vec<Part>,
}

/// One run and its figures.
#[derive(Clone, Debug, Serialize)]
pub struct Tried {
    pub part: Part,
    pub name: String,
    pub figures: Figures,
    pub outcome: Outcome,
}

/// Requests of an account a day in the two regimes that were published.
const HOT: f64 = 780.0;
const SLOW: f64 = 15.0;

impl Suite {
    /// Plays all runs, telling each to `on` as it ends.
    pub fn run(&self, mut on: impl FnMut(&Tried)) -> Vec<Tried> {
        let mut tried = Vec::new();
        let mut take = |one: Tried, tried: &mut Vec<Tried>| {
            on(&one);
            tried.push(one);
        };
        for part in Part::ALL.into_iter().filter(|part| self.parts.contains(part)) {
            for (name, seed, trial) in self.trials(part) {
                take(self.try_out((part, name), seed, trial), &mut tried);
            }
        }
        if self.parts.contains(&Part::Evasions) {
            let three = worst_three(&tried);
            let names: Vec<_> = three.iter().map(|evasion| evasion.name()).collect();
            let name = format!("worst three: {}", names.join(" + "));
            let change = self.evading(&three);
            let seed = self.seeds.first().copied().unwrap_or(1);
            take(self.try_out((Part::Evasions, name), seed, change), &mut tried);
        }
        tried
    }

    fn trials(&self, part: Part) -> Vec<(String, u64, (Scenario, engine::Settings))> {
        let first = self.seeds.first().copied().unwrap_or(1);
        let plain = |scenario| (scenario, self.engine.clone());
        let with = |change: &dyn Fn(&mut Scenario)| {
            let mut scenario = self.scenario.clone();
            change(&mut scenario);
            plain(scenario)
        };
        let paced = |per_day: f64| {
            with(&move |scenario| {
                scenario.campaigns.iter_mut().for_each(|plan| plan.per_day = per_day);
            })
        };
        let replaced = |hours: f64| {
            with(&move |scenario| {
                scenario.campaigns.iter_mut().for_each(|plan| plan.replacement = hours);
            })
        };
        match part {
            Part::Base => self
                .seeds
                .iter()
                .map(|&seed| (format!("seed {seed}"), seed, with(&|_| {})))
                .collect(),
            Part::Provisioning => {
                let without = with(&|scenario| scenario.provisioning = false);
                self.seeds
                    .iter()
                    .map(|&seed| (format!("seed {seed}"), seed, without.clone()))
                    .collect()
            }
            Part::Regimes => vec![
                (format!("all hot, {HOT} a day"), first, paced(HOT)),
                (format!("all slow, {SLOW} a day"), first, paced(SLOW)),
                ("bans replaced after 1 h".into(), first, replaced(1.0)),
                ("bans replaced after 6 h".into(), first, replaced(6.0)),
                ("bans replaced after 24 h".into(), first, replaced(24.0)),
            ],
            Part::Ablation => Family::ALL
                .into_iter()
                .map(|family| {
                    (
                        format!("without {family:?}"),
                        first,
                        (self.scenario.clone(), without(&self.engine, family)),
                    )
                })
                .collect(),
            Part::Evasions => Evasion::ALL
                .into_iter()
                .map(|evasion| (evasion.name().to_owned(), first, self.evading(&[evasion])))
                .collect(),
        }
    }

    fn evading(&self, evasions: &[Evasion]) -> (Scenario, engine::Settings) {
        let mut scenario = self.scenario.clone();
        scenario.campaigns.iter_mut().for_each(|plan| plan.evasions.extend(evasions));
        (scenario, self.engine.clone())
    }

    fn try_out(
        &self,
        (part, name): (Part, String),
        seed: u64,
        what: (Scenario, engine::Settings),
    ) -> Tried {
        let (scenario, engine) = what;
        let trial = Trial {
            scenario: Arc::new(scenario.scaled(self.scale).evading()),
            seed,
            corpus: self.corpus.clone(),
            engine,
            policies: self.policies.clone(),
            baselines: part == Part::Base,
        };
        let outcome = trial.run();
        Tried { part, name, figures: Figures::of(&outcome), outcome }
    }
}

/// The engine with one family of signals switched off.
fn without(settings: &engine::Settings, family: Family) -> engine::Settings {
    let mut settings = settings.clone();
    // What was serialised can be read back: the modes are the only thing that changes.
    if let Ok(mut signals) = serde_json::to_value(&settings.signals) {
        for spec in CATALOGUE.iter().filter(|spec| spec.family == family) {
            signals[spec.name]["mode"] = "off".into();
        }
        settings.signals =
            serde_json::from_value::<signal::Settings>(signals).unwrap_or(settings.signals);
    }
    settings
}

/// The three single evasions that leaked most. Those that set the same knob exclude each other.
fn worst_three(tried: &[Tried]) -> Vec<Evasion> {
    let singles = tried.iter().filter(|one| one.part == Part::Evasions);
    let mut singles: Vec<_> = singles
        .filter_map(|one| {
            let evasion = Evasion::ALL.into_iter().find(|evasion| evasion.name() == one.name)?;
            // Served of planned: an attacker is not helped by offering less.
            Some((one.figures.taken, evasion))
        })
        .collect();
    singles.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut three: Vec<Evasion> = Vec::new();
    for (_, evasion) in singles {
        if three.len() < 3 && three.iter().all(|one| one.knob() != evasion.knob()) {
            three.push(evasion);
        }
    }
    three
}
