//! What a request says, dialect aside. Borrows the body: never stored, never logged.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// A request as one reader sees it.
#[derive(Debug, Default)]
pub struct Request<'a> {
    pub model: Cow<'a, str>,
    pub stream: bool,
    pub params: Params,
    /// Every text-bearing piece, in the order the model reads it; the system prompt comes first.
    pub parts: Vec<Part<'a>>,
    pub tools: Vec<Tool<'a>>,
    /// Ids the provider once issued that come back: tool-use ids, response ids, file ids, thinking
    /// signatures.
    pub presented: Vec<Cow<'a, str>>,
    /// An aggregator's own user, where the API has a field for it.
    pub end_user: Option<Cow<'a, str>>,
    /// What the client calls its session, where the API has a field for it.
    pub session: Option<Cow<'a, str>>,
    /// Property names of a demanded output schema, outermost level and one below.
    pub schema: Vec<Cow<'a, str>>,
    /// The body has a shape that no reader here knows: what it says is not among the parts.
    pub unread: bool,
}

/// One piece of text and who is said to have written it.
#[derive(Debug)]
pub struct Part<'a> {
    /// Index of the message, from zero; parts of one message share it. The system prompt is 0.
    pub turn: u32,
    pub role: Role,
    pub kind: Kind,
    /// Text as decoded from JSON. Images and other opaque content leave it empty.
    pub text: Cow<'a, str>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    System,
    User,
    Assistant,
    Tool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Text,
    Thinking,
    /// Name and arguments of a call the model made.
    ToolCall,
    ToolResult,
    Image,
    Document,
    Other,
}

/// A tool offered to the model: its name and its parameters with their JSON types.
#[derive(Debug, Default)]
pub struct Tool<'a> {
    pub name: Cow<'a, str>,
    /// Parameter name and JSON type (`"string"`, `"object"`, or empty when not said).
    pub params: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// How the model is asked to answer. Features: these go into the log.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f32>,
    /// Limit on output tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// Completions asked for in one request; zero reads as one.
    pub n: u32,
    pub logprobs: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<Effort>,
    /// Whether thinking or reasoning content is asked for explicitly.
    pub thinking: bool,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    Max,
}

impl Effort {
    /// The effort a request names; unknown names say nothing.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "none" => Self::None,
            "minimal" => Self::Minimal,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "xhigh" | "max" => Self::Max,
            _ => return None,
        })
    }
}

impl Params {
    /// Completions asked for, at least one: volume counts these, not requests.
    pub fn completions(&self) -> u32 {
        self.n.max(1)
    }
}
