//! OpenAI's error object: `{"error":{"message","type","param","code"}}`.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue};
use serde::Serialize;

use crate::dialect::{Reason, Scarce, Worded, Wording};

pub(in crate::dialect) fn refuse(wording: &Wording<'_>) -> Worded {
    let mut headers = vec![(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    let id = HeaderValue::from_str(wording.reference);
    headers.extend(id.map(|id| (HeaderName::from_static("x-request-id"), id)));
    Worded { headers, body: json(wording).into() }
}

/// A chunk that holds an error instead of choices: every SDK raises it.
pub(in crate::dialect) fn break_stream(wording: &Wording<'_>) -> Bytes {
    [b"data: ", &json(wording)[..], b"\n\n"].concat().into()
}

/// The `error` event of typed streams, in both of its shapes at once: the flat one is documented
/// but raised by no SDK, the nested one alone fails the checks of some.
pub(in crate::dialect) fn break_typed_stream(wording: &Wording<'_>) -> Bytes {
    let error = body(wording);
    let event = TypedEvent {
        r#type: "error",
        // Readers want a number; none compares it, and we don't count the events that pass.
        sequence_number: 0,
        code: error.code,
        message: error.message,
        param: None,
        error,
    };
    let event = serde_json::to_vec(&event).unwrap_or_default();
    [b"event: error\ndata: ", &event[..], b"\n\n"].concat().into()
}

#[derive(Serialize)]
struct TypedEvent<'a> {
    r#type: &'static str,
    sequence_number: u32,
    code: &'static str,
    message: &'a str,
    param: Option<&'static str>,
    error: Body<'a>,
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: Body<'a>,
}

#[derive(Serialize)]
struct Body<'a> {
    message: &'a str,
    r#type: &'static str,
    param: Option<&'static str>,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification: Option<Verification<'a>>,
}

#[derive(Serialize)]
pub(in crate::dialect) struct Verification<'a> {
    url: &'a str,
    reference: &'a str,
    expires_at: u64,
}

fn json(wording: &Wording<'_>) -> Vec<u8> {
    serde_json::to_vec(&Envelope { error: body(wording) }).unwrap_or_default()
}

fn body<'a>(wording: &Wording<'a>) -> Body<'a> {
    let (kind, code) = match (wording.reason, wording.scarce) {
        (Reason::Throttled, Scarce::Tokens) => ("tokens", "rate_limit_exceeded"),
        (reason, _) => names(reason),
    };
    let verification = Verification::of(wording);
    Body { message: wording.message, r#type: kind, param: None, code, verification }
}

impl<'a> Verification<'a> {
    pub(in crate::dialect) fn of(wording: &Wording<'a>) -> Option<Self> {
        let (reference, link) = (wording.reference, wording.link?);
        Some(Self { url: link.url, reference, expires_at: link.expires_at })
    }
}

/// `type` and `code`.
pub(in crate::dialect) const fn names(reason: Reason) -> (&'static str, &'static str) {
    match reason {
        Reason::Throttled => ("requests", "rate_limit_exceeded"),
        Reason::Challenged => ("permission_error", "verification_required"),
        Reason::Dropped => ("permission_error", "access_denied"),
        Reason::Region => ("request_forbidden", "unsupported_country_region_territory"),
        Reason::Sweep => ("invalid_request_error", "too_many_choices"),
        Reason::Unbound => ("invalid_request_error", "invalid_encrypted_content"),
        Reason::Malformed => ("invalid_request_error", "malformed_body"),
        Reason::Ambiguous => ("invalid_request_error", "ambiguous_body"),
        Reason::BadRequest => ("invalid_request_error", "bad_request"),
        Reason::MissingCredential => ("invalid_request_error", "missing_api_key"),
        Reason::BadCredential => ("invalid_request_error", "invalid_api_key"),
        Reason::TwoCredentials => ("invalid_request_error", "two_credentials"),
        Reason::NoTenant => ("invalid_request_error", "unknown_tenant"),
        Reason::MethodNotAllowed => ("invalid_request_error", "method_not_supported"),
        Reason::RequestTimeout => ("invalid_request_error", "request_timeout"),
        Reason::TooLarge => ("invalid_request_error", "request_too_large"),
        Reason::UriTooLong => ("invalid_request_error", "uri_too_long"),
        Reason::HeadersTooLarge => ("invalid_request_error", "headers_too_large"),
        Reason::UnsupportedEncoding => ("invalid_request_error", "unsupported_encoding"),
        Reason::Overloaded => ("server_error", "overloaded"),
        Reason::UpstreamFailed => ("server_error", "upstream_failed"),
        Reason::UpstreamTimeout => ("server_error", "upstream_timeout"),
    }
}
