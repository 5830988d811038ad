//! An answer and a chunk of one: they differ in `message` and `delta` alone.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::message::Message;
use crate::dialect::found::Found;
use crate::dialect::given::{Each, Given, Take};
use crate::dialect::{Delta, Finish, Kind, Usage};

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Answer<'a> {
    id: Given<'a>,
    object: Given<'a>,
    choices: Given<'a, IgnoredAny, Each<Choices<'a>>>,
    usage: Given<'a, Tokens<'a>>,
    error: Given<'a>,
}

impl<'a> Answer<'a> {
    pub(super) fn into_delta(self) -> Delta<'a> {
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

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Details<'a> {
    cached_tokens: Given<'a>,
    reasoning_tokens: Given<'a>,
}

impl Tokens<'_> {
    fn into_usage(self) -> Usage {
        let prompt = self.prompt_tokens_details.object().unwrap_or_default();
        let completion = self.completion_tokens_details.object().unwrap_or_default();
        Usage {
            input: self.prompt_tokens.count(),
            output: self.completion_tokens.count(),
            cached: prompt.cached_tokens.count(),
            reasoning: completion.reasoning_tokens.count(),
        }
    }
}
