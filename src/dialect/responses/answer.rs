//! A whole response and the typed events of a streamed one.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Named;
use super::item::Item;
use crate::dialect::found::Found;
use crate::dialect::given::{Each, Given, Take};
use crate::dialect::openai::answer::{Details, usage};
use crate::dialect::{Delta, Finish, Kind, Usage};

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Response<'a> {
    id: Given<'a>,
    status: Given<'a>,
    output: Given<'a, IgnoredAny, Each<Output<'a>>>,
    usage: Given<'a, Tokens<'a>>,
    conversation: Given<'a, Named<'a>>,
    incomplete_details: Given<'a, Incomplete<'a>>,
    error: Given<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Incomplete<'a> {
    reason: Given<'a>,
}

/// Everything the model made.
#[derive(Debug, Default)]
struct Output<'a> {
    found: Found<'a>,
    calls: bool,
}

impl<'de: 'a, 'a> Take<'de> for Output<'a> {
    type Item = Given<'a, Item<'a>>;

    fn take(&mut self, item: Self::Item) {
        let Some(item) = item.object() else { return };
        self.calls |= item.is_call();
        item.tell(&mut self.found);
    }
}

impl<'a> Response<'a> {
    pub(super) fn into_delta(self) -> Delta<'a> {
        let output = self.output.list().unwrap_or_default();
        let status = self.status.text().unwrap_or_default();
        let incomplete = self.incomplete_details.object().unwrap_or_default().reason;
        let mut found = Found::default();
        found.id(self.id);
        found.id(self.conversation.object().unwrap_or_default().id);
        found.append(output.found, Kind::Text);
        let mut delta = Delta {
            usage: self.usage.object().map(Tokens::into_usage),
            finish: finish(&status, output.calls, incomplete),
            error: !self.error.is_null() || status == "failed",
            ..Delta::default()
        };
        found.issue(&mut delta);
        delta
    }
}

/// How a response ended; one that still runs in the background has not.
fn finish(status: &str, calls: bool, incomplete: Given<'_>) -> Option<Finish> {
    Some(match (status, incomplete.text().as_deref()) {
        ("completed", _) if calls => Finish::Tool,
        ("completed", _) => Finish::Stop,
        ("incomplete", Some("max_output_tokens" | "max_tokens")) => Finish::Length,
        ("incomplete", Some("content_filter")) => Finish::Filter,
        ("" | "queued" | "in_progress", _) => return None,
        _ => Finish::Other,
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Tokens<'a> {
    input_tokens: Given<'a>,
    output_tokens: Given<'a>,
    input_tokens_details: Given<'a, Details<'a>>,
    output_tokens_details: Given<'a, Details<'a>>,
}

impl Tokens<'_> {
    fn into_usage(self) -> Usage {
        let details = (self.input_tokens_details, self.output_tokens_details);
        usage((self.input_tokens, self.output_tokens), details)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Event<'a> {
    r#type: Given<'a>,
    response: Given<'a, Response<'a>>,
    item: Given<'a, Item<'a>>,
    delta: Given<'a>,
    error: Given<'a>,
}

impl<'a> Event<'a> {
    /// Every text comes several times: as deltas, then whole in `.done` events, in its item and in
    /// the response that ends the stream. The deltas count; what else an item holds counts when it
    /// is added, and its seal when it is done.
    pub(super) fn into_delta(self, name: Option<&str>) -> Delta<'a> {
        let kind = self.r#type.text();
        let kind = kind.as_deref().or(name).unwrap_or_default();
        let mut delta = self.response.object().unwrap_or_default().into_delta();
        delta.pieces.clear();
        let mut found = Found::default();
        match (kind, self.item.object()) {
            ("response.output_item.added", Some(item)) => {
                item.tell(&mut found);
            }
            ("response.output_item.done", Some(item)) => found.id(item.into_seal()),
            _ => {}
        }
        if let Some(output) = output(kind) {
            found.text(output, self.delta);
        }
        found.issue(&mut delta);
        delta.error |= !self.error.is_null() || kind == "error" || name == Some("error");
        // Over a websocket every response ends in `response.done`, however it ended.
        delta.last = matches!(kind, "response.completed" | "response.incomplete" | "response.done");
        delta
    }
}

/// What the deltas of an event are part of; none when they hold no text, as audio does.
fn output(event: &str) -> Option<Kind> {
    let of = event.strip_prefix("response.")?.strip_suffix(".delta")?;
    Some(match of {
        "output_text" | "refusal" | "audio.transcript" | "output_audio_transcript" => Kind::Text,
        "reasoning" | "reasoning_text" | "reasoning_summary" | "reasoning_summary_text" => {
            Kind::Thinking
        }
        "function_call_arguments"
        | "mcp_call_arguments"
        | "mcp_call.arguments"
        | "custom_tool_call_input"
        | "code_interpreter_call_code"
        | "code_interpreter_call.code" => Kind::ToolCall,
        _ => return None,
    })
}
