//! The figures of one run, and the targets they are held against.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Outcome;
use crate::lab::history::Side;

/// What the protocol asks for, of one run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    /// Full-fidelity exchanges served of those offered: all campaigns together, and their mean.
    pub leakage: f64,
    pub macro_leakage: f64,
    /// The same of what was planned: what an attacker gets home.
    pub taken: f64,
    /// Share of offered exchanges that were shaped: answered, but not in full.
    pub shaped: f64,
    /// Exchanges until the first is acted on, of the slowest campaign; none where one never is.
    pub first: Option<u64>,
    /// Share of a campaign's accounts that were throttled or worse, of all and of the worst.
    pub recall: f64,
    pub worst_recall: f64,
    pub honest: u64,
    pub dropped: u64,
    pub challenged: f64,
    /// Throttled or worse.
    pub throttled: f64,
    /// The class of which the largest share was throttled or worse.
    pub worst_class: (String, f64),
    /// Hours until the slowest pivot was noticed; none where one was not, or there was none.
    pub pivot: Option<f64>,
    pub pivots: usize,
    /// Attack accounts lost, of those opened.
    pub lost: u64,
    pub opened: u64,
}

/// One line of the target table.
#[derive(Clone, Debug, Serialize)]
pub struct Target {
    pub metric: &'static str,
    pub target: &'static str,
    /// Median and worst over the seeds.
    pub median: String,
    pub worst: String,
    /// None where nothing is asked for.
    pub hit: Option<bool>,
}

impl Figures {
    pub fn of(outcome: &Outcome) -> Self {
        let sides = &outcome.report.sides;
        let campaigns: Vec<&Side> = sides
            .iter()
            .filter(|(label, _)| label.starts_with("campaign"))
            .map(|(_, side)| side)
            .collect();
        let sum = |of: fn(&Side) -> u64| campaigns.iter().map(|side| of(side)).sum::<u64>();
        let share = |part: u64, all: u64| if all == 0 { 0.0 } else { part as f64 / all as f64 };
        let served = sum(|side| side.served);
        let mean = |of: fn(&Side) -> f64| {
            campaigns.iter().map(|side| of(side)).sum::<f64>() / campaigns.len().max(1) as f64
        };
        let honest = sides.get("benign").map(|side| side.met).unwrap_or_default();
        let planned = outcome.campaigns.values().map(|spent| spent.planned).sum();
        let firsts = campaigns.iter().map(|side| side.first_enforced.map(|(after, _)| after));
        let lags: Vec<_> = outcome.pivots.values().copied().collect();
        let slowest = |lags: &[Option<f64>]| {
            lags.iter().copied().collect::<Option<Vec<_>>>()?.into_iter().reduce(f64::max)
        };
        Self {
            leakage: share(served, sum(|side| side.offered)),
            macro_leakage: mean(Side::leakage),
            taken: share(served, planned),
            shaped: share(sum(|side| side.shaped), sum(|side| side.offered)),
            first: firsts.collect::<Option<Vec<_>>>().and_then(|firsts| firsts.into_iter().max()),
            recall: share(sum(|side| side.met.acted), sum(|side| side.met.accounts)),
            worst_recall: campaigns.iter().map(|side| side.recall()).fold(1.0, f64::min),
            honest: honest.accounts,
            dropped: honest.dropped,
            challenged: honest.share(honest.challenged),
            throttled: honest.share(honest.acted),
            worst_class: worst(outcome),
            pivot: slowest(&lags),
            pivots: lags.len(),
            lost: outcome.campaigns.values().map(|spent| u64::from(spent.lost)).sum(),
            opened: outcome.campaigns.values().map(|spent| u64::from(spent.opened)).sum(),
        }
    }
}

fn worst(outcome: &Outcome) -> (String, f64) {
    let classes =
        outcome.report.classes.iter().map(|(name, met)| (name.clone(), met.share(met.acted)));
    classes.fold((String::new(), 0.0), |worst, next| if next.1 > worst.1 { next } else { worst })
}

/// How a figure is read. What never happened is infinite.
#[derive(Clone, Copy)]
enum Unit {
    Share,
    Count(&'static str),
    Hours,
}

/// One row: its figure, and the most (or, negated, the least) it may be.
struct Row {
    metric: &'static str,
    target: &'static str,
    unit: Unit,
    limit: Option<f64>,
    of: fn(&Figures) -> f64,
}

const fn row(
    (metric, target): (&'static str, &'static str),
    unit: Unit,
    limit: Option<f64>,
    of: fn(&Figures) -> f64,
) -> Row {
    Row { metric, target, unit, limit, of }
}

const NEVER: f64 = f64::INFINITY;

/// Rows over all seeds. Shares of at least are negated, so that the largest is the worst.
const SEEDS: [Row; 11] = [
    row(("leakage, total", "<= 0.5 %"), Unit::Share, Some(0.005), |f| f.leakage),
    row(("leakage, mean over campaigns", "<= 2 %"), Unit::Share, Some(0.02), |f| f.macro_leakage),
    // A campaign whose accounts are all gone offers nothing more, so shares of what it offered say
    // little of what it got.
    row(("... of what campaigns had planned", "no target"), Unit::Share, None, |f| f.taken),
    row(
        ("first enforcement, slowest campaign", "<= 2,000 exchanges"),
        Unit::Count(" exchanges"),
        Some(2_000.0),
        |f| f.first.map_or(NEVER, |first| first as f64),
    ),
    row(("account recall, all campaigns", ">= 99 %"), Unit::Share, Some(-0.99), |f| -f.recall),
    row(("account recall, worst campaign", ">= 97 %"), Unit::Share, Some(-0.97), |f| {
        -f.worst_recall
    }),
    row(("honest accounts dropped", "0"), Unit::Count(""), Some(0.0), |f| f.dropped as f64),
    row(("honest accounts challenged", "<= 0.01 %"), Unit::Share, Some(1e-4), |f| f.challenged),
    row(("honest accounts throttled or worse", "<= 0.05 %"), Unit::Share, Some(5e-4), |f| {
        f.throttled
    }),
    row(("worst honest class", "<= 1 %"), Unit::Share, Some(0.01), |f| f.worst_class.1),
    row(("pivot noticed", "<= 1 h"), Unit::Hours, Some(1.0), |f| {
        if f.pivots == 0 { 0.0 } else { f.pivot.unwrap_or(NEVER) }
    }),
];

const TRIPLE: Row =
    row(("leakage, worst triple of evasions", "<= 10 %"), Unit::Share, Some(0.1), |f| f.leakage);
const WITHOUT: Row =
    row(("leakage, without provisioning data", "<= 5 %"), Unit::Share, Some(0.05), |f| f.leakage);

/// The target table over the seeds of one scenario. `without` are the runs that know nothing of how
/// accounts came to be, `triples` those of the worst evasions together.
pub(super) fn targets(seeds: &[Figures], without: &[Figures], triples: &[Figures]) -> Vec<Target> {
    let others = [(&TRIPLE, triples), (&WITHOUT, without)];
    let rows = SEEDS.iter().map(|row| (row, seeds)).chain(others);
    rows.map(|(row, runs)| row.over(runs)).collect()
}

impl Row {
    fn over(&self, runs: &[Figures]) -> Target {
        let (median, worst) = spread(runs.iter().map(self.of));
        let said = |value| if runs.is_empty() { "not run".into() } else { self.unit.said(value) };
        Target {
            metric: self.metric,
            target: self.target,
            median: said(median),
            worst: said(worst),
            hit: self.limit.map(|limit| !runs.is_empty() && worst <= limit),
        }
    }
}

impl Unit {
    fn said(self, value: f64) -> String {
        let value = value.abs();
        match self {
            _ if value == NEVER => "never".into(),
            Self::Share => format!("{:.2} %", value * 100.0),
            Self::Count(what) => format!("{value:.0}{what}"),
            Self::Hours => format!("{value:.1} h"),
        }
    }
}

/// Median and largest.
fn spread(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let median = values.get(values.len() / 2).copied().unwrap_or_default();
    (median, values.last().copied().unwrap_or_default())
}

/// A mean and half the width of its 95 % confidence interval (normal approximation).
pub(super) fn interval(values: &[f64]) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance =
        values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    (mean, 1.96 * (variance / n).sqrt())
}

/// Honest accounts by class over all runs: of how many how many were throttled or worse, challenged
/// or dropped.
pub(super) fn classes<'a>(
    outcomes: impl Iterator<Item = &'a Outcome>,
) -> BTreeMap<String, [u64; 4]> {
    let mut all = BTreeMap::<String, [u64; 4]>::new();
    for (name, met) in outcomes.flat_map(|outcome| &outcome.report.classes) {
        let sums = all.entry(name.clone()).or_default();
        let more = [met.accounts, met.acted, met.challenged, met.dropped];
        sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
    }
    all
}
