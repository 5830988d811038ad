//! One message, as callers send it and as the model answers it, whole or in deltas.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::dialect::found::{Conversation, Found, NO_CONTENT, NO_MESSAGE};
use crate::dialect::given::{Each, Given, Take};
use crate::dialect::{Kind, Role};

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(in crate::dialect) struct Message<'a> {
    role: Given<'a>,
    content: Given<'a, IgnoredAny, Each<Contents<'a>>>,
    reasoning_content: Given<'a>,
    reasoning: Given<'a>,
    refusal: Given<'a>,
    tool_calls: Given<'a, IgnoredAny, Each<Calls<'a>>>,
    function_call: Given<'a, Function<'a>>,
    tool_call_id: Given<'a>,
    audio: Given<'a, Audio<'a>>,
}

/// Spoken output. Callers send back its id alone.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Audio<'a> {
    id: Given<'a>,
    transcript: Given<'a>,
}

impl<'a> Message<'a> {
    /// Adds what the message says in the order a model writes it: thinking, text, calls. Some
    /// gateways send the same thinking under both names; it counts once.
    pub(in crate::dialect) fn tell(self, found: &mut Found<'a>) {
        let thinking =
            if self.reasoning_content.is_null() { self.reasoning } else { self.reasoning_content };
        found.text(Kind::Thinking, thinking);
        match self.content {
            Given::List(Each(contents)) => found.append(contents.0, Kind::Text),
            content => found.text(Kind::Text, content),
        }
        found.text(Kind::Text, self.refusal);
        let audio = self.audio.object().unwrap_or_default();
        found.text(Kind::Text, audio.transcript);
        found.id(audio.id);
        found.append(self.tool_calls.list().unwrap_or_default().0, Kind::Text);
        if let Given::Object(call) = self.function_call {
            call.tell(found);
        }
        found.id(self.tool_call_id);
    }

    fn take_role(&mut self) -> Role {
        role(self.role.take())
    }
}

/// Who speaks. A role nobody knows counts as the caller's own words.
pub(in crate::dialect) fn role(given: Given<'_>) -> Role {
    match given.text().as_deref() {
        Some("system" | "developer") => Role::System,
        Some("assistant") => Role::Assistant,
        Some("tool" | "function") => Role::Tool,
        _ => Role::User,
    }
}

/// The messages of a request.
#[derive(Debug, Default)]
pub(in crate::dialect) struct Messages<'a>(pub(in crate::dialect) Conversation<'a>);

impl<'de: 'a, 'a> Take<'de> for Messages<'a> {
    type Item = Given<'a, Message<'a>>;

    fn take(&mut self, item: Self::Item) {
        let Some(mut message) = item.object() else { return self.0.stray(NO_MESSAGE) };
        if !message.content.is_texts() {
            return self.0.stray(NO_CONTENT);
        }
        let role = message.take_role();
        let mut said = Found::default();
        message.tell(&mut said);
        let mut found = Found::default();
        found.append(said, if role == Role::Tool { Kind::ToolResult } else { Kind::Text });
        self.0.say(role, found);
    }
}

/// The parts of a `content` array.
#[derive(Debug, Default)]
pub(in crate::dialect) struct Contents<'a>(pub(in crate::dialect) Found<'a>);

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(in crate::dialect) struct Content<'a> {
    r#type: Given<'a>,
    text: Given<'a>,
    refusal: Given<'a>,
    thinking: Given<'a>,
    file: Given<'a, File<'a>>,
    file_id: Given<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct File<'a> {
    file_id: Given<'a>,
}

impl<'de: 'a, 'a> Take<'de> for Contents<'a> {
    type Item = Given<'a, Content<'a>>;

    fn take(&mut self, item: Self::Item) {
        match item {
            Given::Object(content) => content.tell(&mut self.0),
            text => self.0.text(Kind::Text, text),
        }
    }
}

impl<'a> Content<'a> {
    /// Text counts whatever the type beside it says: a server may read it all the same.
    pub(in crate::dialect) fn tell(self, found: &mut Found<'a>) {
        let kind = match self.r#type.text().as_deref() {
            None | Some("text" | "input_text" | "output_text" | "refusal") => Kind::Text,
            Some("thinking" | "reasoning" | "reasoning_text" | "summary_text") => Kind::Thinking,
            Some("image" | "image_url" | "input_image" | "image_embeds") => Kind::Image,
            Some("file" | "input_file") => Kind::Document,
            Some(_) => Kind::Other,
        };
        if matches!(kind, Kind::Image | Kind::Document | Kind::Other) {
            found.opaque(kind);
        }
        let text = if kind == Kind::Thinking { kind } else { Kind::Text };
        found.text(text, self.text);
        found.text(text, self.refusal);
        found.text(Kind::Thinking, self.thinking);
        found.id(self.file.object().unwrap_or_default().file_id);
        found.id(self.file_id);
    }
}

/// The calls of a `tool_calls` array, or pieces of them.
#[derive(Debug, Default)]
struct Calls<'a>(Found<'a>);

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Call<'a> {
    id: Given<'a>,
    function: Given<'a, Function<'a>>,
    custom: Given<'a, Function<'a>>,
}

/// A call's name and arguments; a custom tool's are its input.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Function<'a> {
    name: Given<'a>,
    arguments: Given<'a>,
    input: Given<'a>,
}

impl<'de: 'a, 'a> Take<'de> for Calls<'a> {
    type Item = Given<'a, Call<'a>>;

    fn take(&mut self, item: Self::Item) {
        let Some(call) = item.object() else { return };
        self.0.id(call.id);
        for function in [call.function, call.custom] {
            if let Given::Object(function) = function {
                function.tell(&mut self.0);
            }
        }
    }
}

impl<'a> Function<'a> {
    fn tell(self, found: &mut Found<'a>) {
        for text in [self.name, self.arguments, self.input] {
            found.text(Kind::ToolCall, text);
        }
    }
}
