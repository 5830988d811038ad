//! Anthropic's error object: `{"type":"error","error":{"type","message","details"},"request_id"}`.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue};
use serde::Serialize;

use crate::dialect::{Reason, Worded, Wording};

pub(super) fn refuse(wording: &Wording<'_>) -> Worded {
    let mut headers = vec![(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    let id = HeaderValue::from_str(wording.reference);
    headers.extend(id.map(|id| (HeaderName::from_static("request-id"), id)));
    Worded { headers, body: json(wording).into() }
}

/// The `error` event: every SDK raises it.
pub(super) fn break_stream(wording: &Wording<'_>) -> Bytes {
    [b"event: error\ndata: ", &json(wording)[..], b"\n\n"].concat().into()
}

#[derive(Serialize)]
struct Envelope<'a> {
    r#type: &'static str,
    error: Body<'a>,
    request_id: &'a str,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    message: &'a str,
    details: Details<'a>,
}

#[derive(Serialize)]
struct Details<'a> {
    error_code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification_url: Option<&'a str>,
}

fn json(wording: &Wording<'_>) -> Vec<u8> {
    let (kind, error_code) = names(wording.reason);
    let details = Details { error_code, verification_url: wording.link.map(|link| link.url) };
    let error = Body { r#type: kind, message: wording.message, details };
    let envelope = Envelope { r#type: "error", error, request_id: wording.reference };
    serde_json::to_vec(&envelope).unwrap_or_default()
}

/// `type` and `details.error_code`.
const fn names(reason: Reason) -> (&'static str, &'static str) {
    match reason {
        Reason::Throttled => ("rate_limit_error", "rate_limit_exceeded"),
        Reason::Challenged => ("permission_error", "verification_required"),
        Reason::Dropped => ("permission_error", "access_denied"),
        Reason::Region => ("permission_error", "unsupported_region"),
        Reason::Sweep => ("invalid_request_error", "too_many_choices"),
        Reason::Unbound => ("invalid_request_error", "invalid_signature"),
        Reason::Malformed => ("invalid_request_error", "malformed_body"),
        Reason::Ambiguous => ("invalid_request_error", "ambiguous_body"),
        Reason::BadRequest => ("invalid_request_error", "bad_request"),
        Reason::MissingCredential => ("authentication_error", "missing_api_key"),
        Reason::BadCredential => ("authentication_error", "invalid_api_key"),
        Reason::TwoCredentials => ("invalid_request_error", "two_credentials"),
        Reason::NoTenant => ("not_found_error", "unknown_tenant"),
        Reason::MethodNotAllowed => ("invalid_request_error", "method_not_supported"),
        Reason::RequestTimeout => ("timeout_error", "request_timeout"),
        Reason::TooLarge => ("request_too_large", "request_too_large"),
        Reason::UriTooLong => ("invalid_request_error", "uri_too_long"),
        Reason::HeadersTooLarge => ("invalid_request_error", "headers_too_large"),
        Reason::UnsupportedEncoding => ("invalid_request_error", "unsupported_encoding"),
        Reason::Overloaded => ("overloaded_error", "overloaded"),
        Reason::UpstreamFailed => ("api_error", "upstream_failed"),
        Reason::UpstreamTimeout => ("timeout_error", "upstream_timeout"),
    }
}
