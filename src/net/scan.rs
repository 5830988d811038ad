//! What hyper keeps to itself about HTTP/1.1, or takes more kindly than others do.
//!
//! A connection's requests are followed as their bytes come in, heads, chunks and trailers alike, so
//! that it is known of each byte which head it belongs to. What hyper would mend in silence is refused:
//! a length beside chunks, a second length, a fragment, a line without its carriage return, control
//! characters or white space about a chunk's size. Everything else is left to hyper, which refuses more.

use memchr::memchr;

/// How much of a line is looked at: the longer name, and a length's digits.
const START: usize = 48;
/// `HTTP/1.1` and what ends the line.
const END: usize = 10;
/// Digits of a chunk's size: nobody has 2^60 bytes to send.
const MAX_DIGITS: usize = 15;

#[derive(Debug)]
pub(super) struct Scan {
    at: At,
    line: Line,
    head: Head,
    heads: u64,
}

/// What one read holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Found {
    Sound,
    /// The end of a head that must be refused.
    Doubtful,
    /// A byte that no request may hold. This many before it are sound. `later`: it is of a head, so
    /// that requests before it may be answered.
    Broken {
        sound: usize,
        later: bool,
    },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum At {
    RequestLine,
    Fields,
    Length(u64),
    Size {
        digits: usize,
        left: u64,
    },
    Extension(u64),
    SizeEnd(u64),
    Chunk(u64),
    ChunkCr,
    ChunkLf,
    Trailers,
    /// After a head that is refused.
    Refused,
    /// Another protocol.
    Beyond,
}

/// The current line so far.
#[derive(Clone, Copy, Debug)]
struct Line {
    start: [u8; START],
    end: [u8; END],
    bytes: usize,
    fragment: bool,
}

/// The current head so far.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    doubtful: bool,
    chunked: bool,
    length: Option<u64>,
}

impl Scan {
    pub(super) fn new() -> Self {
        Self { at: At::RequestLine, line: Line::new(), head: Head::default(), heads: 0 }
    }

    /// Heads that have ended and are passed on.
    pub(super) fn heads(&self) -> u64 {
        self.heads
    }

    /// From here on it is not HTTP.
    pub(super) fn stop(&mut self) {
        self.at = At::Beyond;
    }

    /// Takes in what was read. `next`: the head that ends first is the next to be answered, so that
    /// its answer may be a refusal. A later one, in a pipeline, breaks the connection instead.
    pub(super) fn feed(&mut self, bytes: &[u8], next: bool) -> Found {
        let (mut place, first) = (0, self.heads + 1);
        while place < bytes.len() && !matches!(self.at, At::Refused | At::Beyond) {
            let later = matches!(self.at, At::RequestLine | At::Fields);
            let Some(taken) = self.step(&bytes[place..]) else {
                self.at = At::Beyond;
                return Found::Broken { sound: place, later };
            };
            place += taken;
            if self.at == At::Refused {
                if next && self.heads == first {
                    return Found::Doubtful;
                }
                self.heads -= 1;
                return Found::Broken { sound: place - 1, later: true };
            }
        }
        Found::Sound
    }

    /// Takes at least one byte, unless it can't be answered.
    fn step(&mut self, bytes: &[u8]) -> Option<usize> {
        let first = *bytes.first()?;
        let mut taken = 1;
        self.at = match self.at {
            At::RequestLine | At::Fields | At::Trailers => {
                let end = memchr(b'\n', bytes).map(|end| end + 1);
                taken = end.unwrap_or(bytes.len());
                self.line.take(&bytes[..taken]);
                if end.is_some() { self.end_line()? } else { self.at }
            }
            At::Length(left) => {
                taken = within(left, bytes);
                after_body(left - taken as u64)
            }
            At::Size { digits, left } => after_size(first, digits, left)?,
            At::Extension(left) => match first {
                b'\r' => At::SizeEnd(left),
                b'\t' | b' '..=b'~' | 0x80.. => At::Extension(left),
                _ => return None,
            },
            At::SizeEnd(left) if first == b'\n' => match left {
                0 => At::Trailers,
                left => At::Chunk(left),
            },
            At::Chunk(left) => {
                taken = within(left, bytes);
                let left = left - taken as u64;
                if left == 0 { At::ChunkCr } else { At::Chunk(left) }
            }
            At::ChunkCr if first == b'\r' => At::ChunkLf,
            At::ChunkLf if first == b'\n' => At::Size { digits: 0, left: 0 },
            At::SizeEnd(_) | At::ChunkCr | At::ChunkLf => return None,
            At::Refused | At::Beyond => self.at,
        };
        Some(taken)
    }

    fn end_line(&mut self) -> Option<At> {
        let line = std::mem::replace(&mut self.line, Line::new());
        let whole = line.end.ends_with(b"\r\n");
        let empty = line.bytes <= 2 && (whole || line.bytes == 1);
        if self.at == At::Trailers {
            return whole.then_some(if empty { At::RequestLine } else { At::Trailers });
        }
        self.head.doubtful |= !whole;
        match (self.at, empty) {
            // hyper skips empty lines before a head.
            (At::RequestLine, true) => Some(At::RequestLine),
            (At::RequestLine, false) => {
                self.head.doubtful |= line.fragment;
                // Whoever speaks another protocol can't read a refusal in this one.
                line.names_http(whole).then_some(At::Fields)
            }
            (_, false) => {
                self.head.read(&line);
                Some(At::Fields)
            }
            (_, true) => Some(self.end_head()),
        }
    }

    fn end_head(&mut self) -> At {
        self.heads += 1;
        match std::mem::take(&mut self.head) {
            Head { doubtful: true, .. } | Head { chunked: true, length: Some(_), .. } => {
                At::Refused
            }
            Head { chunked: true, .. } => At::Size { digits: 0, left: 0 },
            Head { length, .. } => after_body(length.unwrap_or(0)),
        }
    }
}

fn after_body(left: u64) -> At {
    if left == 0 { At::RequestLine } else { At::Length(left) }
}

fn after_size(byte: u8, digits: usize, left: u64) -> Option<At> {
    let digit = char::from(byte).to_digit(16);
    match (digit, byte) {
        (Some(digit), _) if digits < MAX_DIGITS => {
            Some(At::Size { digits: digits + 1, left: left << 4 | u64::from(digit) })
        }
        (None, b'\r') if digits > 0 => Some(At::SizeEnd(left)),
        (None, b';') if digits > 0 => Some(At::Extension(left)),
        _ => None,
    }
}

fn within(left: u64, bytes: &[u8]) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len())
}

impl Line {
    fn new() -> Self {
        Self { start: [0; START], end: [0; END], bytes: 0, fragment: false }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.fragment |= memchr(b'#', bytes).is_some();
        let room = &mut self.start[self.bytes.min(START)..];
        let taken = room.len().min(bytes.len());
        room[..taken].copy_from_slice(&bytes[..taken]);
        let last = bytes.len().min(END);
        self.end.copy_within(last.., 0);
        self.end[END - last..].copy_from_slice(&bytes[bytes.len() - last..]);
        self.bytes += bytes.len();
    }

    fn start(&self) -> &[u8] {
        self.start[..self.bytes.min(START)].trim_ascii_end()
    }

    /// Whether a request line ends with a version of HTTP.
    fn names_http(&self, whole: bool) -> bool {
        let line = &self.end[..END - if whole { 2 } else { 1 }];
        line.windows(5).any(|name| name == b"HTTP/")
    }
}

impl Head {
    fn read(&mut self, line: &Line) {
        let start = line.start();
        if let Some(value) = value(start, b"content-length:") {
            let digits = str::from_utf8(value.trim_ascii()).unwrap_or_default();
            // Of a longer line the digits may be out of sight, and with them where the body ends.
            self.doubtful |= self.length.is_some() || line.bytes > START;
            // What is no number is refused by hyper.
            self.length = Some(digits.parse().unwrap_or(u64::MAX));
        }
        self.chunked |= value(start, b"transfer-encoding:").is_some();
    }
}

fn value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, value) = line.split_at_checked(name.len())?;
    start.eq_ignore_ascii_case(name).then_some(value)
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
