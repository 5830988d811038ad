//! Anthropic's token counts: the body of messages, answered by a number.

use bytes::Bytes;
use http::{HeaderMap, Method};

use super::{Body, Messages, bind, limits, refusal};
use crate::dialect::found::object;
use crate::dialect::shape::Shapes;
use crate::dialect::{Api, Delta, Dialect, Malformed, Request, Usage, Worded, Wording};
use crate::dialect::{Standings, route, sse};
use crate::time::Timestamp;

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

    fn binds(&self) -> &'static Shapes {
        &bind::COUNTS
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_read_as_messages_but_asks_for_no_completion() {
        let body = br#"{"model":"m","messages":[{"role":"user","content":"How long?"}]}"#;
        let request = CountTokens.read_request(body).expect("a request");
        assert_eq!(request.parts[0].text, "How long?");
        assert_eq!(CountTokens.api().completions(&request.params), 0);
        assert_eq!(Messages.api().completions(&request.params), 1);
    }

    #[test]
    fn a_count_is_free_and_an_error_has_no_usage() {
        let counted = CountTokens.read_answer(br#"{"input_tokens":2095}"#).expect("an answer");
        let free = Usage { input: Some(0), output: Some(0), ..Usage::default() };
        assert_eq!((counted.usage, counted.error), (Some(free), false));
        let failed = CountTokens.read_answer(br#"{"type":"error","error":{"type":"api_error"}}"#);
        let failed = failed.expect("an answer");
        assert_eq!((failed.usage, failed.error), (None, true));
    }

    #[test]
    fn only_posts_to_count_tokens_are_spoken() {
        let speaks = |method, path| CountTokens.speaks(&method, path, &HeaderMap::new());
        assert!(speaks(Method::POST, "/v1/messages/count_tokens"));
        assert!(!speaks(Method::GET, "/v1/messages/count_tokens"));
        assert!(!speaks(Method::POST, "/v1/messages"));
    }
}
