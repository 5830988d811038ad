//! OpenAI's responses: items instead of messages, typed events instead of chunks.

mod answer;
mod bind;
mod item;
mod shape;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde::Deserialize;
use serde::de::IgnoredAny;

use self::answer::{Event, Response};
use self::item::{Items, Variables};
use super::found::{self, Found, object};
use super::given::{Each, Given};
use super::openai::format::NamedSchema;
use super::openai::message::Contents;
use super::openai::tool::Tools;
use super::openai::{limits, refusal};
use super::schema::Schema;
use super::shape::Shapes;
use super::{Api, Delta, Dialect, Effort, Kind, Malformed, Params, Part, Request, Role};
use super::{Standings, Worded, Wording, route, sse};
use crate::time::Timestamp;

#[derive(Debug)]
pub(super) struct Responses;

impl Dialect for Responses {
    fn api(&self) -> Api {
        Api::OpenaiResponses
    }

    fn speaks(&self, method: &Method, path: &str, _: &HeaderMap) -> bool {
        method == Method::POST && route::leads_to(path, "/responses")
    }

    fn read_request<'a>(&self, body: &'a [u8]) -> Result<Request<'a>, Malformed> {
        object::<Body<'a>>(body)?.into_request()
    }

    fn read_answer<'a>(&self, body: &'a [u8]) -> Result<Delta<'a>, Malformed> {
        Ok(object::<Response<'a>>(body)?.into_delta())
    }

    fn read_event<'a>(&self, event: sse::Event<'a>) -> Result<Delta<'a>, Malformed> {
        // Servers other than OpenAI's may end as chat completions do.
        if event.data.trim() == "[DONE]" {
            return Ok(Delta { last: true, ..Delta::default() });
        }
        Ok(object::<Event<'a>>(event.data.as_bytes())?.into_delta(event.name))
    }

    fn shapes(&self) -> &'static Shapes {
        &shape::RESPONSES
    }

    fn binds(&self) -> &'static Shapes {
        &bind::RESPONSES
    }

    fn refuse(&self, wording: &Wording<'_>) -> Worded {
        refusal::refuse(wording)
    }

    fn break_stream(&self, wording: &Wording<'_>) -> Bytes {
        refusal::break_typed_stream(wording)
    }

    fn announce(&self, standings: &Standings, _: Timestamp, headers: &mut HeaderMap) {
        limits::announce(standings, headers);
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Body<'a> {
    model: Given<'a>,
    instructions: Given<'a, IgnoredAny, Each<Contents<'a>>>,
    input: Given<'a, IgnoredAny, Each<Items<'a>>>,
    prompt: Given<'a, Template<'a>>,
    stream: Given<'a>,
    temperature: Given<'a>,
    top_p: Given<'a>,
    max_output_tokens: Given<'a>,
    top_logprobs: Given<'a>,
    reasoning: Given<'a, Reasoning<'a>>,
    text: Given<'a, Text<'a>>,
    tools: Given<'a, IgnoredAny, Each<Tools<'a>>>,
    previous_response_id: Given<'a>,
    conversation: Given<'a, Named<'a>>,
    safety_identifier: Given<'a>,
    user: Given<'a>,
    prompt_cache_key: Given<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Reasoning<'a> {
    effort: Given<'a>,
    summary: Given<'a>,
    generate_summary: Given<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Text<'a> {
    format: Given<'a, NamedSchema<'a>>,
}

/// What the endpoint keeps under an id, given as the id or as an object that holds it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Named<'a> {
    id: Given<'a>,
}

/// A prompt that the endpoint keeps. What fills its blanks is the caller's.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Template<'a> {
    id: Given<'a>,
    variables: Given<'a, Variables<'a>>,
}

impl<'a> Body<'a> {
    fn into_request(mut self) -> Result<Request<'a>, Malformed> {
        found::texts(&self.input, "input")?;
        found::texts(&self.instructions, "instructions")?;
        let format = self.text.object().unwrap_or_default().format.object().unwrap_or_default();
        let schema = format.schema.object().map(Schema::names).unwrap_or_default();
        let mut items = match self.input {
            Given::List(Each(items)) => items,
            text => Items::of_text(text),
        };
        let template = self.prompt.object().unwrap_or_default();
        items.fill_in(template.variables.object().unwrap_or_default());
        let mut request = Request {
            stream: self.stream.is_true(),
            params: params(self.reasoning.take(), &self.temperature, &self.top_p),
            parts: system(self.instructions),
            tools: self.tools.list().unwrap_or_default().0,
            presented: presented(self.previous_response_id, self.conversation, template.id),
            end_user: found::first([self.safety_identifier, self.user]),
            model: found::model(self.model)?,
            session: self.prompt_cache_key.text(),
            schema,
            unread: false,
        };
        request.params.max_tokens = self.max_output_tokens.count();
        request.params.logprobs = self.top_logprobs.count().is_some_and(|count| count > 0);
        items.tell(&mut request)?;
        Ok(request)
    }
}

fn params<'a>(
    reasoning: Given<'a, Reasoning<'a>>,
    temperature: &Given<'a>,
    top_p: &Given<'a>,
) -> Params {
    let reasoning = reasoning.object().unwrap_or_default();
    let summaries = [reasoning.summary, reasoning.generate_summary];
    Params {
        temperature: temperature.float(),
        top_p: top_p.float(),
        effort: reasoning.effort.text().and_then(|effort| Effort::named(&effort)),
        thinking: summaries.into_iter().filter_map(Given::text).any(|summary| summary != "none"),
        ..Params::default()
    }
}

fn system<'a>(given: Given<'a, IgnoredAny, Each<Contents<'a>>>) -> Vec<Part<'a>> {
    let mut found = Found::default();
    match given {
        Given::List(Each(contents)) => found.append(contents.0, Kind::Text),
        text => found.text(Kind::Text, text),
    }
    let part = |(kind, text)| Part { turn: 0, role: Role::System, kind, text };
    found.pieces.into_iter().map(part).collect()
}

fn presented<'a>(
    previous: Given<'a>,
    conversation: Given<'a, Named<'a>>,
    template: Given<'a>,
) -> Vec<Cow<'a, str>> {
    let mut found = Found::default();
    found.id(previous);
    match conversation {
        Given::Object(conversation) => found.id(conversation.id),
        id => found.id(id),
    }
    found.id(template);
    found.ids
}
