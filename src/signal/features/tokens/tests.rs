use proptest::prelude::*;
use serde::Deserialize;

use super::*;

/// One text, and how `o200k` cuts it: whole characters of a piece and, where it is not one, tokens.
#[derive(Deserialize)]
struct Cut {
    kind: String,
    text: String,
    o200k: Vec<Piece>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Piece {
    Token(usize),
    Tokens(usize, u32),
}

/// A text of anybody's, and its tokens by any vocabulary.
#[derive(Deserialize)]
struct Counted {
    text: String,
    tokens: u32,
    #[serde(default)]
    lang: String,
}

fn estimated(text: &str) -> u32 {
    let mut estimate = Estimate::default();
    estimate.take(text);
    estimate.tokens()
}

/// The error of the estimate in per cent.
fn off(text: &str, tokens: u32) -> f64 {
    (f64::from(estimated(text)) / f64::from(tokens) - 1.0) * 100.0
}

#[test]
fn the_estimate_is_close_for_prose_code_and_many_scripts() {
    let texts = include_str!("../../../../tests/fixtures/tokens.json");
    let texts: Vec<Cut> = serde_json::from_str(texts).unwrap();
    let mut all = Vec::new();
    for Cut { kind, text, o200k } in texts {
        let pieces = o200k.iter().map(|piece| match piece {
            Piece::Token(chars) => (*chars, 1),
            Piece::Tokens(chars, tokens) => (*chars, *tokens),
        });
        let (chars, tokens) = pieces.fold((0, 0), |sum, piece| (sum.0 + piece.0, sum.1 + piece.1));
        assert_eq!(chars, text.chars().count());
        let off = off(&text, tokens);
        println!("{kind:24} {tokens:4} tokens, estimated {off:+5.1} %");
        assert!(off.abs() < 30.0, "{kind}: {off} %");
        all.push(off.abs());
    }
    all.sort_by(f64::total_cmp);
    assert!(all[all.len() / 2] < 6.0, "median of {all:?}");
}

/// `STILLGUARD_COUNTED=FILE cargo test --lib -- counted_texts --ignored --nocapture`, with one
/// `{"text": …, "tokens": …, "lang": …}` a line.
#[test]
#[ignore = "needs texts that somebody has counted"]
#[expect(clippy::disallowed_methods, reason = "it is asked for by hand")]
fn the_error_on_counted_texts_is_told() {
    let file = std::env::var("STILLGUARD_COUNTED").unwrap();
    let lines = std::fs::read_to_string(file).unwrap();
    let mut errors = std::collections::BTreeMap::<String, Vec<f64>>::new();
    for line in lines.split('\n').filter(|line| !line.is_empty()) {
        let Counted { text, tokens, lang } = serde_json::from_str(line).unwrap();
        // Of a few words, one more token says nothing.
        if tokens >= 50 {
            errors.entry(lang).or_default().push(off(&text, tokens).abs());
        }
    }
    let all = errors.values().flatten().copied().collect();
    errors.insert("all".into(), all);
    for (lang, mut off) in errors {
        off.sort_by(f64::total_cmp);
        let (median, p95) = (off[off.len() / 2], off[off.len() * 95 / 100]);
        println!(
            "{lang:6} {:6} texts, off by {median:4.1} % (median), {p95:4.1} % (p95)",
            off.len()
        );
    }
}

proptest! {
    #[test]
    fn a_text_in_pieces_is_estimated_as_the_whole(text in "[a-zA-Z0-9 ,\n é世🦀]{0,40}", at in 0..40_usize) {
        let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap();
        let mut pieces = Estimate::default();
        pieces.take(&text[..at]);
        pieces.take(&text[at..]);
        prop_assert_eq!(pieces.tokens(), estimated(&text));
    }
}
