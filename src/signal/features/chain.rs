//! Prefix chains: one number for a conversation up to a turn, the same whoever resends it.
//!
//! A chain folds turn by turn. The system prompt is no part of it: many clients write the time or a
//! request's number into it. What else clients change on resending a conversation stays out too:
//! thinking (stripped), white space at the ends of texts, how an answer's text is cut into blocks,
//! and the spelling of tool arguments (JSON is written anew). An assistant turn counts as the text
//! it says; only when it says nothing, as the tool calls it makes.

use super::Tag;
use crate::dialect::{Kind, Part, Role};
use crate::identity::{Keyring, TextStream};

/// Assistant text shorter than this, in bytes without blank ends, is anybody's ("Sure!").
const MIN_ANSWER: usize = 64;

/// A running fold of 64-bit hashes. Keyed through the hashes that go in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Chain(u64);

impl Chain {
    pub(super) const fn new() -> Self {
        Self(0x2545_f491_4f6c_dd1d)
    }

    pub(super) const fn from_tag(tag: Tag) -> Self {
        Self(tag.0)
    }

    /// The 128-bit product folded onto itself (the step of wyhash and its kin): order matters.
    pub(super) const fn mix(self, value: u64) -> Self {
        let a = (self.0 ^ 0x9e37_79b9_7f4a_7c15) as u128;
        let b = (value ^ 0xd6e8_feb8_6659_fd93) as u128;
        let product = a.wrapping_mul(b);
        let folded = (product >> 64) as u64 ^ product as u64;
        // Never zero, which means "none" in a tag, and never stuck when a factor happens to be.
        let next = folded ^ self.0.rotate_left(23).wrapping_add(value);
        Self(if next == 0 { 1 } else { next })
    }

    pub(super) const fn tag(self) -> Tag {
        Tag(self.0)
    }
}

/// The chain over all turns, the one up to the last assistant turn, and the one over everything.
pub(super) struct Folded {
    pub(super) thread: Chain,
    pub(super) continues: Tag,
    pub(super) body: Chain,
}

pub(super) fn fold_turns(parts: &[Part<'_>], keyring: &Keyring) -> Folded {
    let (mut thread, mut continues, mut system) = (Chain::new(), Tag::default(), Chain::new());
    for turn in parts.chunk_by(|a, b| a.turn == b.turn && a.role == b.role) {
        let fold = |chain| turn.iter().fold(chain, |chain, part| mix(chain, part, keyring));
        match turn[0].role {
            Role::Assistant => {
                let mut said = Said::new(keyring);
                turn.iter().for_each(|part| said.take(part.kind, &part.text));
                (thread, continues) = continued(thread, said);
            }
            Role::System => system = fold(system),
            Role::User | Role::Tool => thread = fold(thread),
        }
    }
    Folded { thread, continues, body: system.mix(thread.tag().0) }
}

fn mix(chain: Chain, part: &Part<'_>, keyring: &Keyring) -> Chain {
    chain.mix(label(part.role, part.kind)).mix(keyring.text(part.text.trim().as_bytes()))
}

/// The chain with an answer added, and its tag where the answer is long enough to be nobody's
/// coincidence.
pub(super) fn continued(before: Chain, said: Said) -> (Chain, Tag) {
    let long = said.text.len >= MIN_ANSWER;
    let Some(hash) = said.finish() else {
        return (before, Tag::default());
    };
    let after = before.mix(label(Role::Assistant, Kind::Text)).mix(hash);
    (after, if long { after.tag() } else { Tag::default() })
}

pub(super) const fn label(role: Role, kind: Kind) -> u64 {
    let role = match role {
        Role::System => 1,
        Role::User => 2,
        Role::Assistant => 3,
        Role::Tool => 4,
    };
    let kind = match kind {
        Kind::Text => 1,
        Kind::Thinking => 2,
        Kind::ToolCall => 3,
        Kind::ToolResult => 4,
        Kind::Image => 5,
        Kind::Document => 6,
        Kind::Other => 7,
    };
    role << 4 | kind
}

/// What one assistant turn says, gathered piece by piece whatever the cuts.
#[derive(Debug)]
pub(super) struct Said {
    text: Trimmed,
    calls: TextStream,
    called: bool,
}

impl Said {
    pub(super) fn new(keyring: &Keyring) -> Self {
        let text = Trimmed { hasher: keyring.text_stream(), len: 0, blank: String::new() };
        Self { text, calls: keyring.text_stream(), called: false }
    }

    pub(super) fn take(&mut self, kind: Kind, piece: &str) {
        match kind {
            Kind::Text => self.text.take(piece),
            Kind::ToolCall => {
                for run in piece.split_ascii_whitespace() {
                    self.calls.update(run.as_bytes());
                    self.called = true;
                }
            }
            _ => {}
        }
    }

    fn finish(self) -> Option<u64> {
        let hasher = if self.text.len > 0 { Some(self.text.hasher) } else { None };
        let hasher = hasher.or_else(|| self.called.then_some(self.calls))?;
        Some(hasher.finish())
    }
}

/// Hashes text without its blank ends. White space is held back until something follows it.
#[derive(Debug)]
struct Trimmed {
    hasher: TextStream,
    len: usize,
    blank: String,
}

/// White space beyond this, in bytes, in one place does not count: memory stays bounded.
const MAX_BLANK: usize = 1024;

impl Trimmed {
    fn take(&mut self, piece: &str) {
        let body = if self.len == 0 { piece.trim_start() } else { piece };
        let solid = body.trim_end();
        if !solid.is_empty() {
            // The run of white space may go on at the start of this piece.
            let start = solid.trim_start();
            self.hold(&solid[..solid.len() - start.len()]);
            self.len += self.blank.len() + start.len();
            self.hasher.update(self.blank.as_bytes()).update(start.as_bytes());
            self.blank.clear();
        }
        if self.len > 0 {
            self.hold(&body[solid.len()..]);
        }
    }

    fn hold(&mut self, blank: &str) {
        let room = MAX_BLANK.saturating_sub(self.blank.len());
        self.blank.extend(blank.chars().scan(room, |room, c| {
            *room = room.checked_sub(c.len_utf8())?;
            Some(c)
        }));
    }
}
