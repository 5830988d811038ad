//! Answers made from a hash of the prompt: the same prompt, the same words.

use crate::lab::material::{Grammar, Rules};
use crate::lab::rng::Rng;

const ANSWER: Grammar<'static> = Grammar(&[SAYINGS]);

const SAYINGS: &Rules = &[
    (
        "open",
        &[
            "It depends on the {noun}, but there is a plain way to see it.",
            "Start from the {noun}: it decides more than it seems to.",
            "There are {n} things to weigh here, and the {noun} is the first.",
            "In short: keep the {noun}, change the {noun}.",
        ],
    ),
    (
        "mid",
        &[
            "The {noun} {verb} the {noun}, so the {noun} stays {adj}.",
            "If the {noun} is {adj}, it {verb} the {noun} about {n} times in {N}.",
            "That leaves {n}, which a {adj} {noun} would also give.",
            "Nobody {verb} a {adj} {noun} without looking at the {noun} first.",
            "Take {n} of them, and the {noun} {verb} the rest.",
            "A {adj} {noun} is no reason to give up the {adj} {noun}.",
        ],
    ),
    (
        "noun",
        &[
            "margin",
            "ledger",
            "window",
            "rhythm",
            "boundary",
            "sample",
            "recipe",
            "signal path",
            "deadline",
            "threshold",
            "draft",
            "neighbour",
            "slope",
            "index",
            "promise",
            "season",
        ],
    ),
    ("verb", &["follows", "limits", "carries", "replaces", "explains", "delays", "absorbs"]),
    ("adj", &["narrow", "steady", "early", "costly", "plain", "open", "rare", "shared"]),
];

/// Fewest bytes of an answer: two prompts should not meet in one by coincidence.
const SHORTEST: usize = 160;

/// An answer in pieces; each piece stands for one token. About `tokens` of them, by prompt up to a
/// quarter more or less.
pub(super) fn answer(prompt: u64, tokens: usize) -> Vec<String> {
    let mut rng = Rng::new(prompt);
    let tokens = tokens.max(16);
    let wanted = tokens - tokens / 4 + rng.below(tokens / 2 + 1);
    let mut text = ANSWER.fill("{open}", &mut rng);
    while pieces(&text).count() < wanted || text.len() < SHORTEST {
        text.push_str(&ANSWER.fill(" {mid}", &mut rng));
    }
    let mut kept: Vec<String> = Vec::new();
    let mut bytes = 0;
    for piece in pieces(&text) {
        if kept.len() >= wanted && bytes >= SHORTEST {
            break;
        }
        bytes += piece.len();
        kept.push(piece.to_owned());
    }
    kept
}

/// A text of exactly `bytes` bytes, in pieces of at most 4 KB.
pub(super) fn big(prompt: u64, bytes: usize) -> Vec<String> {
    let page = ANSWER.fill("{open} {mid} {mid} {mid} {mid} ", &mut Rng::new(prompt));
    let endless = page.chars().cycle();
    // The grammar is ASCII: one character is one byte.
    let text: String = endless.take(bytes).collect();
    text.as_bytes().chunks(4096).map(|piece| String::from_utf8_lossy(piece).into_owned()).collect()
}

/// Words, each with the space before it.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let skipped = rest.bytes().take_while(|&byte| byte == b' ').count();
        let end = rest[skipped..].find(' ').map_or(rest.len(), |at| at + skipped);
        let (piece, left) = rest.split_at(end);
        rest = left;
        (!piece.is_empty()).then_some(piece)
    })
}

/// A hash of text, the same on every run and machine.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    rapidhash::v3::rapidhash_v3(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn answers_are_long_enough_varied_and_follow_the_prompt() {
        let all: BTreeSet<String> = (0..500).map(|prompt| answer(prompt, 1).concat()).collect();
        assert_eq!(all.len(), 500);
        assert!(all.iter().all(|text| text.len() >= SHORTEST));
        assert_eq!(answer(7, 40), answer(7, 40));
    }

    #[test]
    fn the_number_of_tokens_is_about_what_was_set() {
        assert!((0..100).all(|prompt| (30..=50).contains(&answer(prompt, 40).len())));
    }

    #[test]
    fn a_big_answer_has_the_bytes_asked_for() {
        assert_eq!(big(1, 10_001).concat().len(), 10_001);
        assert!(big(1, 0).is_empty());
    }
}
