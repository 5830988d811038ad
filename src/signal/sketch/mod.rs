//! MinHash: how alike two texts are, from 32 numbers each.
//!
//! A text is read as the *set* of its stems, stop words left out, so word order, inflection and a
//! few edits hardly move it. Slot `i` keeps the smallest value that the `i`-th of 32 hash functions
//! takes on the set; two sets agree in a slot with the probability of their Jaccard index (Broder,
//! "On the resemblance and containment of documents", 1997). One permutation with densified bins
//! would be cheaper by a factor of ten, but lets one word win many slots of a short prompt, and
//! [`super::habits`] reads a slot as a vote of its own.

mod stem;
pub(super) mod chunks;
pub(super) mod words;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use self::chunks::Chunks;
use crate::identity::{Keyring, Tag, hex};

/// Numbers in a sketch. The standard error of an estimated Jaccard index is 1/(2 sqrt(32)), 0.09,
/// at most.
pub const SLOTS: usize = 32;

/// Fewer different stems than this say too little to be recognised by.
pub const MIN_STEMS: usize = 5;

/// A MinHash sketch over the set of a text's stems, stop words left out. Printed as 256 hex digits.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sketch([u32; SLOTS]);

impl Sketch {
    /// The sketch of `text`, or none where it has fewer than [`MIN_STEMS`] different stems.
    ///
    /// Reads at most 16 KiB, about 5 ns per byte. Of texts over 8 KiB only every other stem, chosen
    /// by its hash, takes part: the same ones in every such text, so the index stays meaningful.
    pub fn of(text: &str, keyring: &Keyring) -> Option<Self> {
        Self::seen_by(text, keyring, |_| {})
    }

    /// The same, and at most `most` of the chunks that the text is made of, in one pass.
    pub fn with_chunks(text: &str, keyring: &Keyring, most: usize) -> (Option<Self>, Vec<Tag>) {
        let mut chunks = Chunks::new(most);
        let sketch = Self::seen_by(text, keyring, |hash| chunks.take(hash));
        (sketch, chunks.finish())
    }

    fn seen_by(text: &str, keyring: &Keyring, mut each: impl FnMut(u64)) -> Option<Self> {
        let mut mins = Mins::default();
        let sampled = text.len() > words::WHOLE;
        words::each(text, |stem| {
            let hash = keyring.text(stem);
            each(hash);
            if !(sampled && hash & 1 == 1) {
                mins.take(hash);
            }
        });
        mins.finish()
    }

    /// The sketch of a set given by keyed hashes of its members, for simulated traffic.
    pub fn of_hashes(hashes: impl IntoIterator<Item = u64>) -> Option<Self> {
        let mut mins = Mins::default();
        hashes.into_iter().for_each(|hash| mins.take(hash));
        mins.finish()
    }

    pub fn slots(&self) -> &[u32; SLOTS] {
        &self.0
    }

    /// Estimated Jaccard index of the two texts' stem sets, 0 to 1.
    pub fn jaccard(&self, other: &Self) -> f32 {
        let equal = self.0.iter().zip(&other.0).filter(|(a, b)| a == b).count();
        equal as f32 / SLOTS as f32
    }
}

/// One hash function per slot: multiplication by an odd number, upper half kept.
static SALTS: [u64; SLOTS] = {
    let mut salts = [0; SLOTS];
    let (mut slot, mut state) = (0, 0x243f_6a88_85a3_08d3_u64);
    while slot < SLOTS {
        // SplitMix64 (Steele, Lea, Flood 2014): any well-mixed constants would do.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        salts[slot] = (mixed ^ (mixed >> 31)) | 1;
        slot += 1;
    }
    salts
};

/// Words lately seen: most words of a long text have come before and change no slot.
const RECENT: usize = 512;

struct Mins {
    slots: [u32; SLOTS],
    recent: [u64; RECENT],
    /// The first different stems, to tell when there are enough.
    first: [u64; MIN_STEMS],
    distinct: usize,
}

impl Default for Mins {
    fn default() -> Self {
        let (recent, first) = ([0; RECENT], [0; MIN_STEMS]);
        Self { slots: [u32::MAX; SLOTS], recent, first, distinct: 0 }
    }
}

impl Mins {
    fn take(&mut self, hash: u64) {
        let place = &mut self.recent[(hash >> 55) as usize % RECENT];
        if std::mem::replace(place, hash) == hash {
            return;
        }
        if self.distinct < MIN_STEMS && !self.first[..self.distinct].contains(&hash) {
            self.first[self.distinct] = hash;
            self.distinct += 1;
        }
        for (slot, salt) in self.slots.iter_mut().zip(&SALTS) {
            *slot = (*slot).min((hash.wrapping_mul(*salt) >> 32) as u32);
        }
    }

    fn finish(self) -> Option<Sketch> {
        (self.distinct >= MIN_STEMS).then_some(Sketch(self.slots))
    }
}

impl fmt::Display for Sketch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(hex(&mut [0; SLOTS * 8], self.0))
    }
}

#[derive(Clone, Debug, thiserror::Error)]
#[error("a sketch is 256 hex digits")]
pub struct NotASketch;

impl FromStr for Sketch {
    type Err = NotASketch;

    fn from_str(text: &str) -> Result<Self, NotASketch> {
        if text.len() != SLOTS * 8 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NotASketch);
        }
        let mut slots = [0; SLOTS];
        for (slot, at) in slots.iter_mut().zip((0..).step_by(8)) {
            *slot = u32::from_str_radix(&text[at..at + 8], 16).map_err(|_| NotASketch)?;
        }
        Ok(Self(slots))
    }
}

impl Serialize for Sketch {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(hex(&mut [0; SLOTS * 8], self.0))
    }
}

impl<'de> Deserialize<'de> for Sketch {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
