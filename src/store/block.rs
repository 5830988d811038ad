//! Blocks of records: what a file is made of. Each stands for itself, sealed with the deployment's
//! key, so what a crash, a disk or somebody's editor has done to one costs no other.
//!
//! ```text
//! file   = "stillguard-store" version:u16 key:8 check:6 block*
//! block  = mark:4 length:u32 at:u64 uptime:u64 seal:16 payload
//! record = table:u8 key:u16 value:u32 keybytes valuebytes     (a value of length 2^32-1 is none)
//! ```
//!
//! Numbers are little-endian. Head blocks name the tables and the boot they were written in, and hold
//! what the sources say goes before all records; one comes first, and again every few MiB, so that no
//! damage to one place takes the meaning from the rest.

use serde::{Deserialize, Serialize};

use super::stamp::{Boot, Stamp};
use crate::engine::memory::{Record, VERSION};
use crate::identity::Keyring;
use crate::signal::shelf::{decode, encode};
use crate::time::Timestamp;

const MAGIC: &[u8; 16] = b"stillguard-store";
pub(super) const PREFACE: usize = 32;

pub(super) const RECORDS: [u8; 4] = *b"\xb5sg\n";
pub(super) const HEADS: [u8; 4] = *b"\xb5hd\n";
/// The last block of a snapshot: without it, the snapshot is not whole.
pub(super) const END: [u8; 4] = *b"\xb5end";
pub(super) const HEAD: usize = 40;
/// A block is closed from here on,
const FULL: usize = 128 << 10;
/// and one record is this long at most, key and value each.
pub(crate) const LONGEST: usize = 256 << 10;
/// The longest payload there can be.
pub(super) const MOST: usize = 1 << 20;

/// After so many bytes the head comes again.
const HEAD_EVERY: usize = 4 << 20;

/// What a head block says.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Head {
    pub(super) boot: [u8; 16],
    pub(super) tables: Vec<String>,
    /// Records before all others: the table's place, the key, the value.
    pub(super) preamble: Vec<(u8, Vec<u8>, Vec<u8>)>,
}

/// What a block holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Head,
    Records,
    End,
}

/// Seals blocks, and tells whose they are.
#[derive(Clone)]
pub(super) struct Seal([u8; 32]);

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal(secret)")
    }
}

/// What the first bytes of a file say of the rest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Preface {
    /// Written by a build of this version, or an older one.
    Ours(u16),
    /// Written by a build that is newer than this one.
    Newer,
    /// Written under another secret: its accounts are nobody here.
    OtherKey,
    /// Not a store's file, or one whose beginning is damaged.
    Foreign,
}

impl Seal {
    pub(super) fn new(keyring: &Keyring) -> Self {
        Self(keyring.derive("store"))
    }

    fn name(&self) -> [u8; 8] {
        first(blake3::keyed_hash(&self.0, b"name").as_bytes())
    }

    fn of(&self, head: &[u8], payload: &[u8]) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        first(hasher.update(head).update(payload).finalize().as_bytes())
    }

    pub(super) fn preface(&self) -> [u8; PREFACE] {
        let mut preface = [0; PREFACE];
        preface[..16].copy_from_slice(MAGIC);
        preface[16..18].copy_from_slice(&VERSION.to_le_bytes());
        preface[18..26].copy_from_slice(&self.name());
        let check = check(&preface);
        preface[26..].copy_from_slice(&check);
        preface
    }

    pub(super) fn read_preface(&self, preface: &[u8; PREFACE]) -> Preface {
        let version = u16::from_le_bytes(first(&preface[16..18]));
        if &preface[..16] != MAGIC || preface[26..] != check(preface) {
            Preface::Foreign
        } else if version > VERSION {
            Preface::Newer
        } else if preface[18..26] != self.name() {
            Preface::OtherKey
        } else {
            Preface::Ours(version)
        }
    }
}

fn check(preface: &[u8; PREFACE]) -> [u8; 6] {
    first(blake3::hash(&preface[..26]).as_bytes())
}

fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    let taken = bytes.len().min(N);
    array[..taken].copy_from_slice(&bytes[..taken]);
    array
}

/// A record of its own: table, key and value.
pub(super) type Named = (&'static str, Vec<u8>, Vec<u8>);

/// Packs records into blocks.
#[derive(Debug)]
pub(super) struct Packer {
    seal: Seal,
    tables: Vec<&'static str>,
    head: Vec<u8>,
    /// Bytes since the last head.
    since: usize,
    payload: Vec<u8>,
    /// Blocks that are closed.
    pub(super) packed: Vec<u8>,
}

impl Packer {
    pub(super) fn new(seal: Seal, tables: &[&'static str], preamble: Vec<Named>) -> Self {
        let names = tables.iter().map(|name| (*name).to_owned()).collect();
        let placed = |(table, key, value)| Some((place(tables, table)?, key, value));
        let preamble = preamble.into_iter().filter_map(placed).collect();
        let head = encode(&Head { boot: Boot::this().0, tables: names, preamble });
        let (tables, payload, packed) = (tables.to_vec(), Vec::new(), Vec::new());
        Self { seal, tables, head, since: 0, payload, packed }
    }

    /// What a file begins with.
    pub(super) fn beginning(&self, stamp: Stamp) -> Vec<u8> {
        let mut beginning = self.seal.preface().to_vec();
        self.seal.pack(&mut beginning, (HEADS, stamp), &self.head);
        beginning
    }

    pub(super) fn put(&mut self, record: Record<'_>, stamp: Stamp) {
        let table = place(&self.tables, record.table);
        let value = record.value.unwrap_or_default();
        let fits = record.key.len() <= usize::from(u16::MAX) && value.len() <= LONGEST;
        let Some(table) = table.filter(|_| fits) else { return };
        let length = record.value.map_or(u32::MAX, |value| value.len() as u32);
        self.payload.push(table);
        self.payload.extend_from_slice(&(record.key.len() as u16).to_le_bytes());
        self.payload.extend_from_slice(&length.to_le_bytes());
        self.payload.extend_from_slice(record.key);
        self.payload.extend_from_slice(value);
        if self.payload.len() >= FULL {
            self.close(stamp);
        }
    }

    /// Ends the block under way, if one is.
    pub(super) fn close(&mut self, stamp: Stamp) {
        if !self.payload.is_empty() {
            let before = self.packed.len();
            self.seal.pack(&mut self.packed, (RECORDS, stamp), &self.payload);
            self.payload.clear();
            self.since += self.packed.len() - before;
            if self.since >= HEAD_EVERY {
                self.seal.pack(&mut self.packed, (HEADS, stamp), &self.head);
                self.since = 0;
            }
        }
    }

    pub(super) fn end(&mut self, stamp: Stamp) {
        self.close(stamp);
        self.seal.pack(&mut self.packed, (END, stamp), &[]);
    }
}

fn place(tables: &[&'static str], table: &str) -> Option<u8> {
    let place = tables.iter().position(|name| *name == table);
    place.and_then(|place| u8::try_from(place).ok())
}

impl Seal {
    /// Appends a block to `packed`.
    fn pack(&self, packed: &mut Vec<u8>, (mark, stamp): ([u8; 4], Stamp), payload: &[u8]) {
        let mut head = [0; HEAD];
        head[..4].copy_from_slice(&mark);
        head[4..8].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        head[8..16].copy_from_slice(&stamp.at.as_millis().to_le_bytes());
        head[16..24].copy_from_slice(&stamp.uptime.to_le_bytes());
        let seal = self.of(&head[..24], payload);
        head[24..].copy_from_slice(&seal);
        packed.extend_from_slice(&head);
        packed.extend_from_slice(payload);
    }
}

/// A block's head that may be one: what comes after decides.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockHead {
    bytes: [u8; HEAD],
    pub(super) length: usize,
    pub(super) kind: Kind,
}

impl BlockHead {
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; HEAD] = bytes.get(..HEAD)?.try_into().ok()?;
        let mark: [u8; 4] = first(&bytes);
        let length = u32::from_le_bytes(first(&bytes[4..8])) as usize;
        let kind = match mark {
            HEADS => Kind::Head,
            RECORDS => Kind::Records,
            END => Kind::End,
            _ => return None,
        };
        (length <= MOST).then_some(Self { bytes, length, kind })
    }

    pub(super) fn stamp(&self) -> Stamp {
        let number = |at: usize| u64::from_le_bytes(first(&self.bytes[at..at + 8]));
        Stamp { at: Timestamp::from_millis(number(8)), uptime: number(16) }
    }

    pub(super) fn seals(&self, seal: &Seal, payload: &[u8]) -> bool {
        self.bytes[24..] == seal.of(&self.bytes[..24], payload)
    }
}

/// A head block's content.
pub(super) fn read_head(payload: &[u8]) -> Option<Head> {
    decode(payload)
}

/// The records of a block whose seal holds: the table's place, the key, the value.
pub(super) fn records(payload: &[u8]) -> impl Iterator<Item = (u8, &[u8], Option<&[u8]>)> {
    let mut rest = payload;
    std::iter::from_fn(move || {
        let (head, after) = rest.split_at_checked(7)?;
        let length = u32::from_le_bytes(first(&head[3..7]));
        let (key, after) =
            after.split_at_checked(usize::from(u16::from_le_bytes(first(&head[1..3]))))?;
        let gone = length == u32::MAX;
        let (value, after) = after.split_at_checked(if gone { 0 } else { length as usize })?;
        rest = after;
        Some((head[0], key, (!gone).then_some(value)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(secret: u8) -> Seal {
        Seal::new(&Keyring::new([secret; 32]))
    }

    #[test]
    fn a_preface_tells_whose_file_it_is() {
        let ours = seal(1).preface();
        assert_eq!(seal(1).read_preface(&ours), Preface::Ours(VERSION));
        assert_eq!(seal(2).read_preface(&ours), Preface::OtherKey);
        let mut newer = ours;
        newer[16..18].copy_from_slice(&(VERSION + 1).to_le_bytes());
        let check = check(&newer);
        newer[26..].copy_from_slice(&check);
        assert_eq!(seal(1).read_preface(&newer), Preface::Newer);
        for at in 0..PREFACE {
            let mut bent = ours;
            bent[at] ^= 1;
            assert_eq!(seal(1).read_preface(&bent), Preface::Foreign, "byte {at}");
        }
    }

    #[test]
    fn records_come_back_as_they_were_put() {
        let mut packer = Packer::new(seal(1), &["a", "b"], Vec::new());
        let put = |packer: &mut Packer, table, key: &[u8], value: Option<&[u8]>| {
            packer.put(Record { table, key, value }, Stamp::default());
        };
        put(&mut packer, "b", b"key", Some(b"value"));
        put(&mut packer, "a", b"", Some(b""));
        put(&mut packer, "a", b"gone", None);
        put(&mut packer, "unknown", b"x", None);
        put(&mut packer, "a", b"long", Some(&vec![7; LONGEST + 1]));
        packer.close(Stamp::default());
        let head = BlockHead::read(&packer.packed).unwrap();
        let payload = &packer.packed[HEAD..];
        assert!(head.seals(&seal(1), payload) && !head.seals(&seal(2), payload));
        let mut found = records(payload);
        assert_eq!(found.next(), Some((1, &b"key"[..], Some(&b"value"[..]))));
        assert_eq!(found.next(), Some((0, &b""[..], Some(&b""[..]))));
        assert_eq!(found.next(), Some((0, &b"gone"[..], None)));
        assert_eq!(found.next(), None);
    }

    #[test]
    fn no_block_outgrows_what_a_reader_takes() {
        assert!(FULL + 7 + usize::from(u16::MAX) + LONGEST <= MOST);
    }
}
