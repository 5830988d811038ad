//! Content blocks, as callers send them and as the model answers them.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::dialect::found::{Conversation, Found, NO_CONTENT, NO_MESSAGE};
use crate::dialect::given::{Each, Given, Take};
use crate::dialect::{Kind, Role};

/// The blocks of a `content` or `system` array.
#[derive(Debug, Default)]
pub(super) struct Blocks<'a>(pub(super) Found<'a>);

/// Text, or blocks of it.
pub(super) type Content<'a> = Given<'a, IgnoredAny, Each<Blocks<'a>>>;

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Block<'a> {
    r#type: Given<'a>,
    text: Given<'a>,
    thinking: Given<'a>,
    signature: Given<'a>,
    data: Given<'a>,
    id: Given<'a>,
    name: Given<'a>,
    /// Kept as written: arguments are JSON text in a stream, too.
    pub(super) input: Option<&'a RawValue>,
    tool_use_id: Given<'a>,
    content: Content<'a>,
    source: Given<'a, Source<'a>>,
    file_id: Given<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Source<'a> {
    r#type: Given<'a>,
    data: Given<'a>,
    content: Content<'a>,
    file_id: Given<'a>,
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
    pub(super) fn tell(mut self, found: &mut Found<'a>) {
        let kind = std::mem::take(&mut self.r#type).text().unwrap_or_default();
        match &*kind {
            "thinking" => {
                found.text(Kind::Thinking, self.thinking);
                found.id(self.signature);
            }
            "redacted_thinking" => {
                found.opaque(Kind::Thinking);
                found.id(self.data);
            }
            "image" => self.tell_source(Kind::Image, found),
            "document" => self.tell_source(Kind::Document, found),
            "container_upload" => {
                found.opaque(Kind::Document);
                found.id(self.file_id);
            }
            "search_result" => tell_content(self.content, Kind::Document, found),
            kind if kind.ends_with("tool_use") => self.tell_call(found),
            kind if kind.ends_with("tool_result") => {
                found.id(self.tool_use_id);
                tell_content(self.content, Kind::ToolResult, found);
            }
            "" | "text" => found.text(Kind::Text, self.text),
            _ => {
                found.opaque(Kind::Other);
                found.text(Kind::Text, self.text);
            }
        }
    }

    fn tell_call(self, found: &mut Found<'a>) {
        found.id(self.id);
        found.text(Kind::ToolCall, self.name);
        let input: Given<'a> =
            self.input.map_or(Given::Null, |input| Given::Text(input.get().into()));
        found.text(Kind::ToolCall, input);
    }

    /// An image or a document. A document of plain text or blocks is read; others are opaque.
    fn tell_source(self, kind: Kind, found: &mut Found<'a>) {
        let source = self.source.object().unwrap_or_default();
        found.opaque(kind);
        found.id(source.file_id);
        if source.r#type.text().as_deref() == Some("text") {
            found.text(kind, source.data);
        }
        tell_content(source.content, kind, found);
    }
}

fn tell_content<'a>(content: Content<'a>, kind: Kind, found: &mut Found<'a>) {
    match content {
        Given::List(Each(blocks)) => found.append(blocks.0, kind),
        text => found.text(kind, text),
    }
}

/// The messages of a request.
#[derive(Debug, Default)]
pub(super) struct Turns<'a>(pub(super) Conversation<'a>);

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Turn<'a> {
    role: Given<'a>,
    content: Content<'a>,
}

impl<'de: 'a, 'a> Take<'de> for Turns<'a> {
    type Item = Given<'a, Turn<'a>>;

    fn take(&mut self, item: Self::Item) {
        let Some(turn) = item.object() else { return self.0.stray(NO_MESSAGE) };
        if !turn.content.is_texts() {
            return self.0.stray(NO_CONTENT);
        }
        let role = match turn.role.text().as_deref() {
            Some("assistant") => Role::Assistant,
            Some("system") => Role::System,
            _ => Role::User,
        };
        let mut found = Found::default();
        tell_content(turn.content, Kind::Text, &mut found);
        self.0.say(role, found);
    }
}
