//! HTTP/2 requests that would be two, or none, once they are HTTP/1.1.

use super::frames::{
    CONTINUATION, Client, DATA, END_HEADERS, END_STREAM, Fields, HEADERS, block, frame,
};
use super::heads::{Case, Must, replaced};
use super::stage::Stage;
use Must::{Either, Refuse, Serve};

/// What is put in place of a plain request's fields of the same name, or added, as all is whose name
/// begins with `+`. A value of `-` takes a field away.
const REQUESTS: &[(&str, Fields<'_>, Must)] = &[
    ("plain", &[], Serve),
    ("a host alike", &[(b"host", b"a")], Serve),
    ("host alone", &[(b":authority", b"-"), (b"host", b"a")], Serve),
    ("cookies", &[(b"cookie", b"a=b"), (b"+cookie", b"c=d")], Serve),
    ("te: trailers", &[(b"te", b"trailers")], Serve),
    ("another host", &[(b"host", b"b")], Refuse(400)),
    ("no authority and no host", &[(b":authority", b"-")], Refuse(400)),
    ("an authority with a user", &[(b":authority", b"u@a")], Refuse(400)),
    ("an authority with a path", &[(b":authority", b"a/b")], Refuse(400)),
    ("an authority with a space", &[(b":authority", b"a b")], Refuse(400)),
    ("an authority with CR LF", &[(b":authority", b"a\r\nx: y")], Refuse(400)),
    ("a capital in a name", &[(b"X-a", b"y")], Refuse(400)),
    ("a space in a name", &[(b"x y", b"z")], Refuse(400)),
    ("a colon in a name", &[(b"x: y", b"z")], Refuse(400)),
    ("CR LF in a name", &[(b"x: y\r\nz", b"z")], Refuse(400)),
    ("LF in a name", &[(b"x\ny", b"z")], Refuse(400)),
    ("NUL in a name", &[(b"x\0", b"z")], Refuse(400)),
    ("an empty name", &[(b"", b"z")], Refuse(400)),
    ("CR LF in a value", &[(b"x", b"y\r\nz: 1")], Refuse(400)),
    ("LF in a value", &[(b"x", b"y\nz: 1")], Refuse(400)),
    ("CR in a value", &[(b"x", b"y\rz: 1")], Refuse(400)),
    ("NUL in a value", &[(b"x", b"y\0")], Refuse(400)),
    ("a request in a value", &[(b"x", b"y\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a")], Refuse(400)),
    ("TE", &[(b"transfer-encoding", b"chunked")], Refuse(400)),
    (
        "TE and length",
        &[(b"transfer-encoding", b"chunked"), (b"content-length", b"0")],
        Refuse(400),
    ),
    ("TE with underscore", &[(b"transfer_encoding", b"chunked")], Serve),
    ("connection", &[(b"connection", b"close")], Refuse(400)),
    ("keep-alive", &[(b"keep-alive", b"5")], Refuse(400)),
    ("proxy-connection", &[(b"proxy-connection", b"x")], Refuse(400)),
    ("upgrade", &[(b"upgrade", b"websocket")], Refuse(400)),
    ("upgrade to h2c", &[(b"upgrade", b"h2c"), (b"http2-settings", b"AA")], Refuse(400)),
    ("http2-settings", &[(b"http2-settings", b"AA")], Serve),
    ("te: gzip", &[(b"te", b"gzip")], Refuse(400)),
    ("a space in the path", &[(b":path", b"/CASE HTTP/1.1\r\nx: y")], Refuse(400)),
    ("CR LF in the path", &[(b":path", b"/CASE\r\nx: y")], Refuse(400)),
    (
        "a request in the path",
        &[(b":path", b"/CASE HTTP/1.1\r\nhost: a\r\n\r\nGET /smuggled")],
        Refuse(400),
    ),
    ("an empty path", &[(b":path", b"")], Refuse(400)),
    ("no path", &[(b":path", b"-")], Refuse(400)),
    ("a path without slash", &[(b":path", b"CASE")], Refuse(400)),
    ("an asterisk", &[(b":path", b"*")], Refuse(400)),
    ("an absolute path", &[(b":path", b"http://b/CASE")], Refuse(400)),
    // Nobody sees it: h2 takes it away.
    ("a fragment", &[(b":path", b"/CASE#x")], Serve),
    ("two paths", &[(b"+:path", b"/x")], Refuse(400)),
    ("an empty method", &[(b":method", b"")], Refuse(400)),
    ("no method", &[(b":method", b"-")], Refuse(400)),
    (
        "a request in the method",
        &[(b":method", b"GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\nGET")],
        Refuse(400),
    ),
    ("a space in the method", &[(b":method", b"GET /x")], Refuse(400)),
    ("CONNECT", &[(b":method", b"CONNECT"), (b":path", b"-"), (b":scheme", b"-")], Refuse(405)),
    ("CONNECT with a path", &[(b":method", b"CONNECT")], Refuse(405)),
    (
        "CONNECT for a websocket",
        &[(b":method", b"CONNECT"), (b":protocol", b"websocket")],
        Refuse(400),
    ),
    ("TRACE", &[(b":method", b"TRACE")], Refuse(405)),
    ("no scheme", &[(b":scheme", b"-")], Refuse(400)),
    ("scheme of ftp", &[(b":scheme", b"ftp")], Refuse(400)),
    ("CR LF in the scheme", &[(b":scheme", b"http\r\nx: y")], Refuse(400)),
    (
        "a request in the scheme",
        &[(b":scheme", b"http://a/x HTTP/1.1\r\n\r\nGET /smuggled")],
        Refuse(400),
    ),
    ("an unknown pseudo-header", &[(b":x", b"y")], Refuse(400)),
    ("a status", &[(b":status", b"200")], Refuse(400)),
    ("two hosts", &[(b"host", b"a"), (b"+host", b"a")], Refuse(400)),
    ("a length with a plus", &[(b"content-length", b"+0")], Refuse(400)),
    ("a length of nothing", &[(b"content-length", b"")], Refuse(400)),
    ("a length that isn't there", &[(b"content-length", b"5")], Refuse(400)),
    ("two lengths", &[(b"content-length", b"0"), (b"+content-length", b"1")], Refuse(400)),
    ("a long value", &[(b"x", &[b'y'; 40_000])], Refuse(431)),
    ("expect", &[(b"expect", b"100-continue")], Serve),
    ("a trailer announced", &[(b"trailer", b"x")], Either),
];

fn plain<'f>() -> Vec<(&'f [u8], &'f [u8])> {
    vec![(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/CASE")]
}

/// Pseudo-headers come first, those nobody knows among them.
fn fields<'f>(changes: Fields<'f>) -> Vec<(&'f [u8], &'f [u8])> {
    let mut fields = plain();
    for &(name, value) in changes {
        let (added, name) = name.strip_prefix(b"+").map_or((false, name), |name| (true, name));
        fields.retain(|(own, _)| added || *own != name);
        if value != b"-" {
            fields.push((name, value));
        }
    }
    fields.sort_by_key(|(name, _)| !name.starts_with(b":"));
    fields
}

fn headers(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    let mut pieces = block.chunks(16_384).peekable();
    let mut out = Vec::new();
    let mut kind = HEADERS;
    while let Some(piece) = pieces.next() {
        let last = if pieces.peek().is_none() { END_HEADERS } else { 0 };
        let flags = if kind == HEADERS { flags | last } else { last };
        out.extend(frame(kind, flags, stream, piece));
        kind = CONTINUATION;
    }
    out
}

/// Frames of a request, and what must come of them.
fn cases() -> Vec<Case> {
    let mut cases: Vec<_> = REQUESTS
        .iter()
        .map(|&(name, changes, must)| {
            (name, headers(1, END_STREAM, &block(&fields(changes))), must)
        })
        .collect();
    cases.extend(bodies());
    cases.extend(broken());
    cases
}

fn bodies() -> Vec<Case> {
    let post = |changes| headers(1, 0, &block(&fields(changes)));
    let trailers = |fields| headers(1, END_STREAM, &block(fields));
    let data = |flags, payload: &[u8]| frame(DATA, flags, 1, payload);
    vec![
        (
            "more than its length",
            [post(&[(b"content-length", b"2")]), data(1, b"{} ")].concat(),
            Refuse(400),
        ),
        (
            "less than its length",
            [post(&[(b"content-length", b"9")]), data(1, b"{}")].concat(),
            Refuse(400),
        ),
        ("trailers", [post(&[]), data(0, b"{}"), trailers(&[(b"x", b"y")])].concat(), Serve),
        (
            "trailers of framing",
            [post(&[]), data(0, b"{}"), trailers(&[(b"content-length", b"5"), (b"host", b"b")])]
                .concat(),
            Serve,
        ),
        // h2 looks at no trailer's name, and none goes on.
        (
            "trailers with pseudo-headers",
            [post(&[]), data(0, b"{}"), trailers(&[(b":path", b"/smuggled")])].concat(),
            Serve,
        ),
        (
            "trailers with CR LF",
            [post(&[]), data(0, b"{}"), trailers(&[(b"x", b"y\r\n\r\nGET /smuggled")])].concat(),
            Refuse(400),
        ),
        (
            "trailers that don't end",
            [post(&[]), data(0, b"{}"), headers(1, 0, &block(&[(b"x", b"y")]))].concat(),
            Refuse(400),
        ),
        (
            "data that looks like a request",
            [post(&[]), data(1, b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n")].concat(),
            Serve,
        ),
        (
            "data after the end",
            [headers(1, END_STREAM, &block(&plain())), data(1, b"{}")].concat(),
            Either,
        ),
    ]
}

fn broken() -> Vec<Case> {
    vec![
        ("data before headers", frame(DATA, 1, 1, b"{}"), Refuse(400)),
        ("an even stream", frame(HEADERS, 5, 2, &block(&plain())), Refuse(400)),
        ("stream 0", frame(HEADERS, 5, 0, &block(&plain())), Refuse(400)),
        (
            "a path after a field",
            headers(
                1,
                END_STREAM,
                &block(&[
                    (b":method", b"GET"),
                    (b":scheme", b"http"),
                    (b"x", b"y"),
                    (b":path", b"/CASE"),
                ]),
            ),
            Refuse(400),
        ),
        ("a block cut short", headers(1, END_STREAM, &block(&plain())[..20]), Refuse(400)),
        ("an index that isn't there", headers(1, END_STREAM, &[0xff, 0x80, 0x01]), Refuse(400)),
        (
            "a length without end",
            headers(1, END_STREAM, &[0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
            Refuse(400),
        ),
        ("a frame that is too large", frame(DATA, 0, 1, &[0; 20_000]), Refuse(400)),
        ("200 fields", headers(1, END_STREAM, &many(200)), Either),
        ("5,000 fields", headers(1, END_STREAM, &many(5000)), Refuse(431)),
    ]
}

fn many(count: usize) -> Vec<u8> {
    let mut block = block(&plain());
    for n in 0..count {
        block.push(0);
        super::frames::string(&mut block, format!("x-{n}").as_bytes());
        super::frames::string(&mut block, b"y");
    }
    block
}

#[test]
fn a_stream_that_would_be_another_request_on_http1_is_never_forwarded() {
    let stage = Stage::new("");
    let mut wrong = Vec::new();
    for (number, (name, frames, must)) in cases().into_iter().enumerate() {
        // As long as what it stands for, so that lengths stay right.
        let own = format!("/{number:04}");
        let mut client = Client::new(&stage, 65_535);
        client.send(&replaced(&frames, b"/CASE", own.as_bytes()));
        let outcome = client.answer();
        let forwarded = stage.forwarded(&own).len();
        let fine = match must {
            Refuse(_) | Must::Close => outcome.served == 0 && forwarded == 0,
            Serve => outcome.served == 1 && forwarded == 1,
            Either => forwarded <= 1,
        };
        let answered = outcome != super::frames::Outcome::default();
        if !fine || !answered {
            wrong.push(format!("{name}: {must:?} but forwarded {forwarded}, {outcome:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        stage.faults().is_empty() && stage.forwarded("smuggled").is_empty(),
        "{:?}",
        stage.faults()
    );
    let cookies = stage.forwarded("/0003")[0].all("cookie").concat();
    assert_eq!(cookies, b"a=b; c=d");
    stage.serves();
}
