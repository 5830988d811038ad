//! Chunks of a text that are found again wherever it is quoted, whatever stands around it.
//!
//! A rolling hash (buzhash: Uzgalis 1992) over each 32 neighbouring stems, about 64 tokens of prose;
//! of the windows those count whose hash falls into one sixteenth, and of these the smallest. So two
//! texts that hold the same stretch choose the same chunks of it. About 2 ns a stem, on a walk over
//! words that is made anyway.

use crate::identity::{Keyring, Tag};

use super::words::Reader;

/// Stems of a window, stop words left out.
const WIDTH: usize = 32;

/// One window in so many is chosen.
const SAMPLED: u64 = 16;

/// Bytes of an answer that are listened to.
const HEARD: usize = 16 * 1024;

#[derive(Debug)]
pub(in crate::signal) struct Chunks {
    window: [u64; WIDTH],
    seen: usize,
    rolling: u64,
    /// The smallest, in order.
    kept: Vec<Tag>,
    most: usize,
}

impl Chunks {
    pub(in crate::signal) fn new(most: usize) -> Self {
        Self { window: [0; WIDTH], seen: 0, rolling: 0, kept: Vec::new(), most }
    }

    /// Takes in the next stem, by its keyed hash.
    pub(in crate::signal) fn take(&mut self, stem: u64) {
        let gone = std::mem::replace(&mut self.window[self.seen % WIDTH], stem);
        self.seen += 1;
        self.rolling = self.rolling.rotate_left(1) ^ stem;
        if self.seen > WIDTH {
            self.rolling ^= gone.rotate_left(WIDTH as u32);
        }
        // One word again and again is anybody's.
        if self.seen < WIDTH || gone == stem {
            return;
        }
        let mixed = self.rolling.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        if mixed >> 32 & (SAMPLED - 1) == 0 {
            self.keep(Tag(mixed.max(1)));
        }
    }

    fn keep(&mut self, chunk: Tag) {
        let Err(place) = self.kept.binary_search(&chunk) else { return };
        if place < self.most {
            self.kept.insert(place, chunk);
            self.kept.truncate(self.most);
        }
    }

    pub(in crate::signal) fn finish(self) -> Vec<Tag> {
        self.kept
    }
}

/// Finds the chunks of an answer while it passes. Some 400 bytes.
#[derive(Debug)]
pub(in crate::signal) struct Listener {
    reader: Reader,
    chunks: Chunks,
    left: usize,
}

impl Listener {
    pub(in crate::signal) fn new(most: usize) -> Self {
        Self { reader: Reader::default(), chunks: Chunks::new(most), left: HEARD }
    }

    pub(in crate::signal) fn take(&mut self, piece: &str, keyring: &Keyring) {
        let heard = super::words::head(piece, self.left);
        self.left -= heard.len();
        self.reader.read(heard, |stem| self.chunks.take(keyring.text(stem)));
    }

    pub(in crate::signal) fn finish(self, keyring: &Keyring) -> Vec<Tag> {
        let Self { reader, mut chunks, .. } = self;
        reader.finish(|stem| chunks.take(keyring.text(stem)));
        chunks.finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Sketch;
    use super::*;
    use crate::signal::samples::{ANSWERS, keyring};

    fn said(text: &str, cuts: &[usize]) -> Vec<Tag> {
        let mut listener = Listener::new(8);
        let mut from = 0;
        for &cut in cuts.iter().filter(|cut| text.is_char_boundary(**cut)) {
            if cut > from && cut < text.len() {
                listener.take(&text[from..cut], &keyring());
                from = cut;
            }
        }
        listener.take(&text[from..], &keyring());
        listener.finish(&keyring())
    }

    fn heard(text: &str) -> Vec<Tag> {
        Sketch::with_chunks(text, &keyring(), 16).1
    }

    fn common(a: &[Tag], b: &[Tag]) -> usize {
        a.iter().filter(|chunk| b.contains(chunk)).count()
    }

    #[test]
    fn what_was_said_is_heard_again_in_any_wrapping_and_in_several_languages() {
        for answer in ANSWERS {
            let wrapped = format!(
                "Clean up the following trace, mend its grammar and grade it:\n\n> {}\n\nScore:",
                answer.replace(". ", ".\n\n  * ")
            );
            assert!(common(&said(answer, &[]), &heard(&wrapped)) >= 2, "{answer}");
        }
        for (a, b) in [(0, 1), (1, 2), (0, 2)] {
            assert_eq!(common(&said(ANSWERS[a], &[]), &heard(ANSWERS[b])), 0);
        }
    }

    #[test]
    fn a_short_text_has_no_chunks_and_a_long_one_few() {
        assert!(heard("Why does the sea rise and fall twice a day?").is_empty());
        assert!(heard(&"the same word again and again ".repeat(300)).len() <= 4);
        let long: String = (0..4000).map(|n| format!("word{} ", n * 7919 % 4001)).collect();
        assert_eq!(heard(&long).len(), 16);
    }

    proptest! {
        #[test]
        fn an_answer_in_any_pieces_has_the_same_chunks(cuts in prop::collection::vec(0_usize..1500, 0..20)) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            for answer in ANSWERS {
                prop_assert_eq!(said(answer, &cuts), said(answer, &[]));
            }
        }
    }
}
