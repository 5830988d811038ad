//! Anthropic's messages.

mod answer;
mod batches;
pub(super) mod bind;
mod block;
mod count_tokens;
mod limits;
mod refusal;
pub(super) mod shape;
pub(super) mod vertex;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde::Deserialize;
use serde::de::IgnoredAny;

use self::answer::{Answer, Event};
pub(super) use self::batches::Batches;
use self::block::{Blocks, Turns};
pub(super) use self::count_tokens::CountTokens;
use super::found::{self, object, required};
use super::given::{Each, Given, Take};
use super::schema::Schema;
use super::shape::Shapes;
use super::{Api, Delta, Dialect, Effort, Kind, Malformed, Params, Part, Request, Role, Tool};
use super::{Standings, Worded, Wording, route, sse};
use crate::time::Timestamp;

#[derive(Debug)]
pub(super) struct Messages;

impl Dialect for Messages {
    fn api(&self) -> Api {
        Api::AnthropicMessages
    }

    fn speaks(&self, method: &Method, path: &str, _: &HeaderMap) -> bool {
        method == Method::POST && route::leads_to(path, "/v1/messages")
    }

    fn read_request<'a>(&self, body: &'a [u8]) -> Result<Request<'a>, Malformed> {
        object::<Body<'a>>(body)?.into_request()
    }

    fn read_answer<'a>(&self, body: &'a [u8]) -> Result<Delta<'a>, Malformed> {
        Ok(object::<Answer<'a>>(body)?.into_delta())
    }

    fn read_event<'a>(&self, event: sse::Event<'a>) -> Result<Delta<'a>, Malformed> {
        Ok(object::<Event<'a>>(event.data.as_bytes())?.into_delta())
    }

    fn shapes(&self) -> &'static Shapes {
        &shape::MESSAGES
    }

    fn binds(&self) -> &'static Shapes {
        &bind::MESSAGES
    }

    fn refuse(&self, wording: &Wording<'_>) -> Worded {
        refusal::refuse(wording)
    }

    fn break_stream(&self, wording: &Wording<'_>) -> Bytes {
        refusal::break_stream(wording)
    }

    fn announce(&self, standings: &Standings, now: Timestamp, headers: &mut HeaderMap) {
        limits::announce(standings, now, headers);
    }
}

/// Reads a body whose model stands in the path.
pub(super) fn read_for<'a>(model: Cow<'a, str>, body: &'a [u8]) -> Result<Request<'a>, Malformed> {
    let body = object::<Body<'a>>(body)?;
    Body { model: Given::Text(model), ..body }.into_request()
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Body<'a> {
    model: Given<'a>,
    system: Given<'a, IgnoredAny, Each<Blocks<'a>>>,
    messages: Given<'a, IgnoredAny, Each<Turns<'a>>>,
    stream: Given<'a>,
    temperature: Given<'a>,
    top_p: Given<'a>,
    max_tokens: Given<'a>,
    thinking: Given<'a, Thinking<'a>>,
    output_config: Given<'a, OutputConfig<'a>>,
    output_format: Given<'a, Format<'a>>,
    tools: Given<'a, IgnoredAny, Each<Tools<'a>>>,
    metadata: Given<'a, Metadata<'a>>,
    container: Given<'a, Container<'a>>,
    thread: Given<'a, Thread<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Thinking<'a> {
    r#type: Given<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct OutputConfig<'a> {
    effort: Given<'a>,
    format: Given<'a, Format<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Format<'a> {
    schema: Given<'a, Schema<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Metadata<'a> {
    user_id: Given<'a>,
}

/// Files and state of an earlier exchange, if not named by the id alone.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Container<'a> {
    id: Given<'a>,
}

/// A conversation that the endpoint keeps: earlier turns are not in the body.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Thread<'a> {
    previous_message_id: Given<'a>,
}

impl<'a> Body<'a> {
    fn into_request(self) -> Result<Request<'a>, Malformed> {
        found::texts(&self.system, "system")?;
        let config = self.output_config.object().unwrap_or_default();
        let thinking = self.thinking.object().unwrap_or_default().r#type.text();
        let user = self.metadata.object().unwrap_or_default().user_id.text();
        let mut request = Request {
            model: required(self.model.text(), "model", "a string")?,
            stream: self.stream.is_true(),
            params: Params {
                temperature: self.temperature.float(),
                top_p: self.top_p.float(),
                max_tokens: self.max_tokens.count(),
                effort: config.effort.text().and_then(|effort| Effort::named(&effort)),
                thinking: matches!(thinking.as_deref(), Some("enabled" | "adaptive")),
                ..Params::default()
            },
            parts: system(self.system),
            tools: self.tools.list().unwrap_or_default().0,
            end_user: user.filter(|user| !user.is_empty()),
            schema: names([config.format, self.output_format]),
            presented: presented(self.container, self.thread),
            session: None,
            unread: false,
        };
        let messages = required(self.messages.list(), "messages", "an array")?;
        messages.0.tell(&mut request)?;
        Ok(request)
    }
}

fn system<'a>(given: Given<'a, IgnoredAny, Each<Blocks<'a>>>) -> Vec<Part<'a>> {
    let pieces = match given {
        Given::List(Each(blocks)) => blocks.0.pieces,
        Given::Text(text) if !text.is_empty() => vec![(Kind::Text, text)],
        _ => Vec::new(),
    };
    let part = |(kind, text)| Part { turn: 0, role: Role::System, kind, text };
    pieces.into_iter().map(part).collect()
}

fn presented<'a>(
    container: Given<'a, Container<'a>>,
    thread: Given<'a, Thread<'a>>,
) -> Vec<Cow<'a, str>> {
    let container = match container {
        Given::Object(container) => container.id.text(),
        id => id.text(),
    };
    let previous = thread.object().and_then(|thread| thread.previous_message_id.text());
    [container, previous].into_iter().flatten().collect()
}

fn names<'a>(formats: [Given<'a, Format<'a>>; 2]) -> Vec<Cow<'a, str>> {
    let schemas = formats.into_iter().filter_map(|format| format.object()?.schema.object());
    schemas.flat_map(Schema::names).collect()
}

#[derive(Debug, Default)]
struct Tools<'a>(Vec<Tool<'a>>);

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Offered<'a> {
    name: Given<'a>,
    input_schema: Given<'a, Schema<'a>>,
}

impl<'de: 'a, 'a> Take<'de> for Tools<'a> {
    type Item = Given<'a, Offered<'a>>;

    fn take(&mut self, item: Self::Item) {
        let Some(offered) = item.object() else { return };
        if let Some(name) = offered.name.text() {
            let schema = offered.input_schema.object().unwrap_or_default();
            self.0.push(Tool { name, params: schema.params() });
        }
    }
}
