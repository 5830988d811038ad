//! openai: to be written.

use bytes::Bytes;
use http::HeaderMap;

use super::{Api, Delta, Dialect, Malformed, Request, Worded, Wording, sse};

#[derive(Debug)]
pub(super) struct Chat;

impl Dialect for Chat {
    fn api(&self) -> Api {
        Api::OpenaiChat
    }

    fn speaks(&self, _: &http::Method, _: &str, _: &HeaderMap) -> bool {
        todo!()
    }

    fn read_request<'a>(&self, _: &'a [u8]) -> Result<Request<'a>, Malformed> {
        todo!()
    }

    fn read_answer<'a>(&self, _: &'a [u8]) -> Result<Delta<'a>, Malformed> {
        todo!()
    }

    fn read_event<'a>(&self, _: sse::Event<'a>) -> Result<Delta<'a>, Malformed> {
        todo!()
    }

    fn refuse(&self, _: &Wording<'_>) -> Worded {
        todo!()
    }

    fn break_stream(&self, _: &Wording<'_>) -> Bytes {
        todo!()
    }
}
