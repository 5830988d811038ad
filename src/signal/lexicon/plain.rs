//! The scan of plain ASCII: no copy, a look at each byte.

use super::normal::{CLAUSE, Normal};
use super::patterns::{self, Mark};
use super::stands;

/// Likely phrases whose surroundings are looked at. A text with more of them, all taken back, is
/// made to cost time: the rest count as they are.
const LOOKS: u32 = 64;

/// As [`super::scan_normal`] on the normalised text.
pub(super) fn scan(text: &str) -> u32 {
    let bytes = text.as_bytes();
    let (mut marks, mut within, mut looks) = (0, 0, 0);
    for (at, window) in bytes.windows(3).enumerate() {
        let &[one, two, three] = window else { continue };
        let kind = STARTS[usize::from(one)];
        let start = kind & !within;
        within = kind & WORD;
        if start == 0 {
            continue;
        }
        let first = [one, two, three].map(|byte| FOLDED[usize::from(byte)]);
        for (phrase, mark) in patterns::starting_with(first) {
            if marks & mark.bit() == 0 && likely(&bytes[at..], phrase) {
                looks += 1;
                if looks > LOOKS || is_meant(text, at, phrase, mark) {
                    marks |= mark.bit();
                }
            }
        }
    }
    marks
}

fn is_meant(text: &str, at: usize, phrase: &str, mark: Mark) -> bool {
    let before = &text[at.saturating_sub(CLAUSE)..at];
    let after = &text[at..text.len().min(at + CLAUSE)];
    let (normal, at) = Normal::around(before, after);
    stands(&normal, at, phrase, mark)
}

/// What a byte may begin, unless it goes on what is begun: a word, or always a phrase of its own.
const WORD: u8 = 1;
const ALWAYS: u8 = 2;
static STARTS: [u8; 256] = {
    let mut starts = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        starts[byte] = match byte as u8 {
            b'<' | b'[' => ALWAYS,
            letter if letter.is_ascii_alphanumeric() => WORD,
            _ => 0,
        };
        byte += 1;
    }
    starts
};

static FOLDED: [u8; 256] = {
    let mut folded = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        folded[byte] = fold(byte as u8);
        byte += 1;
    }
    folded
};

/// Whether the phrase may stand at the start of `text`, whatever separates its words, and does not
/// end inside a word.
fn likely(text: &[u8], phrase: &str) -> bool {
    let mut rest = text;
    for want in phrase.bytes() {
        if !want.is_ascii_alphanumeric() {
            let words = rest.iter().position(|&byte| fold(byte) != b' ');
            let gap = words.unwrap_or(rest.len());
            if want == b' ' {
                if gap == 0 {
                    return false;
                }
                rest = &rest[gap..];
                continue;
            }
            rest = &rest[gap..];
        }
        match rest {
            [byte, after @ ..] if fold(*byte) == want => rest = after,
            _ => return false,
        }
    }
    let inside = rest.first().is_some_and(u8::is_ascii_alphanumeric);
    !(inside && phrase.ends_with(|c: char| c.is_ascii_alphanumeric()))
}

/// One spelling per byte: lower case, marks as they are, a space for anything else.
const fn fold(byte: u8) -> u8 {
    match byte {
        b':' | b'<' | b'>' | b'/' | b'[' | b']' => byte,
        _ if byte.is_ascii_alphanumeric() => byte.to_ascii_lowercase(),
        _ => b' ',
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::scan_normal;
    use super::*;

    #[test]
    fn a_text_made_of_negations_costs_no_more_than_others() {
        let few = "do not think step by step. ".repeat(20);
        assert_eq!(scan(&few), 0);
        assert_ne!(scan(&few.repeat(10)), 0);
    }

    proptest! {
        #[test]
        fn plain_text_is_read_as_its_normal_spelling(
            words in prop::collection::vec(prop::sample::select(vec![
                "do", "not", "think", "step", "by", "step by step", "your reasoning", "Reasoning:",
                "answer :", "<think>", "<", "rubric", "out of 10", "1-10", "without", "flag", "don't",
                "show your work", "reason in English", "neutral version", "a", "Let's think", "/",
            ]), 0..14),
            gaps in prop::collection::vec(prop::sample::select(vec![
                " ", "  ", ", ", ". ", "\n", "\n\n", "-", "; ", "(", "!", " *",
            ]), 14),
        ) {
            let text: String = words.iter().zip(&gaps).flat_map(|(word, gap)| [*word, *gap]).collect();
            prop_assert_eq!(scan(&text), scan_normal(&Normal::of(&text)), "{}", text);
        }
    }
}
