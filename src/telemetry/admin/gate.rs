//! Who may ask at all: every check that comes before a page.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::extract::State;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::AdminState;

/// For whatever an answer is taken as: not to be sniffed, framed, run or stored.
const HEADERS: [(HeaderName, HeaderValue); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
];

/// The address a connection came in on. A probe that names it, as Kubernetes' do, is let in: a page
/// can rebind a name, but not an address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Here(pub(super) IpAddr);

pub(super) async fn check(
    State(state): State<Arc<AdminState>>,
    request: Request<Body>,
    next: Next,
) -> Response {
    let mut answer = match objection(&request, &state.hosts) {
        Some(objection) => objection.into_response(),
        None => next.run(request).await,
    };
    answer.headers_mut().extend(HEADERS);
    answer
}

fn objection(request: &Request<Body>, hosts: &[String]) -> Option<(StatusCode, &'static str)> {
    let here = request.extensions().get::<Here>().copied();
    let own = || {
        let host = only(request.headers(), header::HOST)?;
        known(host, hosts, here).then_some(host)
    };
    if request.uri().authority().is_some() {
        return Some((StatusCode::BAD_REQUEST, "name a path, not a whole address\n"));
    }
    let Some(host) = own() else {
        return Some((StatusCode::FORBIDDEN, "this host name is not served here\n"));
    };
    if foreign(request.headers(), host) {
        return Some((StatusCode::FORBIDDEN, "other origins are not served here\n"));
    }
    let empty = request.body().is_end_stream();
    // The pages that read a body read a short one.
    let taken = [super::pages::ORDERS, super::pages::ATTRIBUTES];
    (!empty && !taken.contains(&request.uri().path()))
        .then_some((StatusCode::PAYLOAD_TOO_LARGE, "no body is read here\n"))
}

/// The header's value if it is there exactly once and is text.
pub(super) fn only(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// Whether `host`, with or without port, is loopback, one of ours or the address asked.
fn known(host: &str, hosts: &[String], here: Option<Here>) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    if host.contains('@') {
        return false;
    }
    let name = authority.host();
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let local = match name.parse::<IpAddr>() {
        Ok(ip) => ip.is_loopback() || here.is_some_and(|here| here.0.to_canonical() == ip),
        Err(_) => name.eq_ignore_ascii_case("localhost"),
    };
    local || hosts.iter().any(|ours| ours.eq_ignore_ascii_case(name))
}

/// Whether a browser says that another site asks.
fn foreign(headers: &HeaderMap, host: &str) -> bool {
    let other_origin = headers.get_all(header::ORIGIN).iter().any(|origin| {
        let origin = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://"));
        origin.is_none_or(|origin| !origin.eq_ignore_ascii_case(host))
    });
    let other_site = headers
        .get_all("sec-fetch-site")
        .iter()
        .any(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"));
    other_origin || other_site
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_configured_hosts_are_known_and_no_others() {
        let hosts = ["metrics.internal".to_owned(), "10.0.0.7".to_owned()];
        for host in [
            "localhost",
            "LOCALHOST:9464",
            "127.0.0.1:9464",
            "127.9.9.9",
            "[::1]:9464",
            "metrics.internal:80",
            "10.0.0.7:9464",
        ] {
            assert!(known(host, &hosts, None), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "localhost@evil.example",
            "evil.example@localhost",
            "10.0.0.8",
            "0.0.0.0",
            "[::]",
            "localhost:80:80",
            "localhost/",
        ] {
            assert!(!known(host, &hosts, None), "{host}");
        }
    }

    #[test]
    fn the_address_that_was_asked_is_known_by_itself() {
        let here = Some(Here("::ffff:10.0.0.9".parse().unwrap()));
        assert!(known("10.0.0.9:9464", &[], here));
        assert!(!known("10.0.0.8:9464", &[], here));
        assert!(!known("10.0.0.9.evil.example", &[], here));
    }
}
