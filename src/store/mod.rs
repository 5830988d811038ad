//! Memory that outlives the process: what the engine and others remember, in a directory of files.
//!
//! Nothing on an exchange's path waits for it. One thread asks, a few times a second, which decisions
//! were taken, and every few seconds what else has changed, and appends it to a journal; now and then it
//! writes everything into a new snapshot and begins a new journal. There is no queue of records: what is
//! to be written is kept as keys, by whoever has changed it, and each source bounds them.
//!
//! What holds, whatever ends the process (`kill -9`, a crash, an out-of-memory kill) or the machine:
//!
//! * A decision (a rung from throttle on, a clearance given or used, a challenge spent, an operator's
//!   order, a campaign contained or let go with its members and the marks of its keys) outlives it if
//!   it was taken `commit_ms` and the time of one write and one sync before. It is never half there.
//! * All else outlives it if it is `evidence_seconds` older.
//! * What [`Store::commit`] has confirmed is on disk.
//! * An exchange under way counts against quotas by what was reserved for it, or not at all.
//! * The next start succeeds. What can't be read is set aside and told; what of it is whole is taken.
//!
//! Where the disk is full or broken, exchanges go on from memory, and the next attempt that succeeds
//! writes what is owed, or everything anew.
//!
//! A table of one's own, durable at once: make a [`Ledger`], hand it to [`Opened::start`] with the
//! other sources, then `ledger.put(..)` and `store.commit()`.
//!
//! Own files, because both classes are cheap in them: a million records of 216 bytes took 0.8 s as one
//! file and 40 s as a B-tree on disk (redb 4.6, two busy cores); and a file whose every block is sealed
//! can lose any of them without losing the rest. `cargo bench --bench store` measures this one.

mod block;
mod directory;
mod ledger;
mod load;
mod scan;
mod settings;
mod snapshot;
mod stamp;
mod status;
mod writer;
#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::Builder;
use std::time::Duration;

use self::block::Seal;
use self::directory::Directory;
pub use self::directory::Taken;
pub use self::ledger::{Full, Ledger};
use self::load::Load;
pub use self::load::{Found, Loss};
pub use self::settings::{Learning, Settings};
pub use self::stamp::uptime;
use self::stamp::{Boot, Stamp};
pub use self::status::Report;
use self::status::Status;
use self::writer::{Command, Writer};
use crate::engine::memory::Remember;
use crate::identity::Keyring;
use crate::time::Clock;

/// A directory that is this process's own, not read yet.
#[derive(Debug)]
pub struct Opened(Directory);

/// What a store needs to know.
pub struct Setup {
    pub settings: Settings,
    /// Seals what is written. Memory written under another secret is nobody's.
    pub keyring: Keyring,
    /// Whose memory is kept. Earlier ones are asked first: what takes effect comes before what marks it
    /// as used up.
    pub sources: Vec<Arc<dyn Remember>>,
    pub clock: Clock,
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// A running store. Dropped, it stops without a last write: as a crash would.
#[derive(Debug)]
pub struct Store {
    commands: SyncSender<Command>,
    status: Arc<Status>,
    clock: Clock,
}

/// What was asked to be on disk is not, or not within the time.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("it holds, but is not on disk: it may be forgotten if the process ends now")]
pub struct NotOnDisk;

/// Commits that may wait for the writer at once.
const QUEUE: usize = 256;
/// How long one waits for the disk.
const PATIENCE: Duration = Duration::from_secs(5);

impl Opened {
    /// Takes `path` for this process. Where another one has it, there is no store to be had.
    pub fn open(path: &Path) -> Result<Self, Taken> {
        Directory::open(path).map(Self)
    }

    /// Reads back what there is and starts the writer. Blocks until all is read. Fails only where no
    /// thread can be started.
    pub fn start(self, setup: Setup) -> io::Result<(Store, Found)> {
        let Setup { settings, keyring, sources, clock } = setup;
        let (directory, seal) = (self.0, Seal::new(&keyring));
        directory.clear_unfinished();
        let now = (Boot::this(), Stamp::now(clock));
        let nanos = clock.elapsed_nanos();
        let load = Load { directory: &directory, seal: &seal, sources: &sources, now, nanos };
        let (found, faulty) = load.run();
        sources.iter().for_each(|source| source.watch());
        let status = Arc::new(Status::default());
        status.set_aside.store(found.lost.len() as u64, std::sync::atomic::Ordering::Relaxed);
        let (commands, queue) = sync_channel(QUEUE);
        let mut writer = Writer::new(directory, seal, (sources, clock), Arc::clone(&status));
        writer.settings = settings;
        writer.begin(faulty);
        Builder::new().name("store".into()).spawn(move || writer.run(&queue))?;
        Ok((Store { commands, status, clock }, found))
    }
}

impl Store {
    /// Waits until everything decided so far is on disk. Blocks: not for the runtime's threads.
    pub fn commit(&self) -> Result<(), NotOnDisk> {
        let (reply, answer) = sync_channel(1);
        match self.commands.try_send(Command::Commit(reply)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => return Err(NotOnDisk),
        }
        let done = answer.recv_timeout(PATIENCE).unwrap_or(false);
        if done { Ok(()) } else { Err(NotOnDisk) }
    }

    pub fn report(&self) -> Report {
        self.status.report(self.clock.elapsed_nanos())
    }

    /// Writes what is left, waiting at most `patience`, and ends the writer. What changes after that
    /// is not kept.
    pub fn finish(&self, patience: Duration) -> Result<(), NotOnDisk> {
        let (reply, answer) = sync_channel(1);
        self.commands.send(Command::Stop(reply)).map_err(|_| NotOnDisk)?;
        let done = answer.recv_timeout(patience).unwrap_or(false);
        if done { Ok(()) } else { Err(NotOnDisk) }
    }
}
