//! Anthropic's message batches: many messages in one body. Every line counts and is read.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Body, Messages, bind, limits, refusal, shape};
use crate::dialect::found::{object, required};
use crate::dialect::given::{Each, Given, Take};
use crate::dialect::shape::Shapes;
use crate::dialect::{Api, Delta, Dialect, Malformed, Part, Request, Role, Worded, Wording};
use crate::dialect::{Standings, route, sse};
use crate::time::Timestamp;

#[derive(Debug)]
pub(in crate::dialect) struct Batches;

impl Dialect for Batches {
    fn api(&self) -> Api {
        Api::AnthropicBatches
    }

    fn speaks(&self, method: &Method, path: &str, _: &HeaderMap) -> bool {
        method == Method::POST && route::leads_to(path, "/v1/messages/batches")
    }

    fn read_request<'a>(&self, body: &'a [u8]) -> Result<Request<'a>, Malformed> {
        let given = object::<Batch<'a>>(body)?.requests.list();
        Ok(required(given, "requests", "an array")?.into_request())
    }

    /// Nothing but the batch's own id: its answers are fetched later.
    fn read_answer<'a>(&self, body: &'a [u8]) -> Result<Delta<'a>, Malformed> {
        Messages.read_answer(body)
    }

    fn read_event<'a>(&self, event: sse::Event<'a>) -> Result<Delta<'a>, Malformed> {
        Messages.read_event(event)
    }

    fn shapes(&self) -> &'static Shapes {
        &shape::BATCHES
    }

    fn binds(&self) -> &'static Shapes {
        &bind::BATCHES
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

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Batch<'a> {
    requests: Given<'a, IgnoredAny, Each<Lines<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Line<'a> {
    params: Given<'a, Body<'a>>,
}

/// Lines whose text is read: as many as the API takes.
const READ: u32 = 100_000;

#[derive(Debug, Default)]
struct Lines<'a> {
    count: u32,
    /// What the lines say together. The rest is the first line's.
    first: Option<Request<'a>>,
}

impl<'de: 'a, 'a> Take<'de> for Lines<'a> {
    type Item = Given<'a, Line<'a>>;

    /// A line that can't be read counts all the same: the endpoint judges each by itself.
    fn take(&mut self, item: Self::Item) {
        self.count = self.count.saturating_add(1);
        if self.count > READ {
            return;
        }
        let body = item.object().and_then(|line| line.params.object());
        let Some(Ok(line)) = body.map(Body::into_request) else { return };
        match &mut self.first {
            Some(first) => add(first, line),
            none => *none = Some(line),
        }
    }
}

impl<'a> Lines<'a> {
    fn into_request(self) -> Request<'a> {
        let mut request = self.first.unwrap_or_default();
        request.params.n = self.count;
        request.stream = false;
        request
    }
}

/// Adds a line's turns after those of the lines before. Lines mostly share a system prompt: it is
/// told once.
fn add<'a>(request: &mut Request<'a>, line: Request<'a>) {
    let shift = request.parts.last().map_or(0, |part| part.turn.saturating_add(1));
    let known = system(&request.parts).eq(system(&line.parts));
    let fresh = line.parts.into_iter().filter(|part| !known || part.role != Role::System);
    let shifted = |part: Part<'a>| Part { turn: part.turn.saturating_add(shift), ..part };
    request.parts.extend(fresh.map(shifted));
    request.presented.extend(line.presented);
}

/// The system prompt at the start of `parts`.
fn system<'p>(parts: &'p [Part<'_>]) -> impl Iterator<Item = &'p str> {
    parts.iter().take_while(|part| part.role == Role::System).map(|part| &*part.text)
}
