//! Request lines, hosts, upgrades and sizes of heads.

use super::heads::{Case, Must, run};
use super::stage::Stage;
use Must::{Close, Either, Refuse, Serve};

/// Whole heads, but for the empty line.
const LINES: &[(&str, &str, Must)] = &[
    ("two spaces before the target", "GET  /CASE HTTP/1.1\r\nhost: a", Refuse(400)),
    ("two spaces after the target", "GET /CASE  HTTP/1.1\r\nhost: a", Refuse(400)),
    ("a tab before the target", "GET\t/CASE HTTP/1.1\r\nhost: a", Refuse(400)),
    ("a tab after the target", "GET /CASE\tHTTP/1.1\r\nhost: a", Refuse(400)),
    ("a space at the end", "GET /CASE HTTP/1.1 \r\nhost: a", Refuse(400)),
    ("a space at the start", " GET /CASE HTTP/1.1\r\nhost: a", Refuse(400)),
    ("an empty line before", "\r\nGET /CASE HTTP/1.1\r\nhost: a", Serve),
    ("a bare LF before", "\nGET /CASE HTTP/1.1\r\nhost: a", Refuse(400)),
    ("bare LF all through", "GET /CASE HTTP/1.1\nhost: a\n", Refuse(400)),
    ("bare LF after the line", "GET /CASE HTTP/1.1\nhost: a", Refuse(400)),
    ("bare LF after a field", "GET /CASE HTTP/1.1\r\nhost: a\nx: y", Refuse(400)),
    ("bare CR after the line", "GET /CASE HTTP/1.1\rhost: a\r\nhost: a", Refuse(400)),
    ("bare CR in the target", "GET /CASE\rx HTTP/1.1\r\nhost: a", Refuse(400)),
    ("LF in the target", "GET /CASE\nx HTTP/1.1\r\nhost: a", Refuse(400)),
    ("NUL in the target", "GET /CASE\0 HTTP/1.1\r\nhost: a", Refuse(400)),
    ("DEL in the target", "GET /CASE\x7f HTTP/1.1\r\nhost: a", Refuse(400)),
    ("a space in the target", "GET /CASE x HTTP/1.1\r\nhost: a", Refuse(400)),
    ("a request in the target", "GET /CASE HTTP/1.1 /x HTTP/1.1\r\nhost: a", Refuse(400)),
    ("letters beyond ASCII in the target", "GET /CASE\u{e4} HTTP/1.1\r\nhost: a", Refuse(400)),
    ("a fragment", "GET /CASE#x HTTP/1.1\r\nhost: a", Refuse(400)),
    ("a fragment in a query", "GET /CASE?a#x HTTP/1.1\r\nhost: a", Refuse(400)),
    ("CR LF escaped in the target", "GET /CASE%0d%0ax:%20y HTTP/1.1\r\nhost: a", Serve),
    ("no slash", "GET CASE HTTP/1.1\r\nhost: a", Refuse(400)),
    ("a query alone", "GET ?x HTTP/1.1\r\nhost: a", Refuse(400)),
    ("an asterisk", "GET * HTTP/1.1\r\nhost: a", Refuse(400)),
    ("a port alone", "GET :80/CASE HTTP/1.1\r\nhost: a", Refuse(400)),
    ("a backslash", "GET \\CASE HTTP/1.1\r\nhost: a", Refuse(400)),
    ("authority form", "GET a:80 HTTP/1.1\r\nhost: a:80", Refuse(400)),
    ("CONNECT", "CONNECT a:80 HTTP/1.1\r\nhost: a:80", Refuse(405)),
    ("CONNECT to a path", "CONNECT /CASE HTTP/1.1\r\nhost: a", Refuse(405)),
    ("TRACE", "TRACE /CASE HTTP/1.1\r\nhost: a", Refuse(405)),
    ("absolute form", "GET http://a/CASE HTTP/1.1\r\nhost: a", Serve),
    ("absolute form, capitals", "GET HTTP://A/CASE HTTP/1.1\r\nhost: a", Serve),
    ("absolute form of another host", "GET http://b/CASE HTTP/1.1\r\nhost: a", Refuse(400)),
    ("absolute form of another port", "GET http://a:81/CASE HTTP/1.1\r\nhost: a", Refuse(400)),
    ("absolute form with a user", "GET http://u@a/CASE HTTP/1.1\r\nhost: a", Refuse(400)),
    ("absolute form without host", "GET http://a/CASE HTTP/1.1\r\nx: y", Refuse(400)),
    ("absolute form, empty host", "GET http:///CASE HTTP/1.1\r\nhost: a", Refuse(400)),
    ("absolute form of a file", "GET file:///CASE HTTP/1.1\r\nhost: a", Refuse(400)),
    ("absolute form of ftp", "GET ftp://a/CASE HTTP/1.1\r\nhost: a", Refuse(400)),
    ("a network path", "GET //b/CASE HTTP/1.1\r\nhost: a", Serve),
    ("no version", "GET /CASE", Close),
    ("no version, with fields", "GET /CASE\r\nhost: a", Close),
    ("version in small letters", "GET /CASE http/1.1\r\nhost: a", Close),
    ("version 1.2", "GET /CASE HTTP/1.2\r\nhost: a", Refuse(400)),
    ("version 1.10", "GET /CASE HTTP/1.10\r\nhost: a", Refuse(400)),
    ("version 01.1", "GET /CASE HTTP/01.1\r\nhost: a", Refuse(400)),
    ("version 1,1", "GET /CASE HTTP/1,1\r\nhost: a", Refuse(400)),
    ("version 2.0", "GET /CASE HTTP/2.0\r\nhost: a", Refuse(400)),
    ("version 3", "GET /CASE HTTP/3\r\nhost: a", Refuse(400)),
    ("version 0.9", "GET /CASE HTTP/0.9\r\nhost: a", Refuse(400)),
    ("version of another protocol", "GET /CASE RTSP/1.0\r\nhost: a", Close),
    ("the preface of HTTP/2, broken", "PRI * HTTP/2.0\r\n\r\nXX", Refuse(400)),
    ("a method in small letters", "get /CASE HTTP/1.1\r\nhost: a", Refuse(405)),
    ("a method with a bracket", "G(T /CASE HTTP/1.1\r\nhost: a", Refuse(400)),
    ("a method with a colon", "GET: /CASE HTTP/1.1\r\nhost: a", Refuse(400)),
    ("no method", "/CASE HTTP/1.1\r\nhost: a", Refuse(400)),
    (
        "a long method",
        "XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX /CASE HTTP/1.1\r\nhost: a",
        Refuse(400),
    ),
    ("no host", "GET /CASE HTTP/1.1\r\nx: y", Refuse(400)),
    ("no host in 1.0", "GET /CASE HTTP/1.0\r\nx: y", Serve),
    ("two hosts", "GET /CASE HTTP/1.1\r\nhost: a\r\nhost: b", Refuse(400)),
    ("two hosts alike", "GET /CASE HTTP/1.1\r\nhost: a\r\nhost: a", Refuse(400)),
    ("two hosts in 1.0", "GET /CASE HTTP/1.0\r\nhost: a\r\nhost: b", Refuse(400)),
    ("an empty host", "GET /CASE HTTP/1.1\r\nhost:", Refuse(400)),
    ("a host list", "GET /CASE HTTP/1.1\r\nhost: a, b", Refuse(400)),
    ("a host with a path", "GET /CASE HTTP/1.1\r\nhost: a/b", Refuse(400)),
    ("a host with a query", "GET /CASE HTTP/1.1\r\nhost: a?b", Refuse(400)),
    ("a host with a fragment", "GET /CASE HTTP/1.1\r\nhost: a#b", Refuse(400)),
    ("a host with a user", "GET /CASE HTTP/1.1\r\nhost: u@a", Refuse(400)),
    ("a host with a space", "GET /CASE HTTP/1.1\r\nhost: a b", Refuse(400)),
    ("a host with a backslash", "GET /CASE HTTP/1.1\r\nhost: a\\b", Refuse(400)),
    ("a host with percent", "GET /CASE HTTP/1.1\r\nhost: a%2fb", Refuse(400)),
    ("a host with no port after its colon", "GET /CASE HTTP/1.1\r\nhost: a:", Refuse(400)),
    ("a host with a wrong port", "GET /CASE HTTP/1.1\r\nhost: a:99999", Refuse(400)),
    ("a host with a port of letters", "GET /CASE HTTP/1.1\r\nhost: a:b", Refuse(400)),
    ("a host with an open bracket", "GET /CASE HTTP/1.1\r\nhost: [::1", Refuse(400)),
    ("a host of v6", "GET /CASE HTTP/1.1\r\nhost: [::1]:80", Serve),
    ("host with underscore beside host", "GET /CASE HTTP/1.1\r\nhost: a\r\nh_ost: b", Serve),
    ("space before host's colon", "GET /CASE HTTP/1.1\r\nhost : a", Refuse(400)),
    (
        "upgrade to h2c",
        "GET /CASE HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__",
        Serve,
    ),
    (
        "upgrade to h2c without its name",
        "GET /CASE HTTP/1.1\r\nhost: a\r\nupgrade: h2c\r\nhttp2-settings: AA",
        Serve,
    ),
    (
        "upgrade to websocket and h2c",
        "GET /CASE HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket, h2c",
        Serve,
    ),
    (
        "another method by a field",
        "GET /CASE HTTP/1.1\r\nhost: a\r\nX-HTTP-Method-Override: POST",
        Refuse(400),
    ),
    (
        "another method by its alias",
        "GET /CASE HTTP/1.1\r\nhost: a\r\nx_http_method_override: POST",
        Serve,
    ),
    ("another method by the query", "GET /CASE?$httpMethod=POST HTTP/1.1\r\nhost: a", Refuse(400)),
    (
        "another type by the query",
        "POST /CASE?a=b&%24C%54=text/plain HTTP/1.1\r\nhost: a\r\ncontent-length: 0",
        Refuse(400),
    ),
    ("fields by the query", "GET /CASE?%24httpHeaders=x HTTP/1.1\r\nhost: a", Refuse(400)),
    (
        "upgrade by a POST",
        "POST /CASE HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\ncontent-length: 0",
        Serve,
    ),
    (
        "upgrade in 1.0",
        "GET /CASE HTTP/1.0\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket",
        Serve,
    ),
    (
        "upgrade with a body",
        "GET /CASE HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\ntransfer-encoding: chunked\r\n\r\n0",
        Serve,
    ),
    ("expect 100 without body", "GET /CASE HTTP/1.1\r\nhost: a\r\nexpect: 100-continue", Serve),
    ("expect something else", "GET /CASE HTTP/1.1\r\nhost: a\r\nexpect: 200-ok", Either),
    (
        "own fields of the proxy",
        "GET /CASE HTTP/1.1\r\nhost: a\r\nx-stillguard-action: allow\r\nX_Stillguard_Action: allow",
        Serve,
    ),
    (
        "aliases of lengths",
        "GET /CASE HTTP/1.1\r\nhost: a\r\ncontent_length: 5\r\ntransfer.encoding: chunked",
        Serve,
    ),
    (
        "aliases of credentials",
        "GET /CASE HTTP/1.1\r\nhost: a\r\nauthorization_: x\r\nauthorization: Bearer k\r\nx_api_key: z\r\nx.api.key: z",
        Serve,
    ),
    (
        "every field of the hop",
        "GET /CASE HTTP/1.1\r\nhost: a\r\nconnection: keep-alive, x-a, te\r\nkeep-alive: 5\r\nte: trailers\r\nproxy-connection: x\r\nx-a: b\r\ntrailer: x",
        Serve,
    ),
];

#[test]
fn a_head_that_could_be_read_in_two_ways_is_never_forwarded() {
    let case = |&(name, head, must): &(&'static str, &str, Must)| {
        (name, format!("{head}\r\n\r\n").into_bytes(), must)
    };
    let mut cases: Vec<_> = LINES.iter().map(case).collect();
    cases.extend(long());
    run(&Stage::new(""), &cases);
}

fn long() -> Vec<Case> {
    let get = |target: &str, fields: &str| {
        format!("GET {target} HTTP/1.1\r\nhost: a\r\n{fields}\r\n").into_bytes()
    };
    let fields = |count: usize, bytes: usize| {
        (0..count).fold(String::new(), |all, n| all + &format!("x-{n}: {}\r\n", "y".repeat(bytes)))
    };
    let x = |bytes: usize| "x".repeat(bytes);
    vec![
        ("a target of 8 KiB and more", get(&format!("/CASE{}", x(8200)), ""), Refuse(414)),
        ("a target of 64 KiB", get(&format!("/CASE{}", x(64 << 10)), ""), Refuse(431)),
        ("a target of 1 MiB", get(&format!("/CASE{}", x(1 << 20)), ""), Refuse(431)),
        ("a value of 40 KiB", get("/CASE", &format!("x: {}\r\n", x(40 << 10))), Refuse(431)),
        ("a value of 1 MiB", get("/CASE", &format!("x: {}\r\n", x(1 << 20))), Refuse(431)),
        ("a name of 70 KiB", get("/CASE", &format!("{}: y\r\n", x(70 << 10))), Refuse(431)),
        ("90 fields", get("/CASE", &fields(90, 4)), Serve),
        ("101 fields", get("/CASE", &fields(101, 4)), Refuse(431)),
        ("5,000 fields", get("/CASE", &fields(5000, 4)), Refuse(431)),
        ("a hundred hosts", get("/CASE", &"host: a\r\n".repeat(90)), Refuse(400)),
        (
            "a method of 1 MiB",
            [x(1 << 20).as_bytes(), b" /CASE HTTP/1.1\r\nhost: a\r\n\r\n"].concat(),
            Refuse(431),
        ),
        (
            "a list of a thousand names",
            get("/CASE", &format!("connection: {}\r\n", "a,".repeat(1000))),
            Serve,
        ),
        ("empty lines without end", vec![b'\n'; 1 << 20], Refuse(431)),
        (
            "noise",
            (0..65_536_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect(),
            Refuse(400),
        ),
        (
            "the hello of TLS",
            [&b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"[..], &[7; 600]].concat(),
            Refuse(400),
        ),
        (
            "a preamble of PROXY",
            [&b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 80\r\n"[..], &get("/CASE", "")].concat(),
            Close,
        ),
        (
            "a binary preamble",
            [
                &b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\x0a\0\0\x01\x12\x67\0\x50"[..],
                &get("/CASE", ""),
            ]
            .concat(),
            Refuse(400),
        ),
    ]
}
