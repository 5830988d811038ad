//! The decision log's file: batched, rotated by size, never given up on.
//!
//! A batch is written whole or taken back, so the file ends at a line's end whatever the disk does.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Bytes after which a batch is written without waiting.
const BATCH: usize = 64 << 10;
/// Bytes held back while the disk fails. Past it, lines are lost.
const HELD: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    max_bytes: u64,
    keep: u16,
    file: Option<Open>,
    batch: Vec<u8>,
    /// Lines in `batch`.
    lines: u64,
    failing: bool,
}

#[derive(Debug)]
struct Open {
    file: File,
    size: u64,
}

/// The batch is full and the disk does not take it.
#[derive(Debug)]
pub(super) struct Full;

impl Journal {
    pub(super) fn new(path: PathBuf, max_bytes: u64, keep: u16) -> Self {
        Self { path, max_bytes, keep, file: None, batch: Vec::new(), lines: 0, failing: false }
    }

    /// Adds a line, without its newline, to the batch.
    pub(super) fn add(&mut self, line: &[u8]) -> Result<(), Full> {
        if self.batch.len() + line.len() >= HELD {
            return Err(Full);
        }
        self.batch.extend_from_slice(line);
        self.batch.push(b'\n');
        self.lines += 1;
        Ok(())
    }

    /// Whether the batch should go out now. A failing disk waits for the next second instead.
    pub(super) fn full(&self) -> bool {
        !self.failing && self.batch.len() >= BATCH
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Lines not written yet.
    pub(super) fn pending(&self) -> u64 {
        self.lines
    }

    /// Writes the batch and returns its lines. On failure it is kept for the next attempt, which
    /// opens the file anew.
    pub(super) fn write(&mut self) -> io::Result<u64> {
        let written = self.try_write();
        self.failing = written.is_err();
        if self.failing {
            self.file = None;
        }
        written
    }

    fn try_write(&mut self) -> io::Result<u64> {
        if self.batch.is_empty() {
            return Ok(0);
        }
        let open = match self.file.take() {
            Some(open) => open,
            None => Open::append(&self.path)?,
        };
        let size = open.size;
        self.file = Some(open);
        if size > 0 && size + self.batch.len() as u64 > self.max_bytes {
            self.rotate()?;
        }
        if let Some(open) = &mut self.file {
            open.write(&self.batch)?;
        }
        self.batch.clear();
        Ok(std::mem::take(&mut self.lines))
    }

    /// Moves every file one place on; the oldest falls off the end.
    fn rotate(&mut self) -> io::Result<()> {
        self.file = None;
        let aside = |place: u16| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{place}"));
            PathBuf::from(name)
        };
        for place in (1..self.keep).rev() {
            absent_is_fine(fs::rename(aside(place), aside(place + 1)))?;
        }
        match self.keep {
            0 => absent_is_fine(fs::remove_file(&self.path))?,
            _ => absent_is_fine(fs::rename(&self.path, aside(1)))?,
        }
        self.file = Some(Open::append(&self.path)?);
        Ok(())
    }
}

impl Open {
    /// Opens at the end; a line torn by a crash is closed off, so it costs itself alone.
    fn append(path: &Path) -> io::Result<Self> {
        let mut file =
            OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        let mut size = file.metadata()?.len();
        if size > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
                size += 1;
            }
        }
        Ok(Self { file, size })
    }

    fn write(&mut self, batch: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(batch);
        match &written {
            Ok(()) => self.size += batch.len() as u64,
            // Best effort: if even this fails, the next open closes the torn line off.
            Err(_) => drop(self.take_back()),
        }
        written
    }

    fn take_back(&self) -> io::Result<()> {
        // Never longer than it is: somebody else may have cut the file meanwhile.
        let size = self.file.metadata()?.len().min(self.size);
        self.file.set_len(size)
    }
}

fn absent_is_fine(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn journal(at: &tempfile::TempDir, max_bytes: u64, keep: u16) -> Journal {
        Journal::new(at.path().join("log"), max_bytes, keep)
    }

    fn read(at: &tempfile::TempDir, name: &str) -> Option<String> {
        fs::read_to_string(at.path().join(name)).ok()
    }

    #[test]
    fn a_batch_is_written_whole_and_only_for_the_owner() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = journal(&dir, 1_000, 1);
        journal.add(b"one").unwrap();
        journal.add(b"two").unwrap();
        assert_eq!(journal.write().unwrap(), 2);
        assert_eq!(read(&dir, "log").unwrap(), "one\ntwo\n");
        let mode = fs::metadata(dir.path().join("log")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn rotation_keeps_the_youngest_files_and_forgets_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = journal(&dir, 6, 2);
        for line in ["one", "two", "three", "four"] {
            journal.add(line.as_bytes()).unwrap();
            journal.write().unwrap();
        }
        assert_eq!(read(&dir, "log").unwrap(), "four\n");
        assert_eq!(read(&dir, "log.1").unwrap(), "three\n");
        assert_eq!(read(&dir, "log.2").unwrap(), "two\n");
        assert_eq!(read(&dir, "log.3"), None);
    }

    #[test]
    fn with_none_to_keep_a_full_file_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = journal(&dir, 6, 0);
        for line in ["one", "two"] {
            journal.add(line.as_bytes()).unwrap();
            journal.write().unwrap();
        }
        assert_eq!(read(&dir, "log").unwrap(), "two\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_line_torn_by_a_crash_costs_itself_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("log"), "whole\ntor").unwrap();
        let mut journal = journal(&dir, 1_000, 1);
        journal.add(b"next").unwrap();
        journal.write().unwrap();
        assert_eq!(read(&dir, "log").unwrap(), "whole\ntor\nnext\n");
    }

    #[test]
    fn a_batch_waits_for_a_directory_that_is_missing_and_is_bounded_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::new(dir.path().join("later/log"), 1_000, 1);
        journal.add(b"one").unwrap();
        assert!(journal.write().is_err());
        let line = vec![b'x'; BATCH];
        let taken = (0..100).take_while(|_| journal.add(&line).is_ok()).count();
        assert!(taken < 16 && !journal.full(), "{taken}");
        fs::create_dir(dir.path().join("later")).unwrap();
        assert_eq!(journal.write().unwrap(), 1 + taken as u64);
        assert!(read(&dir, "later/log").unwrap().starts_with("one\nxxx"));
    }

    #[test]
    fn a_full_disk_keeps_the_batch() {
        let mut journal = Journal::new(PathBuf::from("/dev/full"), 1_000, 1);
        journal.add(b"one").unwrap();
        assert!(journal.write().is_err());
        assert_eq!(journal.pending(), 1);
    }
}
