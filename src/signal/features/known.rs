//! What was made of texts that come again: most requests repeat the system prompt of their product.

use std::cell::RefCell;
use std::sync::Arc;

use super::super::exchange::{Phrases, Prompt, Zone};
use super::super::lexicon;
use super::super::sketch::Sketch;
use super::{environment, masquerade, zone};
use crate::identity::{Keyring, Tag};

/// The part of a text's features that is dear: some 8 ns a byte, against 0.1 to find them here.
#[derive(Debug)]
pub(super) struct Gist {
    pub(super) phrases: Phrases,
    pub(super) sketch: Option<Sketch>,
    pub(super) chunks: Vec<Tag>,
    /// Of system prompts alone, which come again and are the caller's own.
    pub(super) told: Told,
}

/// What a system prompt tells besides.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) zone: Option<Zone>,
    pub(super) machine: Option<Tag>,
    pub(super) names: masquerade::Names,
}

/// Texts remembered, some 50 KiB in all. One replaces whatever has its place.
const TEXTS: usize = 256;

/// A text's keyed hash and length, by which it is known, and what was made of it.
type Known = Option<(u64, usize, Arc<Gist>)>;

thread_local! {
    /// Of each thread its own, so that nobody waits. It only saves time: a gist depends on its text
    /// and the secret alone, and the hash that finds it on both.
    static KNOWN: RefCell<Vec<Known>> = const { RefCell::new(Vec::new()) };
}

impl Gist {
    pub(super) fn of(text: &str, keyring: &Keyring) -> Self {
        let (sketch, chunks) = Sketch::with_chunks(text, keyring, Prompt::MAX_HEARD);
        Self { phrases: lexicon::find(text), sketch, chunks, told: Told::default() }
    }

    /// The same for a text that is likely to come again.
    pub(super) fn known(text: &str, keyring: &Keyring) -> Arc<Self> {
        let hash = keyring.text(text.as_bytes());
        KNOWN.with_borrow_mut(|known| {
            known.resize(TEXTS, None);
            let place = &mut known[hash as usize % TEXTS];
            match place {
                Some((of, length, gist)) if (*of, *length) == (hash, text.len()) => gist.clone(),
                _ => {
                    let gist = Self { told: Told::of(text, keyring), ..Self::of(text, keyring) };
                    let gist = Arc::new(gist);
                    *place = Some((hash, text.len(), Arc::clone(&gist)));
                    gist
                }
            }
        })
    }
}

impl Told {
    fn of(text: &str, keyring: &Keyring) -> Self {
        let (zone, names) = (zone::of(text), masquerade::Names::of(text));
        Self { zone, machine: environment::of_system(text, keyring), names }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_text_is_what_it_was_and_another_secret_knows_none_of_it() {
        let keyrings = [Keyring::new([1; 32]), Keyring::new([2; 32])];
        let texts = ["", "Think step by step about tides, moons, harbours, ships and weather."];
        let many: Vec<String> = (0..2 * TEXTS).map(|n| format!("{} {n} words", texts[1])).collect();
        let texts = || texts.into_iter().chain(many.iter().map(String::as_str));
        for text in texts().chain(texts()) {
            for keyring in &keyrings {
                let (known, fresh) = (Gist::known(text, keyring), Gist::of(text, keyring));
                assert_eq!((&known.sketch, known.phrases), (&fresh.sketch, fresh.phrases));
            }
        }
        let again = |keyring| Arc::ptr_eq(&Gist::known("", keyring), &Gist::known("", keyring));
        assert!(again(&keyrings[0]));
    }
}
