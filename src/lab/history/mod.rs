//! Tries the engine on the past: an exchange log, text included, as an operator exports it from an
//! existing gateway.
//!
//! Each line becomes the ask and the exchange that the live proxy would have made of it, and goes
//! through the very engine on the log's own clock: an exchange is learnt from when its answer has
//! ended, and one that is acted on is learnt from as refused. The question is what enforcement
//! *would have* done, so actions count whether or not the policy is in shadow mode.

mod line;
mod report;
mod shares;
mod stage;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::BufRead;
use std::net::IpAddr;
use std::sync::Arc;

use self::line::Line;
pub(super) use self::line::{answered, described};
pub use self::report::{Acted, Counted, Found, Known, Met, Report, Side};
pub(super) use self::stage::Stage;
use super::baseline::Baselines;
use super::replay::{BadLine, ReplayError, read_line};
use crate::engine::{Engine, Verdict};
use crate::identity::{AccountId, Keyring, Trace};
use crate::policy::Action;

/// Bad lines that are kept with their reasons; the rest is only counted.
const KEPT_BAD: usize = 20;

/// How much of a log is replayed, and what else is tried on it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// The first lines alone.
    pub until: Option<u64>,
    /// Simpler detectors, on the same traffic.
    pub baselines: bool,
}

/// Tells where an address is.
pub type Place<'a> = &'a dyn Fn(IpAddr, &mut Trace);

/// Replays the exchange log `log` into `engine`; `place` knows of what addresses the log says no
/// country. `dropped` is told each account's name, as the log
/// spells it, when it is first dropped.
///
/// # Errors
/// When reading fails, or when more than one line in a hundred can't be read.
pub fn replay(
    engine: &Engine,
    (keyring, place): (&Keyring, Place<'_>),
    (log, wanted): (impl BufRead, Wanted),
    mut dropped: impl FnMut(&str),
) -> Result<Report, ReplayError> {
    watch(engine, (keyring, place), (log, wanted), |seen| {
        if seen.dropped_first {
            dropped(seen.known.account);
        }
    })
}

/// One exchange and what became of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    pub(super) known: &'a Known<'a>,
    pub(super) verdict: &'a Verdict,
    /// It is the first of its account to be dropped.
    dropped_first: bool,
}

/// Replays as [`replay`] does, and shows every exchange to `on`.
pub(super) fn watch(
    engine: &Engine,
    (keyring, place): (&Keyring, Place<'_>),
    (mut log, wanted): (impl BufRead, Wanted),
    on: impl FnMut(Seen<'_>),
) -> Result<Report, ReplayError> {
    let mut run = Run::new(engine, (keyring, place), on);
    run.baselines = wanted.baselines.then(Baselines::default);
    let mut text = Vec::new();
    while wanted.until.is_none_or(|until| run.report.lines < until) {
        let number = run.report.lines + 1;
        let whole = read_line(&mut log, &mut text)
            .map_err(|source| ReplayError::Io { line: number, source })?;
        let Some(whole) = whole else { break };
        run.report.lines = number;
        if let Err(why) = run.take(&text, whole) {
            run.report.bad += 1;
            if run.report.bad_lines.len() < KEPT_BAD {
                run.report.bad_lines.push(BadLine { line: number, why });
            }
        }
    }
    run.finish()
}

/// The exchange that one line of a log stands for, had it been served.
///
/// # Errors
/// When the line can't be read.
#[cfg(test)]
pub(super) fn read(text: &str, keyring: &Keyring) -> Result<crate::signal::Exchange, String> {
    let line: Line<'_> = serde_json::from_str(text).map_err(|why| why.to_string())?;
    Ok(line.end(line.ask(keyring, &|_, _| {})?, keyring))
}

struct Run<'a, F> {
    stage: Stage<'a>,
    keyring: &'a Keyring,
    place: Place<'a>,
    on: F,
    report: Report,
    /// Labels by account, for the report alone.
    labels: BTreeMap<AccountId, Arc<str>>,
    baselines: Option<Baselines>,
}

impl<'a, F: FnMut(Seen<'_>)> Run<'a, F> {
    fn new(engine: &'a Engine, (keyring, place): (&'a Keyring, Place<'a>), on: F) -> Self {
        let (stage, report, labels) = (Stage::new(engine), Report::default(), BTreeMap::new());
        Self { stage, keyring, place, on, report, labels, baselines: None }
    }

    fn take(&mut self, text: &[u8], whole: bool) -> Result<(), String> {
        if text.trim_ascii().is_empty() {
            return Ok(());
        }
        if !whole {
            return Err("the line is too long".to_owned());
        }
        let line: Line<'_> = serde_json::from_slice(text).map_err(|why| why.to_string())?;
        let ask = line.ask(self.keyring, self.place)?;
        let (action, verdict) = self.stage.meet(&ask);
        let known = line.known();
        self.labels.entry(ask.caller.account).or_insert_with(|| known.label.into());
        let before = self.report.take(&known, &ask, (action, &verdict));
        let dropped_first = action == Action::Drop && !before;
        (self.on)(Seen { known: &known, verdict: &verdict, dropped_first });
        if let Some(baselines) = &mut self.baselines {
            baselines.take(&ask, line.meta());
        }
        let baselines = &mut self.baselines;
        self.stage.end(ask, action, |ask| {
            let exchange = line.end(ask, self.keyring);
            if let Some(baselines) = baselines {
                baselines.ended(&exchange);
            }
            exchange
        });
        Ok(())
    }

    fn finish(mut self) -> Result<Report, ReplayError> {
        let found = self.stage.campaigns();
        let found = found.map(|campaign| Found::new(campaign, &self.labels));
        self.report.campaigns = found.collect();
        self.report.baselines = self.baselines.map(|them| them.told()).unwrap_or_default();
        self.report.sum_up();
        let Report { bad, lines, bad_lines, .. } = &self.report;
        match bad_lines.first() {
            Some(first) if bad * 100 > *lines => Err(ReplayError::TooManyBad {
                bad: *bad,
                lines: *lines,
                line: first.line,
                why: first.why.clone(),
            }),
            _ => Ok(self.report),
        }
    }
}
