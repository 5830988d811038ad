//! Anthropic's messages as Vertex AI serves them: its paths name the model.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, Method};

use super::{CountTokens, Messages, read_for};
use crate::dialect::shape::Shapes;
use crate::dialect::{Api, Delta, Dialect, Malformed, Request, Worded, Wording, route, sse};

/// `Vertex(Messages)`, or `Vertex(CountTokens)`, which Vertex takes for a model of its own.
#[derive(Debug)]
pub(in crate::dialect) struct Vertex<D>(pub(in crate::dialect) D);

/// The model of a path that ends in one of the raw methods of this publisher, and whether it is the
/// streamed one.
fn target(path: &str) -> Option<(Cow<'_, str>, bool)> {
    route::named(path, |path| {
        let (_, rest) = path.split_once("/publishers/anthropic/models/")?;
        let (model, method) = rest.rsplit_once(':')?;
        match method {
            "rawPredict" => Some((model, false)),
            "streamRawPredict" => Some((model, true)),
            _ => None,
        }
    })
}

impl<D: Dialect> Dialect for Vertex<D> {
    fn api(&self) -> Api {
        self.0.api()
    }

    fn speaks(&self, method: &Method, path: &str, _: &HeaderMap) -> bool {
        let Some((model, _)) = target(path).filter(|_| method == Method::POST) else {
            return false;
        };
        let counts = self.0.api() == CountTokens.api();
        counts == (model == "count-tokens")
    }

    fn read_request<'a>(&self, body: &'a [u8]) -> Result<Request<'a>, Malformed> {
        read_for(Cow::default(), body)
    }

    /// To count tokens, the body names the model.
    fn read_call<'a>(&self, path: &'a str, body: &'a [u8]) -> Result<Request<'a>, Malformed> {
        let (model, streams) = target(path).unwrap_or_default();
        if self.0.api() == CountTokens.api() {
            return self.0.read_request(body);
        }
        let request = read_for(model, body)?;
        Ok(Request { stream: streams || request.stream, ..request })
    }

    fn read_answer<'a>(&self, body: &'a [u8]) -> Result<Delta<'a>, Malformed> {
        self.0.read_answer(body)
    }

    fn read_event<'a>(&self, event: sse::Event<'a>) -> Result<Delta<'a>, Malformed> {
        self.0.read_event(event)
    }

    fn shapes(&self) -> &'static Shapes {
        self.0.shapes()
    }

    fn binds(&self) -> &'static Shapes {
        self.0.binds()
    }

    fn refuse(&self, wording: &Wording<'_>) -> Worded {
        self.0.refuse(wording)
    }

    fn break_stream(&self, wording: &Wording<'_>) -> Bytes {
        self.0.break_stream(wording)
    }
}

/// The dialects of these paths.
pub(in crate::dialect) const MESSAGES: Vertex<Messages> = Vertex(Messages);
pub(in crate::dialect) const COUNT_TOKENS: Vertex<CountTokens> = Vertex(CountTokens);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::of;

    const BODY: &[u8] =
        br#"{"anthropic_version":"vertex-1","messages":[{"role":"user","content":"How?"}]}"#;

    fn spoken(path: &str) -> Option<Api> {
        of(&Method::POST, path, &HeaderMap::new()).map(Dialect::api)
    }

    #[test]
    fn raw_methods_of_this_publisher_are_messages_and_no_others() {
        let path = |rest| format!("/v1/projects/p/locations/l/publishers/{rest}");
        let api = |rest| spoken(&path(rest));
        assert_eq!(api("anthropic/models/grove@1:rawPredict"), Some(Api::AnthropicMessages));
        assert_eq!(
            api("anthropic/models/grove%401:streamRawPredict"),
            Some(Api::AnthropicMessages)
        );
        let counts = api("anthropic/models/count-tokens:rawPredict");
        assert_eq!(counts, Some(Api::AnthropicCountTokens));
        assert_eq!(api("google/models/m:generateContent"), Some(Api::GeminiGenerate));
        assert_eq!(api("mistralai/models/m:rawPredict"), None);
        assert_eq!(api("anthropic/models/grove:predict"), None);
    }

    #[test]
    fn the_path_names_the_model_and_may_ask_for_a_stream() {
        let read = |path| MESSAGES.read_call(path, BODY).expect("a request");
        let request = read("/publishers/anthropic/models/grove@1:streamRawPredict");
        assert_eq!((&*request.model, request.stream), ("grove@1", true));
        assert_eq!(request.parts[0].text, "How?");
        assert!(!read("/publishers/anthropic/models/grove%401:rawPredict").stream);
    }
}
