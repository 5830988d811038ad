//! Which API a request speaks, and how that API spells what the endpoint has to say.

use bytes::Bytes;
use http::{HeaderMap, Uri};
use serde_json::{Value, json};

use super::answer::Plan;
use super::{anthropic, bedrock, gemini, invoke, openai, responses};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Style {
    Openai,
    Responses,
    Anthropic,
    Gemini,
    /// Whose stream is an array.
    GeminiArray,
    Bedrock,
    Invoke,
}

impl Style {
    /// By the path first: headers only where several APIs share one.
    pub(super) fn of(uri: &Uri, headers: &HeaderMap) -> Self {
        let path = uri.path();
        if gemini::speaks(path) {
            if gemini::wants_array(uri) { Self::GeminiArray } else { Self::Gemini }
        } else if bedrock::speaks(path) {
            Self::Bedrock
        } else if invoke::speaks(path) {
            Self::Invoke
        } else if path.contains("/v1/messages") || headers.contains_key("anthropic-version") {
            Self::Anthropic
        } else if path.ends_with("/responses") {
            Self::Responses
        } else {
            Self::Openai
        }
    }

    /// Whether a POST to `path` is answered with a completion.
    pub(super) fn completes(self, path: &str) -> bool {
        match self {
            Self::Openai => path.ends_with("/chat/completions"),
            Self::Anthropic => path.ends_with("/v1/messages"),
            _ => true,
        }
    }

    /// The request in the words that [`Plan::new`] reads: those of messages.
    pub(super) fn read(self, uri: &Uri, body: Value) -> Value {
        match self {
            Self::Openai | Self::Anthropic => body,
            Self::Responses => responses::read(&body),
            Self::Gemini | Self::GeminiArray => gemini::read(uri, &body),
            Self::Bedrock => bedrock::read(uri.path(), &body),
            Self::Invoke => invoke::read(uri.path(), body),
        }
    }

    pub(super) fn whole(self, plan: &Plan) -> Value {
        match self {
            Self::Openai => openai::whole(plan),
            Self::Responses => responses::whole(plan),
            Self::Anthropic | Self::Invoke => anthropic::whole(plan),
            Self::Gemini | Self::GeminiArray => gemini::whole(plan),
            Self::Bedrock => bedrock::whole(plan),
        }
    }

    pub(super) fn frames(self, plan: &Plan) -> Vec<Bytes> {
        match self {
            Self::Openai => openai::frames(plan),
            Self::Responses => responses::frames(plan),
            Self::Anthropic => anthropic::frames(plan),
            Self::Gemini => gemini::frames(plan),
            Self::GeminiArray => gemini::elements(plan),
            Self::Bedrock => bedrock::frames(plan),
            Self::Invoke => invoke::frames(plan),
        }
    }

    /// The content type of a stream.
    pub(super) fn stream_type(self) -> &'static str {
        match self {
            Self::Bedrock | Self::Invoke => "application/vnd.amazon.eventstream",
            Self::GeminiArray => "application/json",
            _ => "text/event-stream",
        }
    }

    pub(super) fn error(self, status: u16, message: &str, request_id: &str) -> Value {
        match self {
            Self::Openai | Self::Responses => openai::error(status, message),
            Self::Anthropic => anthropic::error(status, message, request_id),
            Self::Gemini | Self::GeminiArray => gemini::error(status, message),
            Self::Bedrock | Self::Invoke => bedrock::error(message),
        }
    }

    pub(super) fn error_frame(self) -> Bytes {
        match self {
            Self::Openai => openai::error_frame(),
            Self::Responses => responses::error_frame(),
            Self::Anthropic => anthropic::error_frame(),
            Self::Gemini => gemini::error_frame(),
            Self::GeminiArray => gemini::error_element(),
            Self::Bedrock | Self::Invoke => bedrock::error_frame(),
        }
    }

    /// The header that carries the id of a request, where the API has one.
    pub(super) fn id_header(self) -> Option<&'static str> {
        match self {
            Self::Openai | Self::Responses => Some("x-request-id"),
            Self::Anthropic => Some("request-id"),
            Self::Gemini | Self::GeminiArray => None,
            Self::Bedrock | Self::Invoke => Some("x-amzn-requestid"),
        }
    }

    /// The header that names an error, where the body doesn't.
    pub(super) fn error_header(self, status: u16) -> Option<(&'static str, &'static str)> {
        let aws = matches!(self, Self::Bedrock | Self::Invoke);
        aws.then(|| ("x-amzn-errortype", bedrock::error_type(status)))
    }

    pub(super) fn models(self) -> Value {
        let names = ["large-1", "small-1"];
        let anthropic = self == Self::Anthropic;
        let list = names.map(|id| match anthropic {
            true => json!({"id": id, "type": "model", "display_name": id,
                "created_at": "2026-01-01T00:00:00Z"}),
            false => json!({"id": id, "object": "model", "created": 1767225600, "owned_by": "lab"}),
        });
        match anthropic {
            true => json!({"data": list, "has_more": false, "first_id": names[0],
                "last_id": names[1]}),
            false => json!({"object": "list", "data": list}),
        }
    }
}
