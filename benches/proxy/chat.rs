//! Chat requests of a given size, in made-up words: shared by both benches.

use stillguard::lab::rng::Rng;

/// To be overwritten with a count, so that no prompt is ever the same as another.
pub(crate) const FRESH: &str = "0000000000000000";
/// How a request that wants chunks begins.
pub(crate) const STREAM: &str = r#"{"stream":true"#;

/// A conversation: a system prompt, earlier turns of up to 2 KB, and a question of up to 1 KB.
pub(crate) fn body(rng: &mut Rng, bytes: usize, stream: bool) -> String {
    let head = if stream { STREAM } else { r#"{"temperature":0.7"# };
    let system = prose(rng, (bytes / 4).min(3000));
    let mut body =
        format!(r#"{head},"model":"m-1","messages":[{{"role":"system","content":"{system}"}}"#);
    let question = (bytes / 3).min(1000);
    let mut user = true;
    while body.len() + question + 400 < bytes {
        let role = if user { "user" } else { "assistant" };
        let length = (bytes - question - 300).saturating_sub(body.len()).min(2000);
        let said = prose(rng, length);
        body += &format!(r#",{{"role":"{role}","content":"{said}"}}"#);
        user = !user;
    }
    let asked = prose(rng, question);
    body + &format!(r#",{{"role":"user","content":"{asked} {FRESH}"}}],"max_tokens":512}}"#)
}

/// About `bytes` of words with an escape now and then, as chat has.
fn prose(rng: &mut Rng, bytes: usize) -> String {
    const ONSETS: &[&str] = &[
        "b", "br", "c", "d", "f", "gl", "h", "l", "m", "n", "p", "pr", "r", "s", "st", "t", "tr",
        "v",
    ];
    const RHYMES: &[&str] = &["a", "an", "e", "en", "er", "i", "ing", "o", "on", "or", "u", "um"];
    const SMALL: &[&str] =
        &["the", "of", "and", "to", "in", "is", "that", "for", "with", "how", "you", "please"];
    const ENDS: &[&str] = &[" ", " ", " ", " ", " ", " ", ", ", ". ", "? ", "\\n"];
    let mut text = String::with_capacity(bytes + 16);
    while text.len() < bytes {
        if rng.chance(0.4) {
            text += rng.pick(SMALL);
        } else {
            for _ in 0..1 + rng.below(3) {
                text += rng.pick(ONSETS);
                text += rng.pick(RHYMES);
            }
        }
        text += rng.pick(ENDS);
    }
    text
}
