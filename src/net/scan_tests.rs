use proptest::prelude::*;

use super::*;

const BOTH: &str = "POST / HTTP/1.1\r\nContent-Length: 3\r\nhost: a\r\nTRANSFER-encoding: chunked\r\n\r\n\
    0\r\n\r\n";
const FRAGMENT: &str = "\r\nGET /a#b HTTP/1.1\r\nhost: a\r\n\r\n";
const PLAIN: &str = "POST /a HTTP/1.1\r\nhost: a#b\r\ncontent-length: 3\r\n\r\n{#}";
const CHUNKS: &str = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n\
    2;a=\"b\"\r\n{}\r\n0a\r\n0123456789\r\n0\r\nx: y\r\n\r\n";

const BROKEN: Found = Found::Broken { sound: 0, later: false };

fn head(line: &str) -> String {
    format!("POST / HTTP/1.1\r\nhost: a\r\n{line}\r\n\r\n")
}

fn chunks(rest: &str) -> String {
    head("transfer-encoding: chunked") + rest
}

/// What is wrong with the first read that has something wrong, and how much of all is sound.
fn found(pieces: &[&str]) -> (Found, usize) {
    let (mut scan, mut before) = (Scan::new(), 0);
    for piece in pieces {
        match scan.feed(piece.as_bytes(), scan.heads() == 0) {
            Found::Sound => before += piece.len(),
            Found::Doubtful => return (Found::Doubtful, 0),
            Found::Broken { sound, .. } => return (BROKEN, before + sound),
        }
    }
    (Found::Sound, before)
}

fn broken(text: &str, sound: &str) {
    for cut in 0..text.len() {
        let (one, two) = text.split_at(cut);
        assert_eq!(found(&[one, two]), (BROKEN, sound.len()), "{text:?} at {cut}");
    }
}

proptest! {
    #[test]
    fn where_reads_begin_and_end_does_not_matter(cut in 0..150_usize) {
        for (text, expected) in [
            (BOTH, Found::Doubtful),
            (FRAGMENT, Found::Doubtful),
            (PLAIN, Found::Sound),
            (CHUNKS, Found::Sound),
        ] {
            let (one, two) = text.split_at(cut.min(text.len()));
            prop_assert_eq!(found(&[one, two]).0, expected, "{}", text);
        }
    }

    #[test]
    fn no_bytes_confuse_it(
        begun in prop::sample::select(vec!["", "GET / HTTP/1.1\r\n", CHUNKS, BOTH, "x\n"]),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        cut in 0..200_usize,
    ) {
        let mut scan = Scan::new();
        scan.feed(begun.as_bytes(), true);
        let (one, two) = bytes.split_at(cut.min(bytes.len()));
        for part in [one, two] {
            if let Found::Broken { sound, .. } = scan.feed(part, true) {
                prop_assert!(sound < part.len());
            }
        }
    }
}

#[test]
fn every_request_of_a_connection_is_followed_whatever_its_body() {
    let before = [PLAIN, CHUNKS, PLAIN, CHUNKS].concat();
    for wrong in [BOTH, FRAGMENT, "GET / HTTP/1.1\n\r\n", "GET /\r\n"] {
        let text = [&before, wrong].concat();
        let (found, sound) = found(&[&text]);
        assert_eq!(found, BROKEN, "{wrong}");
        assert!((before.len()..text.len()).contains(&sound), "what came before is served");
    }
}

#[test]
fn what_hyper_would_mend_is_doubtful() {
    for text in [
        head("content-length: 2\r\ncontent-length: 2"),
        head("content-length: 2\r\nTransfer-Encoding:chunked"),
        "GET /a#b HTTP/1.1\r\nhost: a\r\n\r\n".into(),
        "GET / HTTP/1.1\nhost: a\r\n\r\n".into(),
        "GET / HTTP/1.1\r\nhost: a\n\r\n".into(),
        "GET / HTTP/1.1\r\nhost: a\r\n\n".into(),
        "\nGET / HTTP/1.1\r\nhost: a\r\n\r\n".into(),
    ] {
        assert_eq!(found(&[&text]).0, Found::Doubtful, "{text:?}");
    }
}

#[test]
fn what_no_chunk_may_hold_breaks_the_connection_where_it_stands() {
    for size in ["", "g", "0x2", "+2", " 2", "2 ", "2\t;a", "2;a\0", "2;a\x7f", "2;\x1b", "2_0"] {
        let text = chunks(&format!("{size}\r\n{{}}\r\n0\r\n\r\n"));
        assert_eq!(found(&[&text]).0, BROKEN, "{size:?}");
    }
    assert_eq!(found(&[&chunks("0\r\nx: y\n\r\n")]).0, BROKEN, "a trailer");
    for (sound, rest) in [
        ("2", "\n{}\r\n0\r\n\r\n"),
        ("2;a", "\n{}\r\n0\r\n\r\n"),
        ("2\r", "\r\n{}\r\n0\r\n\r\n"),
        ("2\r\n{}", "{}\r\n0\r\n\r\n"),
        ("2\r\n{}", "\n0\r\n\r\n"),
        ("2\r\n{}\r", "0\r\n\r\n"),
        ("000000000000000", "2\r\n{}\r\n0\r\n\r\n"),
        ("0\r\n", "\nGET / HTTP/1.1\r\n\r\n"),
    ] {
        broken(&chunks(&[sound, rest].concat()), &chunks(sound));
    }
}

#[test]
fn another_protocol_is_no_request() {
    for line in ["GET /", "INVALID CONNECTION PREFACE", "GET / http/1.1", "SSH-2.0-x", "GET / ICY"]
    {
        assert_eq!(found(&[line, "\r\n\r\n"]).0, BROKEN, "{line}");
    }
    let mut scan = Scan::new();
    scan.feed(b"GET / HTTP/1.1\r\nupgrade: websocket\r\n\r\n", true);
    scan.stop();
    assert_eq!(scan.feed(b"\x81\x05hello\n\0", false), Found::Sound);
}
