//! What hyper keeps to itself about an HTTP/1.1 head: a length beside chunks, a target's fragment.
//!
//! Heads are followed as their bytes come in. Where the next one may begin at a byte that can't be
//! told from here (after chunks, in a pipeline), following ends for the rest of the connection.
//! Nothing is lost by it: hyper itself drops that length and closes after the answer, and never
//! forwards a fragment; it only is no refusal then.

use memchr::memchr;

/// How much of a field line is looked at: the longer name, and a length's digits.
const START: usize = 48;

#[derive(Debug)]
pub(super) struct Scan {
    at: At,
    start: [u8; START],
    /// Bytes of the current line so far, its end included.
    line: usize,
    fragment: bool,
    chunked: bool,
    length: Option<u64>,
    /// Bytes since the head's end.
    beyond: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum At {
    RequestLine,
    Fields,
    Body,
    Lost,
}

impl Scan {
    pub(super) fn new() -> Self {
        Self {
            at: At::RequestLine,
            start: [0; START],
            line: 0,
            fragment: false,
            chunked: false,
            length: None,
            beyond: 0,
        }
    }

    /// Takes in what was read. True when a head has just ended that must be refused.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> bool {
        while matches!(self.at, At::RequestLine | At::Fields) {
            let Some(end) = memchr(b'\n', bytes) else {
                self.take(bytes);
                return false;
            };
            self.take(&bytes[..end]);
            bytes = &bytes[end + 1..];
            self.end_line();
            if self.at == At::Body {
                let refused = self.fragment || (self.chunked && self.length.is_some());
                self.pass(bytes.len());
                return refused;
            }
        }
        self.pass(bytes.len());
        false
    }

    /// The exchange is over: what comes next is another head, if all of the body has come.
    pub(super) fn next(&mut self) {
        let whole = self.at == At::Body && self.beyond == self.length.unwrap_or(0);
        *self = Self { at: if whole { At::RequestLine } else { At::Lost }, ..Self::new() };
    }

    fn take(&mut self, bytes: &[u8]) {
        if self.at == At::RequestLine {
            self.fragment |= memchr(b'#', bytes).is_some();
        }
        let room = &mut self.start[self.line.min(START)..];
        let taken = room.len().min(bytes.len());
        room[..taken].copy_from_slice(&bytes[..taken]);
        self.line += bytes.len();
    }

    fn end_line(&mut self) {
        let line = &self.start[..std::mem::take(&mut self.line).min(START)];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match self.at {
            // hyper skips empty lines before a head.
            At::RequestLine if line.is_empty() => {}
            At::RequestLine => self.at = At::Fields,
            _ if line.is_empty() => self.at = At::Body,
            _ => {
                if let Some(value) = value(line, b"content-length:") {
                    let digits = str::from_utf8(value.trim_ascii()).unwrap_or_default();
                    // What is no number is refused by hyper.
                    self.length = Some(digits.parse().unwrap_or(u64::MAX));
                }
                self.chunked |= value(line, b"transfer-encoding:").is_some();
            }
        }
    }

    fn pass(&mut self, count: usize) {
        self.beyond = self.beyond.saturating_add(count as u64);
        if self.chunked || self.beyond > self.length.unwrap_or(0) {
            self.at = At::Lost;
        }
    }
}

fn value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, value) = line.split_at_checked(name.len())?;
    start.eq_ignore_ascii_case(name).then_some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOTH: &str = "POST / HTTP/1.1\r\nContent-Length: 3\r\nhost: a\r\n\
        TRANSFER-encoding: chunked\r\n\r\n0\r\n\r\n";
    const FRAGMENT: &str = "\r\nGET /a#b HTTP/1.1\r\nhost: a\r\n\r\n";
    const PLAIN: &str = "POST /a HTTP/1.1\r\nhost: a#b\r\ncontent-length: 3\r\n\r\n{#}";
    const CHUNKS: &str = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";

    fn refused(scan: &mut Scan, pieces: &[&str]) -> bool {
        pieces.iter().fold(false, |refused, piece| scan.feed(piece.as_bytes()) | refused)
    }

    proptest! {
        #[test]
        fn where_reads_begin_and_end_does_not_matter(cut in 0..55_usize) {
            for (text, expected) in [(BOTH, true), (FRAGMENT, true), (PLAIN, false), (CHUNKS, false)] {
                let (one, two) = text.split_at(cut.min(text.len()));
                prop_assert_eq!(refused(&mut Scan::new(), &[one, two]), expected, "{}", text);
            }
        }
    }

    #[test]
    fn every_head_of_a_kept_connection_is_followed() {
        let mut scan = Scan::new();
        for _ in 0..3 {
            assert!(!refused(&mut scan, &[PLAIN]));
            scan.next();
        }
        assert!(refused(&mut scan, &[BOTH]));
    }

    #[test]
    fn a_body_or_a_pipeline_is_never_taken_for_a_head() {
        for before in [
            format!("{PLAIN}GET / HT"),
            CHUNKS.to_owned(),
            "POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\n{".into(),
        ] {
            let mut scan = Scan::new();
            assert!(!refused(&mut scan, &[&before]));
            scan.next();
            assert!(!refused(&mut scan, &["TP/1.1\r\nx: #\r\n\r\n", FRAGMENT, BOTH]), "{before}");
        }
    }
}
