//! The decision log: one JSON line per ask, end and tick, features only.
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
use crate::engine::{Line, Verdict};
use crate::signal::{Ask, Exchange, ExchangeId};
use crate::time::Timestamp;

/// What an idle writer waits for more lines before it writes those it has.
const IDLE: Duration = Duration::from_millis(200);
/// Event time between two writes under steady traffic, and between attempts on a broken disk.
const PERIOD: Duration = Duration::from_secs(1);
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
    /// Taken when closing: the writer ends when the last sender is gone.
    queue: Option<SyncSender<Entry>>,
    /// Disconnected when the writer has ended.
    ended: Mutex<Receiver<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Entry {
    /// Boxed: the queue is allocated whole.
    Line(Box<Line>),
    /// Write now, then tell.
    Flush(SyncSender<()>),
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

    /// The engine ticks: a replay must do so at the same place.
    pub fn ticked(&self, at: Timestamp) {
        self.log(|| Line::Tick { at });
    }

    /// Blocks until every line handed over before is written or counted as lost, at most about
    /// `deadline`. For shutdown: not to be called on a runtime that still serves. True when all
    /// were dealt with in time.
    pub fn flush(&self, deadline: Duration) -> bool {
        let queue = self.writer.as_ref().and_then(|writer| writer.queue.as_ref());
        queue.is_none_or(|queue| flush(queue, deadline))
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

fn flush(queue: &SyncSender<Entry>, deadline: Duration) -> bool {
    const STEP: Duration = Duration::from_millis(2);
    let (tell, told) = sync_channel(1);
    let mut left = deadline;
    while let Err(full) = queue.try_send(Entry::Flush(tell.clone())) {
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
        // Slots are allocated at once, 16 bytes each: a slip of the pen must not cost gigabytes.
        let (queue, entries) = sync_channel(settings.queue.clamp(1, 1_000_000) as usize);
        let (ends, ended) = sync_channel(0);
        let journal = Journal::new(path.to_path_buf(), settings.max_bytes, settings.keep);
        let mut scribe =
            Scribe { journal, counters: counters.clone(), since: None, failing: false };
        let thread = Builder::new().name("decision-log".into()).spawn(move || {
            scribe.run(&entries);
            drop(ends);
        })?;
        let (queue, ended) = (Some(queue), Mutex::new(ended));
        Ok(Self { counters: counters.clone(), queue, ended, thread: Some(thread) })
    }

    fn take(&self, line: Box<Line>) {
        let taken = self.queue.as_ref().is_some_and(|to| to.try_send(Entry::Line(line)).is_ok());
        if !taken {
            self.counters.dropped.inc();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
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
    /// Event time of the first line after the last attempt to write.
    since: Option<Timestamp>,
    /// The last attempt failed: said once, not once a second.
    failing: bool,
}

impl Scribe {
    fn run(&mut self, entries: &Receiver<Entry>) {
        loop {
            let wait = if self.since.is_some() { IDLE } else { PERIOD };
            match entries.recv_timeout(wait) {
                Ok(Entry::Line(line)) => self.line(&line),
                Ok(Entry::Flush(tell)) => {
                    self.write();
                    let _ = tell.try_send(());
                }
                Err(RecvTimeoutError::Timeout) => self.write(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.write();
        self.counters.dropped.inc_by(self.journal.pending());
    }

    fn line(&mut self, line: &Line) {
        let at = line.at();
        let since = *self.since.get_or_insert(at);
        let text = serde_json::to_vec(line).unwrap_or_default();
        if text.is_empty() || self.journal.add(&text).is_err() {
            self.counters.dropped.inc();
        }
        if self.journal.full() || at.since(since) >= PERIOD {
            self.write();
        }
    }

    fn write(&mut self) {
        self.since = None;
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
