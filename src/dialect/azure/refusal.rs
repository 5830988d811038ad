//! Azure's error object: `{"error":{"code","message","innererror"}}`, its code the status as text.

use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue};
use serde::Serialize;

use crate::dialect::openai::refusal::{Verification, names};
use crate::dialect::{Worded, Wording};

pub(super) fn refuse(wording: &Wording<'_>) -> Worded {
    let mut headers = vec![(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    // The SDKs show the first; people who ask for help are asked for the second.
    for name in ["x-request-id", "apim-request-id"] {
        let id = HeaderValue::from_str(wording.reference);
        headers.extend(id.map(|id| (HeaderName::from_static(name), id)));
    }
    let error = Body {
        code: wording.status.to_string(),
        message: wording.message,
        innererror: Inner { code: names(wording.reason).1 },
        verification: Verification::of(wording),
    };
    let body = serde_json::to_vec(&Envelope { error }).unwrap_or_default();
    Worded { headers, body: body.into() }
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: Body<'a>,
}

#[derive(Serialize)]
struct Body<'a> {
    code: String,
    message: &'a str,
    innererror: Inner,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification: Option<Verification<'a>>,
}

/// Where programs look for what exactly happened.
#[derive(Serialize)]
struct Inner {
    code: &'static str,
}
