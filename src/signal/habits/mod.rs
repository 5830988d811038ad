//! What one account keeps doing: the part of its prompts that does not change, found without text.
//!
//! The slots of a MinHash sketch that stay equal from request to request are those won by words of
//! the template; slots won by the words filled in keep changing. So the stable slots *are* the
//! template, whatever was put into it.

mod common;

use serde::{Deserialize, Serialize};

use self::common::Common;
pub use self::common::{Askers, TASK};
use super::crowd::Facet;
use super::exchange::{Ask, Exchange, Prompt};
use super::sketch::{SLOTS, Sketch};
use crate::identity::{Attributes, Caller, Tag};

/// Keys one account may be a member of at a time.
pub const MAX_KEYS: usize = 22;

/// Slots of a system prompt count as stable after this many repeats, those of a user turn after
/// more: chance repeats are likelier where texts are short. At most [`SURE`].
const SYSTEM_REPEATS: u8 = 1;
const USER_REPEATS: u8 = 3;

/// Repeats beyond this are not counted, so that a new template replaces an old one within as many
/// prompts.
const SURE: u8 = 6;

/// Turns that are counted before older ones begin to count less.
const COUNTED: u32 = 256;

/// Bits of the filter of last turns that may be set. At a quarter full a new turn is taken for a
/// known one once in sixteen times, which [`Habits::novelty`] makes up for.
const FULL: u32 = 64;

/// An account's habits. About 420 bytes.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Habits {
    /// Exchanges taken in.
    pub exchanges: u32,
    pub system: Stable,
    pub user: Stable,
    pub tools: Tag,
    pub egress: Tag,
    /// Means of payment and sign-up, where known.
    pub payment: Tag,
    pub signup: Tag,
    /// Exchanges whose last user turn had not been seen from this account (of those counted).
    pub novel: u32,
    pub counted: u32,
    common: Common,
    /// New turns that the filter is expected to have taken for known ones.
    mistaken: f32,
    /// A small Bloom filter of last turns: 256 bits, 2 probes; about the last 20 to 40 turns.
    seen: [u64; 4],
}

/// A sketch that remembers how often each slot has repeated.
///
/// Each slot is a running majority vote (Boyer and Moore 1981): a prompt with another value takes
/// one repeat away, and only the last one gone lets a new value in. So a template survives
/// unrelated prompts in between, as long as it has the majority.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Stable {
    sketch: [u32; SLOTS],
    repeats: [u8; SLOTS],
    /// Sketches taken in, saturating.
    pub taken: u8,
}

impl Default for Stable {
    fn default() -> Self {
        Self { sketch: [0; SLOTS], repeats: [0; SLOTS], taken: 0 }
    }
}

impl Stable {
    fn take(&mut self, sketch: &Sketch) {
        for (slot, &value) in sketch.slots().iter().enumerate() {
            let repeats = &mut self.repeats[slot];
            if self.taken > 0 && self.sketch[slot] == value {
                *repeats = (*repeats + 1).min(SURE);
            } else if *repeats == 0 {
                self.sketch[slot] = value;
            } else {
                *repeats -= 1;
            }
        }
        self.taken = self.taken.saturating_add(1);
    }

    /// Share of slots that have repeated at least `repeats` times on balance: an estimate of how
    /// much of the text is template.
    pub fn share(&self, repeats: u8) -> f32 {
        let stable = self.repeats.iter().filter(|&&seen| seen >= repeats).count();
        stable as f32 / SLOTS as f32
    }

    /// Hashes of the runs of `width` neighbouring slots that are all stable.
    fn bands(&self, width: usize, repeats: u8) -> impl Iterator<Item = u64> {
        let stable = move |band: usize| {
            self.repeats[band * width..][..width].iter().all(|&seen| seen >= repeats)
        };
        let bands = (0..SLOTS / width).filter(move |&band| stable(band));
        bands.map(move |band| band_hash(band, &self.sketch[band * width..][..width]))
    }

    /// Hashes of each two stable slots that follow one another, whatever lies between: where long
    /// fillings leave few slots to the template, hardly two of them are neighbours.
    fn links(&self, repeats: u8) -> impl Iterator<Item = u64> {
        let stable = move |slot: &usize| self.repeats[*slot] >= repeats;
        let (slots, next) = ((0..SLOTS).filter(stable), (0..SLOTS).filter(stable).skip(1));
        slots.zip(next).map(|(one, other)| {
            let place = SLOTS + one * SLOTS + other;
            band_hash(place, &[self.sketch[one], self.sketch[other]])
        })
    }
}

fn band_hash(band: usize, slots: &[u32]) -> u64 {
    slots.iter().fold(band as u64 + 1, |hash, &slot| {
        (hash ^ u64::from(slot)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)
    })
}

impl Habits {
    pub fn take(&mut self, exchange: &Exchange) {
        let prompt = &exchange.ask.prompt;
        self.exchanges = self.exchanges.saturating_add(1);
        if let Some(system) = &prompt.system {
            self.system.take(system);
        }
        if let Some(user) = &prompt.user {
            self.user.take(user);
        }
        if prompt.tools != Tag::default() {
            self.tools = prompt.tools;
        }
        let caller = &exchange.ask.caller;
        self.egress = caller.egress;
        self.payment = caller.attributes.payment.unwrap_or(self.payment);
        self.signup = caller.attributes.signup.unwrap_or(self.signup);
        if prompt.last != Tag::default() {
            self.count(prompt.last);
        }
    }

    fn count(&mut self, last: Tag) {
        let (a, b) = ((last.0 & 255) as usize, (last.0 >> 8 & 255) as usize);
        let has = |seen: &[u64; 4], bit: usize| seen[bit / 64] >> (bit % 64) & 1 == 1;
        let set = self.seen.iter().map(|word| word.count_ones()).sum::<u32>();
        if self.counted >= COUNTED {
            (self.counted, self.novel) = (self.counted / 2, self.novel / 2);
            self.mistaken /= 2.0;
        }
        self.counted += 1;
        self.mistaken += (set as f32 / 256.0).powi(2);
        if !(has(&self.seen, a) && has(&self.seen, b)) {
            self.novel += 1;
            if set > FULL {
                self.seen = [0; 4];
            }
            self.seen[a / 64] |= 1 << (a % 64);
            self.seen[b / 64] |= 1 << (b % 64);
        }
    }

    /// Share of last turns that were new, once `at_least` were counted. Sees repeats that come
    /// within some 20 turns.
    pub fn novelty(&self, at_least: u32) -> Option<f32> {
        let novel = self.novel as f32 + self.mistaken;
        (self.counted >= at_least).then(|| (novel / self.counted.max(1) as f32).min(1.0))
    }

    /// Notes whether many others have asked the same.
    pub fn share(&mut self, ask: &Ask, askers: &Askers) {
        self.common.take(askers.is_popular(ask), ask.prompt.tokens);
    }

    /// Share of what the account has asked, by tokens, that many accounts have asked.
    pub fn common(&self) -> f32 {
        self.common.share
    }

    /// Whether it does what others do, as those who were set one task: a class, a contest.
    pub fn is_set_task(&self) -> bool {
        self.exchanges <= TASK && self.common.share >= common::SET
    }

    /// How much of the user turns is template, once enough of them were seen.
    pub fn scaffold(&self) -> Option<f32> {
        (self.user.taken > USER_REPEATS).then(|| self.user.share(USER_REPEATS))
    }

    /// The keys of the crowds this account belongs to, at most [`MAX_KEYS`].
    pub fn keys(&self) -> impl Iterator<Item = (Facet, Tag)> {
        let system = self.system.bands(SYSTEM_BAND, SYSTEM_REPEATS).map(|b| (Facet::System, b));
        let bands = self.user.bands(USER_BAND, USER_REPEATS);
        let few = self.user.bands(USER_BAND, USER_REPEATS).count() < FEW_BANDS;
        let links = self.user.links(USER_REPEATS).filter(move |_| few);
        let user = bands.chain(links).take(10).map(|b| (Facet::User, b));
        let marks = [
            (Facet::Tools, self.tools),
            (Facet::Egress, self.egress),
            (Facet::Payment, self.payment),
            (Facet::Signup, self.signup),
        ];
        let marks = marks.into_iter().filter(|(_, tag)| *tag != Tag::default());
        let keys = marks.map(|(facet, tag)| (facet, tag.0)).chain(system).chain(user);
        keys.map(|(facet, part)| (facet, facet.key(part))).take(MAX_KEYS)
    }
}

/// System prompts repeat whole: 8 bands of 4. Templates around slots keep fewer slots: 16 of 2.
const SYSTEM_BAND: usize = 4;
const USER_BAND: usize = 2;

/// Below so many bands a user turn's template is keyed by the links between its slots as well.
const FEW_BANDS: usize = 4;

/// Every key under which this prompt could belong to a crowd: what an account without habits, on
/// its first request, is looked up by.
pub fn prompt_keys(prompt: &Prompt) -> impl Iterator<Item = (Facet, Tag)> {
    let system = prompt.system.iter().flat_map(|s| bands_of(s, SYSTEM_BAND, Facet::System));
    let user = prompt.user.iter().flat_map(|s| bands_of(s, USER_BAND, Facet::User));
    let tools = Some(prompt.tools).filter(|tag| *tag != Tag::default());
    let tools = tools.map(|tag| (Facet::Tools, Facet::Tools.key(tag.0)));
    tools.into_iter().chain(system).chain(user)
}

/// Every key under which whoever asks could belong to a crowd.
pub fn caller_keys(caller: &Caller) -> impl Iterator<Item = (Facet, Tag)> {
    let Attributes { payment, signup, .. } = caller.attributes;
    let egress = Some(caller.egress).filter(|tag| *tag != Tag::default());
    let marks = [(Facet::Egress, egress), (Facet::Payment, payment), (Facet::Signup, signup)];
    marks.into_iter().filter_map(|(facet, tag)| Some((facet, facet.key(tag?.0))))
}

fn bands_of(sketch: &Sketch, width: usize, facet: Facet) -> impl Iterator<Item = (Facet, Tag)> {
    let bands = sketch.slots().chunks_exact(width).enumerate();
    bands.map(move |(band, slots)| (facet, facet.key(band_hash(band, slots))))
}

#[cfg(test)]
mod tests;
