//! Why a request was refused, and the shape of a refusal in a caller's own words.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

/// Every reason stillguard refuses for. `guard::refusal` maps each to one status; each dialect to
/// its own error type. A caller is never told which signal spoke.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Reason {
    /// Over a configured limit, or slowed by score: may be tried again.
    Throttled,
    /// Must be verified first.
    Challenged,
    /// Refused for good until the account changes or an operator decides.
    Dropped,
    /// From where the service is not offered.
    Region,
    /// The body is not what the route promises.
    Malformed,
    /// More answers to one prompt than anybody reads.
    Sweep,
    /// It holds a seal of thinking, or the id of a call, that was not issued to its caller.
    Unbound,
    /// Two readers could read the body differently.
    Ambiguous,
    /// The wire-level request breaks HTTP.
    BadRequest,
    /// No credential, where policy asks for one.
    MissingCredential,
    /// A token whose signature, issuer or time is wrong.
    BadCredential,
    /// Two different credentials.
    TwoCredentials,
    /// No tenant answers to this request.
    NoTenant,
    MethodNotAllowed,
    /// The body did not arrive in time.
    RequestTimeout,
    TooLarge,
    UriTooLong,
    HeadersTooLarge,
    UnsupportedEncoding,
    /// Too many exchanges at once; may be tried again.
    Overloaded,
    /// The endpoint refused the connection or broke it before answering.
    UpstreamFailed,
    /// The endpoint did not answer in time.
    UpstreamTimeout,
}

/// What there was too much of, where a request is throttled.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Scarce {
    #[default]
    Requests,
    Tokens,
}

/// What a refusal must say.
#[derive(Clone, Copy, Debug)]
pub struct Wording<'a> {
    pub status: u16,
    pub reason: Reason,
    /// Of no matter but where the reason is [`Reason::Throttled`].
    pub scarce: Scarce,
    /// One line of ASCII for the person who reads the exception.
    pub message: &'a str,
    /// The decision id, e.g. `sg_7f3a9c21d0b4e655`.
    pub reference: &'a str,
    /// Where a challenge is answered.
    pub link: Option<Link<'a>>,
    /// Seconds after which the request may be sent again.
    pub retry_after: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    pub url: &'a str,
    /// Seconds since the epoch.
    pub expires_at: u64,
}

/// A refusal in a dialect: its body and the headers that belong to the dialect alone (content type
/// and request id). `retry-after`, `x-should-retry` and the decision id are added by the guard.
#[derive(Debug)]
pub struct Worded {
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Bytes,
}
