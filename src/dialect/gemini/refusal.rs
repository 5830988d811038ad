//! Google's error object: `{"error":{"code","message","status","details"}}`.

use bytes::Bytes;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use serde::Serialize;

use crate::dialect::{Link, Reason, Scarce, Worded, Wording};

pub(super) fn refuse(wording: &Wording<'_>) -> Worded {
    let json_type = HeaderValue::from_static("application/json; charset=UTF-8");
    Worded { headers: vec![(CONTENT_TYPE, json_type)], body: json(wording).into() }
}

/// An event that holds an error instead of candidates: every SDK raises it.
pub(super) fn break_events(wording: &Wording<'_>) -> Bytes {
    [b"data: ", &json(wording)[..], b"\n\n"].concat().into()
}

/// The last element of a streamed array.
pub(super) fn break_array(wording: &Wording<'_>) -> Bytes {
    [b",\n", &json(wording)[..], b"]"].concat().into()
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: Body<'a>,
}

#[derive(Serialize)]
struct Body<'a> {
    code: u16,
    message: &'a str,
    status: &'static str,
    details: Vec<Detail<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "@type")]
enum Detail<'a> {
    #[serde(rename = "type.googleapis.com/google.rpc.ErrorInfo")]
    ErrorInfo { reason: &'static str, domain: &'static str, metadata: Metadata<'a> },
    #[serde(rename = "type.googleapis.com/google.rpc.Help")]
    Help { links: [HelpLink<'a>; 1] },
    #[serde(rename = "type.googleapis.com/google.rpc.QuotaFailure")]
    QuotaFailure { violations: [Violation; 1] },
    /// Its clients know no `retry-after`.
    #[serde(rename = "type.googleapis.com/google.rpc.RetryInfo", rename_all = "camelCase")]
    RetryInfo { retry_delay: String },
}

#[derive(Serialize)]
struct Violation {
    subject: &'static str,
    description: &'static str,
}

/// Values are text, as the type of this map demands.
#[derive(Serialize)]
struct Metadata<'a> {
    reference: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

#[derive(Serialize)]
struct HelpLink<'a> {
    description: &'static str,
    url: &'a str,
}

fn json(wording: &Wording<'_>) -> Vec<u8> {
    let (status, reason) = names(wording.reason);
    let expires_at = wording.link.map(|link| link.expires_at.to_string());
    let metadata = Metadata { reference: wording.reference, expires_at };
    let info = Detail::ErrorInfo { reason, domain: "stillguard", metadata };
    let retry = |seconds| Detail::RetryInfo { retry_delay: format!("{seconds}s") };
    let help = wording.link.map(help);
    let quota = (wording.reason == Reason::Throttled).then(|| quota(wording.scarce));
    let retry = wording.retry_after.map(retry);
    let details = [info].into_iter().chain(quota).chain(help).chain(retry).collect();
    let error = Body { code: wording.status, message: wording.message, status, details };
    serde_json::to_vec(&Envelope { error }).unwrap_or_default()
}

fn quota(scarce: Scarce) -> Detail<'static> {
    let description = match scarce {
        Scarce::Requests => "Too many requests",
        Scarce::Tokens => "Too many tokens",
    };
    Detail::QuotaFailure { violations: [Violation { subject: "account", description }] }
}

fn help(link: Link<'_>) -> Detail<'_> {
    Detail::Help { links: [HelpLink { description: "Verify this account", url: link.url }] }
}

/// `status` and the `reason` of the details.
const fn names(reason: Reason) -> (&'static str, &'static str) {
    match reason {
        Reason::Throttled => ("RESOURCE_EXHAUSTED", "RATE_LIMIT_EXCEEDED"),
        Reason::Challenged => ("PERMISSION_DENIED", "VERIFICATION_REQUIRED"),
        Reason::Dropped => ("PERMISSION_DENIED", "ACCESS_DENIED"),
        Reason::Region => ("PERMISSION_DENIED", "LOCATION_NOT_SUPPORTED"),
        Reason::Sweep => ("INVALID_ARGUMENT", "TOO_MANY_CHOICES"),
        Reason::Unbound => ("INVALID_ARGUMENT", "INVALID_THOUGHT_SIGNATURE"),
        Reason::Malformed => ("INVALID_ARGUMENT", "MALFORMED_BODY"),
        Reason::Ambiguous => ("INVALID_ARGUMENT", "AMBIGUOUS_BODY"),
        Reason::BadRequest => ("INVALID_ARGUMENT", "BAD_REQUEST"),
        Reason::MissingCredential => ("UNAUTHENTICATED", "API_KEY_MISSING"),
        Reason::BadCredential => ("UNAUTHENTICATED", "API_KEY_INVALID"),
        Reason::TwoCredentials => ("INVALID_ARGUMENT", "TWO_CREDENTIALS"),
        Reason::NoTenant => ("NOT_FOUND", "UNKNOWN_TENANT"),
        Reason::MethodNotAllowed => ("UNIMPLEMENTED", "METHOD_NOT_SUPPORTED"),
        Reason::RequestTimeout => ("DEADLINE_EXCEEDED", "REQUEST_TIMEOUT"),
        Reason::TooLarge => ("INVALID_ARGUMENT", "REQUEST_TOO_LARGE"),
        Reason::UriTooLong => ("INVALID_ARGUMENT", "URI_TOO_LONG"),
        Reason::HeadersTooLarge => ("INVALID_ARGUMENT", "HEADERS_TOO_LARGE"),
        Reason::UnsupportedEncoding => ("INVALID_ARGUMENT", "UNSUPPORTED_ENCODING"),
        Reason::Overloaded => ("UNAVAILABLE", "OVERLOADED"),
        Reason::UpstreamFailed => ("UNAVAILABLE", "UPSTREAM_FAILED"),
        Reason::UpstreamTimeout => ("DEADLINE_EXCEEDED", "UPSTREAM_TIMEOUT"),
    }
}
