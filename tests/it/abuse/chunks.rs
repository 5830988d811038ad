//! Chunked bodies, on a route that is read and on one that is not.

use super::heads::{Case, Must, run};
use super::stage::Stage;
use Must::{Refuse, Serve};

/// A body's bytes. Where it is served, what it comes to is `{"prompt":"a"}` or nothing.
const BODIES: &[(&str, &str, Must)] = &[
    ("plain", "e\r\n{\"prompt\":\"a\"}\r\n0\r\n\r\n", Serve),
    ("capitals", "E\r\n{\"prompt\":\"a\"}\r\n0\r\n\r\n", Serve),
    ("zeros before", "000e\r\n{\"prompt\":\"a\"}\r\n000\r\n\r\n", Serve),
    ("an extension", "e;a=b\r\n{\"prompt\":\"a\"}\r\n0;c\r\n\r\n", Serve),
    ("a quoted extension", "e;a=\"b;c\"\r\n{\"prompt\":\"a\"}\r\n0\r\n\r\n", Serve),
    (
        "trailers",
        "e\r\n{\"prompt\":\"a\"}\r\n0\r\nhost: b\r\nauthorization: Bearer x\r\n\r\n",
        Serve,
    ),
    (
        "a trailer of framing",
        "e\r\n{\"prompt\":\"a\"}\r\n0\r\ntransfer-encoding: chunked\r\ncontent-length: 9\r\n\r\n",
        Serve,
    ),
    ("no size", "\r\n{\"prompt\":\"a\"}\r\n0\r\n\r\n", Refuse(400)),
    ("size 0x", "0xe\r\n{\"prompt\":\"a\"}\r\n0\r\n\r\n", Refuse(400)),
    ("size +", "+e\r\n{\"prompt\":\"a\"}\r\n0\r\n\r\n", Refuse(400)),
    ("size -", "-e\r\n{\"prompt\":\"a\"}\r\n0\r\n\r\n", Refuse(400)),
    ("size with underscore", "0_e\r\n{\"prompt\":\"a\"}\r\n0\r\n\r\n", Refuse(400)),
    ("size with a point", "e.0\r\n{\"prompt\":\"a\"}\r\n0\r\n\r\n", Refuse(400)),
    ("size with a letter", "eg\r\n{\"prompt\":\"a\"}\r\n0\r\n\r\n", Refuse(400)),
    ("size with a suffix", "eh\r\n{\"prompt\":\"a\"}\r\n0\r\n\r\n", Refuse(400)),
    ("space before the size", " e\r\n{\"prompt\":\"a\"}\r\n0\r\n\r\n", Refuse(400)),
    ("space after the size", "e \r\n{\"prompt\":\"a\"}\r\n0\r\n\r\n", Refuse(400)),
    ("tab after the size", "e\t\r\n{\"prompt\":\"a\"}\r\n0\r\n\r\n", Refuse(400)),
    ("space in the size", "0 e\r\n{\"prompt\":\"a\"}\r\n0\r\n\r\n", Refuse(400)),
    ("VT after the size", "e\x0b\r\n{\"prompt\":\"a\"}\r\n0\r\n\r\n", Refuse(400)),
    ("NUL after the size", "e\0\r\n{\"prompt\":\"a\"}\r\n0\r\n\r\n", Refuse(400)),
    ("quoted size", "\"e\"\r\n{\"prompt\":\"a\"}\r\n0\r\n\r\n", Refuse(400)),
    ("two sizes", "e,e\r\n{\"prompt\":\"a\"}\r\n0\r\n\r\n", Refuse(400)),
    ("2^64 + 14", "1000000000000000e\r\n{\"prompt\":\"a\"}\r\n0\r\n\r\n", Refuse(400)),
    ("2^64 - 1", "ffffffffffffffff\r\n{\"prompt\":\"a\"}\r\n0\r\n\r\n", Refuse(400)),
    ("2^63", "8000000000000000\r\n{\"prompt\":\"a\"}\r\n0\r\n\r\n", Refuse(400)),
    (
        "zeros without end",
        "0000000000000000000000000000000e\r\n{\"prompt\":\"a\"}\r\n0\r\n\r\n",
        Refuse(400),
    ),
    ("bare LF after the size", "e\n{\"prompt\":\"a\"}\r\n0\r\n\r\n", Refuse(400)),
    ("bare CR after the size", "e\r{\"prompt\":\"a\"}\r\n0\r\n\r\n", Refuse(400)),
    ("CR CR LF after the size", "e\r\r\n{\"prompt\":\"a\"}\r\n0\r\n\r\n", Refuse(400)),
    ("NUL in an extension", "e;a\0\r\n{\"prompt\":\"a\"}\r\n0\r\n\r\n", Refuse(400)),
    ("LF in an extension", "e;a\nb\r\n{\"prompt\":\"a\"}\r\n0\r\n\r\n", Refuse(400)),
    ("CR in an extension", "e;a\rb\r\n{\"prompt\":\"a\"}\r\n0\r\n\r\n", Refuse(400)),
    ("LF in a quoted extension", "e;a=\"\n\"\r\n{\"prompt\":\"a\"}\r\n0\r\n\r\n", Refuse(400)),
    ("DEL in an extension", "e;\x7f\r\n{\"prompt\":\"a\"}\r\n0\r\n\r\n", Refuse(400)),
    ("space before an extension", "e ;a\r\n{\"prompt\":\"a\"}\r\n0\r\n\r\n", Refuse(400)),
    ("more than the size", "d\r\n{\"prompt\":\"a\"}\r\n0\r\n\r\n", Refuse(400)),
    ("less than the size", "f\r\n{\"prompt\":\"a\"}\r\n0\r\n\r\n", Refuse(400)),
    ("no line end after data", "e\r\n{\"prompt\":\"a\"}0\r\n\r\n", Refuse(400)),
    ("two bytes for the line end", "e\r\n{\"prompt\":\"a\"}xx0\r\n\r\n", Refuse(400)),
    ("bare LF after data", "e\r\n{\"prompt\":\"a\"}\n0\r\n\r\n", Refuse(400)),
    ("bare CR after data", "e\r\n{\"prompt\":\"a\"}\r0\r\n\r\n", Refuse(400)),
    ("LF CR after data", "e\r\n{\"prompt\":\"a\"}\n\r0\r\n\r\n", Refuse(400)),
    ("a negative last chunk", "e\r\n{\"prompt\":\"a\"}\r\n-0\r\n\r\n", Refuse(400)),
    ("last chunk 0x0", "e\r\n{\"prompt\":\"a\"}\r\n0x0\r\n\r\n", Refuse(400)),
    (
        "a request for a trailer",
        "e\r\n{\"prompt\":\"a\"}\r\n0\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n",
        Refuse(400),
    ),
    ("bare LF after the last chunk", "e\r\n{\"prompt\":\"a\"}\r\n0\n\r\n", Refuse(400)),
    ("bare LF after a trailer", "e\r\n{\"prompt\":\"a\"}\r\n0\r\nx: y\n\r\n", Refuse(400)),
    ("bare LF at the end", "e\r\n{\"prompt\":\"a\"}\r\n0\r\n\n", Refuse(400)),
    ("NUL in a trailer", "e\r\n{\"prompt\":\"a\"}\r\n0\r\nx: \0\r\n\r\n", Refuse(400)),
    ("a trailer folded", "e\r\n{\"prompt\":\"a\"}\r\n0\r\nx: y\r\n z\r\n\r\n", Refuse(400)),
    ("a trailer without colon", "e\r\n{\"prompt\":\"a\"}\r\n0\r\nxy\r\n\r\n", Refuse(400)),
];

/// A body that breaks after its head was passed on is cut: the endpoint never sees its end.
fn cases(path: &str) -> Vec<Case> {
    let mut bodies: Vec<_> = BODIES
        .iter()
        .map(|&(name, body, must)| (name, body.to_owned(), must))
        .chain([
            ("an extension of 1 MiB", format!("e;{}\r\n", "a".repeat(1 << 20)), Refuse(400)),
            ("a trailer of 1 MiB", format!("0\r\nx: {}\r\n", "a".repeat(1 << 20)), Refuse(400)),
            ("100,000 trailers", format!("0\r\n{}\r\n", "x: y\r\n".repeat(100_000)), Refuse(400)),
            ("a size of 1 MiB", "0".repeat(1 << 20), Refuse(400)),
        ])
        .collect();
    bodies
        .drain(..)
        .map(|(name, body, must)| {
            let head = format!(
                "POST /CASE{path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
                 transfer-encoding: chunked\r\n\r\n"
            );
            let next = if must == Serve { "" } else { "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n" };
            (name, (head + &body + next).into_bytes(), must)
        })
        .collect()
}

#[test]
fn chunks_that_could_be_read_in_two_ways_are_never_forwarded() {
    run(&Stage::new(""), &cases("/v1/completions"));
}

#[test]
fn nor_are_they_where_a_body_is_passed_on_as_it_comes() {
    run(&Stage::new(""), &cases("/unread"));
}
