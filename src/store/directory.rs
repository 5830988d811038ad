//! The store's directory: its lock, and the files in it by number.
//!
//! A snapshot holds everything there was when it was begun; the journal of the same number, begun with
//! it, what has changed since. So memory is the latest snapshot, then every journal from its number on.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::time::Timestamp;

/// Another process keeps its memory in the directory.
#[derive(Debug, thiserror::Error)]
#[error("another process keeps its memory in {0}")]
pub struct Taken(PathBuf);

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Kind {
    Snapshot,
    Journal,
}

/// One of the store's files.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Name {
    pub(super) number: u64,
    pub(super) kind: Kind,
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = match self.kind {
            Kind::Snapshot => "snapshot",
            Kind::Journal => "journal",
        };
        write!(f, "memory-{:010}.{end}", self.number)
    }
}

impl Name {
    fn parse(text: &str) -> Option<Self> {
        let (number, end) = text.strip_prefix("memory-")?.split_once('.')?;
        let kind = match end {
            "snapshot" => Kind::Snapshot,
            "journal" => Kind::Journal,
            _ => return None,
        };
        let name = Self { number: number.parse().ok()?, kind };
        (name.to_string() == text).then_some(name)
    }
}

#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Held as long as the process lives: the system lets go of it, however that ends. None where the
    /// disk lets nobody make it; then it is taken with the first file that can be written.
    lock: Option<File>,
}

/// Files set aside that are kept; older ones go.
const ASIDE: usize = 4;
const SET_ASIDE: &str = ".aside-";
const UNFINISHED: &str = ".unfinished";

impl Directory {
    /// Takes the directory for this process. What can't be made now, on a full or read-only disk, may
    /// be later.
    pub(super) fn open(path: &Path) -> Result<Self, Taken> {
        let path = path.to_owned();
        match lock(&path) {
            Ok(lock) => Ok(Self { path, lock: Some(lock) }),
            Err(why) if why.kind() == io::ErrorKind::WouldBlock => Err(Taken(path)),
            Err(_) => Ok(Self { path, lock: None }),
        }
    }

    fn own(&mut self) -> io::Result<()> {
        if self.lock.is_none() {
            self.lock = Some(lock(&self.path)?);
        }
        make(&self.path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn at(&self, name: Name) -> PathBuf {
        self.path.join(name.to_string())
    }

    /// The store's own files, by number, snapshots before journals.
    pub(super) fn files(&self) -> io::Result<Vec<Name>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            names.extend(entry?.file_name().to_str().and_then(Name::parse));
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Bytes of all that lies in the directory.
    pub(super) fn bytes(&self) -> u64 {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        entries.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
    }

    /// A new, empty file, for its owner's eyes only.
    pub(super) fn create(&mut self, name: Name) -> io::Result<File> {
        self.own()?;
        let file = create(&self.at(name), true)?;
        self.sync()?;
        Ok(file)
    }

    /// A file that is not there until it is [finished](Self::finish).
    pub(super) fn begin(&mut self, name: Name) -> io::Result<File> {
        self.own()?;
        create(&self.unfinished(name), true)
    }

    /// Puts a file that is whole into its place.
    pub(super) fn finish(&self, name: Name, file: &File) -> io::Result<()> {
        file.sync_all()?;
        fs::rename(self.unfinished(name), self.at(name))?;
        self.sync()
    }

    /// Leaves an unfinished file for good.
    pub(super) fn abandon(&self, name: Name) {
        // If it can't be removed now, the next start does.
        let _ = fs::remove_file(self.unfinished(name));
    }

    /// Removes what is older than `number`, and what was never finished.
    pub(super) fn clear_before(&self, number: u64) -> io::Result<()> {
        for name in self.files()?.into_iter().filter(|name| name.number < number) {
            fs::remove_file(self.at(name))?;
        }
        self.sync()
    }

    pub(super) fn clear_unfinished(&self) {
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_some_and(|name| name.ends_with(UNFINISHED)) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Renames a file so that it is read no more, but can be looked at.
    pub(super) fn set_aside(&self, name: Name, why: &str, now: Timestamp) -> io::Result<PathBuf> {
        let aside = self.path.join(format!("{name}{SET_ASIDE}{:014}-{why}", now.as_millis()));
        fs::rename(self.at(name), &aside)?;
        self.sync()?;
        self.forget_oldest_aside();
        Ok(aside)
    }

    fn forget_oldest_aside(&self) {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        let mut aside: Vec<_> = entries
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                Some((name.split_once(SET_ASIDE)?.1.to_owned(), entry.path()))
            })
            .collect();
        aside.sort_unstable();
        for (_, path) in aside.iter().rev().skip(ASIDE) {
            let _ = fs::remove_file(path);
        }
    }

    fn unfinished(&self, name: Name) -> PathBuf {
        self.path.join(format!("{name}{UNFINISHED}"))
    }

    /// Makes names durable, as `File::sync_all` does contents.
    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

fn lock(path: &Path) -> io::Result<File> {
    make(path)?;
    let name = path.join("lock");
    // On a disk that is read-only now, an older process's lock can still be taken.
    let lock = create(&name, false).or_else(|why| File::open(&name).map_err(|_| why))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        Err(TryLockError::Error(why)) => Err(why),
    }
}

fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn create(path: &Path, empty: bool) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(empty).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written_and_no_other_way() {
        for kind in [Kind::Snapshot, Kind::Journal] {
            let name = Name { number: 7, kind };
            assert_eq!(Name::parse(&name.to_string()), Some(name));
        }
        for other in ["memory-7.journal", "memory-0000000007.journal.aside-1", "lock", "memory-x.y"]
        {
            assert_eq!(Name::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_directory_is_one_processs() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let held = Directory::open(&path).unwrap();
        assert!(matches!(Directory::open(&path), Err(Taken(_))));
        drop(held);
        assert!(Directory::open(&path).is_ok());
    }

    #[test]
    fn few_files_set_aside_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mut directory = Directory::open(dir.path()).unwrap();
        for number in 1..10 {
            let name = Name { number, kind: Kind::Journal };
            directory.create(name).unwrap();
            directory.set_aside(name, "damaged", Timestamp::from_millis(number)).unwrap();
        }
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().flatten().collect();
        assert_eq!(left.len(), 1 + ASIDE, "with the lock");
        assert_eq!(directory.files().unwrap(), []);
    }
}
