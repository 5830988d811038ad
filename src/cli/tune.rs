//! `stillguard tune`: weights of signals from the past, as far as somebody has labelled it.

use std::fmt::Write as _;
use std::io::BufReader;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Args;
use stillguard::lab::tune::{Sample, Weights, halves, reviewed, samples};
use stillguard::signal::CATALOGUE;

use super::replay::joined;
use super::{Failure, print, read};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Labelled exchange logs, plain or zstd. Several are replayed one by one, each with an engine of
    /// its own; every other source (campaign or honest class) is held back to judge by.
    #[arg(required_unless_present = "reviewed", value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// Decision logs, plain or zstd, oldest first: accounts that `stillguard review` has judged are samples,
    /// too. May be given more than once for one run.
    #[arg(long, value_name = "LOG")]
    reviewed: Vec<PathBuf>,
    /// Where the weights go: a file that `check` reads and `weights_file` names.
    #[arg(long, value_name = "FILE", default_value = "weights.toml")]
    out: PathBuf,
    /// The engine to start from. Without a file, the defaults.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let engine = read(options.config.as_deref())?.engine();
    let mut all: Vec<Sample> = Vec::new();
    for log in &options.logs {
        let name = log.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let log = BufReader::new(joined(std::slice::from_ref(log))?);
        let found = samples(&engine, log).map_err(anyhow::Error::new)?;
        let several = options.logs.len() > 1;
        let named = |source: String| if several { format!("{name}: {source}") } else { source };
        all.extend(found.into_iter().map(|one| Sample { source: named(one.source), ..one }));
    }
    if !options.reviewed.is_empty() {
        let log = BufReader::new(joined(&options.reviewed)?);
        all.extend(reviewed(&engine, log).map_err(anyhow::Error::new)?);
    }
    let (fit, judge, sources) = halves(all);
    for (half, what) in [(&fit, "to fit"), (&judge, "to judge by")] {
        let attacks = half.iter().filter(|one| one.attack).count();
        let enough = attacks > 0 && attacks < half.len();
        ensure_enough(enough, what)?;
    }
    let (shipped, fitted) = (Weights::shipped(), Weights::fitted(&fit));
    let mut text = String::new();
    for (chosen, what) in [(true, "fitted on"), (false, "judged by")] {
        let names: Vec<_> = sources
            .iter()
            .filter(|(_, fitted)| **fitted == chosen)
            .map(|(name, _)| &**name)
            .collect();
        let _ = writeln!(text, "{what}: {}", names.join(", "));
    }
    for (half, what) in [(&fit, "fitted half"), (&judge, "other half")] {
        let (before, after) = (shipped.fit(half), fitted.fit(half));
        let _ = writeln!(
            text,
            "{what}, {} accounts: area {:.4} -> {:.4}, caught at one honest in a thousand {:.1} % -> {:.1} %",
            half.len(),
            before.area,
            after.area,
            before.caught * 100.0,
            after.caught * 100.0
        );
    }
    for (spec, multiplier) in CATALOGUE.iter().zip(fitted.multipliers) {
        let _ = writeln!(text, "  {:18} x {multiplier:.2}", spec.name);
    }
    std::fs::write(&options.out, fitted.toml())
        .with_context(|| format!("can't write {}", options.out.display()))?;
    let _ = writeln!(text, "written to {}", options.out.display());
    print(&text)
}

fn ensure_enough(enough: bool, what: &str) -> anyhow::Result<()> {
    ensure!(
        enough,
        "no accounts of both sides {what}: two campaigns and two honest classes, or accounts, are needed"
    );
    Ok(())
}
