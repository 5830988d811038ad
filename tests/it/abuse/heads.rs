//! HTTP/1.1 heads: framing, hosts, targets, fields, upgrades.

use std::io::Write;
use std::net::TcpStream;

use super::stage::{MOMENT, PATIENCE, Stage, first, rest};

/// What must come of a case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Must {
    /// Answered with this status or closed; the endpoint sees nothing, and nothing more is read.
    Refuse(u16),
    /// The connection is closed without an answer.
    Close,
    /// Reaches the endpoint once, in one form.
    Serve,
    /// Reaches it once or not at all.
    Either,
}
use Must::{Close, Either, Refuse, Serve};

/// `/CASE` in the bytes becomes a target of the case's own.
pub(super) type Case = (&'static str, Vec<u8>, Must);

/// Sends every case on a connection of its own; returns what went wrong, a line each.
pub(super) fn run(stage: &Stage, cases: &[Case]) {
    let wrong: Vec<_> = cases
        .iter()
        .enumerate()
        .filter_map(|(number, case)| {
            judge(stage, number, case).err().map(|why| format!("{}: {why}", case.0))
        })
        .collect();
    let smuggled = stage.forwarded("smuggled");
    let faults = stage.faults();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert!(smuggled.is_empty() && faults.is_empty(), "{smuggled:#?}\n{faults:#?}");
    stage.serves();
}

fn judge(stage: &Stage, number: usize, (_, bytes, must): &Case) -> Result<(), String> {
    let own = format!("/case-{number}-");
    let bytes = replaced(bytes, b"/CASE", own.as_bytes());
    let (got, closed) = said(&mut stage.connect(), &bytes, *must);
    let forwarded = stage.forwarded(&own).len();
    let status = got.get(9..12).map(|code| String::from_utf8_lossy(code).into_owned());
    let answers =
        got.windows(9).filter(|start| start.starts_with(b"HTTP/1.") && start[8] == b' ').count();
    let fine = match must {
        Refuse(_) if got.is_empty() => closed && forwarded == 0,
        Refuse(code) => {
            closed && forwarded == 0 && status == Some(code.to_string()) && answers == 1
        }
        Close => closed && forwarded == 0 && got.is_empty(),
        Serve => forwarded == 1 && status.as_deref() == Some("200"),
        Either => forwarded <= 1,
    };
    let text = String::from_utf8_lossy(&got[..got.len().min(60)]).into_owned();
    fine.then_some(())
        .ok_or_else(|| format!("{must:?} but forwarded {forwarded}, closed {closed}, {text:?}"))
}

fn said(client: &mut TcpStream, bytes: &[u8], must: Must) -> (Vec<u8>, bool) {
    // A refusal may come, and the connection close, before all was read.
    let _ = client.write_all(bytes);
    let closes = bytes.windows(17).any(|line| line == b"connection: close");
    if closes || matches!(must, Refuse(_) | Close) {
        return rest(client, PATIENCE);
    }
    first(client);
    rest(client, MOMENT)
}

pub(super) fn replaced(bytes: &[u8], what: &[u8], by: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), bytes);
    while let Some(at) = rest.windows(what.len()).position(|part| part == what) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(by);
        rest = &rest[at + what.len()..];
    }
    out.extend_from_slice(rest);
    out
}

const SMUGGLED: &str = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n";

/// Lines of a head, one of which decides where the body ends, before a body with a request in it.
const FRAMING: &[(&str, &str, Must)] = &[
    ("CL.TE", "content-length: 6\r\ntransfer-encoding: chunked", Refuse(400)),
    ("TE.CL", "transfer-encoding: chunked\r\ncontent-length: 4", Refuse(400)),
    ("CL 0 and TE", "content-length: 0\r\ntransfer-encoding: chunked", Refuse(400)),
    ("TE twice", "transfer-encoding: chunked\r\ntransfer-encoding: chunked", Refuse(400)),
    ("TE twice, other first", "transfer-encoding: x\r\ntransfer-encoding: chunked", Refuse(400)),
    ("TE twice, other last", "transfer-encoding: chunked\r\ntransfer-encoding: x", Refuse(400)),
    ("TE twice, empty first", "transfer-encoding:\r\ntransfer-encoding: chunked", Refuse(400)),
    ("TE chunked, chunked", "transfer-encoding: chunked, chunked", Refuse(400)),
    ("TE identity", "transfer-encoding: identity", Refuse(400)),
    ("TE identity, chunked", "transfer-encoding: identity, chunked", Refuse(400)),
    ("TE chunked, identity", "transfer-encoding: chunked, identity", Refuse(400)),
    ("TE gzip, chunked", "transfer-encoding: gzip, chunked", Refuse(400)),
    ("TE ,chunked", "transfer-encoding: ,chunked", Refuse(400)),
    ("TE chunked,", "transfer-encoding: chunked,", Refuse(400)),
    ("TE xchunked", "transfer-encoding: xchunked", Refuse(400)),
    ("TE chunkedx", "transfer-encoding: chunkedx", Refuse(400)),
    ("TE chunked;q", "transfer-encoding: chunked;q=1", Refuse(400)),
    ("TE quoted", "transfer-encoding: \"chunked\"", Refuse(400)),
    ("TE apostrophes", "transfer-encoding: 'chunked'", Refuse(400)),
    ("TE empty", "transfer-encoding:", Refuse(400)),
    ("TE with space inside", "transfer-encoding: chun ked", Refuse(400)),
    ("TE with VT before", "transfer-encoding: \x0bchunked", Refuse(400)),
    ("TE with VT after", "transfer-encoding: chunked\x0b", Refuse(400)),
    ("TE with FF before", "transfer-encoding: \x0cchunked", Refuse(400)),
    ("TE with NUL", "transfer-encoding: chunked\0", Refuse(400)),
    ("TE with NUL before", "transfer-encoding: \0chunked", Refuse(400)),
    ("TE with CR", "transfer-encoding: chunked\rx", Refuse(400)),
    ("TE with a no-break space", "transfer-encoding: \u{a0}chunked", Refuse(400)),
    ("TE with DEL", "transfer-encoding: \x7fchunked", Refuse(400)),
    ("TE with BS", "transfer-encoding: \x08chunked", Refuse(400)),
    ("space before TE's colon", "transfer-encoding : chunked", Refuse(400)),
    ("tab before TE's colon", "transfer-encoding\t: chunked", Refuse(400)),
    ("VT before TE's colon", "transfer-encoding\x0b: chunked", Refuse(400)),
    ("NUL before TE's colon", "transfer-encoding\0: chunked", Refuse(400)),
    ("TE folded", "transfer-encoding:\r\n chunked", Refuse(400)),
    ("TE folded by a tab", "transfer-encoding:\r\n\tchunked", Refuse(400)),
    ("TE as another's fold", "x: y\r\n transfer-encoding: chunked", Refuse(400)),
    ("TE after a space, first", " transfer-encoding: chunked", Refuse(400)),
    ("TE after a bare LF", "x: y\ntransfer-encoding: chunked", Refuse(400)),
    ("TE after a bare CR", "x: y\rtransfer-encoding: chunked", Refuse(400)),
    ("TE after CR CR LF", "x: y\r\r\ntransfer-encoding: chunked", Refuse(400)),
    ("TE after NUL", "x: y\0transfer-encoding: chunked", Refuse(400)),
    ("TE with another line's colon", "transfer-encoding\r\n: chunked", Refuse(400)),
    ("TE with underscore, CL", "transfer_encoding: chunked\r\ncontent-length: 5", Either),
    ("TE in capitals", "TRANSFER-ENCODING: CHUNKED", Serve),
    ("TE with blanks about it", "transfer-encoding: \t chunked \t", Serve),
    ("CL twice, alike", "content-length: 5\r\ncontent-length: 5", Refuse(400)),
    ("CL twice, unlike", "content-length: 5\r\ncontent-length: 0", Refuse(400)),
    ("CL list", "content-length: 5, 5", Refuse(400)),
    ("CL list, unlike", "content-length: 5, 0", Refuse(400)),
    ("CL +", "content-length: +5", Refuse(400)),
    ("CL -", "content-length: -5", Refuse(400)),
    ("CL -0", "content-length: -0", Refuse(400)),
    ("CL hex", "content-length: 0x5", Refuse(400)),
    ("CL octal", "content-length: 005", Refuse(400)),
    ("CL 00", "content-length: 00", Refuse(400)),
    ("CL fraction", "content-length: 5.0", Refuse(400)),
    ("CL exponent", "content-length: 5e0", Refuse(400)),
    ("CL with underscore in digits", "content-length: 1_0", Refuse(400)),
    ("CL empty", "content-length:", Refuse(400)),
    ("CL blanks inside", "content-length: 5 5", Refuse(400)),
    ("CL then VT", "content-length: 5\x0b", Refuse(400)),
    ("CL wide digits", "content-length: \u{ff15}", Refuse(400)),
    ("CL 2^63", "content-length: 9223372036854775808", Refuse(400)),
    ("CL 2^64", "content-length: 18446744073709551616", Refuse(400)),
    ("CL 2^64 + 5", "content-length: 18446744073709551621", Refuse(400)),
    ("CL of forty digits", "content-length: 0000000000000000000000000000000000000005", Refuse(400)),
    (
        "CL behind blanks",
        "content-length:                                                 5",
        Refuse(400),
    ),
    (
        "CL before blanks",
        "content-length: 5                                                 ",
        Refuse(400),
    ),
    ("CL folded", "content-length:\r\n 5", Refuse(400)),
    ("CL after a bare LF", "x: y\ncontent-length: 5", Refuse(400)),
    ("space before CL's colon", "content-length : 5", Refuse(400)),
    ("CL named away", "connection: content-length\r\ncontent-length: 5", Either),
    ("host named away", "connection: host\r\ncontent-length: 0", Either),
    ("TE named away", "connection: transfer-encoding\r\ntransfer-encoding: chunked", Serve),
    ("an empty name", ": y", Refuse(400)),
    ("no colon", "transfer-encoding chunked", Refuse(400)),
    ("name with a space", "x y: z", Refuse(400)),
    ("name with a bracket", "x(y: z", Refuse(400)),
    ("name beyond ASCII", "tr\u{e4}nsfer: z", Refuse(400)),
    ("value with NUL", "x: y\0z", Refuse(400)),
    ("value with BEL", "x: y\x07z", Refuse(400)),
    ("value with ESC", "x: \x1b[31m", Refuse(400)),
    ("value folded", "x: y\r\n z", Refuse(400)),
];

fn framing() -> Vec<Case> {
    let case = |&(name, lines, must): &(&'static str, &str, Must)| {
        let head = format!("POST /CASE HTTP/1.1\r\nhost: a\r\n{lines}\r\n\r\n");
        (name, [head.as_bytes(), SMUGGLED.as_bytes()].concat(), must)
    };
    let of_1_0 = |&(name, lines, must): &(&'static str, &str, Must)| {
        let head = format!("POST /CASE HTTP/1.0\r\nhost: a\r\n{lines}\r\n\r\n{SMUGGLED}");
        (name, head.into_bytes(), must)
    };
    let refused = FRAMING.iter().filter(|(_, _, must)| *must == Refuse(400));
    FRAMING.iter().map(case).chain(refused.map(of_1_0)).collect()
}

#[test]
fn a_body_that_could_end_in_two_places_is_never_forwarded() {
    // What a served case has after its end is a request of its own, and not a smuggled one.
    let mut cases = framing();
    for (_, bytes, must) in &mut cases {
        if matches!(must, Serve | Either) {
            *bytes = replaced(bytes, b"GET /smuggled", b"GET /followed");
        }
    }
    run(&Stage::new(""), &cases);
}
