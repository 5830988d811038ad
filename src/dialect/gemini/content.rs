//! Contents and their parts, as callers send them and as the model answers them.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::found::{Conversation, Found};
use crate::dialect::given::{Given, Many, Take, many};
use crate::dialect::{Kind, Malformed, Request, Role};

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Content<'a> {
    role: Given<'a>,
    parts: Many<'a, Part<'a>, Parts<'a>>,
}

impl<'a> Content<'a> {
    pub(super) fn tell(self, found: &mut Found<'a>) {
        found.append(many(self.parts).0, Kind::Text);
    }

    fn holds_parts(&self) -> bool {
        matches!(self.parts, Given::Null | Given::Object(_) | Given::List(_))
    }
}

/// The contents of a request.
#[derive(Debug, Default)]
pub(super) struct Contents<'a> {
    said: Conversation<'a>,
    /// Something in the list was not a content.
    stray: bool,
}

impl<'de: 'a, 'a> Take<'de> for Contents<'a> {
    type Item = Given<'a, Content<'a>>;

    fn take(&mut self, item: Self::Item) {
        let Some(mut content) = item.object().filter(Content::holds_parts) else {
            self.stray = true;
            return;
        };
        let role = match std::mem::take(&mut content.role).text().as_deref() {
            Some("model") => Role::Assistant,
            Some("function" | "tool") => Role::Tool,
            Some("system") => Role::System,
            _ => Role::User,
        };
        let mut found = Found::default();
        content.tell(&mut found);
        self.said.say(role, found);
    }
}

impl<'a> Contents<'a> {
    pub(super) fn tell(self, request: &mut Request<'a>) -> Result<(), Malformed> {
        if self.stray {
            return Err(Malformed(
                "every element of `contents` must be an object with an array of `parts`".to_owned(),
            ));
        }
        self.said.told(request);
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Parts<'a>(Found<'a>);

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Part<'a> {
    text: Given<'a>,
    thought: Given<'a>,
    #[serde(alias = "thought_signature")]
    thought_signature: Given<'a>,
    #[serde(alias = "function_call")]
    function_call: Given<'a, Call<'a>>,
    #[serde(alias = "function_response")]
    function_response: Given<'a, Response<'a>>,
    #[serde(alias = "inline_data")]
    inline_data: Given<'a, Blob<'a>>,
    #[serde(alias = "file_data")]
    file_data: Given<'a, Blob<'a>>,
    #[serde(alias = "executable_code")]
    executable_code: Given<'a, Code<'a>>,
    #[serde(alias = "code_execution_result")]
    code_execution_result: Given<'a, Code<'a>>,
}

/// Arguments are kept as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Call<'a> {
    id: Given<'a>,
    name: Given<'a>,
    args: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Response<'a> {
    id: Given<'a>,
    response: Option<&'a RawValue>,
}

/// Opaque bytes, or where they lie.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Blob<'a> {
    #[serde(alias = "mime_type")]
    mime_type: Given<'a>,
    #[serde(alias = "file_uri")]
    file_uri: Given<'a>,
}

/// Code that the model had run, or what came of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Code<'a> {
    code: Given<'a>,
    output: Given<'a>,
}

impl<'de: 'a, 'a> Take<'de> for Parts<'a> {
    type Item = Given<'a, Part<'a>>;

    fn take(&mut self, item: Self::Item) {
        match item {
            Given::Object(part) => part.tell(&mut self.0),
            text => self.0.text(Kind::Text, text),
        }
    }
}

impl<'a> Part<'a> {
    fn tell(self, found: &mut Found<'a>) {
        let kind = if self.thought.is_true() { Kind::Thinking } else { Kind::Text };
        found.text(kind, self.text);
        if let Given::Object(call) = self.function_call {
            found.id(call.id);
            found.text(Kind::ToolCall, call.name);
            found.text(Kind::ToolCall, written(call.args));
        }
        if let Given::Object(response) = self.function_response {
            found.id(response.id);
            found.text(Kind::ToolResult, written(response.response));
        }
        for blob in [self.inline_data, self.file_data] {
            if let Given::Object(blob) = blob {
                blob.tell(found);
            }
        }
        for code in [self.executable_code, self.code_execution_result] {
            let code = code.object().unwrap_or_default();
            found.text(Kind::ToolCall, code.code);
            found.text(Kind::ToolResult, code.output);
        }
        found.id(self.thought_signature);
    }
}

impl<'a> Blob<'a> {
    fn tell(self, found: &mut Found<'a>) {
        let media = self.mime_type.text().unwrap_or_default();
        let kind = match media.split_once('/') {
            Some(("image", _)) => Kind::Image,
            Some(("text", _) | ("application", "pdf")) => Kind::Document,
            _ => Kind::Other,
        };
        found.opaque(kind);
        // Others are the caller's own buckets, or pages anybody can name.
        let is_issued = |uri: &Cow<'a, str>| uri.contains("/files/");
        found.ids.extend(self.file_uri.text().filter(is_issued));
    }
}

fn written(value: Option<&RawValue>) -> Given<'_> {
    value.map_or(Given::Null, |value| Given::Text(value.get().into()))
}
