//! Fields that belong to one hop, and fields that tell the next one about this (RFC 9110 7.6.1,
//! RFC 7239).

use std::net::IpAddr;

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{Method, Version};

use super::strict::is_protected;
use crate::identity::Peer;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

/// The hop before this one, as far as it may be believed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hop {
    pub(super) peer: Peer,
    /// Its forwarding fields are extended instead of replaced.
    pub(super) trusted: bool,
}

/// Whether the request asks for a websocket, and for nothing else, as only a GET of HTTP/1.1 without
/// a body may (RFC 6455 4.1): what a body is in front of a tunnel, no two servers agree on.
pub(super) fn asks_for_websocket(head: &Parts) -> bool {
    let headers = &head.headers;
    let bodiless = !headers.contains_key(TRANSFER_ENCODING)
        && headers.get_all(CONTENT_LENGTH).iter().all(|length| length == "0");
    if head.method != Method::GET || head.version != Version::HTTP_11 || !bodiless {
        return false;
    }
    let mut upgrades = headers.get_all(UPGRADE).iter();
    let one = upgrades.next().is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"));
    one && upgrades.next().is_none()
        && named_by_connection(headers).any(|name| name.eq_ignore_ascii_case("upgrade"))
}

/// Readies a request's fields for the endpoint. Order and duplicates are kept. Without a hop, what
/// is said about earlier ones is left as it is.
pub(super) fn to_endpoint(headers: &mut HeaderMap, hop: Option<Hop>, websocket: bool) {
    let named = names(headers);
    let stranger = hop.is_some_and(|hop| !hop.trusted);
    rebuild(headers, |name, _| {
        let of_hop = is_of_hop(name) || *name == TRAILER || *name == EXPECT;
        let forged = stranger && tells_of_hops(name);
        !(of_hop || forged || named.contains(name))
    });
    if websocket {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, WEBSOCKET);
    }
    if let Some(hop) = hop {
        introduce(headers, hop);
    }
}

/// Readies an answer's fields for the client. `switching`: a 101, whose upgrade is meant for it.
pub(super) fn to_client(headers: &mut HeaderMap, switching: bool) {
    if switching {
        return;
    }
    let named = names(headers);
    if headers.keys().any(|name| is_of_hop(name) || named.contains(name)) {
        rebuild(headers, |name, _| !is_of_hop(name) && !named.contains(name));
    }
}

/// Keeps some fields, all in their order; `HeaderMap::remove` would move the last one up.
pub(super) fn rebuild(
    headers: &mut HeaderMap,
    mut keep: impl FnMut(&HeaderName, &HeaderValue) -> bool,
) {
    let mut kept = HeaderMap::with_capacity(headers.len() + 4);
    for (name, value) in headers.iter().filter(|(name, value)| keep(name, value)) {
        kept.append(name.clone(), value.clone());
    }
    *headers = kept;
}

fn is_of_hop(name: &HeaderName) -> bool {
    const OF_HOP: [HeaderName; 9] = [
        CONNECTION,
        HTTP2_SETTINGS,
        KEEP_ALIVE,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        PROXY_CONNECTION,
        TE,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    OF_HOP.contains(name)
}

fn tells_of_hops(name: &HeaderName) -> bool {
    *name == FORWARDED || *name == X_REAL_IP || name.as_str().starts_with("x-forwarded-")
}

/// What `connection` names, but for what it must not take away. At most 100 lines come in.
fn names(headers: &HeaderMap) -> Vec<HeaderName> {
    let named = named_by_connection(headers).filter_map(|name| name.parse::<HeaderName>().ok());
    named.filter(|name| !is_protected(name.as_str())).collect()
}

fn named_by_connection(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(CONNECTION).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',').map(str::trim)).filter(|name| !name.is_empty())
}

fn introduce(headers: &mut HeaderMap, hop: Hop) {
    let address = hop.peer.address.ip();
    let proto = if hop.peer.tls { "https" } else { "http" };
    let host = headers.get(HOST).cloned();
    extend(headers, X_FORWARDED_FOR, &address.to_string());
    headers.entry(X_FORWARDED_PROTO).or_insert(HeaderValue::from_static(proto));
    let quoted = host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or_default();
    let element = match address {
        IpAddr::V4(v4) => format!("for={v4};host=\"{quoted}\";proto={proto}"),
        IpAddr::V6(v6) => format!("for=\"[{v6}]\";host=\"{quoted}\";proto={proto}"),
    };
    extend(headers, FORWARDED, &element);
    if let Some(host) = host {
        headers.entry(X_FORWARDED_HOST).or_insert(host);
    }
}

/// Adds one element at the end of a list, which becomes one line.
fn extend(headers: &mut HeaderMap, name: HeaderName, element: &str) {
    let mut list = Vec::new();
    for line in headers.get_all(&name) {
        list.extend_from_slice(line.as_bytes());
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(element.as_bytes());
    if let Ok(value) = HeaderValue::from_bytes(&list) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(list: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn hop(trusted: bool) -> Option<Hop> {
        let peer = Peer { address: "10.0.0.9:4711".parse().unwrap(), tls: true };
        Some(Hop { peer, trusted })
    }

    fn names_of(headers: &HeaderMap) -> Vec<&str> {
        headers.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn fields_of_the_hop_stay_behind_and_the_rest_keeps_its_order() {
        let mut headers = fields(&[
            ("host", "a"),
            ("connection", "keep-alive, x-mine"),
            ("keep-alive", "timeout=5"),
            ("x-mine", "1"),
            ("x-b", "1"),
            ("http2-settings", "AAMAAABk"),
            ("x-a", "1"),
            ("te", "trailers"),
            ("x-b", "2"),
        ]);
        to_endpoint(&mut headers, hop(true), false);
        assert_eq!(&names_of(&headers)[..4], ["host", "x-b", "x-b", "x-a"]);
        let values: Vec<_> = headers.get_all("x-b").iter().collect();
        assert_eq!(values, ["1", "2"]);
    }

    #[test]
    fn connection_can_not_name_a_credential_away() {
        let mut headers = fields(&[
            ("connection", "authorization, X-Api-Key, x-forwarded-for, Host"),
            ("host", "a"),
            ("authorization", "Bearer k"),
            ("x-api-key", "k"),
        ]);
        to_endpoint(&mut headers, hop(false), false);
        assert_eq!(headers["authorization"], "Bearer k");
        assert_eq!(headers["x-api-key"], "k");
        assert_eq!(headers["host"], "a");
        assert_eq!(headers["x-forwarded-for"], "10.0.0.9");
    }

    #[test]
    fn a_stranger_can_not_say_where_it_comes_from() {
        let list = [("host", "a"), ("x-forwarded-for", "1.1.1.1"), ("forwarded", "for=1.1.1.1")];
        let mut headers = fields(&list);
        headers.insert("x-real-ip", HeaderValue::from_static("1.1.1.1"));
        to_endpoint(&mut headers, hop(false), false);
        assert_eq!(headers["x-forwarded-for"], "10.0.0.9");
        assert_eq!(headers["forwarded"], "for=10.0.0.9;host=\"a\";proto=https");
        assert_eq!(headers["x-forwarded-proto"], "https");
        assert_eq!(headers["x-forwarded-host"], "a");
        assert!(!headers.contains_key("x-real-ip"));
    }

    #[test]
    fn a_trusted_hop_is_extended() {
        let mut headers = fields(&[
            ("host", "a"),
            ("x-forwarded-for", "1.1.1.1"),
            ("x-forwarded-for", "2.2.2.2"),
            ("x-forwarded-proto", "http"),
        ]);
        to_endpoint(&mut headers, hop(true), false);
        assert_eq!(headers["x-forwarded-for"], "1.1.1.1, 2.2.2.2, 10.0.0.9");
        assert_eq!(headers["x-forwarded-proto"], "http");
    }

    #[test]
    fn only_a_websocket_may_be_asked_for() {
        let ask = |to, named| {
            let mut head = http::Request::new(()).into_parts().0;
            head.headers = fields(&[("upgrade", to), ("connection", named)]);
            head
        };
        let plain = ask("WebSocket", "keep-alive, Upgrade");
        assert!(asks_for_websocket(&plain));
        for (to, named) in
            [("h2c", "upgrade"), ("websocket, h2c", "upgrade"), ("websocket", "keep-alive")]
        {
            assert!(!asks_for_websocket(&ask(to, named)));
        }
        let changes: [fn(&mut Parts); 4] = [
            |head| head.method = Method::POST,
            |head| head.version = Version::HTTP_10,
            |head| drop(head.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("5"))),
            |head| {
                drop(head.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked")))
            },
        ];
        for change in changes {
            let mut head = plain.clone();
            change(&mut head);
            assert!(!asks_for_websocket(&head), "{head:?}");
        }
        let mut headers = fields(&[("upgrade", "h2c"), ("connection", "upgrade"), ("host", "a")]);
        to_endpoint(&mut headers, hop(false), false);
        assert!(!headers.contains_key("upgrade") && !headers.contains_key("connection"));
    }

    #[test]
    fn an_answer_keeps_everything_but_the_hop() {
        let mut headers = fields(&[
            ("date", "Tue, 24 Nov 2026 00:00:00 GMT"),
            ("set-cookie", "a"),
            ("connection", "close, x-hop"),
            ("server", "vllm"),
            ("x-hop", "1"),
            ("set-cookie", "b"),
        ]);
        to_client(&mut headers, false);
        assert_eq!(names_of(&headers), ["date", "set-cookie", "set-cookie", "server"]);
    }
}
