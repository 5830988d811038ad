//! Reads a file's blocks, whatever has become of it.

use std::io::{self, Read};

use super::block::{
    BlockHead, END, HEAD, HEADS, Head, Kind, MOST, PREFACE, Preface, RECORDS, Seal, read_head,
};
use super::stamp::Stamp;

/// What a file turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scanned {
    pub(super) preface: Preface,
    /// Bytes that belong to no block though a whole one follows: damage.
    pub(super) damaged: u64,
    /// Bytes after the last whole block: where a crash interrupted a write.
    pub(super) torn: u64,
    /// The block that ends a snapshot was there.
    pub(super) ended: bool,
    /// When the last whole block was written.
    pub(super) last: Option<Stamp>,
    /// The first head that is whole.
    pub(super) head: Option<Head>,
}

/// Bytes read at once, beyond what a block needs.
const STRIDE: usize = 256 << 10;

/// Calls `block` with the stamp and payload of every whole block of records, in order. Where bytes make no block, goes
/// on at the next place where some do.
pub(super) fn scan(
    file: impl Read,
    seal: &Seal,
    block: &mut dyn FnMut(Stamp, &[u8]),
) -> io::Result<Scanned> {
    let mut window = Window { file, bytes: Vec::new(), start: 0, ended: false };
    window.fill(PREFACE)?;
    let preface = window.rest().first_chunk().map(|preface| seal.read_preface(preface));
    // Whose beginning alone is damaged is read all the same: the seals decide.
    window.skip(PREFACE);
    let preface = preface.unwrap_or(Preface::Foreign);
    let (last, head) = (None, None);
    let mut scanned = Scanned { preface, damaged: 0, torn: 0, ended: false, last, head };
    loop {
        window.fill(HEAD)?;
        if window.rest().is_empty() {
            return Ok(scanned);
        }
        let Some(head) = BlockHead::read(window.rest()) else {
            scanned.torn += window.skip_to_mark();
            continue;
        };
        window.fill(HEAD + head.length)?;
        let payload = window.rest().get(HEAD..HEAD + head.length);
        let Some(payload) = payload.filter(|payload| head.seals(seal, payload)) else {
            scanned.torn += window.skip_to_mark();
            continue;
        };
        scanned.damaged += std::mem::take(&mut scanned.torn);
        scanned.last = Some(head.stamp());
        match head.kind {
            Kind::Head if scanned.head.is_none() => scanned.head = read_head(payload),
            Kind::Head => {}
            Kind::Records => block(head.stamp(), payload),
            Kind::End => scanned.ended = true,
        }
        window.skip(HEAD + head.length);
    }
}

/// The part of a file that is looked at.
struct Window<R> {
    file: R,
    bytes: Vec<u8>,
    start: usize,
    ended: bool,
}

impl<R: Read> Window<R> {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Reads on until there are `count` bytes, or all there are.
    fn fill(&mut self, count: usize) -> io::Result<()> {
        if self.rest().len() >= count || self.ended {
            return Ok(());
        }
        self.bytes.drain(..self.start);
        self.start = 0;
        let wanted = (count.max(STRIDE) - self.bytes.len()) as u64;
        let read = self.file.by_ref().take(wanted).read_to_end(&mut self.bytes)?;
        self.ended = (read as u64) < wanted;
        Ok(())
    }

    fn skip(&mut self, count: usize) {
        self.start = (self.start + count).min(self.bytes.len());
    }

    /// Goes on to the next byte, after this one, with which a block may begin. Returns how many bytes
    /// were passed.
    fn skip_to_mark(&mut self) -> u64 {
        let here = self.start;
        self.skip(1);
        let rest = self.rest();
        let marks = memchr::memchr_iter(RECORDS[0], rest);
        let begins = |at: &usize| {
            let here = &rest[*at..];
            let len = here.len().min(RECORDS.len());
            [HEADS, RECORDS, END].iter().any(|mark| here[..len] == mark[..len])
        };
        let passed = { marks }.find(begins).unwrap_or(rest.len());
        self.skip(passed);
        (self.start - here) as u64
    }
}

const _: () = assert!(MOST + HEAD > STRIDE, "a window grows to a block");
const _: () = assert!(RECORDS[0] == END[0] && END[0] == HEADS[0], "one byte begins every mark");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::block::{Packer, records};
    use super::*;
    use crate::engine::memory::{Record, VERSION};
    use crate::identity::Keyring;

    fn seal() -> Seal {
        Seal::new(&Keyring::new([1; 32]))
    }

    /// A file of `count` blocks with one record each, and where each block begins.
    fn file(count: u8) -> (Vec<u8>, Vec<usize>) {
        let stamp = Stamp::default();
        let mut packer = Packer::new(seal(), &["t"], Vec::new());
        packer.packed = packer.beginning(stamp);
        let mut begins = Vec::new();
        for n in 0..count {
            begins.push(packer.packed.len());
            packer.put(Record { table: "t", key: &[n], value: Some(&[n; 300]) }, stamp);
            packer.close(stamp);
        }
        packer.end(stamp);
        (packer.packed, begins)
    }

    /// The records that are found, and what the file is said to be.
    fn found(bytes: &[u8]) -> (Vec<u8>, Scanned) {
        let mut keys = Vec::new();
        let scanned = scan(bytes, &seal(), &mut |_, payload| {
            keys.extend(records(payload).map(|(_, key, _)| key[0]));
        });
        (keys, scanned.unwrap())
    }

    #[test]
    fn a_whole_file_is_whole() {
        let (keys, scanned) = found(&file(20).0);
        assert_eq!(keys, (0..20).collect::<Vec<_>>());
        assert_eq!((scanned.damaged, scanned.torn, scanned.ended), (0, 0, true));
        assert_eq!(
            (scanned.preface, scanned.head.unwrap().tables),
            (Preface::Ours(VERSION), vec!["t".into()])
        );
    }

    proptest! {
        #[test]
        fn what_a_crash_cut_off_costs_the_block_under_way(cut in 0usize..6_000) {
            let (bytes, begins) = file(16);
            let cut = cut.min(bytes.len());
            let (keys, scanned) = found(&bytes[..cut]);
            let whole = begins.iter().filter(|at| **at + HEAD + 308 <= cut).count();
            prop_assert_eq!(keys.len(), whole);
            prop_assert_eq!((scanned.damaged, scanned.ended), (0, cut == bytes.len()));
        }

        #[test]
        fn a_bent_byte_costs_its_own_block(at in 0usize..6_000, by in 1u8..) {
            let (mut bytes, begins) = file(16);
            let at = at.min(bytes.len() - 1);
            bytes[at] ^= by;
            let (keys, scanned) = found(&bytes);
            let last = *begins.last().unwrap() + HEAD + 308;
            let inside = at >= begins[0] && at < last;
            prop_assert_eq!(keys.len(), 16 - usize::from(inside));
            let whole = scanned.preface == Preface::Ours(VERSION) && scanned.head.is_some() && scanned.ended;
            prop_assert!(scanned.damaged > 0 || !whole);
        }

        #[test]
        fn junk_ends(bytes in prop::collection::vec(prop_oneof![Just(0xb5u8), any::<u8>()], 0..2_000)) {
            prop_assert_eq!(found(&bytes).0.len(), 0);
        }
    }
}
