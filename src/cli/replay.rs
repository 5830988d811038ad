//! `stillguard replay`: the past, judged by this version under a policy of your choice.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use stillguard::engine::Engine;
use stillguard::identity::Keyring;
use stillguard::lab::history::{self, Found, Report};
use stillguard::lab::replay::{Summary, replay};
use stillguard::policy::{Action, Policies};

use super::{Failure, print, read};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Decision logs (stillguard's own) or exchange logs (JSON lines with text, from another
    /// gateway), oldest first, plain or zstd; `-` reads standard input.
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// The policy to judge by. Without a file, the defaults.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Write what was found as JSON.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Exchange logs: append each account to this file when it is first dropped.
    #[arg(long, value_name = "FILE")]
    bans: Option<PathBuf>,
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let config = read(options.config.as_deref())?;
    let engine = Engine::new(config.engine(), Policies::from(&config.policy()));
    let mut log = BufReader::new(joined(&options.logs)?);
    let (text, json) = if is_decision_log(&mut log)? {
        let summary = replay(&engine, log, |_, _, _| {}).map_err(anyhow::Error::new)?;
        (told(&summary), serde_json::to_string_pretty(&summary))
    } else {
        let report = over_exchanges(&engine, log, options)?;
        (table(&report), serde_json::to_string_pretty(&report))
    };
    if let Some(path) = &options.report {
        let json = json.context("can't write the report")?;
        std::fs::write(path, json).with_context(|| format!("can't write {}", path.display()))?;
    }
    print(&text)
}

/// All logs, one after the other.
fn joined(logs: &[PathBuf]) -> Result<Box<dyn Read>, Failure> {
    let mut log: Box<dyn Read> = Box::new(std::io::empty());
    for path in logs {
        let next: Box<dyn Read> = match path.to_str() {
            Some("-") => Box::new(std::io::stdin()),
            _ => Box::new(open(path)?),
        };
        log = Box::new(log.chain(plain(next)?));
    }
    Ok(log)
}

/// First bytes of a zstd frame (RFC 8878, section 3.1.1).
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The log decoded, if it is zstd. A line too long is skipped by its reader, so a bomb costs time only.
fn plain(log: Box<dyn Read>) -> anyhow::Result<Box<dyn Read>> {
    let mut log = BufReader::new(log);
    if !log.fill_buf().context("can't read the log")?.starts_with(&ZSTD) {
        return Ok(Box::new(log));
    }
    let decoded = zstd::Decoder::with_buffer(log).context("can't decode the log")?;
    Ok(Box::new(decoded))
}

/// Lines of a decision log begin with their version.
fn is_decision_log(log: &mut impl BufRead) -> anyhow::Result<bool> {
    let start = log.fill_buf().context("can't read the log")?;
    Ok(start.trim_ascii_start().starts_with(b"{\"v\":"))
}

fn over_exchanges(engine: &Engine, log: impl BufRead, options: &Options) -> anyhow::Result<Report> {
    let append = |path| File::options().append(true).create(true).open(path);
    let bans = options.bans.as_ref().map(append).transpose();
    let mut bans = bans.context("can't open the file of bans")?;
    // Nothing of the log's tags is kept, so any secret will do; a fixed one keeps replays equal.
    let keyring = Keyring::new([0; 32]);
    let report = history::replay(engine, &keyring, log, |account| {
        if let Some(file) = &mut bans {
            // A generator that reads along is better told late than never.
            let _ = writeln!(file, "{account}").and_then(|()| file.flush());
        }
    });
    Ok(report?)
}

fn table(report: &Report) -> String {
    let mut text = format!("{} lines, {} bad\n", report.lines, report.bad);
    for bad in &report.bad_lines {
        let _ = writeln!(text, "line {}: {}", bad.line, bad.why);
    }
    let _ = writeln!(
        text,
        "{:24} {:>9} {:>9} {:>7} {:>9} {:>10} {:>9} {:>9}  first acted on",
        "label", "offered", "served", "shaped", "throttled", "challenged", "dropped", "leakage"
    );
    for (label, side) in &report.sides {
        let first = side.first_enforced.map_or_else(
            || "never".to_owned(),
            |(exchanges, hours)| format!("after {exchanges} exchanges, {hours:.1} h"),
        );
        let _ = writeln!(
            text,
            "{label:24} {:>9} {:>9} {:>7} {:>9} {:>10} {:>9} {:>8.2}%  {first}",
            side.offered,
            side.served,
            side.shaped,
            side.throttled,
            side.challenged,
            side.dropped,
            side.leakage() * 100.0
        );
    }
    text += "shaped: marked as such; this version still forwards them whole\n";
    let met = report.sides.iter().map(|(name, side)| (name, &side.met));
    for (name, met) in met.chain(&report.classes) {
        let _ = writeln!(
            text,
            "{name}: of {} accounts {} shaped, {} throttled, {} challenged, {} dropped at least once",
            met.accounts, met.shaped, met.throttled, met.challenged, met.dropped
        );
    }
    campaigns(&mut text, &report.campaigns);
    text
}

fn campaigns(text: &mut String, found: &[Found]) {
    for Found { about, labels } in found {
        let who: Vec<_> = labels.iter().map(|(label, count)| format!("{count} {label}")).collect();
        let _ = writeln!(
            text,
            "{}: {}, {} members ({}), {:.1} nats, {} exchanges served and {} refused since it was formed",
            about.id,
            about.state.name(),
            about.members,
            who.join(", "),
            about.score,
            about.harvest.served,
            about.harvest.refused
        );
    }
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
