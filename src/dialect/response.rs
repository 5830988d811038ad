//! What an answer, or one event of it, gives away. Borrows the bytes; never stored.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Kind;

/// A whole answer or one streamed event.
#[derive(Debug, Default)]
pub struct Delta<'a> {
    /// Pieces of output, in order: text, thinking, and tool calls (name, then arguments).
    pub pieces: Vec<(Kind, Cow<'a, str>)>,
    /// Ids the provider issues with it: response, tool use, file, thinking signature.
    pub issued: Vec<Cow<'a, str>>,
    /// Token counts, where this event carries them. Later ones replace earlier ones field-wise.
    pub usage: Option<Usage>,
    pub finish: Option<Finish>,
    /// The event is the provider's own error.
    pub error: bool,
    /// The event is the last of a well-ended stream (`[DONE]`, `message_stop`).
    pub last: bool,
}

/// Tokens, as the provider counted them. Absent fields are not known, never zero.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Usage {
    /// Input tokens billed in full, cached ones included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<u32>,
    /// Output tokens, reasoning included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<u32>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finish {
    Stop,
    Length,
    Tool,
    Filter,
    Other,
}

impl Delta<'_> {
    /// Copies what it borrows, so that the bytes can go.
    pub(super) fn into_owned(self) -> Delta<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Delta {
            pieces: self.pieces.into_iter().map(|(kind, text)| (kind, own(text))).collect(),
            issued: self.issued.into_iter().map(own).collect(),
            ..self
        }
    }
}

impl Usage {
    /// Takes over every field that `later` knows.
    pub fn update(&mut self, later: Self) {
        self.input = later.input.or(self.input);
        self.output = later.output.or(self.output);
        self.cached = later.cached.or(self.cached);
        self.reasoning = later.reasoning.or(self.reasoning);
    }
}
