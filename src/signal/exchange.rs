//! One exchange as features: what the engine sees, and what the decision log keeps.
//!
//! Nothing here holds text of a prompt, a completion or a key. Tags are keyed hashes.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::bonds::Bonds;
use super::sketch::Sketch;
use crate::dialect::shape::Deeds;
use crate::dialect::{Api, Finish, Params, Usage};
use crate::identity::{Caller, Tag};
use crate::time::Timestamp;

/// Names one exchange; printed as `sg_` and 16 hex digits. It is the decision id callers see.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct ExchangeId(pub Tag);

impl fmt::Display for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sg_{}", self.0)
    }
}

/// A request, before it is answered.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Ask {
    pub id: ExchangeId,
    pub at: Timestamp,
    pub caller: Caller,
    pub prompt: Prompt,
}

/// What a request asks for. Tags of value zero mean "not there".
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Prompt {
    pub api: Api,
    pub model: Model,
    pub stream: bool,
    pub params: Params,
    /// Bytes of the body.
    pub bytes: u32,
    /// Estimated input tokens.
    pub tokens: u32,
    /// Messages, the system prompt not counted.
    pub turns: u32,
    /// Phrase classes found in what the user side wrote.
    pub phrases: Phrases,
    /// Phrase classes found in the system prompt: part of a template, so never independent of it.
    pub system_phrases: Phrases,
    /// Sketch of the system prompt.
    pub system: Option<Sketch>,
    /// Sketch of the last user turn: template and slots together.
    pub user: Option<Sketch>,
    /// The tool set: sorted names and parameter types.
    pub tools: Tag,
    /// Roles, block kinds, log2 lengths and parameters, without any word.
    pub skeleton: Tag,
    /// The last user turn as it stands.
    pub last: Tag,
    /// System prompt and all turns: equal bodies on different accounts share it.
    pub body: Tag,
    /// All turns without the system prompt, which often tells the time: what the prefix that the
    /// answer makes starts with.
    pub thread: Tag,
    /// The turns up to and including the assistant's last, when there is one and its text is long
    /// enough to be nobody's coincidence.
    pub continues: Tag,
    /// Provider-issued ids that come back, at most [`Prompt::MAX_IDS`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub presented: Vec<Tag>,
    /// Those of them that show by themselves that they were issued to another, at most
    /// [`Prompt::MAX_IDS`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub foreign: Vec<Tag>,
    #[serde(skip_serializing_if = "Bonds::is_empty")]
    pub bonds: Bonds,
    /// Chunks of the last user turn, at most [`Prompt::MAX_HEARD`]: quoted answers share theirs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub heard: Vec<Tag>,
    /// Whose machine it comes from, where a coding agent tells.
    #[serde(skip_serializing_if = "is_no_tag")]
    pub environment: Tag,
    /// The client says this is its n-th retry of one call.
    pub retry: u8,
    /// What kinds of material the user turns hold.
    #[serde(skip_serializing_if = "Topics::is_none")]
    pub topics: Topics,
    /// The client's own ids of its session and its device, at most [`Prompt::MAX_SESSIONS`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<Tag>,
    /// The time zone it says it is written in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
}

/// A time zone by its standard time, in half hours east of UTC.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Zone(pub i8);

impl Prompt {
    pub const MAX_IDS: usize = 32;
    pub const MAX_HEARD: usize = 16;
    pub const MAX_SESSIONS: usize = 4;
}

/// For serde, which passes a reference.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes by reference")]
fn is_no_tag(tag: &Tag) -> bool {
    *tag == Tag::default()
}

/// Phrase classes as bits; the classes are listed in `signal::lexicon`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Phrases(pub u32);

/// Kinds of material as bits: for telling what a campaign takes, never evidence by themselves. Bits
/// are part of the decision log: never reuse one.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Topics(pub u8);

impl Topics {
    pub const IMAGES: Self = Self(1);
    pub const CODE: Self = Self(1 << 1);
    pub const DATA: Self = Self(1 << 2);

    pub const fn has(self, topic: Self) -> bool {
        self.0 & topic.0 != 0
    }

    pub const fn with(self, topic: Self, held: bool) -> Self {
        if held { Self(self.0 | topic.0) } else { self }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes by reference")]
    fn is_none(&self) -> bool {
        self.0 == 0
    }
}

/// A model's name, at most 96 characters of `[A-Za-z0-9._:/@-]`; anything else reads as `other`,
/// so that a prompt in the wrong field reaches no log.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Model(Arc<str>);

impl Model {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Model {
    fn default() -> Self {
        Self("other".into())
    }
}

impl From<&str> for Model {
    fn from(name: &str) -> Self {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._:/@-".contains(c);
        let fits = !name.is_empty() && name.len() <= 96 && name.chars().all(plain);
        if fits { Self(name.into()) } else { Self::default() }
    }
}

impl<'de> Deserialize<'de> for Model {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self::from(&*std::borrow::Cow::<'de, str>::deserialize(from)?))
    }
}

/// A request and what it was given.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Exchange {
    pub ask: Ask,
    pub ended: Timestamp,
    pub ending: Ending,
    /// Status the endpoint answered with, or the refusal's own; 0 when the caller left before there
    /// was one.
    pub status: u16,
    pub completion: Completion,
}

impl Exchange {
    /// Whether the endpoint took the caller's key: only then may memory of the account begin.
    ///
    /// A success on an inference route is the only proof. Health pages answer anybody, and many
    /// endpoints say 404 or 400 before they look at the key.
    pub fn accepted(&self) -> bool {
        self.served()
            && match self.ask.prompt.api {
                Api::Other => false,
                Api::OpenaiRealtime => {
                    self.status == SWITCHED && self.completion.bytes >= Self::SOCKET_PROOF
                }
                _ => self.status != SWITCHED,
            }
    }

    /// Bytes to the caller that prove a websocket's key. The switch alone does not: OpenAI switches
    /// whatever the key, then says in some hundred bytes what is wrong with it, and closes.
    pub const SOCKET_PROOF: u64 = 4 << 10;

    /// Whether the caller was told that it is not served, by this proxy.
    pub fn is_shut_out(&self) -> bool {
        self.ending == Ending::Refused && self.status == FORBIDDEN
    }

    /// Whether the caller was given an answer of the model, whole or in part.
    pub fn served(&self) -> bool {
        !matches!(self.ending, Ending::Refused | Ending::Failed)
            && (self.status == SWITCHED || (200..300).contains(&self.status))
    }
}

const FORBIDDEN: u16 = 403;

/// Of an answer that hands the connection over.
const SWITCHED: u16 = 101;

/// How an exchange ended.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// The answer came to its own end.
    #[default]
    Complete,
    /// The endpoint broke off.
    Truncated,
    /// Stillguard stopped it at a limit.
    Cut,
    /// The caller left.
    Cancelled,
    /// Stillguard refused it.
    Refused,
    /// The endpoint gave no answer.
    Failed,
}

/// What an answer gave away.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Completion {
    pub usage: Usage,
    pub source: UsageSource,
    pub bytes: u64,
    /// Bytes that came from the caller after the switch, where the answer was one of protocols.
    #[serde(skip_serializing_if = "is_zero")]
    pub received: u64,
    /// Provider-issued ids that left with it, at most [`Prompt::MAX_IDS`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub issued: Vec<Tag>,
    /// Seals and ids that left wrapped, however often.
    #[serde(skip_serializing_if = "is_none")]
    pub wrapped: u32,
    /// Chunks of what it said, at most [`Completion::MAX_SAID`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<Tag>,
    /// The prefix that a next turn would continue: all turns and this answer.
    pub continues: Tag,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish: Option<Finish>,
    /// The answer held thinking or reasoning text.
    pub thinking: bool,
    /// What was shaped of the exchange, and what would have been.
    #[serde(skip_serializing_if = "Deeds::is_empty")]
    pub shaped: Deeds,
    #[serde(skip_serializing_if = "Deeds::is_empty")]
    pub would_shape: Deeds,
}

impl Completion {
    pub const MAX_SAID: usize = 4;

    /// Output tokens given away, as best known.
    pub fn output(&self) -> u32 {
        self.usage.output.unwrap_or_default()
    }
}

/// For serde, which passes a reference.
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The same.
fn is_none(count: &u32) -> bool {
    *count == 0
}

/// Where the token counts come from.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UsageSource {
    /// The provider's usage block.
    Reported,
    /// Our own count of what was emitted.
    Counted,
    /// The answer could not be read.
    #[default]
    Unknown,
}
