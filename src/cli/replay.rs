//! `stillguard replay`: a decision log, judged again under another policy or by another version.

use std::fmt::Write;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use stillguard::engine::Engine;
use stillguard::lab::replay::{Summary, replay};
use stillguard::policy::{Action, Policies};

use super::{Failure, print, read};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Decision logs, oldest first; `-` reads standard input.
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// The policy to judge by. Without a file, the defaults.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let config = read(options.config.as_deref())?;
    let engine = Engine::new(config.engine(), Policies::from(&config.policy()));
    let mut log: Box<dyn Read> = Box::new(std::io::empty());
    for path in &options.logs {
        let next: Box<dyn Read> = match path.to_str() {
            Some("-") => Box::new(std::io::stdin()),
            _ => Box::new(open(path)?),
        };
        log = Box::new(log.chain(next));
    }
    let log = BufReader::new(log);
    let summary = replay(&engine, log, |_, _, _| {}).map_err(anyhow::Error::new)?;
    print(&told(&summary))
}

fn open(path: &PathBuf) -> anyhow::Result<File> {
    File::open(path).with_context(|| format!("can't read {}", path.display()))
}

fn told(summary: &Summary) -> String {
    let Summary { lines, asks, ends, .. } = summary;
    let mut text = format!("{lines} lines, {asks} asks, {ends} ends\n");
    for bad in &summary.bad_lines {
        let _ = writeln!(text, "line {}: {}", bad.line, bad.why);
    }
    let _ = writeln!(text, "{} verdicts as logged", summary.agreements);
    for ((logged, now), count) in &summary.disagreements {
        let _ = writeln!(text, "{count} logged {}, now {}", logged.name(), now.name());
    }
    let held = |counts: &&_| held_at(counts) > Action::Allow;
    let accounts = summary.accounts.values().filter(held).count();
    let _ = writeln!(text, "{accounts} of {} accounts acted on", summary.accounts.len());
    let _ = writeln!(text, "digest of all verdicts: {}", summary.digest);
    text
}

/// The severest outcome an account met.
fn held_at(counts: &stillguard::lab::replay::Counts) -> Action {
    let met = |action: &Action| counts.outcomes[action.index()] > 0;
    Action::ALL.into_iter().rev().find(met).unwrap_or_default()
}
