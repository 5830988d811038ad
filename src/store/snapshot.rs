//! Everything at once, into a file of its own.

use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::Ordering::Relaxed;

use super::block::Packer;
use super::directory::{Kind, Name};
use super::writer::{Writer, preamble};
use crate::engine::memory::{Extent, Record};

/// Bytes after which a snapshot under way is written, and the journal has its turn.
const PART: usize = 1 << 20;

impl Writer {
    /// Begins a new journal, then writes all there is beside it. `between` is called every MiB, so that
    /// decisions need not wait for the end.
    ///
    /// What changes meanwhile is in the journal as well, so the two together tell all. Older files go
    /// once the snapshot is whole and in its place.
    pub(super) fn take_snapshot(&mut self, between: &mut dyn FnMut(&mut Self)) -> io::Result<()> {
        if !self.retrying || self.journal.is_none() {
            self.next_journal()?;
        }
        self.retrying = true;
        let name = Name { number: self.number, kind: Kind::Snapshot };
        let mut written = self.write_all(name, Extent::Whole, between);
        if matches!(&written, Ok(None)) {
            written = self.write_all(name, Extent::Lean, between);
        }
        let Some(bytes) = written.inspect_err(|_| self.directory.abandon(name))? else {
            self.directory.abandon(name);
            return Err(io::ErrorKind::FileTooLarge.into());
        };
        (self.snapshot, self.fresh, self.behind, self.retrying) = (bytes, true, false, false);
        self.status.snapshots.fetch_add(1, Relaxed);
        self.clear(name.number)
    }

    /// The bytes of the whole snapshot, or none where it has outgrown its share of the disk.
    fn write_all(
        &mut self,
        name: Name,
        extent: Extent,
        between: &mut dyn FnMut(&mut Self),
    ) -> io::Result<Option<u64>> {
        let mut part = Part {
            file: self.directory.begin(name)?,
            packer: Packer::new(self.seal.clone(), &self.tables, preamble(&self.sources)),
            written: 0,
            // The one before and the journal are there, too. What must last is written in any case.
            most: if extent == Extent::Whole { self.settings.max_bytes / 3 } else { u64::MAX },
            outcome: Ok(()),
        };
        let (moment, mut stamp) = (self.moment(), self.stamp());
        part.packer.packed = part.packer.beginning(stamp);
        for source in self.sources.clone() {
            source.everything(moment, extent, &mut |record: Record<'_>| {
                if part.is_over() {
                    return;
                }
                part.packer.put(record, stamp);
                if part.packer.packed.len() >= PART {
                    part.write();
                    between(self);
                    stamp = self.stamp();
                }
            });
        }
        if part.is_over() {
            return part.outcome.map(|()| None);
        }
        part.packer.end(stamp);
        part.write();
        part.outcome?;
        self.directory.finish(name, &part.file)?;
        self.status.lean.store(extent == Extent::Lean, Relaxed);
        Ok(Some(part.written))
    }

    /// Removes what a snapshot has taken the place of; what is damaged is set aside.
    fn clear(&mut self, before: u64) -> io::Result<()> {
        let now = self.moment().at;
        for (name, loss) in std::mem::take(&mut self.faulty) {
            let aside = self.directory.set_aside(name, loss.word(), now)?;
            tracing::warn!("what could not be read is kept as {}", aside.display());
        }
        self.directory.clear_before(before)
    }
}

/// A snapshot under way.
struct Part {
    file: File,
    packer: Packer,
    written: u64,
    most: u64,
    outcome: io::Result<()>,
}

impl Part {
    fn write(&mut self) {
        self.outcome = self.file.write_all(&self.packer.packed);
        self.written += self.packer.packed.len() as u64;
        self.packer.packed.clear();
    }

    fn is_over(&self) -> bool {
        self.outcome.is_err() || self.written > self.most
    }
}
