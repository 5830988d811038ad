//! Seals of thinking: the endpoint gives them away with it, and takes back none that it did not make.

use serde_json::Value;

use super::answer::Plan;
use super::style::Style;
use super::text;
use crate::lab::rng::Rng;

/// Characters of a seal that its last ones are made of, and how many those are.
const SEALED: usize = 30;
const CHECK: usize = 18;

/// Base64 of 36 bytes that begins with four characters, holds both that are neither letter nor digit, and
/// ends in a check.
pub(super) fn seal(plan: &Plan, begins: &str, url: bool) -> String {
    let mut seal: String = plan.id(begins, 90).chars().take(SEALED - 2).collect();
    seal.push_str("+/");
    seal += &check(&seal);
    if url { seal.replace('+', "-").replace('/', "_") } else { seal }
}

fn check(sealed: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut rng = Rng::new(text::hash(format!("a secret of the lab's {sealed}").as_bytes()));
    (0..CHECK).map(|_| char::from(ALPHABET[rng.below(ALPHABET.len())])).collect()
}

/// Whether this endpoint made it. Clients that hold bytes spell them in either alphabet.
fn is_ours(seal: &Value) -> bool {
    let spelt = seal.as_str().unwrap_or_default().replace('-', "+").replace('_', "/");
    spelt.split_at_checked(SEALED).is_some_and(|(sealed, rest)| rest == check(sealed))
}

/// What is wrong with thinking that comes back: it must bear the seal it left with.
pub(super) fn broken(style: Style, body: &Value) -> Option<&'static str> {
    let sound = match style {
        Style::Openai => true,
        Style::Responses => {
            let items = listed(&body["input"]);
            items.map(|item| &item["encrypted_content"]).filter(|it| !it.is_null()).all(is_ours)
        }
        Style::Anthropic | Style::Invoke => {
            blocks(&body["messages"]).all(|block| match block["type"].as_str() {
                Some("thinking") => block["thinking"].is_string() && is_ours(&block["signature"]),
                Some("redacted_thinking") => is_ours(&block["data"]),
                _ => true,
            })
        }
        Style::Gemini | Style::GeminiArray => {
            let parts = listed(&body["contents"]).flat_map(|content| listed(&content["parts"]));
            let seals = parts
                .flat_map(|part| [&part["thoughtSignature"], &part["thought_signature"]])
                .filter(|seal| !seal.is_null());
            seals.into_iter().all(is_ours)
        }
        Style::Bedrock => blocks(&body["messages"])
            .map(|block| &block["reasoningContent"])
            .filter(|thought| thought.is_object())
            .all(|thought| match &thought["redactedContent"] {
                Value::Null => is_ours(&thought["reasoningText"]["signature"]),
                redacted => is_ours(redacted),
            }),
    };
    (!sound).then_some("Thinking must come back with the signature that it left with.")
}

fn listed(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn blocks(messages: &Value) -> impl Iterator<Item = &Value> {
    listed(messages).flat_map(|message| listed(&message["content"]))
}
