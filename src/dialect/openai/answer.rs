//! An answer and a chunk of one: they differ in `message` and `delta` alone. Plain completions have
//! `text` instead.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::message::Message;
use crate::dialect::found::{Found, object};
use crate::dialect::given::{Each, Given, Take};
use crate::dialect::{Delta, Finish, Kind, Malformed, Usage, sse};

/// Reads an event of a stream that ends in `[DONE]`.
pub(in crate::dialect) fn read_event(event: sse::Event<'_>) -> Result<Delta<'_>, Malformed> {
    if event.data.trim() == "[DONE]" {
        return Ok(Delta { last: true, ..Delta::default() });
    }
    let mut delta = object::<Answer<'_>>(event.data.as_bytes())?.into_delta();
    delta.error |= event.name == Some("error");
    Ok(delta)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(in crate::dialect) struct Answer<'a> {
    id: Given<'a>,
    object: Given<'a>,
    choices: Given<'a, IgnoredAny, Each<Choices<'a>>>,
    usage: Given<'a, Tokens<'a>>,
    error: Given<'a>,
}

impl<'a> Answer<'a> {
    pub(in crate::dialect) fn into_delta(self) -> Delta<'a> {
        let choices = self.choices.list().unwrap_or_default();
        let mut found = Found::default();
        found.id(self.id);
        found.append(choices.found, Kind::Text);
        let mut delta = Delta {
            usage: self.usage.object().map(Tokens::into_usage),
            finish: choices.finish,
            error: !self.error.is_null() || self.object.text().as_deref() == Some("error"),
            ..Delta::default()
        };
        found.issue(&mut delta);
        delta
    }
}

/// All choices together: each was paid for.
#[derive(Debug, Default)]
struct Choices<'a> {
    found: Found<'a>,
    finish: Option<Finish>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Choice<'a> {
    message: Given<'a, Message<'a>>,
    delta: Given<'a, Message<'a>>,
    /// What a completion without messages says, whole or in deltas.
    text: Given<'a>,
    finish_reason: Given<'a>,
}

impl<'de: 'a, 'a> Take<'de> for Choices<'a> {
    type Item = Given<'a, Choice<'a>>;

    fn take(&mut self, item: Self::Item) {
        let Some(choice) = item.object() else { return };
        for message in [choice.message, choice.delta] {
            if let Given::Object(message) = message {
                message.tell(&mut self.found);
            }
        }
        self.found.text(Kind::Text, choice.text);
        let reason = choice.finish_reason.text();
        self.finish = reason.map(|reason| finish(&reason)).or(self.finish);
    }
}

fn finish(reason: &str) -> Finish {
    match reason {
        "stop" => Finish::Stop,
        "length" => Finish::Length,
        "tool_calls" | "function_call" => Finish::Tool,
        "content_filter" => Finish::Filter,
        _ => Finish::Other,
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Tokens<'a> {
    prompt_tokens: Given<'a>,
    completion_tokens: Given<'a>,
    prompt_tokens_details: Given<'a, Details<'a>>,
    completion_tokens_details: Given<'a, Details<'a>>,
}

/// What OpenAI's usage blocks say of the tokens of one direction, however they name the total.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(in crate::dialect) struct Details<'a> {
    cached_tokens: Given<'a>,
    reasoning_tokens: Given<'a>,
}

/// Usage from the totals of input and output, and the details of each.
pub(in crate::dialect) fn usage<'a>(
    (input, output): (Given<'a>, Given<'a>),
    (of_input, of_output): (Given<'a, Details<'a>>, Given<'a, Details<'a>>),
) -> Usage {
    Usage {
        input: input.count(),
        output: output.count(),
        cached: of_input.object().unwrap_or_default().cached_tokens.count(),
        reasoning: of_output.object().unwrap_or_default().reasoning_tokens.count(),
    }
}

impl Tokens<'_> {
    fn into_usage(self) -> Usage {
        let details = (self.prompt_tokens_details, self.completion_tokens_details);
        usage((self.prompt_tokens, self.completion_tokens), details)
    }
}
