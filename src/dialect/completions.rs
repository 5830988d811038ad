//! OpenAI's first completions, which vLLM and others still serve: a prompt, and no messages.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde::Deserialize;

use super::found::{self, Found, object};
use super::given::Given;
use super::inputs::{Input, Inputs};
use super::openai::answer::{self, Answer};
use super::openai::format::{Format, StructuredOutputs, demanded};
use super::openai::{limits, refusal, shape};
use super::schema::Schema;
use super::shape::Shapes;
use super::{Api, Delta, Dialect, Kind, Malformed, Params, Part, Request, Role};
use super::{Standings, Worded, Wording, route, sse};
use crate::time::Timestamp;

#[derive(Debug)]
pub(super) struct Completions;

impl Dialect for Completions {
    fn api(&self) -> Api {
        Api::OpenaiCompletions
    }

    fn speaks(&self, method: &Method, path: &str, _: &HeaderMap) -> bool {
        method == Method::POST
            && route::leads_to(path, "/completions")
            && !route::leads_to(path, "/chat/completions")
    }

    fn read_request<'a>(&self, body: &'a [u8]) -> Result<Request<'a>, Malformed> {
        object::<Body<'a>>(body)?.into_request()
    }

    fn read_answer<'a>(&self, body: &'a [u8]) -> Result<Delta<'a>, Malformed> {
        Ok(object::<Answer<'a>>(body)?.into_delta())
    }

    fn read_event<'a>(&self, event: sse::Event<'a>) -> Result<Delta<'a>, Malformed> {
        answer::read_event(event)
    }

    fn shapes(&self) -> &'static Shapes {
        &shape::COMPLETIONS
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
    prompt: Input<'a>,
    suffix: Given<'a>,
    stream: Given<'a>,
    temperature: Given<'a>,
    top_p: Given<'a>,
    max_tokens: Given<'a>,
    n: Given<'a>,
    logprobs: Given<'a>,
    safety_identifier: Given<'a>,
    user: Given<'a>,
    // What servers other than OpenAI's read.
    response_format: Given<'a, Format<'a>>,
    guided_json: Given<'a, Schema<'a>>,
    structured_outputs: Given<'a, StructuredOutputs<'a>>,
}

impl<'a> Body<'a> {
    /// Each prompt is answered `n` times.
    fn into_request(self) -> Result<Request<'a>, Malformed> {
        let mut request = Request {
            stream: self.stream.is_true(),
            schema: demanded(self.response_format, self.guided_json, self.structured_outputs),
            end_user: found::first([self.safety_identifier, self.user]),
            params: Params {
                temperature: self.temperature.float(),
                top_p: self.top_p.float(),
                max_tokens: self.max_tokens.count(),
                // Zero asks for those of the chosen tokens alone.
                logprobs: self.logprobs.count().is_some() || self.logprobs.is_true(),
                ..Params::default()
            },
            model: found::model(self.model)?,
            ..Request::default()
        };
        let prompts = Inputs::of(self.prompt, "prompt")?.tell(&mut request)?;
        request.params.n = self.n.count().unwrap_or(1).max(1).saturating_mul(prompts);
        follow(&mut request, self.suffix);
        Ok(request)
    }
}

/// Adds what the answer must lead up to, as a part of the last prompt.
fn follow<'a>(request: &mut Request<'a>, suffix: Given<'a>) {
    let turn = request.parts.last().map_or(0, |part| part.turn);
    let mut found = Found::default();
    found.text(Kind::Text, suffix);
    let part = |(kind, text)| Part { turn, role: Role::User, kind, text };
    request.parts.extend(found.pieces.into_iter().map(part));
}
