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

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io::BufRead;
use std::sync::Arc;
use std::time::Duration;

use self::line::Line;
pub use self::report::{Found, Met, Report, Side};
use self::shares::Shares;
use super::replay::{BadLine, ReplayError, read_line};
use crate::engine::{Engine, Verdict};
use crate::identity::{AccountId, Keyring};
use crate::policy::Action;
use crate::signal::{Ask, Ending, Exchange};
use crate::time::Timestamp;

/// Bad lines that are kept with their reasons; the rest is only counted.
const KEPT_BAD: usize = 20;

/// Replays the exchange log `log` into `engine`. `dropped` is told each account's name, as the log
/// spells it, when it is first dropped.
///
/// # Errors
/// When reading fails, or when more than one line in a hundred can't be read.
pub fn replay(
    engine: &Engine,
    keyring: &Keyring,
    mut log: impl BufRead,
    dropped: impl FnMut(&str),
) -> Result<Report, ReplayError> {
    let mut run = Run::new(engine, keyring, dropped);
    let mut text = Vec::new();
    loop {
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

struct Run<'a, F> {
    engine: &'a Engine,
    keyring: &'a Keyring,
    dropped: F,
    report: Report,
    /// Answers under way, by the time they end.
    ends: BinaryHeap<Reverse<End>>,
    paces: BTreeMap<AccountId, Timestamp>,
    shares: Shares,
    /// Labels by account, for the report alone.
    labels: BTreeMap<AccountId, Arc<str>>,
    ticked: Timestamp,
}

impl<'a, F: FnMut(&str)> Run<'a, F> {
    fn new(engine: &'a Engine, keyring: &'a Keyring, dropped: F) -> Self {
        let (report, ends) = (Report::default(), BinaryHeap::new());
        let (paces, ticked) = (BTreeMap::new(), Timestamp::default());
        let (shares, labels) = (Shares::default(), BTreeMap::new());
        Self { engine, keyring, dropped, report, ends, paces, shares, labels, ticked }
    }

    fn take(&mut self, text: &[u8], whole: bool) -> Result<(), String> {
        if text.trim_ascii().is_empty() {
            return Ok(());
        }
        if !whole {
            return Err("the line is too long".to_owned());
        }
        let line: Line<'_> = serde_json::from_slice(text).map_err(|why| why.to_string())?;
        let ask = line.ask(self.keyring)?;
        self.advance(ask.at);
        let verdict = self.engine.assess(&ask);
        let action = self.carried_out(&ask, &verdict);
        self.label(&line, &ask);
        let dropped_before = self.report.take(&line, &ask, (action, &verdict));
        if action == Action::Drop && !dropped_before {
            (self.dropped)(&line.account);
        }
        let exchange = if action <= Action::Shape {
            line.end(ask, self.keyring)
        } else {
            let status = if action == Action::Throttle { 429 } else { 403 };
            let ended = ask.at;
            Exchange { ask, ended, ending: Ending::Refused, status, completion: Default::default() }
        };
        self.ends.push(Reverse(End(exchange)));
        Ok(())
    }

    /// What would have happened: a throttled account still gets through at its pace.
    fn carried_out(&mut self, ask: &Ask, verdict: &Verdict) -> Action {
        if verdict.exempt || verdict.cleared {
            return Action::Allow;
        }
        if verdict.action != Action::Throttle {
            return verdict.action;
        }
        let policies = self.engine.policies();
        let policy = policies.of(&ask.caller.tenant);
        let bucket = verdict.campaign.filter(|_| verdict.contained);
        let bucket = bucket.and_then(|id| Some((id, self.engine.bucket(id, ask.caller.account)?)));
        if let Some((id, bucket)) = bucket {
            let passes = self.shares.admit(id, ask, (&policy.campaign, &bucket));
            return if passes { Action::Shape } else { Action::Throttle };
        }
        let minute = 60.0 / f64::from(policy.throttle.requests_per_minute.get());
        let gap = Duration::from_secs_f64(minute * policy.ladder.tightening(verdict.score));
        let slack = gap * (policy.throttle.burst.get() - 1);
        // The account's theoretical arrival time, as in any GCRA.
        let due = self.paces.entry(ask.caller.account).or_default();
        if *due > ask.at + slack {
            return Action::Throttle;
        }
        *due = (*due).max(ask.at) + gap;
        // Rungs include those below them: what a throttled account is let through with is shaped.
        Action::Shape
    }

    /// Lets answers end and seconds pass up to `now`.
    fn advance(&mut self, now: Timestamp) {
        while self.ends.peek().is_some_and(|Reverse(End(next))| next.ended <= now) {
            if let Some(Reverse(End(exchange))) = self.ends.pop() {
                self.tick(exchange.ended);
                self.engine.learn(&exchange);
            }
        }
        self.tick(now);
    }

    fn tick(&mut self, now: Timestamp) {
        if now.since(self.ticked) >= Duration::from_secs(1) {
            self.ticked = now;
            self.engine.tick(now);
        }
    }

    fn label(&mut self, line: &Line<'_>, ask: &Ask) {
        if let (Some(label), None) = (&line.label, self.labels.get(&ask.caller.account)) {
            self.labels.insert(ask.caller.account, (&**label).into());
        }
    }

    fn finish(mut self) -> Result<Report, ReplayError> {
        let all = self.engine.campaigns().into_iter();
        let found = all.filter_map(|about| self.engine.campaign(about.id));
        self.report.campaigns = found.map(|campaign| Found::new(campaign, &self.labels)).collect();
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

/// An exchange, ordered by when it ends; ties go by id, so that a replay has one order.
struct End(Exchange);

impl End {
    fn key(&self) -> (Timestamp, crate::signal::ExchangeId) {
        (self.0.ended, self.0.ask.id)
    }
}

impl PartialEq for End {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for End {}

impl PartialOrd for End {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for End {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}
