//! Replays a decision log into the very engine that wrote it: who would be judged otherwise?
//!
//! The log holds features only, so a replay needs neither prompts nor keys. Lines are taken in file
//! order; two replays of one log with one configuration give the same digest.

mod summary;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::io::BufRead;

use crate::engine::{Engine, Line, Order, Verdict};
use crate::signal::{Ask, Exchange, ExchangeId, Trial};
use crate::time::Timestamp;

pub use self::summary::{BadLine, Counts, Digest, Summary};

/// Asks that may wait for their end at once; beyond it the oldest is given up.
pub const MAX_PENDING: usize = 1 << 17;

/// Bytes of one line. A line of features is about two kilobytes.
pub const MAX_LINE: usize = 1 << 20;

#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("line {line}: {source}")]
    Io { line: u64, source: std::io::Error },
    /// The replay ran to the end, but what it saw is no decision log of this version.
    #[error("{bad} of {lines} lines can't be read; the first is line {line}: {why}")]
    TooManyBad { bad: u64, lines: u64, line: u64, why: String },
}

/// Replays `log` into `engine`. `on` sees every ask with the verdict that was logged and the one
/// given now.
///
/// # Errors
/// When reading fails, or when more than one line in a hundred can't be read.
pub fn replay(
    engine: &Engine,
    log: impl BufRead,
    on: impl FnMut(&Ask, &Verdict, &Verdict),
) -> Result<Summary, ReplayError> {
    follow(engine, log, on, |_| ())
}

/// Replays as [`replay`] does; `ordered` sees every order before it is carried out.
pub(super) fn follow(
    engine: &Engine,
    log: impl BufRead,
    on: impl FnMut(&Ask, &Verdict, &Verdict),
    mut ordered: impl FnMut(&Order),
) -> Result<Summary, ReplayError> {
    drive(log, on, |step| match step {
        Step::Assess(ask) => Some(engine.assess(ask)),
        Step::Accept(ask) => {
            engine.accept(ask);
            None
        }
        Step::Learn(exchange) => {
            engine.learn(exchange);
            None
        }
        Step::Try(trial) => {
            engine.tried(trial);
            None
        }
        Step::Tick(now) => {
            engine.tick(now);
            None
        }
        Step::Obey(order, at) => {
            ordered(order);
            // Live, it was carried out; on an engine of other settings it may find nobody to clear.
            let _ = engine.obey(order, at);
            None
        }
    })
}

/// One of the engine's verbs. Only the first has an answer.
enum Step<'a> {
    Assess(&'a Ask),
    Accept(&'a Ask),
    Learn(&'a Exchange),
    Try(&'a Trial),
    Tick(Timestamp),
    Obey(&'a Order, Timestamp),
}

fn drive(
    mut log: impl BufRead,
    mut on: impl FnMut(&Ask, &Verdict, &Verdict),
    mut play: impl FnMut(Step<'_>) -> Option<Verdict>,
) -> Result<Summary, ReplayError> {
    let mut summary = Summary::default();
    let mut pending = Pending::default();
    let mut text = Vec::new();
    loop {
        let number = summary.lines + 1;
        let whole = read_line(&mut log, &mut text)
            .map_err(|source| ReplayError::Io { line: number, source })?;
        let Some(whole) = whole else { break };
        summary.lines = number;
        if text.trim_ascii().is_empty() {
            continue;
        }
        match parse(&text, whole) {
            Err(why) => summary.unreadable(number, why),
            Ok(Line::Trial(trial)) => drop(play(Step::Try(&trial))),
            Ok(Line::Tick { at }) => drop(play(Step::Tick(at))),
            Ok(Line::Order { at, order }) => drop(play(Step::Obey(&order, at))),
            Ok(Line::Ask { ask, verdict: logged }) => {
                let now = play(Step::Assess(&ask)).unwrap_or_default();
                on(&ask, &logged, &now);
                summary.asked(&ask, &logged, &now);
                pending.put(ask);
            }
            Ok(Line::Accepted { id, .. }) => {
                let accepted = pending.asks.get(&id);
                drop(accepted.and_then(|ask| play(Step::Accept(ask))));
            }
            Ok(Line::End(end)) => match pending.take(end.id) {
                None => summary.unmatched += 1,
                Some(ask) => {
                    summary.ends += 1;
                    play(Step::Learn(&end.joined(ask)));
                }
            },
        }
    }
    summary.given_up = pending.given_up;
    summary.check()
}

fn parse(text: &[u8], whole: bool) -> Result<Line, String> {
    if !whole {
        return Err(format!("longer than {MAX_LINE} bytes"));
    }
    serde_json::from_slice(text).map_err(|error| error.to_string())
}

/// Reads up to the next newline, keeping at most [`MAX_LINE`] bytes. None at the end of the log,
/// false when the line was longer than what was kept.
pub(super) fn read_line(
    log: &mut impl BufRead,
    text: &mut Vec<u8>,
) -> std::io::Result<Option<bool>> {
    text.clear();
    let (mut any, mut whole) = (false, true);
    loop {
        let chunk = log.fill_buf()?;
        if chunk.is_empty() {
            return Ok(any.then_some(whole));
        }
        any = true;
        let end = memchr::memchr(b'\n', chunk);
        let taken = end.unwrap_or(chunk.len());
        let room = (MAX_LINE - text.len()).min(taken);
        whole &= room == taken;
        text.extend_from_slice(&chunk[..room]);
        log.consume(end.map_or(taken, |at| at + 1));
        if end.is_some() {
            return Ok(Some(whole));
        }
    }
}

/// Asks whose end has not been read yet, oldest first.
#[derive(Default)]
struct Pending {
    asks: BTreeMap<ExchangeId, Ask>,
    order: VecDeque<ExchangeId>,
    given_up: u64,
}

impl Pending {
    fn put(&mut self, ask: Ask) {
        while self.order.len() >= MAX_PENDING {
            let oldest = self.order.pop_front();
            // One that has ended meanwhile is no longer there: nothing is lost with it.
            self.given_up += u64::from(oldest.and_then(|id| self.asks.remove(&id)).is_some());
        }
        self.order.push_back(ask.id);
        self.asks.insert(ask.id, ask);
    }

    fn take(&mut self, id: ExchangeId) -> Option<Ask> {
        self.asks.remove(&id)
    }
}
