//! A whole message and the events of a streamed one.

use serde::Deserialize;

use super::block::{Block, Content};
use crate::dialect::found::Found;
use crate::dialect::given::{Each, Given};
use crate::dialect::{Delta, Finish, Kind, Usage};

/// A message, or an error in its place.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Answer<'a> {
    id: Given<'a>,
    content: Content<'a>,
    stop_reason: Given<'a>,
    usage: Given<'a, Tokens<'a>>,
    error: Given<'a>,
}

impl<'a> Answer<'a> {
    pub(super) fn into_delta(self) -> Delta<'a> {
        let mut found = Found::default();
        found.id(self.id);
        if let Given::List(Each(blocks)) = self.content {
            found.append(blocks.0, Kind::Text);
        }
        let mut delta = Delta {
            usage: self.usage.object().map(Tokens::into_usage),
            finish: finish(self.stop_reason),
            error: !self.error.is_null(),
            ..Delta::default()
        };
        found.issue(&mut delta);
        delta
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Event<'a> {
    r#type: Given<'a>,
    message: Given<'a, Answer<'a>>,
    content_block: Given<'a, Block<'a>>,
    delta: Given<'a, Change<'a>>,
    usage: Given<'a, Tokens<'a>>,
    error: Given<'a>,
}

/// A `content_block_delta`'s or a `message_delta`'s change.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Change<'a> {
    text: Given<'a>,
    thinking: Given<'a>,
    partial_json: Given<'a>,
    signature: Given<'a>,
    stop_reason: Given<'a>,
}

impl<'a> Event<'a> {
    pub(super) fn into_delta(self) -> Delta<'a> {
        let mut delta = self.message.object().unwrap_or_default().into_delta();
        let mut found = Found::default();
        if let Given::Object(mut block) = self.content_block {
            // An empty object stands in until the real input has been streamed.
            block.input = block.input.filter(|input| input.get() != "{}");
            block.tell(&mut found);
        }
        if let Given::Object(change) = self.delta {
            found.text(Kind::Text, change.text);
            found.text(Kind::Thinking, change.thinking);
            found.text(Kind::ToolCall, change.partial_json);
            found.id(change.signature);
            delta.finish = finish(change.stop_reason).or(delta.finish);
        }
        found.issue(&mut delta);
        delta.usage = self.usage.object().map(Tokens::into_usage).or(delta.usage);
        let kind = self.r#type.text();
        delta.error |= !self.error.is_null() || kind.as_deref() == Some("error");
        delta.last = kind.as_deref() == Some("message_stop");
        delta
    }
}

fn finish(reason: Given<'_>) -> Option<Finish> {
    Some(match &*reason.text()? {
        "end_turn" | "stop_sequence" => Finish::Stop,
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "tool_use" => Finish::Tool,
        "refusal" => Finish::Filter,
        _ => Finish::Other,
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Tokens<'a> {
    input_tokens: Given<'a>,
    cache_creation_input_tokens: Given<'a>,
    cache_read_input_tokens: Given<'a>,
    output_tokens: Given<'a>,
}

impl Tokens<'_> {
    /// `input_tokens` leaves out what the cache read and wrote; ours counts all. A sum of zero says
    /// that the event does not know, so that it can't replace an earlier count.
    fn into_usage(self) -> Usage {
        let cached = self.cache_read_input_tokens.count();
        let written = self.cache_creation_input_tokens.count().unwrap_or_default();
        let fresh = self.input_tokens.count();
        let input = fresh
            .map(|fresh| fresh.saturating_add(cached.unwrap_or_default()).saturating_add(written));
        Usage {
            input: input.filter(|&input| input > 0),
            output: self.output_tokens.count(),
            cached,
            reasoning: None,
        }
    }
}
