//! HTTP/2 frame by frame, without a library that would keep its rules.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::stage::{MOMENT, PATIENCE, Stage, rest};

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RESET: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// `:status: 200` of the static table.
const OK: u8 = 0x88;

pub(super) type Fields<'f> = &'f [(&'f [u8], &'f [u8])];

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header block of literals that enter no table.
pub(super) fn block(fields: Fields<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        for text in [name, value] {
            string(&mut out, text);
        }
    }
    out
}

/// A literal without Huffman's code, its length in seven bits and more.
pub(super) fn string(out: &mut Vec<u8>, text: &[u8]) {
    let mut length = text.len();
    if length < 127 {
        out.push(length as u8);
    } else {
        out.push(127);
        length -= 127;
        while length >= 128 {
            out.push(length as u8 | 0x80);
            length >>= 7;
        }
        out.push(length as u8);
    }
    out.extend_from_slice(text);
}

/// What a stream, or all of a connection, came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Outcome {
    pub(super) served: usize,
    pub(super) refused: usize,
    pub(super) resets: usize,
    pub(super) goaway: bool,
    pub(super) closed: bool,
}

pub(super) struct Client {
    pub(super) stream: TcpStream,
}

impl Client {
    /// Shaken hands with, at `window` bytes per stream.
    pub(super) fn new(stage: &Stage, window: u32) -> Self {
        let mut stream = stage.connect();
        let setting = [&[0, 4][..], &window.to_be_bytes()].concat();
        let hello =
            [PREFACE, &frame(SETTINGS, 0, 0, &setting), &frame(SETTINGS, 1, 0, &[])].concat();
        stream.write_all(&hello).unwrap();
        Self { stream }
    }

    /// False once the other side takes nothing more.
    pub(super) fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// All frames that come until something has come of the streams, and for a moment more.
    pub(super) fn answer(&mut self) -> Outcome {
        let (mut bytes, mut last) = (Vec::new(), Outcome::default());
        for _ in 0..PATIENCE.as_millis() / MOMENT.as_millis() {
            let (more, closed) = rest(&mut self.stream, MOMENT);
            bytes.extend(more);
            let told = last != Outcome::default();
            last = read(&bytes, closed);
            if told || closed {
                break;
            }
        }
        last
    }

    /// All frames that come until the other side closes, or is silent for `patience`.
    pub(super) fn outcome(&mut self, patience: Duration) -> Outcome {
        let (bytes, closed) = rest(&mut self.stream, patience);
        read(&bytes, closed)
    }

    /// Takes in what has come, so that the other side may go on.
    pub(super) fn drain(&mut self) {
        self.stream.set_nonblocking(true).unwrap();
        let mut space = [0; 64 << 10];
        while matches!(self.stream.read(&mut space), Ok(1..)) {}
        self.stream.set_nonblocking(false).unwrap();
    }
}

fn read(bytes: &[u8], closed: bool) -> Outcome {
    let mut outcome = Outcome { closed, ..Outcome::default() };
    let mut left = bytes;
    while let Some((head, after)) = left.split_at_checked(9) {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let Some((payload, after)) = after.split_at_checked(length) else { break };
        match head[3] {
            HEADERS if payload.first() == Some(&OK) => outcome.served += 1,
            HEADERS => outcome.refused += 1,
            RESET => outcome.resets += 1,
            GOAWAY => outcome.goaway = true,
            _ => {}
        }
        left = after;
    }
    outcome
}
