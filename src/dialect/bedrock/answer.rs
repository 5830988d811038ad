//! A whole answer of `converse` and the events of a streamed one.

use serde::Deserialize;

use super::block::{Reasoning, ToolUse, Turn};
use crate::dialect::found::Found;
use crate::dialect::given::Given;
use crate::dialect::{Delta, Finish, Kind, Usage};

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub(super) struct Answer<'a> {
    output: Given<'a, Output<'a>>,
    stop_reason: Given<'a>,
    usage: Given<'a, Tokens<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Output<'a> {
    message: Given<'a, Turn<'a>>,
}

impl<'a> Answer<'a> {
    pub(super) fn into_delta(self) -> Delta<'a> {
        let message = self.output.object().unwrap_or_default().message.object();
        let mut delta = ended(self.stop_reason, self.usage);
        message.unwrap_or_default().content.list().unwrap_or_default().0.issue(&mut delta);
        delta
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub(super) struct Event<'a> {
    start: Given<'a, Start<'a>>,
    delta: Given<'a, Change<'a>>,
    stop_reason: Given<'a>,
    usage: Given<'a, Tokens<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Start<'a> {
    tool_use: Given<'a, ToolUse<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Change<'a> {
    text: Given<'a>,
    tool_use: Given<'a, Input<'a>>,
    reasoning_content: Given<'a, Reasoning<'a>>,
}

/// A piece of a call's arguments, as text.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Input<'a> {
    input: Given<'a>,
}

impl<'a> Event<'a> {
    pub(super) fn into_delta(self) -> Delta<'a> {
        let mut found = Found::default();
        if let Given::Object(call) = self.start.object().unwrap_or_default().tool_use {
            call.tell(&mut found);
        }
        let change = self.delta.object().unwrap_or_default();
        if let Given::Object(reasoning) = change.reasoning_content {
            reasoning.tell(&mut found);
        }
        found.text(Kind::Text, change.text);
        found.text(Kind::ToolCall, change.tool_use.object().unwrap_or_default().input);
        let mut delta = ended(self.stop_reason, self.usage);
        found.issue(&mut delta);
        delta
    }
}

fn ended<'a>(reason: Given<'_>, usage: Given<'_, Tokens<'_>>) -> Delta<'a> {
    let usage = usage.object().map(Tokens::into_usage);
    Delta { usage, finish: finish(reason), ..Delta::default() }
}

fn finish(reason: Given<'_>) -> Option<Finish> {
    Some(match &*reason.text()? {
        "end_turn" | "stop_sequence" => Finish::Stop,
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "tool_use" => Finish::Tool,
        "guardrail_intervened" | "content_filtered" => Finish::Filter,
        _ => Finish::Other,
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Tokens<'a> {
    input_tokens: Given<'a>,
    output_tokens: Given<'a>,
    cache_read_input_tokens: Given<'a>,
    cache_write_input_tokens: Given<'a>,
}

impl Tokens<'_> {
    /// `inputTokens` leaves out what the cache read and wrote; ours counts all.
    fn into_usage(self) -> Usage {
        let cached = self.cache_read_input_tokens.count();
        let written = self.cache_write_input_tokens.count().unwrap_or_default();
        let all = |fresh: u32| fresh.saturating_add(cached.unwrap_or_default());
        Usage {
            input: self.input_tokens.count().map(|fresh| all(fresh).saturating_add(written)),
            output: self.output_tokens.count(),
            cached,
            reasoning: None,
        }
    }
}
