//! Items, as callers send them back and as the model makes them.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::dialect::found::{Conversation, Found, NO_CONTENT};
use crate::dialect::given::{Each, Given, Take};
use crate::dialect::openai::message::{Content, Contents, role};
use crate::dialect::{Kind, Malformed, Request, Role};

/// Text, or parts of it.
type Parts<'a> = Given<'a, IgnoredAny, Each<Contents<'a>>>;

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Item<'a> {
    r#type: Given<'a>,
    role: Given<'a>,
    id: Given<'a>,
    content: Parts<'a>,
    /// Of reasoning.
    summary: Parts<'a>,
    encrypted_content: Given<'a>,
    call_id: Given<'a>,
    name: Given<'a>,
    arguments: Given<'a>,
    input: Given<'a>,
    /// Of the code interpreter.
    code: Given<'a>,
    /// What a tool gave back. Screens and other objects are opaque.
    output: Parts<'a>,
}

/// Who an item is from, and what it says.
pub(super) enum Said {
    Message(Role),
    /// A call that the caller answers, or another part of the model's turn.
    Model,
    ToolResult,
}

impl<'a> Item<'a> {
    /// Whether it is a call that the caller must answer.
    pub(super) fn is_call(&self) -> bool {
        let Given::Text(kind) = &self.r#type else { return false };
        matches!(
            &**kind,
            "function_call" | "custom_tool_call" | "computer_call" | "local_shell_call"
        )
    }

    /// What seals reasoning that only the provider can read.
    pub(super) fn into_seal(self) -> Given<'a> {
        self.encrypted_content
    }

    /// Adds what it says, in the order a model writes it. Fields count whatever the type beside
    /// them says: a server may read them all the same.
    pub(super) fn tell(mut self, found: &mut Found<'a>) -> Said {
        let kind = self.r#type.take().text().unwrap_or_default();
        found.id(self.id);
        found.id(self.call_id);
        let summary = texts(self.summary);
        if kind == "reasoning" && summary.pieces.is_empty() && !self.encrypted_content.is_null() {
            found.opaque(Kind::Thinking);
        }
        found.append(summary, Kind::Thinking);
        found.id(self.encrypted_content);
        let content = if kind == "reasoning" { Kind::Thinking } else { Kind::Text };
        found.append(texts(self.content), content);
        let message = matches!(&*kind, "" | "message");
        // A message's name is no call.
        let name = if message { Given::Null } else { self.name };
        for text in [name, self.arguments, self.input, self.code] {
            found.text(Kind::ToolCall, text);
        }
        let output = texts(self.output);
        let answers = kind.ends_with("_output");
        if answers && output.pieces.is_empty() {
            found.opaque(Kind::ToolResult);
        }
        found.append(output, Kind::ToolResult);
        match (message, answers) {
            (true, _) => Said::Message(role(self.role)),
            (_, true) => Said::ToolResult,
            _ => Said::Model,
        }
    }
}

fn texts(parts: Parts<'_>) -> Found<'_> {
    let mut found = Found::default();
    match parts {
        Given::List(Each(contents)) => found = contents.0,
        text => found.text(Kind::Text, text),
    }
    found
}

/// The items of a request.
#[derive(Debug, Default)]
pub(super) struct Items<'a> {
    /// What fills the blanks of a kept prompt comes before all items.
    blanks: Found<'a>,
    said: Conversation<'a>,
}

impl<'de: 'a, 'a> Take<'de> for Items<'a> {
    type Item = Given<'a, Item<'a>>;

    fn take(&mut self, item: Self::Item) {
        let mut found = Found::default();
        match item {
            Given::Object(item) if !item.content.is_texts() => self.said.stray(NO_CONTENT),
            Given::Object(item) => match item.tell(&mut found) {
                Said::Message(Role::Assistant) | Said::Model => self.said.go_on(found),
                Said::Message(role) => self.said.say(role, found),
                Said::ToolResult => self.said.say(Role::Tool, found),
            },
            Given::Text(_) | Given::Null => {
                found.text(Kind::Text, item);
                self.said.say(Role::User, found);
            }
            _ => self.said.stray("every element of `input` must be an object"),
        }
    }
}

impl<'a> Items<'a> {
    /// Input that is no list.
    pub(super) fn of_text<O, L>(text: Given<'a, O, L>) -> Self {
        let (mut items, mut found) = (Self::default(), Found::default());
        found.text(Kind::Text, text);
        items.said.say(Role::User, found);
        items
    }

    pub(super) fn fill_in(&mut self, variables: Variables<'a>) {
        self.blanks = variables.0;
    }

    /// Adds all items to a request.
    pub(super) fn tell(self, request: &mut Request<'a>) -> Result<(), Malformed> {
        if !self.blanks.pieces.is_empty() || !self.blanks.ids.is_empty() {
            let mut blanks = Conversation::default();
            blanks.say(Role::User, self.blanks);
            blanks.tell(request)?;
        }
        self.said.tell(request)
    }
}

/// The values of a map whose keys are the caller's: text, or one part of content each.
#[derive(Debug, Default)]
pub(super) struct Variables<'a>(Found<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Variables<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Self::default())
    }
}

impl<'de: 'a, 'a> Visitor<'de> for Variables<'a> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
        while let Some((_, value)) = map.next_entry::<IgnoredAny, Given<'a, Content<'a>>>()? {
            match value {
                Given::Object(content) => content.tell(&mut self.0),
                text => self.0.text(Kind::Text, text),
            }
        }
        Ok(self)
    }
}
