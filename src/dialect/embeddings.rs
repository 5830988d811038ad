//! OpenAI's embeddings: texts in, numbers out.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde::Deserialize;

use super::found::{self, object};
use super::given::Given;
use super::inputs::{Input, Inputs};
use super::openai::answer::{self, Answer};
use super::openai::{limits, refusal};
use super::{Api, Delta, Dialect, Malformed, Request, Standings, Usage, Worded, Wording};
use super::{route, sse};
use crate::time::Timestamp;

#[derive(Debug)]
pub(super) struct Embeddings;

impl Dialect for Embeddings {
    fn api(&self) -> Api {
        Api::OpenaiEmbeddings
    }

    fn speaks(&self, method: &Method, path: &str, _: &HeaderMap) -> bool {
        method == Method::POST && route::leads_to(path, "/embeddings")
    }

    fn read_request<'a>(&self, body: &'a [u8]) -> Result<Request<'a>, Malformed> {
        object::<Body<'a>>(body)?.into_request()
    }

    /// The numbers themselves are passed over. Output tokens are known: there are none.
    fn read_answer<'a>(&self, body: &'a [u8]) -> Result<Delta<'a>, Malformed> {
        let mut delta = object::<Answer<'a>>(body)?.into_delta();
        delta.usage = delta.usage.map(|usage| Usage { output: Some(0), ..usage });
        Ok(delta)
    }

    fn read_event<'a>(&self, event: sse::Event<'a>) -> Result<Delta<'a>, Malformed> {
        answer::read_event(event)
    }

    fn refuse(&self, wording: &Wording<'_>) -> Worded {
        refusal::refuse(wording)
    }

    fn break_stream(&self, wording: &Wording<'_>) -> Bytes {
        refusal::break_stream(wording)
    }

    fn announce(&self, standings: &Standings, _: Timestamp, headers: &mut HeaderMap) {
        limits::announce(standings, headers);
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Body<'a> {
    model: Given<'a>,
    input: Input<'a>,
    safety_identifier: Given<'a>,
    user: Given<'a>,
}

impl<'a> Body<'a> {
    /// Each input counts as a completion.
    fn into_request(self) -> Result<Request<'a>, Malformed> {
        let mut request = Request {
            model: found::model(self.model)?,
            end_user: found::first([self.safety_identifier, self.user]),
            ..Request::default()
        };
        request.params.n = Inputs::of(self.input, "input")?.tell(&mut request)?;
        Ok(request)
    }
}
