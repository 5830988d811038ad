//! From text to features: the only place where both are at hand.

mod alias;
mod answer;
mod chain;
mod environment;
mod known;
mod masquerade;
mod rates;
mod session;
mod tokens;
mod topics;
mod zone;

use std::borrow::Cow;

pub use self::answer::Answer;
use self::chain::{Chain, fold_turns};
use self::known::Gist;
pub use self::rates::Rates;
pub use self::session::{SESSION_HEADERS, session_tag};
use super::bonds::Bonds;
use super::exchange::{Phrases, Prompt};
use super::lexicon;
use crate::dialect::{Api, Kind, Part, Request, Role, Tool};
use crate::identity::{Keyring, Tag};

/// Turns a request into features. `bytes` is the size of its body.
///
/// Linear in the body, with sketches and phrases bounded to 16 KiB of each of the two texts they
/// are made of: the system prompt and the last user turn that holds text. In an agent's tool loop
/// that turn stays the same, which is what keeps a loop from looking like novel questions.
pub fn inspect(request: &Request<'_>, api: Api, bytes: usize, keyring: &Keyring) -> Prompt {
    let parts = &request.parts;
    let system = joined(parts.iter().filter(|part| part.role == Role::System));
    let user = last_user_turn(parts);
    let (of_system, of_user) = (Gist::known(&system, keyring), Gist::of(&user, keyring));
    let machine = of_system.told.machine.or_else(|| environment::of_user(&user, keyring));
    let folded = fold_turns(parts, keyring);
    let some = |chain: Chain| if parts.is_empty() { Tag::default() } else { chain.tag() };
    Prompt {
        api,
        model: (&*request.model).into(),
        stream: request.stream,
        params: request.params,
        bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
        tokens: tokens::of_request(request),
        turns: turns(parts),
        phrases: of_user
            .phrases
            .union(schema(request))
            .union(aliases(request))
            .union(mask(masquerade::poses(&user, &request.model))),
        system_phrases: of_system.phrases.union(mask(of_system.told.names.pose(&request.model))),
        system: of_system.sketch.clone(),
        user: of_user.sketch,
        tools: tools(&request.tools, keyring),
        skeleton: skeleton(request, keyring),
        last: text_tag(&user, keyring),
        body: some(folded.body),
        thread: some(folded.thread),
        continues: folded.continues,
        presented: tags(&request.presented, keyring),
        foreign: Vec::new(),
        bonds: Bonds::default(),
        heard: of_user.chunks,
        environment: machine.unwrap_or_default(),
        retry: 0,
        topics: topics::of(parts, &user),
        sessions: session::of(request, keyring),
        zone: of_system.told.zone,
    }
}

/// Tags of ids that show by themselves to whom they were issued.
pub fn foreign(ids: &[Cow<'_, str>], keyring: &Keyring) -> Vec<Tag> {
    tags(ids, keyring)
}

/// Tags of ids, distinct and in order, at most [`Prompt::MAX_IDS`]. Very short ids are left out:
/// they are counters, and everybody's.
fn tags(ids: &[Cow<'_, str>], keyring: &Keyring) -> Vec<Tag> {
    let mut seen = Vec::new();
    for id in ids.iter().filter(|id| id.len() >= MIN_ID) {
        let tag = keyring.tag("id", id.as_bytes());
        if seen.len() < Prompt::MAX_IDS && !seen.contains(&tag) {
            seen.push(tag);
        }
    }
    seen
}

const MIN_ID: usize = 8;

/// One text of several parts. One part is borrowed.
fn joined<'a>(parts: impl Iterator<Item = &'a Part<'a>>) -> Cow<'a, str> {
    let texts = parts.filter(|part| part.kind == Kind::Text && !part.text.is_empty());
    texts.fold(Cow::Borrowed(""), |all, part| {
        if all.is_empty() { Cow::Borrowed(&*part.text) } else { all + "\n" + &*part.text }
    })
}

fn last_user_turn<'a>(parts: &'a [Part<'a>]) -> Cow<'a, str> {
    let asks = |part: &&Part<'_>| {
        part.role == Role::User && part.kind == Kind::Text && !part.text.trim().is_empty()
    };
    let Some(last) = parts.iter().rev().find(asks) else {
        return Cow::Borrowed("");
    };
    joined(parts.iter().filter(|part| part.role == Role::User && part.turn == last.turn))
}

/// A keyed tag of text with its ends trimmed; none for blank text.
fn text_tag(text: &str, keyring: &Keyring) -> Tag {
    let text = text.trim();
    if text.is_empty() { Tag::default() } else { Tag(keyring.text(text.as_bytes()).max(1)) }
}

fn turns(parts: &[Part<'_>]) -> u32 {
    let said = |part: &&Part<'_>| part.role != Role::System;
    let mut turns: Vec<u32> = parts.iter().filter(said).map(|part| part.turn).collect();
    turns.sort_unstable();
    turns.dedup();
    u32::try_from(turns.len()).unwrap_or(u32::MAX)
}

/// A demanded output with reasoning beside the answer, be it a schema or the arguments of the only
/// tool on offer.
fn schema(request: &Request<'_>) -> Phrases {
    let schema = lexicon::demands_reasoning(request.schema.iter().map(|name| &**name));
    let tool = matches!(&*request.tools, [tool]
        if lexicon::demands_reasoning(tool.params.iter().map(|(name, _)| &**name)));
    if schema || tool { Phrases::SCHEMA } else { Phrases::NONE }
}

fn aliases(request: &Request<'_>) -> Phrases {
    if alias::opaque(&request.tools) { Phrases::HIDES } else { Phrases::NONE }
}

fn mask(poses: bool) -> Phrases {
    if poses { Phrases::POSES } else { Phrases::NONE }
}

/// The tool set whatever its order: names, and parameters with their types.
fn tools(tools: &[Tool<'_>], keyring: &Keyring) -> Tag {
    let hash = |tool: &Tool<'_>| {
        let mut params: Vec<_> =
            tool.params.iter().map(|(name, kind)| (&**name, &**kind)).collect();
        params.sort_unstable();
        let name = Chain::new().mix(keyring.text(tool.name.as_bytes()));
        let mixed = params.into_iter().fold(name, |chain, (name, kind)| {
            chain.mix(keyring.text(name.as_bytes())).mix(keyring.text(kind.as_bytes()))
        });
        mixed.tag().0
    };
    let mut hashes: Vec<u64> = tools.iter().map(hash).collect();
    hashes.sort_unstable();
    let chain = hashes.iter().fold(Chain::new(), |chain, &hash| chain.mix(hash));
    if tools.is_empty() { Tag::default() } else { chain.tag() }
}

/// Roles, kinds, log2 lengths and parameters. No text goes in; keyed so that it can't be guessed.
fn skeleton(request: &Request<'_>, keyring: &Keyring) -> Tag {
    let params = &request.params;
    let asked = format!(
        "{:?} {:?} {:?} {} {} {:?} {} {} {}",
        params.temperature.map(f32::to_bits),
        params.top_p.map(f32::to_bits),
        params.max_tokens,
        params.completions(),
        params.logprobs,
        params.effort,
        params.thinking,
        request.stream,
        request.tools.len(),
    );
    let start = Chain::new().mix(keyring.text(asked.as_bytes()));
    let shape = request.parts.iter().fold(start, |chain, part| {
        let length = u64::from(part.text.len().checked_ilog2().unwrap_or_default());
        chain.mix(chain::label(part.role, part.kind) << 8 | length)
    });
    if request.parts.is_empty() { Tag::default() } else { shape.tag() }
}

#[cfg(test)]
mod tests;
