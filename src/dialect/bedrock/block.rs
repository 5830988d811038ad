//! Content blocks of `converse`: one member each, named for what it holds.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::dialect::found::{Conversation, Found, NO_MESSAGE};
use crate::dialect::given::{Each, Given, Take};
use crate::dialect::{Kind, Role};

/// The blocks of a `content` or `system` array.
#[derive(Debug, Default)]
pub(super) struct Blocks<'a>(pub(super) Found<'a>);

pub(super) type Content<'a> = Given<'a, IgnoredAny, Each<Blocks<'a>>>;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub(super) struct Block<'a> {
    text: Given<'a>,
    /// What a tool gave back.
    json: Option<&'a RawValue>,
    image: Given<'a>,
    video: Given<'a>,
    audio: Given<'a>,
    document: Given<'a, Document<'a>>,
    tool_use: Given<'a, ToolUse<'a>>,
    tool_result: Given<'a, ToolResult<'a>>,
    reasoning_content: Given<'a, Reasoning<'a>>,
    guard_content: Given<'a, Guarded<'a>>,
    citations_content: Given<'a, Held<'a>>,
    search_result: Given<'a, Held<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Document<'a> {
    source: Given<'a, Held<'a>>,
}

/// Text or blocks that lie within something else.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Held<'a> {
    text: Given<'a>,
    content: Content<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Guarded<'a> {
    text: Given<'a, Held<'a>>,
}

/// Its input is kept as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub(super) struct ToolUse<'a> {
    tool_use_id: Given<'a>,
    name: Given<'a>,
    input: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct ToolResult<'a> {
    tool_use_id: Given<'a>,
    content: Content<'a>,
}

/// In a stream, text and signature lie bare.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub(super) struct Reasoning<'a> {
    reasoning_text: Given<'a, Thought<'a>>,
    redacted_content: Given<'a>,
    text: Given<'a>,
    signature: Given<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Thought<'a> {
    text: Given<'a>,
    signature: Given<'a>,
}

impl<'de: 'a, 'a> Take<'de> for Blocks<'a> {
    type Item = Given<'a, Block<'a>>;

    fn take(&mut self, item: Self::Item) {
        match item {
            Given::Object(block) => block.tell(&mut self.0),
            text => self.0.text(Kind::Text, text),
        }
    }
}

impl<'a> Block<'a> {
    fn tell(self, found: &mut Found<'a>) {
        if let Given::Object(reasoning) = self.reasoning_content {
            reasoning.tell(found);
        }
        found.text(Kind::Text, self.text);
        found.text(Kind::Text, written(self.json));
        for (media, kind) in
            [(self.image, Kind::Image), (self.video, Kind::Other), (self.audio, Kind::Other)]
        {
            if !media.is_null() {
                found.opaque(kind);
            }
        }
        if let Given::Object(document) = self.document {
            found.opaque(Kind::Document);
            document.source.object().unwrap_or_default().tell(Kind::Document, found);
        }
        if let Given::Object(call) = self.tool_use {
            call.tell(found);
        }
        if let Given::Object(result) = self.tool_result {
            found.id(result.tool_use_id);
            let blocks = result.content.list().unwrap_or_default();
            found.append(blocks.0, Kind::ToolResult);
        }
        let guarded = self.guard_content.object().unwrap_or_default().text;
        for (held, kind) in [
            (guarded, Kind::Text),
            (self.citations_content, Kind::Text),
            (self.search_result, Kind::Document),
        ] {
            held.object().unwrap_or_default().tell(kind, found);
        }
    }
}

impl<'a> Held<'a> {
    fn tell(self, kind: Kind, found: &mut Found<'a>) {
        found.text(kind, self.text);
        found.append(self.content.list().unwrap_or_default().0, kind);
    }
}

impl<'a> ToolUse<'a> {
    pub(super) fn tell(self, found: &mut Found<'a>) {
        found.id(self.tool_use_id);
        found.text(Kind::ToolCall, self.name);
        found.text(Kind::ToolCall, written(self.input));
    }
}

impl<'a> Reasoning<'a> {
    pub(super) fn tell(self, found: &mut Found<'a>) {
        let thought = self.reasoning_text.object().unwrap_or_default();
        if !self.redacted_content.is_null() {
            found.opaque(Kind::Thinking);
        }
        for text in [thought.text, self.text] {
            found.text(Kind::Thinking, text);
        }
        for id in [thought.signature, self.signature, self.redacted_content] {
            found.id(id);
        }
    }
}

fn written(value: Option<&RawValue>) -> Given<'_> {
    value.map_or(Given::Null, |value| Given::Text(value.get().into()))
}

/// The messages of a request.
#[derive(Debug, Default)]
pub(super) struct Turns<'a>(pub(super) Conversation<'a>);

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Turn<'a> {
    role: Given<'a>,
    pub(super) content: Content<'a>,
}

impl<'de: 'a, 'a> Take<'de> for Turns<'a> {
    type Item = Given<'a, Turn<'a>>;

    fn take(&mut self, item: Self::Item) {
        let Some(turn) = item.object() else { return self.0.stray(NO_MESSAGE) };
        if !matches!(turn.content, Given::Null | Given::List(_)) {
            return self.0.stray("every `content` must be an array");
        }
        let is_models = turn.role.text().as_deref() == Some("assistant");
        let role = if is_models { Role::Assistant } else { Role::User };
        self.0.say(role, turn.content.list().unwrap_or_default().0);
    }
}
