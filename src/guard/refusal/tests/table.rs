//! Every reason in every dialect: one table, in the terms that clients make their exceptions of.

use serde_json::Value;

use super::super::*;
use super::REASONS;
use crate::dialect::{Api, DIALECTS, Frames, Framing};

/// What a reason is called: `type` and `code` at OpenAI, `type` at Anthropic, `status` at Google, and
/// the error's class at AWS.
struct Row(u16, [&'static str; 2], &'static str, &'static str, &'static str);

#[rustfmt::skip]
fn row(reason: Reason) -> Row {
    const INVALID: &str = "invalid_request_error";
    const BAD: &str = "INVALID_ARGUMENT";
    match reason {
        Reason::Throttled => Row(429, ["requests", "rate_limit_exceeded"], "rate_limit_error", "RESOURCE_EXHAUSTED", "ThrottlingException"),
        Reason::Challenged => Row(403, ["permission_error", "verification_required"], "permission_error", "PERMISSION_DENIED", "AccessDeniedException"),
        Reason::Dropped => Row(403, ["permission_error", "access_denied"], "permission_error", "PERMISSION_DENIED", "AccessDeniedException"),
        Reason::Region => Row(403, ["request_forbidden", "unsupported_country_region_territory"], "permission_error", "PERMISSION_DENIED", "AccessDeniedException"),
        Reason::Malformed => Row(400, [INVALID, "malformed_body"], INVALID, BAD, "ValidationException"),
        Reason::Sweep => Row(400, [INVALID, "too_many_choices"], INVALID, BAD, "ValidationException"),
        Reason::Unbound => Row(400, [INVALID, "invalid_encrypted_content"], INVALID, BAD, "ValidationException"),
        Reason::Ambiguous => Row(400, [INVALID, "ambiguous_body"], INVALID, BAD, "ValidationException"),
        Reason::BadRequest => Row(400, [INVALID, "bad_request"], INVALID, BAD, "ValidationException"),
        Reason::TwoCredentials => Row(400, [INVALID, "two_credentials"], INVALID, BAD, "ValidationException"),
        Reason::MissingCredential => Row(401, [INVALID, "missing_api_key"], "authentication_error", "UNAUTHENTICATED", "MissingAuthenticationTokenException"),
        Reason::BadCredential => Row(401, [INVALID, "invalid_api_key"], "authentication_error", "UNAUTHENTICATED", "UnrecognizedClientException"),
        Reason::NoTenant => Row(404, [INVALID, "unknown_tenant"], "not_found_error", "NOT_FOUND", "ResourceNotFoundException"),
        Reason::MethodNotAllowed => Row(405, [INVALID, "method_not_supported"], INVALID, "UNIMPLEMENTED", "UnknownOperationException"),
        Reason::RequestTimeout => Row(408, [INVALID, "request_timeout"], "timeout_error", "DEADLINE_EXCEEDED", "RequestTimeoutException"),
        Reason::TooLarge => Row(413, [INVALID, "request_too_large"], "request_too_large", BAD, "ValidationException"),
        Reason::UriTooLong => Row(414, [INVALID, "uri_too_long"], INVALID, BAD, "ValidationException"),
        Reason::HeadersTooLarge => Row(431, [INVALID, "headers_too_large"], INVALID, BAD, "ValidationException"),
        Reason::UnsupportedEncoding => Row(415, [INVALID, "unsupported_encoding"], INVALID, BAD, "ValidationException"),
        Reason::Overloaded => Row(503, ["server_error", "overloaded"], "overloaded_error", "UNAVAILABLE", "ServiceUnavailableException"),
        Reason::UpstreamFailed => Row(502, ["server_error", "upstream_failed"], "api_error", "UNAVAILABLE", "InternalServerException"),
        Reason::UpstreamTimeout => Row(504, ["server_error", "upstream_timeout"], "timeout_error", "DEADLINE_EXCEEDED", "ModelTimeoutException"),
    }
}

/// What a client of this API finds in a refusal: its message, and what the error is called.
fn found(api: Api, response: &Response<Full<Bytes>>, body: &Value) -> (Value, Vec<Value>) {
    let error = &body["error"];
    match api {
        Api::AnthropicMessages | Api::AnthropicCountTokens | Api::AnthropicBatches => {
            assert_eq!(body["type"], "error");
            (error["message"].clone(), vec![error["type"].clone()])
        }
        Api::GeminiGenerate | Api::GeminiEmbed | Api::GeminiCountTokens => {
            assert_eq!(error["code"], response.status().as_u16());
            (error["message"].clone(), vec![error["status"].clone()])
        }
        Api::BedrockConverse | Api::BedrockInvoke => {
            let class = response.headers()["x-amzn-errortype"].to_str().unwrap();
            (body["message"].clone(), vec![class.into()])
        }
        _ if error["innererror"].is_object() => {
            assert_eq!(error["code"], response.status().as_u16().to_string(), "Azure's");
            (error["message"].clone(), vec![error["innererror"]["code"].clone()])
        }
        _ => (error["message"].clone(), vec![error["type"].clone(), error["code"].clone()]),
    }
}

fn expected(api: Api, row: &Row, azures: bool) -> Vec<Value> {
    let Row(_, openais, anthropics, googles, amazons) = row;
    match api {
        Api::AnthropicMessages | Api::AnthropicCountTokens | Api::AnthropicBatches => {
            vec![(*anthropics).into()]
        }
        Api::GeminiGenerate | Api::GeminiEmbed | Api::GeminiCountTokens => vec![(*googles).into()],
        Api::BedrockConverse | Api::BedrockInvoke => vec![(*amazons).into()],
        _ if azures => vec![openais[1].into()],
        _ => openais.map(Value::from).to_vec(),
    }
}

#[test]
fn every_reason_is_worded_by_every_dialect() {
    for dialect in DIALECTS {
        for reason in REASONS {
            let (row, api) = (row(reason), dialect.api());
            let response = respond(*dialect, reason, "sg_00000000000000aa");
            let (head, body) = response.into_parts();
            let bytes =
                futures_util::FutureExt::now_or_never(http_body_util::BodyExt::collect(body));
            let bytes = bytes.unwrap().unwrap().to_bytes();
            let body: Value = serde_json::from_slice(&bytes).unwrap();
            let response = Response::from_parts(head, Full::default());
            let azures = body["error"]["innererror"].is_object();
            let (message, named) = found(api, &response, &body);
            assert_eq!(response.status().as_u16(), row.0, "{reason:?}");
            assert_eq!(named, expected(api, &row, azures), "{reason:?} {api:?}");
            let message = message.as_str().unwrap();
            assert!(message.contains("sg_00000000000000aa") && message.contains(sentence(reason)));
        }
    }
}

#[test]
fn every_reason_ends_a_stream_of_every_dialect_as_an_error() {
    for dialect in DIALECTS {
        for reason in REASONS {
            let framing = dialect.framing("/");
            let kind = match framing {
                Framing::EventStream => "application/vnd.amazon.eventstream",
                _ => "text/event-stream",
            };
            let frame = Refusal::from(reason).frame(*dialect, framing, "sg_1");
            let (mut frames, mut errors) = (Frames::of(framing, kind).unwrap(), Vec::new());
            frames.push(&frame, |event| errors.push(dialect.read_event(event).unwrap().error));
            assert_eq!(errors, [true], "{reason:?} {:?}", dialect.api());
        }
    }
}
