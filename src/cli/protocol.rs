//! `stillguard protocol`: the engine against made-up fleets, and the targets it hits or misses.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use stillguard::lab::page;
use stillguard::lab::protocol::{Part, Suite, Tried, told};
use stillguard::policy::{Mode, Policies};
use stillguard::time::Clock;

use super::{Failure, print, read, replay, simulate};

/// The world at the scale of what was published.
const SEED: &str = include_str!("../../config/scenarios/seed.toml");

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The world, at scale 1. Without a file: config/scenarios/seed.toml.
    #[arg(value_name = "SCENARIO.toml")]
    scenario: Option<PathBuf>,
    /// How many of its accounts there are: 1 is 24,000 of campaigns and 300,000 honest ones.
    #[arg(long, value_name = "FACTOR", default_value_t = 0.01)]
    scale: f64,
    #[arg(long, value_delimiter = ',', default_value = "1,2,3")]
    seeds: Vec<u64>,
    /// Which parts: base, provisioning, regimes, ablation, evasions. All of them if not said.
    #[arg(long, value_delimiter = ',', value_name = "PARTS")]
    only: Vec<String>,
    /// Prompts from outside, as for `simulate`.
    #[arg(long, value_name = "DIR")]
    corpus: Vec<PathBuf>,
    /// Engine and policy. Without a file, the defaults; either way verdicts are carried out.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Write everything: as JSON, or as a page with plots where the file is named `.html`. May be
    /// given again.
    #[arg(long, value_name = "FILE")]
    report: Vec<PathBuf>,
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let scenario = match &options.scenario {
        Some(path) => simulate::read(path)?,
        None => toml::from_str(SEED).context("the scenario that ships can't be read")?,
    };
    let config = read(options.config.as_deref())?;
    let mut policy = config.policy();
    policy.defaults.mode = Some(Mode::Enforce);
    let suite = Suite {
        scenario,
        scale: options.scale,
        seeds: options.seeds.clone(),
        corpus: simulate::corpus(&options.corpus)?,
        engine: config.engine(),
        policies: Policies::from(&policy),
        parts: parts(&options.only)?,
    };
    let clock = Clock::start();
    let mut before = 0;
    let tried = suite.run(|one| before = progress(one, (&clock, before)));
    print(&told(&tried))?;
    for path in &options.report {
        write(path, &tried)?;
    }
    Ok(())
}

fn parts(named: &[String]) -> anyhow::Result<Vec<Part>> {
    if named.is_empty() {
        return Ok(Part::ALL.to_vec());
    }
    let part = |name: &String| match Part::ALL.into_iter().find(|part| part.name() == name) {
        Some(part) => Ok(part),
        None => bail!("`{name}` is no part of the protocol"),
    };
    named.iter().map(part).collect()
}

/// One line for each run, on standard error; the time when it ended.
fn progress(one: &Tried, (clock, before): (&Clock, u64)) -> u64 {
    let now = clock.elapsed_nanos();
    let seconds = (now - before) as f64 / 1e9;
    let exchanges = one.outcome.exchanges;
    eprintln!(
        "{}, {}: {exchanges} exchanges in {seconds:.0} s ({:.1} us each), leakage {:.2} %, {} honest dropped",
        one.part.name(),
        one.name,
        seconds * 1e6 / exchanges.max(1) as f64,
        one.figures.leakage * 100.0,
        one.figures.dropped,
    );
    now
}

fn write(path: &Path, tried: &[Tried]) -> anyhow::Result<()> {
    let page = replay::is_page(path);
    let text = if page { page::of_protocol(tried) } else { serde_json::to_string_pretty(tried)? };
    std::fs::write(path, text).with_context(|| format!("can't write {}", path.display()))
}
