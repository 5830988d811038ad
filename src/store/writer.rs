//! The one thread that writes.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};

use super::block::{Named, Packer, Seal};
use super::directory::{Directory, Kind, Name};
use super::load::{Faulty, Loss};
use super::settings::Settings;
use super::stamp::Stamp;
use super::status::Status;
use crate::engine::memory::{Moment, Record, Remember};
use crate::time::Clock;

#[derive(Debug)]
pub(super) enum Command {
    /// Write the decisions there are, and say whether they are on disk.
    Commit(SyncSender<bool>),
    /// Write everything, say so, and end.
    Stop(SyncSender<bool>),
}

pub(super) struct Writer {
    pub(super) directory: Directory,
    pub(super) settings: Settings,
    pub(super) seal: Seal,
    pub(super) sources: Vec<Arc<dyn Remember>>,
    pub(super) tables: Vec<&'static str>,
    clock: Clock,
    pub(super) status: Arc<Status>,
    /// The newest file's.
    pub(super) number: u64,
    pub(super) journal: Option<Journal>,
    /// Blocks for the journal that are not in it yet.
    packer: Packer,
    /// What is on disk no longer tells all: only a snapshot can.
    pub(super) behind: bool,
    /// There is a snapshot that this process has written.
    pub(super) fresh: bool,
    /// A snapshot was begun and not finished: the next attempt needs no journal of its own.
    pub(super) retrying: bool,
    /// Bytes of the latest snapshot.
    pub(super) snapshot: u64,
    /// Files that are damaged. They go once a snapshot has taken their place.
    pub(super) faulty: Faulty,
    stop: Option<SyncSender<bool>>,
    // Nanoseconds of the clock.
    evidence_at: u64,
    retry_at: u64,
    snapshot_at: u64,
}

#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    name: Name,
    /// Bytes that are whole, and those of them that every journal begins with.
    length: u64,
    beginning: u64,
}

/// Bytes held back while the disk fails; past it, only a snapshot can make up for it.
const HELD: usize = 16 << 20;
const SECOND: u64 = 1_000_000_000;
/// Until a disk that failed is tried again, and for how long there is no second snapshot.
const RETRY: u64 = SECOND;
const SNAPSHOT_EVERY: u64 = 30 * SECOND;
/// A journal is never cut short below this.
const SHORT: u64 = 32 << 20;

impl Writer {
    pub(super) fn new(
        directory: Directory,
        seal: Seal,
        (sources, clock): (Vec<Arc<dyn Remember>>, Clock),
        status: Arc<Status>,
    ) -> Self {
        let tables: Vec<_> = sources.iter().flat_map(|source| source.tables()).collect();
        let packer = Packer::new(seal.clone(), &tables, preamble(&sources));
        Self {
            directory,
            settings: Settings::default(),
            seal,
            sources,
            tables,
            clock,
            status,
            number: 0,
            journal: None,
            packer,
            behind: false,
            fresh: false,
            retrying: false,
            snapshot: 0,
            faulty: Vec::new(),
            stop: None,
            evidence_at: 0,
            retry_at: 0,
            snapshot_at: 0,
        }
    }

    /// Sets aside what says nothing to this build, and goes on from the number in use.
    pub(super) fn begin(&mut self, faulty: Faulty) {
        let now = self.clock.now();
        let (kept, gone): (Vec<_>, Vec<_>) =
            faulty.into_iter().partition(|(_, loss)| *loss == Loss::Damaged);
        for (name, loss) in gone {
            if let Err(why) = self.directory.set_aside(name, loss.word(), now) {
                tracing::error!("can't set {name} aside: {why}");
            }
        }
        self.faulty = kept;
        let files = self.directory.files().unwrap_or_default();
        self.number = files.last().map_or(0, |name| name.number);
        self.status.committed.store(self.clock.elapsed_nanos(), Relaxed);
    }

    pub(super) fn run(mut self, commands: &Receiver<Command>) {
        let every = self.settings.commit_every();
        loop {
            let command = match commands.recv_timeout(every) {
                Ok(command) => Some(command),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            self.answer(command, commands);
            if let Some(reply) = self.stop.take() {
                let done = self.last();
                // The directory is free before anybody is told so.
                drop(self);
                let _ = reply.try_send(done);
                return;
            }
            self.snapshot_if_due(commands);
        }
    }

    /// One turn, for everybody who waits for it.
    fn answer(&mut self, first: Option<Command>, commands: &Receiver<Command>) {
        let mut waiting = Vec::new();
        for command in first.into_iter().chain(commands.try_iter()) {
            match command {
                Command::Commit(reply) => waiting.push(reply),
                Command::Stop(reply) => self.stop = Some(reply),
            }
        }
        if !waiting.is_empty() {
            self.retry_at = 0;
        }
        let done = self.turn();
        for reply in waiting {
            // Whoever has stopped waiting need not be told.
            let _ = reply.try_send(done);
        }
    }

    fn last(&mut self) -> bool {
        if self.behind && self.take_snapshot(&mut |_| ()).is_err() {
            return false;
        }
        (self.retry_at, self.evidence_at) = (0, 0);
        self.turn()
    }

    /// Writes decisions, and evidence when it is due. Whether everything decided is on disk.
    pub(super) fn turn(&mut self) -> bool {
        let now = self.clock.elapsed_nanos();
        let waiting = self.sources.iter().map(|source| source.waiting()).sum::<usize>();
        self.status.waiting.store(waiting as u64, Relaxed);
        if self.journal.is_none() && self.behind {
            // The snapshot that is due has it all.
            return false;
        }
        let due = now >= self.evidence_at;
        if due {
            self.check_place();
        }
        self.collect(due && self.has_room());
        if due {
            self.evidence_at = now + self.settings.evidence_every().as_nanos() as u64;
        }
        let done = self.write(now) && !self.behind;
        if done {
            self.status.committed.store(self.clock.elapsed_nanos(), Relaxed);
        }
        done
    }

    fn collect(&mut self, evidence: bool) {
        let (moment, stamp) = (self.moment(), self.stamp());
        let packer = &mut self.packer;
        let mut put = |record: Record<'_>| packer.put(record, stamp);
        for source in &self.sources {
            source.decisions(moment, &mut put);
            if evidence {
                source.evidence(moment, &mut put);
            }
        }
        packer.close(stamp);
    }

    /// Whether evidence may be added: what was decided always is.
    fn has_room(&self) -> bool {
        let written = self.snapshot + self.journal.as_ref().map_or(0, |journal| journal.length);
        written < self.settings.max_bytes && self.packer.packed.len() < HELD
    }

    /// A directory that was removed under us is made again.
    fn check_place(&mut self) {
        let gone = |journal: &Journal| !self.directory.at(journal.name).exists();
        if self.journal.as_ref().is_some_and(gone) {
            tracing::error!("the store's files were removed; they are written anew");
            (self.journal, self.behind) = (None, true);
        }
    }

    /// Appends what is packed. Whether nothing is left.
    fn write(&mut self, now: u64) -> bool {
        if self.packer.packed.is_empty() {
            return true;
        }
        if now < self.retry_at {
            return false;
        }
        match self.try_write() {
            Ok(()) => self.went_well(),
            Err(why) => {
                self.failed(&why);
                self.retreat();
            }
        }
        self.packer.packed.is_empty()
    }

    fn try_write(&mut self) -> io::Result<()> {
        if self.journal.is_none() {
            self.next_journal()?;
        }
        let Some(journal) = &mut self.journal else { return Ok(()) };
        journal.append(&self.packer.packed)?;
        self.packer.packed.clear();
        Ok(())
    }

    /// Begins the journal of the next number.
    pub(super) fn next_journal(&mut self) -> io::Result<()> {
        let name = Name { number: self.number + 1, kind: Kind::Journal };
        let file = self.directory.create(name)?;
        let mut journal = Journal { file, name, length: 0, beginning: 0 };
        if let Err(why) = journal.append(&self.packer.beginning(self.stamp())) {
            // Best effort: an empty one says nothing and harms nobody.
            let _ = std::fs::remove_file(self.directory.at(name));
            return Err(why);
        }
        journal.beginning = journal.length;
        (self.number, self.journal) = (name.number, Some(journal));
        Ok(())
    }

    /// Gives up the journal: its end may be torn, and after a failed sync nobody knows what is on disk.
    fn retreat(&mut self) {
        if let Some(journal) = self.journal.take() {
            // Best effort: a torn end costs itself alone.
            let _ = journal.file.set_len(journal.length);
            let is_empty = journal.length == journal.beginning;
            // A disk that stays full shall not fill with beginnings.
            if is_empty && std::fs::remove_file(self.directory.at(journal.name)).is_ok() {
                self.number -= 1;
            }
        }
        if self.packer.packed.len() > HELD {
            self.packer.packed = Vec::new();
            self.behind = true;
        }
    }

    pub(super) fn went_well(&mut self) {
        if self.status.failing.swap(false, Relaxed) {
            tracing::info!("memory is written again");
        }
        self.status.bytes.store(self.directory.bytes(), Relaxed);
    }

    pub(super) fn failed(&mut self, why: &io::Error) {
        self.status.failures.fetch_add(1, Relaxed);
        self.retry_at = self.clock.elapsed_nanos() + RETRY;
        if !self.status.failing.swap(true, Relaxed) {
            let path = self.directory.path().display();
            tracing::error!("memory is not written to {path}: {why}; exchanges go on without");
        }
    }

    fn snapshot_if_due(&mut self, commands: &Receiver<Command>) {
        let now = self.clock.elapsed_nanos();
        let journal = self.journal.as_ref().map_or(0, |journal| journal.length);
        let long = journal > self.snapshot.max(SHORT.min(self.settings.max_bytes / 3));
        let wanted = self.behind || !self.fresh || long;
        let due = now >= self.retry_at && (self.behind || now >= self.snapshot_at);
        if !(wanted && due) {
            return;
        }
        self.snapshot_at = now + SNAPSHOT_EVERY;
        match self.take_snapshot(&mut |writer| writer.answer(None, commands)) {
            Ok(()) => self.went_well(),
            Err(why) => self.failed(&why),
        }
    }

    pub(super) fn moment(&self) -> Moment {
        Moment { at: self.clock.now(), nanos: self.clock.elapsed_nanos() }
    }

    pub(super) fn stamp(&self) -> Stamp {
        Stamp::now(self.clock)
    }
}

impl Journal {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.file.sync_data()?;
        self.length += bytes.len() as u64;
        Ok(())
    }
}

pub(super) fn preamble(sources: &[Arc<dyn Remember>]) -> Vec<Named> {
    let mut named = Vec::new();
    for source in sources {
        source.preamble(&mut |record| {
            let value = record.value.unwrap_or_default().to_vec();
            named.push((record.table, record.key.to_vec(), value));
        });
    }
    named
}
