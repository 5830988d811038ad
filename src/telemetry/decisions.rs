//! The decision log: one JSON line per ask, end, step of a challenge and tick, features only.
//!
//! Traffic hands owned lines to one writer thread through a bounded queue and never waits for it:
//! when the queue is full, or the disk broken, lines are dropped and counted.

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::journal::Journal;
use super::metrics::LogCounters;
use super::recent::{Decision, Recent};
use super::settings::DecisionLog;
use crate::engine::{Line, Order, Verdict};
use crate::signal::{Ask, Exchange, ExchangeId, Trial};
use crate::time::Timestamp;

/// What the writer pauses between looking into its queue. It is never woken by a line: waking a
/// thread would cost the request more than all else here. The default queue holds 80,000 lines a
/// second at this pace.
const PAUSE: Duration = Duration::from_millis(100);
/// Pauses after which a batch is written under steady traffic, and a broken disk tried again.
const ROUNDS: u32 = 10;
/// What a dropped log may take to write the lines it holds.
const CLOSING: Duration = Duration::from_secs(2);

/// Recent decisions, and the decision log where one is set up. Off by default.
#[derive(Debug, Default)]
pub struct Decisions {
    recent: Recent,
    writer: Option<Writer>,
}

#[derive(Debug)]
struct Writer {
    counters: LogCounters,
    /// Boxed: the queue's slots are allocated all at once.
    lines: SyncSender<Box<Line>>,
    /// Asks for a write now, and to be told. Taken when closing, which ends the writer.
    flushes: Option<SyncSender<SyncSender<()>>>,
    /// Disconnected when the writer has ended.
    ended: Mutex<Receiver<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Decisions {
    /// Starts the writer where a path is set. A path that can't be written is no error here: it is
    /// counted and tried again for as long as lines come. Fails where no thread can be started.
    pub(super) fn start(settings: &DecisionLog, counters: &LogCounters) -> io::Result<Self> {
        let start = |path: &Path| Writer::start(path, settings, counters);
        let writer = settings.path.as_deref().map(start).transpose()?;
        Ok(Self { recent: Recent::default(), writer })
    }

    pub fn asked(&self, ask: &Ask, verdict: &Verdict) {
        self.recent.keep(ask, verdict);
        self.log(|| Line::ask(ask, verdict));
    }

    pub fn ended(&self, exchange: &Exchange) {
        self.log(|| Line::end(exchange));
    }

    /// The endpoint has accepted the caller of an exchange that goes on.
    pub fn accepted(&self, id: ExchangeId, at: Timestamp) {
        self.log(|| Line::Accepted { id, at });
    }

    /// A challenge takes a step.
    pub fn tried(&self, trial: &Trial) {
        self.log(|| Line::Trial(trial.clone()));
    }

    /// An operator's order was carried out: a replay must do so at the same place.
    pub fn ordered(&self, order: &Order, at: Timestamp) {
        self.log(|| Line::Order { at, order: order.clone() });
    }

    /// The engine ticks: a replay must do so at the same place.
    pub fn ticked(&self, at: Timestamp) {
        self.log(|| Line::Tick { at });
    }

    /// Blocks until every line handed over before is written or counted as lost, at most about
    /// `deadline`. For shutdown: not to be called on a runtime that still serves. True when all
    /// were dealt with in time.
    pub fn flush(&self, deadline: Duration) -> bool {
        let flushes = self.writer.as_ref().and_then(|writer| writer.flushes.as_ref());
        flushes.is_none_or(|flushes| flush(flushes, deadline))
    }

    pub(super) fn find(&self, id: ExchangeId) -> Option<Arc<Decision>> {
        self.recent.find(id)
    }

    fn log(&self, line: impl FnOnce() -> Line) {
        if let Some(writer) = &self.writer {
            writer.take(Box::new(line()));
        }
    }
}

fn flush(flushes: &SyncSender<SyncSender<()>>, deadline: Duration) -> bool {
    const STEP: Duration = Duration::from_millis(2);
    let (tell, told) = sync_channel(1);
    let mut left = deadline;
    while let Err(full) = flushes.try_send(tell.clone()) {
        if matches!(full, TrySendError::Disconnected(_)) || left.is_zero() {
            return false;
        }
        // Nobody tells yet: this is a pause that needs no sleeping call.
        let _ = told.recv_timeout(STEP);
        left = left.saturating_sub(STEP);
    }
    told.recv_timeout(left).is_ok()
}

impl Writer {
    fn start(path: &Path, settings: &DecisionLog, counters: &LogCounters) -> io::Result<Self> {
        // A slip of the pen must not cost gigabytes.
        let room = settings.queue.clamp(1, 1_000_000) as usize;
        let (lines, queue) = sync_channel(room);
        let (flushes, asked) = sync_channel(1);
        let (ends, ended) = sync_channel(0);
        let journal = Journal::new(path.to_path_buf(), settings.max_bytes, settings.keep);
        let mut scribe = Scribe::new(journal, counters.clone());
        let thread = Builder::new().name("decision-log".into()).spawn(move || {
            while scribe.round(asked.recv_timeout(PAUSE), queue.try_iter().take(room)) {}
            drop(ends);
        })?;
        let (flushes, ended, thread) = (Some(flushes), Mutex::new(ended), Some(thread));
        Ok(Self { counters: counters.clone(), lines, flushes, ended, thread })
    }

    fn take(&self, line: Box<Line>) {
        if self.lines.try_send(line).is_err() {
            self.counters.dropped.inc();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.flushes = None;
        let ended = self.ended.get_mut().map(|ended| ended.recv_timeout(CLOSING));
        let stuck = matches!(ended, Ok(Err(RecvTimeoutError::Timeout)));
        // A writer stuck on a dead disk is left behind rather than keeping the process alive.
        if let Some(thread) = self.thread.take().filter(|_| !stuck) {
            let _ = thread.join();
        }
    }
}

/// The writer thread's side.
struct Scribe {
    journal: Journal,
    counters: LogCounters,
    /// Rounds since the last attempt to write.
    rounds: u32,
    /// The last attempt failed: said once, not once a second.
    failing: bool,
}

/// What ended a pause: a wish to be told, the time, or the end.
type Waited = Result<SyncSender<()>, RecvTimeoutError>;

impl Scribe {
    fn new(journal: Journal, counters: LogCounters) -> Self {
        Self { journal, counters, rounds: 0, failing: false }
    }

    /// Takes in what waits in the queue and writes if it is time. False at the end.
    fn round(&mut self, waited: Waited, queue: impl Iterator<Item = Box<Line>>) -> bool {
        let before = self.journal.pending();
        queue.for_each(|line| self.take(&line));
        self.rounds += 1;
        let idle = self.journal.pending() == before;
        let at_rest = idle && !self.failing;
        let timed_out = matches!(waited, Err(RecvTimeoutError::Timeout));
        if !timed_out || at_rest || self.rounds >= ROUNDS {
            self.write();
        }
        match waited {
            Ok(tell) => drop(tell.try_send(())),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                self.counters.dropped.inc_by(self.journal.pending());
                return false;
            }
        }
        true
    }

    fn take(&mut self, line: &Line) {
        let text = serde_json::to_vec(line).unwrap_or_default();
        if text.is_empty() || self.journal.add(&text).is_err() {
            self.counters.dropped.inc();
        }
        if self.journal.full() {
            self.write();
        }
    }

    fn write(&mut self) {
        self.rounds = 0;
        if self.journal.is_empty() {
            return;
        }
        let written = self.journal.write();
        match &written {
            Ok(lines) => drop(self.counters.lines.inc_by(*lines)),
            Err(error) => {
                self.counters.errors.inc();
                if !self.failing {
                    tracing::warn!(%error, "the decision log can't be written; will try again");
                }
            }
        }
        self.failing = written.is_err();
    }
}

#[cfg(test)]
#[path = "decisions_tests.rs"]
mod tests;
