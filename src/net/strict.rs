//! What must hold of a request before anybody reads it: one meaning for every server behind.
//!
//! hyper has already refused bad lengths, bad tokens and `transfer-encoding` in HTTP/1.0. What it
//! hides of a head, `scan` has seen before.

use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, TE,
    TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery};
use http::{Method, Uri, Version};

use super::headers::rebuild;
use super::settings::Limits;
use crate::dialect::Reason;
use crate::identity::percent;

/// Cost of a field besides its bytes, as HTTP/2 counts it.
const FIELD_OVERHEAD: usize = 32;

/// Fields that decide who calls, where a body ends or which host is meant. They can neither be
/// named away by `connection` nor imitated with `_` or `.` in place of `-`.
const PROTECTED: &[&str] = &[
    "api-key",
    "authorization",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "forwarded",
    "host",
    "ocp-apim-subscription-key",
    "proxy-authorization",
    "transfer-encoding",
    "via",
    "x-api-key",
    "x-goog-api-key",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-real-ip",
];
const PROTECTED_PREFIXES: &[&str] = &["anthropic-", "openai-", "x-amz-", "x-forwarded-", OWN];
/// Only stillguard itself says these.
const OWN: &str = "x-stillguard-";

/// Refuses what could be read in two ways and brings the rest into one form: an origin-form
/// target, one `host` field, no field that poses as another.
pub(super) fn admit(head: &mut Parts, limits: &Limits) -> Result<(), Reason> {
    sizes(head, limits)?;
    method(&head.method)?;
    overrides(head)?;
    framing(head)?;
    let host = host(head)?;
    target(head)?;
    if let Some(host) = host {
        head.headers.insert(HOST, host);
    }
    if head.version == Version::HTTP_2 {
        join_cookies(&mut head.headers)?;
    }
    if head.headers.keys().any(|name| poses(name.as_str())) {
        rebuild(&mut head.headers, |name, _| !poses(name.as_str()));
    }
    Ok(())
}

/// Whether a field survives being named by `connection`.
pub(super) fn is_protected(name: &str) -> bool {
    PROTECTED.contains(&name) || PROTECTED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn sizes(head: &Parts, limits: &Limits) -> Result<(), Reason> {
    if head.method.as_str().len() > limits.max_method_bytes {
        return Err(Reason::BadRequest);
    }
    let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    let authority = head.uri.authority().map_or(0, |authority| authority.as_str().len());
    if target + authority > limits.max_target_bytes {
        return Err(Reason::UriTooLong);
    }
    let field = |(name, value): (&HeaderName, &HeaderValue)| {
        name.as_str().len() + value.len() + FIELD_OVERHEAD
    };
    let fields: usize = head.headers.iter().map(field).sum();
    if target + fields > limits.max_head_bytes {
        return Err(Reason::HeadersTooLarge);
    }
    Ok(())
}

/// No tunnel, no echo, and no `post` that some server takes for a POST.
fn method(method: &Method) -> Result<(), Reason> {
    let tunnels = [Method::CONNECT, Method::TRACE].contains(method);
    let small = method.as_str().bytes().any(|byte| byte.is_ascii_lowercase());
    if tunnels || small { Err(Reason::MethodNotAllowed) } else { Ok(()) }
}

/// Nothing that makes an endpoint take a request for another than its head says: Google's read the
/// method, fields, and the type of the body from the query, too.
fn overrides(head: &Parts) -> Result<(), Reason> {
    const FIELDS: [&str; 3] = ["x-http-method", "x-http-method-override", "x-method-override"];
    const PARAMETERS: [&[u8]; 3] = [b"$ct", b"$httpheaders", b"$httpmethod"];
    let query = head.uri.query().unwrap_or_default();
    let mut names = query.split(['&', ';']).map(|pair| pair.split('=').next().unwrap_or_default());
    let named = names.any(|name| {
        let name = percent(name.as_bytes());
        PARAMETERS.iter().any(|known| name.eq_ignore_ascii_case(known))
    });
    let told = FIELDS.iter().any(|name| head.headers.contains_key(*name));
    if named || told { Err(Reason::BadRequest) } else { Ok(()) }
}

fn framing(head: &Parts) -> Result<(), Reason> {
    let headers = &head.headers;
    if head.version == Version::HTTP_2 {
        let of_connection = [CONNECTION, TRANSFER_ENCODING, UPGRADE];
        let other = ["keep-alive", "proxy-connection"];
        let te = headers.get_all(TE).iter().all(|te| te.as_bytes() == b"trailers");
        let named = of_connection.iter().any(|name| headers.contains_key(name))
            || other.iter().any(|name| headers.contains_key(*name));
        return if named || !te { Err(Reason::BadRequest) } else { length(headers) };
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return length(headers) };
    let one = codings.next().is_none() && coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    if !one || head.version != Version::HTTP_11 || headers.contains_key(CONTENT_LENGTH) {
        return Err(Reason::BadRequest);
    }
    Ok(())
}

/// At most one length, in digits of which none is idle, below 2^63: what every server behind can
/// hold.
fn length(headers: &HeaderMap) -> Result<(), Reason> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else { return Ok(()) };
    let octal = length.len() > 1 && length.as_bytes().starts_with(b"0");
    let digits = !octal && length.as_bytes().iter().all(u8::is_ascii_digit);
    let value = length.to_str().ok().and_then(|text| text.parse::<i64>().ok());
    if lengths.next().is_some() || !digits || value.is_none() {
        return Err(Reason::BadRequest);
    }
    Ok(())
}

/// The one host that is meant. None only in HTTP/1.0.
fn host(head: &Parts) -> Result<Option<HeaderValue>, Reason> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let named = hosts.next();
    if hosts.next().is_some() || named.is_some_and(|host| !is_host(host.as_bytes())) {
        return Err(Reason::BadRequest);
    }
    let authority = head.uri.authority().map(Authority::as_str);
    if authority.is_some_and(|authority| !is_host(authority.as_bytes())) {
        return Err(Reason::BadRequest);
    }
    match (named, authority) {
        (Some(host), Some(authority))
            if !host.as_bytes().eq_ignore_ascii_case(authority.as_bytes()) =>
        {
            Err(Reason::BadRequest)
        }
        (Some(host), _) => Ok(Some(host.clone())),
        (None, Some(authority)) if head.version == Version::HTTP_2 => {
            HeaderValue::from_str(authority).map(Some).map_err(|_| Reason::BadRequest)
        }
        (None, None) if head.version == Version::HTTP_10 => Ok(None),
        (None, _) => Err(Reason::BadRequest),
    }
}

/// `name[:port]` or `[v6][:port]`: no user, path, query, percent or space.
fn is_host(host: &[u8]) -> bool {
    let (name, rest) = match host.strip_prefix(b"[") {
        Some(open) => {
            let Some(end) = memchr::memchr(b']', open) else { return false };
            let v6 = str::from_utf8(&open[..end]).ok().map(str::parse::<std::net::Ipv6Addr>);
            if !matches!(v6, Some(Ok(_))) {
                return false;
            }
            (&open[..end], &open[end + 1..])
        }
        None => host.split_at(memchr::memchr(b':', host).unwrap_or(host.len())),
    };
    let bracketed = host.first() == Some(&b'[');
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
    let named = bracketed || (!name.is_empty() && name.len() <= 255 && name.iter().all(plain));
    let port = match rest {
        [] => true,
        [b':', port @ ..] => {
            (1..=5).contains(&port.len())
                && port.iter().all(u8::is_ascii_digit)
                && str::from_utf8(port).is_ok_and(|port| port.parse::<u16>().is_ok())
        }
        _ => false,
    };
    named && port
}

/// Origin form only. An absolute form whose authority is the host's is brought into it; where a
/// request goes is up to the configuration either way.
fn target(head: &mut Parts) -> Result<(), Reason> {
    let uri = &head.uri;
    match (uri.scheme_str(), uri.authority()) {
        (Some("http" | "https"), Some(_)) => {}
        (None, None) => {}
        _ => return Err(Reason::BadRequest),
    }
    let target = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let asterisk = target == "*" && head.method == Method::OPTIONS;
    // Beyond ASCII some servers see bytes, some letters, and some nothing at all.
    if !target.is_ascii() || (!asterisk && !target.starts_with('/')) {
        return Err(Reason::BadRequest);
    }
    if uri.scheme().is_some() {
        let path = uri.path_and_query().cloned();
        head.uri = path.map_or_else(|| Uri::from_static("/"), Uri::from);
    }
    Ok(())
}

/// HTTP/2 may send cookies one by one; other protocols know one field (RFC 9113 8.2.3).
fn join_cookies(headers: &mut HeaderMap) -> Result<(), Reason> {
    let cookies: Vec<_> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if cookies.len() > 1 {
        let all = HeaderValue::from_bytes(&cookies.join(&b"; "[..]));
        headers.insert(COOKIE, all.map_err(|_| Reason::BadRequest)?);
    }
    Ok(())
}

/// Says what only stillguard says, or is spelled like a protected field to a server that takes
/// `_` or `.` for `-`.
fn poses(name: &str) -> bool {
    if name.starts_with(OWN) {
        return true;
    }
    name.contains(['_', '.']) && is_protected(&name.replace(['_', '.'], "-"))
}

#[cfg(test)]
#[path = "strict_tests.rs"]
mod tests;
