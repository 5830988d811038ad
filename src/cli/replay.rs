//! `stillguard replay`: the past, judged by this version under a policy of your choice.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::Args;
use serde::Serialize;
use stillguard::config::Config;
use stillguard::engine::Engine;
use stillguard::identity::{self, Atlas, Keyring, Trace};
use stillguard::lab::baseline::Baseline;
use stillguard::lab::history::{self, Found, Report, Wanted};
use stillguard::lab::page;
use stillguard::lab::replay::{Summary, replay};
use stillguard::policy::{Action, Policies};
use stillguard::time::Clock;

use super::{Failure, check, print, read};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Decision logs (stillguard's own) or exchange logs (JSON lines with text, from another
    /// gateway), oldest first, plain or zstd; `-` reads standard input.
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// The policy to judge by. Without a file, the defaults.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Write what was found: as JSON, or as a page with plots where the file is named `.html`. May be
    /// given again.
    #[arg(long, alias = "html", value_name = "FILE")]
    report: Vec<PathBuf>,
    /// Judge by this file too and say which accounts would meet something else. Reads the logs twice.
    #[arg(long, value_name = "POLICY.toml")]
    compare: Option<PathBuf>,
    /// Exchange logs: append each account to this file when it is first dropped.
    #[arg(long, value_name = "FILE")]
    bans: Option<PathBuf>,
    /// Exchange logs: say what simpler detectors make of the same traffic.
    #[arg(long)]
    baselines: bool,
    /// Exchange logs: read so many lines and no more.
    #[arg(long, value_name = "N")]
    until: Option<u64>,
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let config = read(options.config.as_deref())?;
    let found = pass(options, &config, options.bans.as_deref())?;
    for path in &options.report {
        let text = if is_page(path) { Ok(found.page()) } else { found.json() };
        let text = text.context("can't write the report")?;
        std::fs::write(path, text).with_context(|| format!("can't write {}", path.display()))?;
    }
    print(&found.told())?;
    let Some(file) = &options.compare else { return Ok(()) };
    if options.logs.iter().any(|log| log.to_str() == Some("-")) {
        return Err(anyhow!("standard input can't be read twice: compare needs files").into());
    }
    let other = pass(options, &read(Some(file))?, None)?;
    print(&compared(&found.severest(), &other.severest(), file))
}

/// Whether a report by this name is a page.
pub(super) fn is_page(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "html")
}

/// What one pass over the logs found.
enum Passed {
    Decisions(Box<Summary>),
    Exchanges(Box<Replayed>),
}

/// An exchange log's report and the run that made it.
#[derive(Serialize)]
struct Replayed {
    ran: Ran,
    #[serde(flatten)]
    report: Report,
}

/// What a run cost, and by which rules it judged.
#[derive(Serialize)]
struct Ran {
    /// From the first line to the last, reading and reporting included.
    engine_seconds: f64,
    exchanges_per_second: f64,
    /// Of the process. None where the system does not tell.
    peak_memory_bytes: Option<u64>,
    /// Of the configuration, the weights among it, and of the weights alone.
    config_hash: String,
    weights_hash: String,
}

impl Ran {
    fn new(report: &Report, clock: &Clock, config: &Config) -> Self {
        let seconds = clock.elapsed_nanos() as f64 / 1e9;
        let good = report.lines - report.bad;
        let hash = |text: serde_json::Result<String>| {
            let text = text.unwrap_or_default();
            blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
        };
        let engine = config.engine();
        Self {
            engine_seconds: seconds,
            exchanges_per_second: good as f64 / seconds.max(1e-9),
            peak_memory_bytes: peak_memory(),
            config_hash: hash(serde_json::to_string(&(&engine, &engine.signals, config.policy()))),
            weights_hash: hash(serde_json::to_string(&engine.signals)),
        }
    }

    fn in_words(&self) -> String {
        let Self { engine_seconds, exchanges_per_second, config_hash, weights_hash, .. } = self;
        let memory = self.peak_memory_bytes.map_or_else(String::new, |bytes| {
            format!(", {:.0} MiB at most", bytes as f64 / f64::from(1 << 20))
        });
        format!(
            "{engine_seconds:.1} s, {exchanges_per_second:.0} exchanges a second{memory}; \
            config {config_hash}, weights {weights_hash}"
        )
    }
}

/// A log that says on standard error how far it has been read.
struct Told<R> {
    log: R,
    read: u64,
}

/// Bytes between two lines of progress.
const STEP: u64 = 64 << 20;

impl<R: Read> Read for Told<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let got = self.log.read(into)?;
        let before = self.read / STEP;
        self.read += got as u64;
        if self.read / STEP > before {
            eprintln!("{} MiB of text read", self.read >> 20);
        }
        Ok(got)
    }
}

fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(peak.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
}

fn pass(options: &Options, config: &Config, bans: Option<&Path>) -> Result<Passed, Failure> {
    let engine = Engine::new(config.engine(), Policies::from(&config.policy()));
    let mut log = BufReader::new(Told { log: joined(&options.logs)?, read: 0 });
    Ok(if is_decision_log(&mut log)? {
        let summary = replay(&engine, log, |_, _, _| {}).map_err(anyhow::Error::new)?;
        Passed::Decisions(Box::new(summary))
    } else {
        let clock = Clock::start();
        let wanted = Wanted { until: options.until, baselines: options.baselines };
        let atlas = atlas(config)?;
        let report = over_exchanges((&engine, &atlas), (log, wanted), bans)?;
        let ran = Ran::new(&report, &clock, config);
        eprintln!("{}", ran.in_words());
        Passed::Exchanges(Box::new(Replayed { ran, report }))
    })
}

impl Passed {
    fn told(&self) -> String {
        match self {
            Self::Decisions(summary) => told(summary),
            Self::Exchanges(replayed) => table(&replayed.report),
        }
    }

    fn json(&self) -> serde_json::Result<String> {
        match self {
            Self::Decisions(summary) => serde_json::to_string_pretty(summary),
            Self::Exchanges(replayed) => serde_json::to_string_pretty(replayed),
        }
    }

    fn page(&self) -> String {
        match self {
            Self::Decisions(_) => page::of_replay(&Report::default(), &self.told()),
            Self::Exchanges(replayed) => page::of_replay(&replayed.report, &self.told()),
        }
    }

    /// The severest action each account met, by its id or its name in the log.
    fn severest(&self) -> BTreeMap<String, Action> {
        match self {
            Self::Decisions(summary) => {
                let accounts = summary.accounts.iter();
                accounts.map(|(id, counts)| (id.to_string(), held_at(counts))).collect()
            }
            Self::Exchanges(replayed) => replayed.report.severest(),
        }
    }
}

/// Accounts named one by one where policies differ.
const NAMED: usize = 30;

fn compared(
    ours: &BTreeMap<String, Action>,
    theirs: &BTreeMap<String, Action>,
    file: &Path,
) -> String {
    let differ = ours.iter().filter_map(|(name, one)| {
        let other = theirs.get(name).copied().unwrap_or_default();
        (*one != other).then_some((name, *one, other))
    });
    let differ: Vec<_> = differ.collect();
    let mut text = format!(
        "under {}, {} of {} accounts would meet another severest action\n",
        file.display(),
        differ.len(),
        ours.len()
    );
    let mut pairs = BTreeMap::<_, u64>::new();
    differ.iter().for_each(|(_, one, other)| *pairs.entry((*one, *other)).or_default() += 1);
    for ((one, other), count) in pairs {
        let _ = writeln!(text, "{count} from {} to {}", one.name(), other.name());
    }
    for (name, one, other) in differ.iter().take(NAMED) {
        let _ = writeln!(text, "  {name}: {} -> {}", one.name(), other.name());
    }
    text
}

/// All logs, one after the other.
pub(super) fn joined(logs: &[PathBuf]) -> Result<Box<dyn Read>, Failure> {
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

/// Where addresses are, by the databases that the file names.
fn atlas(config: &Config) -> Result<Atlas, Failure> {
    let files = identity::Settings { attributes_file: None, ..config.identity.clone() };
    let looked = check::looked_at(config, &files)?;
    looked.atlas.unwrap_or_else(|| Ok(Atlas::default())).map_err(Failure::Mistakes)
}

fn over_exchanges(
    (engine, atlas): (&Engine, &Atlas),
    log: (impl BufRead, Wanted),
    bans: Option<&Path>,
) -> anyhow::Result<Report> {
    let append = |path| File::options().append(true).create(true).open(path);
    let bans = bans.map(append).transpose();
    let mut bans = bans.context("can't open the file of bans")?;
    // Nothing of the log's tags is kept, so any secret will do; a fixed one keeps replays equal.
    let keyring = Keyring::new([0; 32]);
    let place = |address, trace: &mut Trace| atlas.place(address, trace);
    let report = history::replay(engine, (&keyring, &place), log, |account| {
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
    text += "shaped: forwarded, giving away less\n";
    let met = report.sides.iter().map(|(name, side)| (name, &side.met));
    for (name, met) in met.chain(&report.classes) {
        let _ = writeln!(
            text,
            "{name}: of {} accounts {} shaped, {} throttled, {} challenged, {} dropped at least once",
            met.accounts, met.shaped, met.throttled, met.challenged, met.dropped
        );
    }
    campaigns(&mut text, &report.campaigns);
    if !report.baselines.is_empty() {
        let _ = writeln!(text, "{}", Baseline::HEADER);
    }
    for one in &report.baselines {
        let _ = writeln!(text, "{}", one.row());
    }
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
