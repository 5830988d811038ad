//! Refusals: one status per reason, worded in the caller's own dialect.
//!
//! Refusals of one class look alike: a caller learns what to do, never which rule spoke.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;

use super::UpstreamError;
use super::coding::Coding;
use super::limit::Told;
use super::throttle::Wait;
use crate::dialect::json::Ambiguity;
use crate::dialect::{Dialect, Framing, Link, Malformed, Reason, Scarce, Wording};
use crate::identity::Unidentified;
use crate::policy::Action;
use crate::time::Timestamp;

/// Names the decision on every answer, ours and the endpoint's.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-stillguard-request-id");
const ACTION: HeaderName = HeaderName::from_static("x-stillguard-action");
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// A refusal before an exchange has begun: by `net`, which knows neither verdict nor wait. It has
/// no `date`; the server that sends it adds one.
pub fn respond(dialect: &dyn Dialect, reason: Reason, reference: &str) -> Response<Full<Bytes>> {
    Refusal::from(reason).respond(dialect, reference, None)
}

/// Everything a refusal says.
#[derive(Debug)]
pub(super) struct Refusal {
    pub reason: Reason,
    scarce: Scarce,
    /// What is wrong with the request, where that can be told. Quotes nothing.
    detail: Option<String>,
    wait: Option<Wait>,
    link: Option<(String, Timestamp)>,
    /// The enforced action behind it.
    action: Option<Action>,
    /// Limits to be told beside it.
    told: Option<Box<Told>>,
}

impl Refusal {
    pub(super) fn malformed(detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..Self::from(Reason::Malformed) }
    }

    /// The body has two meanings; where it splits is told, so that an honest caller can mend it.
    pub(super) fn ambiguous(ambiguity: &Ambiguity) -> Self {
        Self { detail: Some(ambiguity.to_string()), ..Self::from(Reason::Ambiguous) }
    }

    /// The body is coded in a way that is not read; `codings` are.
    pub(super) fn unsupported(codings: &[Coding]) -> Self {
        let names: Vec<_> = codings.iter().map(|coding| coding.name()).collect();
        let read = match names.as_slice() {
            [] => String::new(),
            names => format!(", or once with one of: {}", names.join(", ")),
        };
        let detail = Some(format!("Send the request body without a content encoding{read}."));
        Self { detail, ..Self::from(Reason::UnsupportedEncoding) }
    }

    /// The body comes to more than it may, once it is decoded.
    pub(super) fn bomb() -> Self {
        let detail = Some("The decoded request body is too large.".to_owned());
        Self { detail, ..Self::from(Reason::TooLarge) }
    }

    /// More answers to one prompt are asked for than the `most` that are.
    pub(super) fn sweep(most: u32) -> Self {
        let detail =
            Some(format!("At most {most} answers to one prompt can be asked for at once."));
        Self { detail, ..Self::from(Reason::Sweep) }
    }

    /// Something comes back that was not issued to its caller; or, where it is `retired`, under a key
    /// that no longer holds, so that nobody can tell.
    pub(super) fn unbound(retired: bool) -> Self {
        let detail = "Invalid signature: it was issued too long ago to be checked. Send the \
            conversation without its thinking blocks or reasoning items, or begin a new one.";
        let detail = retired.then(|| detail.to_owned());
        Self { detail, ..Self::from(Reason::Unbound) }
    }

    pub(super) fn throttled(wait: Wait, scarce: Scarce) -> Self {
        let action = Some(Action::Throttle);
        Self { wait: Some(wait), scarce, action, ..Self::from(Reason::Throttled) }
    }

    /// A stream has used up what its account had left.
    pub(super) fn overrun() -> Self {
        let detail = "The output tokens of this account are used up: the answer was cut short.";
        let (detail, scarce) = (Some(detail.to_owned()), Scarce::Tokens);
        Self { detail, scarce, ..Self::from(Reason::Throttled) }
    }

    pub(super) fn dropped() -> Self {
        Self { action: Some(Action::Drop), ..Self::from(Reason::Dropped) }
    }

    /// `url` is where the challenge is answered, until `expires`.
    pub(super) fn challenged(url: String, expires: Timestamp) -> Self {
        let (link, action) = (Some((url, expires)), Some(Action::Challenge));
        Self { link, action, ..Self::from(Reason::Challenged) }
    }

    pub(super) fn telling(self, told: Option<Told>) -> Self {
        Self { told: told.map(Box::new), ..self }
    }

    pub(super) fn status(&self) -> StatusCode {
        status(self.reason)
    }

    pub(super) fn respond(
        &self,
        dialect: &dyn Dialect,
        reference: &str,
        now: Option<Timestamp>,
    ) -> Response<Full<Bytes>> {
        let message = self.message(reference);
        let worded = dialect.refuse(&self.wording(&message, reference));
        let status = self.status();
        let mut response = Response::new(Full::new(worded.body));
        *response.status_mut() = status;
        response.headers_mut().extend(worded.headers);
        self.mark(response.headers_mut(), reference);
        if let (Some(told), Some(now)) = (&self.told, now) {
            told.tell(dialect, now, true, response.headers_mut());
        }
        if let Some(date) = now.and_then(date) {
            response.headers_mut().insert(DATE, date);
        }
        response
    }

    /// The last frame of a running stream.
    pub(super) fn frame(&self, dialect: &dyn Dialect, framing: Framing, reference: &str) -> Bytes {
        let message = self.message(reference);
        dialect.break_framed(framing, &self.wording(&message, reference))
    }

    fn wording<'a>(&'a self, message: &'a str, reference: &'a str) -> Wording<'a> {
        let link = self.link.as_ref();
        let link = link.map(|(url, at)| Link { url, expires_at: at.as_millis() / 1000 });
        Wording {
            status: self.status().as_u16(),
            reason: self.reason,
            scarce: self.scarce,
            message,
            reference,
            link,
            retry_after: self.wait.map(|wait| wait.seconds),
        }
    }

    /// Adds what every client understands alike, whatever its dialect.
    fn mark(&self, headers: &mut HeaderMap, reference: &str) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Ok(reference) = HeaderValue::from_str(reference) {
            headers.insert(REQUEST_ID, reference);
        }
        if let Some(action) = self.action {
            headers.insert(ACTION, HeaderValue::from_static(action.name()));
        }
        if let Some(wait) = self.wait {
            headers.insert(RETRY_AFTER, wait.seconds.into());
            headers.insert(RETRY_AFTER_MS, wait.millis.into());
        } else if self.reason == Reason::Overloaded {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.is_final() {
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
    }

    /// Whether sending the request again is of no use. Said only where some client would retry.
    fn is_final(&self) -> bool {
        let too_long = self.wait.is_some_and(|wait| wait.too_long);
        too_long || self.reason == Reason::RequestTimeout || self.status() == StatusCode::FORBIDDEN
    }

    /// One line of ASCII: what to do first, the reference last.
    fn message(&self, reference: &str) -> String {
        let text = match (&self.link, &self.detail) {
            (Some((url, _)), _) => format!(
                "Verify this account to continue: {url} (or run: stillguard solve <link>). \
                 No client change is needed."
            ),
            (None, Some(detail)) => ascii(detail),
            (None, None) if self.scarce == Scarce::Tokens => TOO_MANY_TOKENS.to_owned(),
            (None, None) => sentence(self.reason).to_owned(),
        };
        let separator = if text.ends_with('.') { " " } else { ". " };
        format!("{text}{separator}Reference {reference}.")
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        let scarce = Scarce::default();
        Self { reason, scarce, detail: None, wait: None, link: None, action: None, told: None }
    }
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        Self::malformed(malformed.0)
    }
}

impl From<Unidentified> for Refusal {
    fn from(why: Unidentified) -> Self {
        Self::from(match why {
            Unidentified::TwoCredentials => Reason::TwoCredentials,
            Unidentified::MissingCredential => Reason::MissingCredential,
            Unidentified::NoTenant => Reason::NoTenant,
            Unidentified::BadCredential => Reason::BadCredential,
        })
    }
}

impl From<&UpstreamError> for Refusal {
    fn from(error: &UpstreamError) -> Self {
        Self::from(match error {
            UpstreamError::Unreachable(_) | UpstreamError::Broken(_) => Reason::UpstreamFailed,
            UpstreamError::Timeout(_) => Reason::UpstreamTimeout,
            UpstreamError::Body(_) => Reason::BadRequest,
            UpstreamError::Overloaded => Reason::Overloaded,
        })
    }
}

/// The only place that turns a reason into a status.
///
/// What must not be sent again is 403: the one refusal that every client shows at once and sends
/// once. Only what may be sent again is 429 or 5xx.
fn status(reason: Reason) -> StatusCode {
    match reason {
        Reason::Throttled => StatusCode::TOO_MANY_REQUESTS,
        Reason::Challenged | Reason::Dropped | Reason::Region => StatusCode::FORBIDDEN,
        Reason::Malformed
        | Reason::Sweep
        | Reason::Unbound
        | Reason::Ambiguous
        | Reason::BadRequest
        | Reason::TwoCredentials => StatusCode::BAD_REQUEST,
        Reason::MissingCredential | Reason::BadCredential => StatusCode::UNAUTHORIZED,
        Reason::NoTenant => StatusCode::NOT_FOUND,
        Reason::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Reason::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        Reason::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Reason::UriTooLong => StatusCode::URI_TOO_LONG,
        Reason::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Reason::UnsupportedEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Reason::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        Reason::UpstreamFailed => StatusCode::BAD_GATEWAY,
        Reason::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
    }
}

/// What the person who reads the exception is told: no guilt, no rule.
fn sentence(reason: Reason) -> &'static str {
    match reason {
        Reason::Throttled => "Too many requests for now. Please retry later.",
        Reason::Challenged => "Verify this account to continue.",
        Reason::Dropped => "This account can't be served. Its provider can tell more.",
        Reason::Region => "The service is not offered where this request comes from.",
        Reason::Malformed => "The request body can't be read.",
        Reason::Sweep => "Too many answers to one prompt are asked for.",
        Reason::Unbound => UNBOUND,
        Reason::Ambiguous => "The request body can be read in more than one way.",
        Reason::BadRequest => "The request is not valid HTTP or its body broke off.",
        Reason::MissingCredential => "No API key was sent.",
        Reason::BadCredential => "The API key or token is not valid.",
        Reason::TwoCredentials => "More than one API key was sent.",
        Reason::NoTenant => "Nothing is served at this address.",
        Reason::MethodNotAllowed => "This method is not allowed.",
        Reason::RequestTimeout => "The request body took too long to arrive.",
        Reason::TooLarge => "The request body is too large.",
        Reason::UriTooLong => "The request target is too long.",
        Reason::HeadersTooLarge => "The request headers are too large.",
        Reason::UnsupportedEncoding => "Send the request body without a content encoding.",
        Reason::Overloaded => "Too many requests are in progress. Please retry shortly.",
        Reason::UpstreamFailed => "The model endpoint can't be reached.",
        Reason::UpstreamTimeout => "The model endpoint did not answer in time.",
    }
}

const UNBOUND: &str = "Invalid signature: thinking blocks, reasoning items and the ids of tool calls \
    must come back as they were issued to this account.";

const TOO_MANY_TOKENS: &str = "Too many tokens for now. Please retry later.";

/// One line of printable ASCII: a header, a terminal and a JSON string all take it as it is.
fn ascii(text: &str) -> String {
    let plain = |c| if c == ' ' || char::is_ascii_graphic(&c) { c } else { '?' };
    let mut text: String = text.chars().map(plain).collect();
    // Rooms word their errors to be nested; here they begin the line.
    text.get_mut(..1).unwrap_or_default().make_ascii_uppercase();
    text
}

/// The `date` field: clients of some clouds set their clock by it.
pub(super) fn date(now: Timestamp) -> Option<HeaderValue> {
    let now = jiff::Timestamp::from_millisecond(i64::try_from(now.as_millis()).ok()?).ok()?;
    let text = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).ok()?;
    HeaderValue::try_from(text).ok()
}

#[cfg(test)]
mod tests;
