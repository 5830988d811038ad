//! Anthropic's token counts: the body of messages, answered by a number.

use bytes::Bytes;
use http::{HeaderMap, Method};

use super::{Body, Messages, refusal};
use crate::dialect::found::object;
use crate::dialect::{Api, Delta, Dialect, Malformed, Request, Usage, Worded, Wording};
use crate::dialect::{route, sse};

#[derive(Debug)]
pub(in crate::dialect) struct CountTokens;

impl Dialect for CountTokens {
    fn api(&self) -> Api {
        Api::AnthropicCountTokens
    }

    fn speaks(&self, method: &Method, path: &str, _: &HeaderMap) -> bool {
        method == Method::POST && route::leads_to(path, "/v1/messages/count_tokens")
    }

    fn read_request<'a>(&self, body: &'a [u8]) -> Result<Request<'a>, Malformed> {
        object::<Body<'a>>(body)?.into_request()
    }

    /// Counting is free: the number in the answer is no usage.
    fn read_answer<'a>(&self, body: &'a [u8]) -> Result<Delta<'a>, Malformed> {
        let free = Usage { input: Some(0), output: Some(0), ..Usage::default() };
        let answer = Messages.read_answer(body)?;
        Ok(Delta { usage: Some(free).filter(|_| !answer.error), ..answer })
    }

    fn read_event<'a>(&self, event: sse::Event<'a>) -> Result<Delta<'a>, Malformed> {
        Messages.read_event(event)
    }

    fn refuse(&self, wording: &Wording<'_>) -> Worded {
        refusal::refuse(wording)
    }

    fn break_stream(&self, wording: &Wording<'_>) -> Bytes {
        refusal::break_stream(wording)
    }
}
