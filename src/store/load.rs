//! A start: reading back what there is, and telling what there should have been.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::block::{PREFACE, Preface, Seal, records};
use super::directory::{Directory, Kind, Name};
use super::scan::{Scanned, scan};
use super::stamp::{Boot, Stamp, recall};
use crate::engine::memory::{Recall, Record, Remember, VERSION};

/// What a start found.
#[derive(Debug, Default)]
pub struct Found {
    /// Records taken back, and those that said nothing to this build.
    pub records: u64,
    pub refused: u64,
    pub bytes: u64,
    /// What could not be read, at all or in part. Empty: nothing is missing.
    pub lost: Vec<(PathBuf, Loss)>,
    /// There was nothing, and nothing shows that there ever was.
    pub is_first: bool,
}

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Loss {
    #[error("it is damaged; what is whole in it was read")]
    Damaged,
    #[error("it is no file of a store")]
    Foreign,
    #[error("a newer build has written it, this one reads version {VERSION}")]
    Newer,
    #[error("it was written under another secret; if that was changed by mistake, put it back")]
    OtherKey,
    #[error("it can't be read")]
    Unreadable,
    #[error("it is not there")]
    Missing,
}

impl Loss {
    /// In the name of a file that is set aside.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::Foreign => "foreign",
            Self::Newer => "newer",
            Self::OtherKey => "other-key",
            Self::Unreadable => "unreadable",
            Self::Missing => "missing",
        }
    }
}

/// Whom records are given back to, and how.
pub(super) struct Load<'a> {
    pub(super) directory: &'a Directory,
    pub(super) seal: &'a Seal,
    pub(super) sources: &'a [Arc<dyn Remember>],
    pub(super) now: (Boot, Stamp),
    pub(super) nanos: u64,
}

/// Files that are in the way of a clean start, and why.
pub(super) type Faulty = Vec<(Name, Loss)>;

impl Load<'_> {
    pub(super) fn run(&self) -> (Found, Faulty) {
        let (mut found, mut faulty) = (Found::default(), Vec::new());
        let names = match self.directory.files() {
            Ok(names) => names,
            Err(why) if why.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(why) => {
                let path = self.directory.path().to_owned();
                tracing::error!("can't read {}: {why}", path.display());
                found.lost.push((path, Loss::Unreadable));
                Vec::new()
            }
        };
        let (relevant, missing) = relevant(&names);
        found.is_first = names.is_empty() && found.lost.is_empty();
        let gaps = missing.into_iter().map(|name| (self.directory.at(name), Loss::Missing));
        found.lost.extend(gaps);
        for name in relevant {
            let loss = match self.read(name, &mut found) {
                Ok(loss) => loss,
                Err(why) => {
                    tracing::error!("can't read {}: {why}", self.directory.at(name).display());
                    Some(Loss::Unreadable)
                }
            };
            if let Some(loss) = loss {
                found.lost.push((self.directory.at(name), loss));
                faulty.push((name, loss));
            }
        }
        let whole = found.lost.is_empty();
        self.sources.iter().for_each(|source| source.recalled(whole));
        (found, faulty)
    }

    fn read(&self, name: Name, found: &mut Found) -> io::Result<Option<Loss>> {
        let path = self.directory.at(name);
        let length = std::fs::metadata(&path)?.len();
        let mut blocks = 0_u64;
        let scanned = scan(File::open(&path)?, self.seal, &mut |_, _| blocks += 1)?;
        found.bytes += length;
        let loss = judge(name, length, &scanned, blocks);
        if loss.is_some_and(|loss| loss != Loss::Damaged) {
            return Ok(loss);
        }
        if scanned.torn > 0 {
            tracing::warn!("{} ends in {} torn bytes: a crash", path.display(), scanned.torn);
        }
        if let (Some(head), Some(last)) = (&scanned.head, scanned.last) {
            let mut recall = recall((Boot(head.boot), last), self.now, self.nanos);
            if let Preface::Ours(version) = scanned.preface {
                recall.version = version;
            }
            let places = self.places(&head.tables);
            for (table, key, value) in &head.preamble {
                self.give(&places, (*table, key, Some(value)), &recall);
            }
            scan(File::open(&path)?, self.seal, &mut |_, payload| {
                for record in records(payload) {
                    let taken = self.give(&places, record, &recall);
                    found.records += u64::from(taken);
                    found.refused += u64::from(!taken && record.2.is_some());
                }
            })?;
        }
        Ok(loss)
    }

    /// For every table of a file, whose it is in this build.
    fn places(&self, tables: &[String]) -> Vec<Option<(&'static str, usize)>> {
        let of = |name: &String| {
            self.sources.iter().enumerate().find_map(|(source, memory)| {
                let known = memory.tables().into_iter().find(|known| known == name)?;
                Some((known, source))
            })
        };
        tables.iter().map(of).collect()
    }

    fn give(
        &self,
        places: &[Option<(&'static str, usize)>],
        (table, key, value): (u8, &[u8], Option<&[u8]>),
        recall: &Recall,
    ) -> bool {
        let place = places.get(usize::from(table)).copied().flatten();
        place.is_some_and(|(table, source)| {
            self.sources[source].recall(Record { table, key, value }, recall)
        })
    }
}

/// The latest snapshot and every journal since; and what is missing among them. Without a snapshot,
/// all journals from the first on are all there ever was.
fn relevant(names: &[Name]) -> (Vec<Name>, Vec<Name>) {
    let snapshot = names.iter().rev().find(|name| name.kind == Kind::Snapshot);
    let from = snapshot.map_or(1, |name| name.number);
    let journals = names.iter().filter(|name| name.kind == Kind::Journal && name.number >= from);
    let journals: Vec<_> = journals.copied().collect();
    let last = journals.last().map_or(from, |name| name.number);
    let gap = (from..=last).map(|number| Name { number, kind: Kind::Journal });
    let gap = gap.filter(|name| !names.is_empty() && !journals.contains(name)).take(1);
    let missing = gap.collect();
    (snapshot.copied().into_iter().chain(journals).collect(), missing)
}

fn judge(name: Name, length: u64, scanned: &Scanned, blocks: u64) -> Option<Loss> {
    let known = scanned.head.is_some();
    match scanned.preface {
        // Its seals hold, whatever its beginning says.
        _ if known && (scanned.damaged > 0 || !matches!(scanned.preface, Preface::Ours(_))) => {
            Some(Loss::Damaged)
        }
        Preface::Newer => Some(Loss::Newer),
        Preface::OtherKey => Some(Loss::OtherKey),
        // Made, and the machine died before anything was in it.
        Preface::Foreign if name.kind == Kind::Journal && length < PREFACE as u64 => None,
        Preface::Foreign => Some(Loss::Foreign),
        Preface::Ours(_) if name.kind == Kind::Snapshot && !scanned.ended => Some(Loss::Damaged),
        Preface::Ours(_) => (!known && blocks > 0).then_some(Loss::Damaged),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<Name> {
        let name = |word: &str| Name {
            kind: if word.starts_with('s') { Kind::Snapshot } else { Kind::Journal },
            number: word[1..].parse().unwrap(),
        };
        text.split_whitespace().map(name).collect()
    }

    #[test]
    fn memory_is_the_latest_snapshot_and_every_journal_since() {
        for (there, read, missing) in [
            ("", "", ""),
            ("j1", "j1", ""),
            ("j1 j2", "j1 j2", ""),
            ("s1 j1", "s1 j1", ""),
            ("s1 j1 s2 j2", "s2 j2", ""),
            ("s1 j1 j2 j3", "s1 j1 j2 j3", ""),
            ("s4 j4 j6", "s4 j4 j6", "j5"),
            ("s4", "s4", "j4"),
            ("j3", "j3", "j1"),
        ] {
            assert_eq!(relevant(&names(there)), (names(read), names(missing)), "{there}");
        }
    }
}
