//! Bedrock's errors: `{"message"}`, the exception's name in a header.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue};
use serde::Serialize;

use crate::dialect::{Reason, Worded, Wording, eventstream};

const JSON: &str = "application/json";

pub(super) fn refuse(wording: &Wording<'_>) -> Worded {
    let mut headers = vec![
        (CONTENT_TYPE, HeaderValue::from_static(JSON)),
        (
            HeaderName::from_static("x-amzn-errortype"),
            HeaderValue::from_static(exception(wording.reason)),
        ),
    ];
    let id = HeaderValue::from_str(wording.reference);
    headers.extend(id.map(|id| (HeaderName::from_static("x-amzn-requestid"), id)));
    Worded { headers, body: json(wording).into() }
}

/// An exception frame. Streams know no denial of access: a verdict reads as a throttle.
pub(super) fn break_stream(wording: &Wording<'_>) -> Bytes {
    let kind = match wording.reason {
        Reason::Throttled | Reason::Challenged | Reason::Dropped => "throttlingException",
        _ => "serviceUnavailableException",
    };
    let headers =
        [(":exception-type", kind), (":content-type", JSON), (":message-type", "exception")];
    eventstream::frame(&headers, &json(wording)).into()
}

#[derive(Serialize)]
struct Body<'a> {
    message: &'a str,
}

fn json(wording: &Wording<'_>) -> Vec<u8> {
    serde_json::to_vec(&Body { message: wording.message }).unwrap_or_default()
}

const fn exception(reason: Reason) -> &'static str {
    match reason {
        Reason::Throttled => "ThrottlingException",
        Reason::Challenged | Reason::Dropped | Reason::Region => "AccessDeniedException",
        Reason::MissingCredential => "MissingAuthenticationTokenException",
        Reason::BadCredential => "UnrecognizedClientException",
        Reason::NoTenant => "ResourceNotFoundException",
        Reason::MethodNotAllowed => "UnknownOperationException",
        Reason::RequestTimeout => "RequestTimeoutException",
        Reason::Sweep
        | Reason::Unbound
        | Reason::Malformed
        | Reason::Ambiguous
        | Reason::BadRequest
        | Reason::TwoCredentials
        | Reason::TooLarge
        | Reason::UriTooLong
        | Reason::HeadersTooLarge
        | Reason::UnsupportedEncoding => "ValidationException",
        Reason::Overloaded => "ServiceUnavailableException",
        Reason::UpstreamFailed => "InternalServerException",
        Reason::UpstreamTimeout => "ModelTimeoutException",
    }
}
