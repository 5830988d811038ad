//! AWS event streams: binary frames with lengths, headers and checksums.
//!
//! A frame is its length, the length of its headers, a CRC-32 of both, the headers, the payload and
//! a CRC-32 of all before it; integers are big-endian.

use super::frames::Piece;
use super::sse::Event;

/// Lengths and their checksum.
const PRELUDE: usize = 12;
/// The checksum at a frame's end.
const TRAILER: usize = 4;

/// Splits a stream of chunks into frames, whatever the chunk boundaries.
///
/// A frame becomes an [`Event`] named by its `:event-type` or `:exception-type`, or `error` if it
/// has neither but says that it is one. A frame that lies in one chunk is not copied.
#[derive(Debug, Default)]
pub struct Splitter {
    /// The beginning of a frame whose end has not come.
    held: Vec<u8>,
    /// Bytes still to be passed over.
    skip: usize,
    /// A prelude was wrong: nobody knows where the next frame begins.
    lost: bool,
    overflowed: bool,
}

impl Splitter {
    /// Longest frame in bytes; longer ones are passed over.
    pub const MAX_FRAME: usize = 1 << 20;

    /// Bytes of buffer that stay allocated between frames.
    const KEPT: usize = 16 << 10;

    /// Takes the next chunk and hands every frame it completes to `visit`.
    pub fn push(&mut self, chunk: &[u8], mut visit: impl FnMut(Event<'_>)) {
        let mut damaged = false;
        self.pieces(chunk, |piece| {
            if let Piece::Event(frame) = piece {
                damaged |= read(frame, &mut visit).is_none();
            }
        });
        self.overflowed |= damaged;
    }

    /// Takes the next chunk and hands over what is complete of the stream so far, byte for byte.
    pub fn pieces(&mut self, chunk: &[u8], mut visit: impl FnMut(Piece<'_>)) {
        let mut rest = chunk;
        while !rest.is_empty() {
            rest = if self.lost {
                visit(Piece::Between(rest));
                b""
            } else if self.skip > 0 {
                let (skipped, after) = rest.split_at(self.skip.min(rest.len()));
                self.skip -= skipped.len();
                visit(Piece::Between(skipped));
                after
            } else if self.held.is_empty() && rest.len() >= PRELUDE {
                self.take_in_place(rest, &mut visit)
            } else {
                self.go_on(rest, &mut visit)
            };
        }
    }

    /// Whether frames were passed over: longer than [`Splitter::MAX_FRAME`], or damaged.
    pub fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// What has come of a frame that does not come to its end.
    pub(super) fn take_held(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    /// Bytes that have come of a frame whose end has not; none if they are passed over.
    pub fn pending(&self) -> Option<usize> {
        (self.skip == 0 && !self.lost).then_some(self.held.len())
    }

    fn take_in_place<'c>(&mut self, rest: &'c [u8], visit: &mut impl FnMut(Piece<'_>)) -> &'c [u8] {
        let Some(length) = self.length(rest) else { return rest };
        if length > Self::MAX_FRAME {
            self.skip = length;
            return rest;
        }
        let Some((frame, after)) = rest.split_at_checked(length) else {
            self.held.extend_from_slice(rest);
            return b"";
        };
        visit(Piece::Event(frame));
        after
    }

    fn go_on<'c>(&mut self, rest: &'c [u8], visit: &mut impl FnMut(Piece<'_>)) -> &'c [u8] {
        let begun = self.held.len();
        let wanted = match lengths(&self.held) {
            Some(lengths) => lengths.whole,
            None => PRELUDE,
        };
        let (part, after) = rest.split_at(wanted.saturating_sub(begun).min(rest.len()));
        self.held.extend_from_slice(part);
        if self.held.len() < wanted {
            return after;
        }
        if begun < PRELUDE {
            self.check_held(visit);
            return after;
        }
        visit(Piece::Event(&self.held));
        self.held.clear();
        // One long frame must not weigh on the rest of a stream that may last for hours.
        self.held.shrink_to(Self::KEPT);
        after
    }

    /// Judges the held prelude. A frame that is too long is let go.
    fn check_held(&mut self, visit: &mut impl FnMut(Piece<'_>)) {
        let held = std::mem::take(&mut self.held);
        match self.length(&held) {
            Some(length) if length <= Self::MAX_FRAME => {
                self.held = held;
                return;
            }
            Some(length) => self.skip = length - held.len(),
            None => {}
        }
        visit(Piece::Between(&held));
    }

    /// Length of the frame that begins with `start`, which holds its prelude.
    fn length(&mut self, start: &[u8]) -> Option<usize> {
        let length = lengths(start).filter(Lengths::are_sound).map(|lengths| lengths.whole);
        self.lost = length.is_none();
        self.overflowed |= length.is_none_or(|length| length > Self::MAX_FRAME);
        length
    }
}

struct Lengths {
    whole: usize,
    headers: usize,
    intact: bool,
}

impl Lengths {
    fn are_sound(&self) -> bool {
        self.intact && self.whole.checked_sub(PRELUDE + TRAILER) >= Some(self.headers)
    }
}

fn lengths(start: &[u8]) -> Option<Lengths> {
    let (prelude, _) = start.split_at_checked(PRELUDE)?;
    let intact = crc32(&prelude[..8]) == number(&prelude[8..])?;
    let length = |at| number(start.get(at..)?)?.try_into().ok();
    Some(Lengths { whole: length(0)?, headers: length(4)?, intact })
}

fn number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().copied().map(u32::from_be_bytes)
}

/// Shows a whole frame whose prelude is sound; none if it is damaged.
fn read(frame: &[u8], visit: &mut impl FnMut(Event<'_>)) -> Option<()> {
    let (headers, payload) = opened(frame)?;
    let headers = Headers::read(headers)?;
    let name = headers.event.or(headers.exception).or_else(|| headers.is_error.then_some("error"));
    visit(Event { name, data: &String::from_utf8_lossy(payload) });
    Some(())
}

/// A sound frame's headers, as they are written, and its payload; none if it is damaged.
fn opened(frame: &[u8]) -> Option<(&[u8], &[u8])> {
    let (rest, trailer) = frame.split_at_checked(frame.len().checked_sub(TRAILER)?)?;
    if crc32(rest) != number(trailer)? {
        return None;
    }
    rest.get(PRELUDE..)?.split_at_checked(lengths(frame)?.headers)
}

/// The frame with another payload in place of the one that `change` is shown; none if it is damaged
/// or `change` has no other.
pub(super) fn with_payload(
    frame: &[u8],
    change: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
) -> Option<Vec<u8>> {
    let (headers, payload) = opened(frame)?;
    Some(sealed(headers, &change(payload)?))
}

#[derive(Default)]
struct Headers<'a> {
    event: Option<&'a str>,
    exception: Option<&'a str>,
    is_error: bool,
}

impl<'a> Headers<'a> {
    fn read(mut rest: &'a [u8]) -> Option<Self> {
        let mut headers = Self::default();
        while let Some((&length, after)) = rest.split_first() {
            let (name, after) = after.split_at_checked(length.into())?;
            let (&kind, after) = after.split_first()?;
            let (value, after) = value(kind, after)?;
            let text = std::str::from_utf8(value).ok();
            match name {
                b":event-type" => headers.event = text,
                b":exception-type" => headers.exception = text,
                b":message-type" => headers.is_error = value != b"event",
                _ => {}
            }
            rest = after;
        }
        Some(headers)
    }
}

/// A header's value of the type numbered `kind`, and what follows it.
fn value(kind: u8, rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match kind {
        0 | 1 => (0, rest),
        2 => (1, rest),
        3 => (2, rest),
        4 => (4, rest),
        5 | 8 => (8, rest),
        6 | TEXT => {
            let (length, rest) = rest.split_first_chunk()?;
            (u16::from_be_bytes(*length).into(), rest)
        }
        9 => (16, rest),
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// The type of a header's value that is text.
const TEXT: u8 = 7;

/// A frame with headers of text: names up to 255 bytes, values up to 65 535; longer ones are cut.
pub fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut lines = Vec::new();
    for (name, value) in headers {
        let (name, value) = (name.as_bytes(), value.as_bytes());
        let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
        lines.push(length);
        lines.extend_from_slice(&name[..length.into()]);
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        lines.push(TEXT);
        lines.extend_from_slice(&length.to_be_bytes());
        lines.extend_from_slice(&value[..length.into()]);
    }
    sealed(&lines, payload)
}

/// A frame with headers as they are written.
fn sealed(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let whole = PRELUDE + headers.len() + payload.len() + TRAILER;
    let mut out = Vec::with_capacity(whole);
    for length in [whole, headers.len()] {
        out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    }
    out.extend_from_slice(&crc32(&out).to_be_bytes());
    out.extend_from_slice(headers);
    out.extend_from_slice(payload);
    out.extend_from_slice(&crc32(&out).to_be_bytes());
    out
}

/// CRC-32 as gzip and Ethernet have it.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, &byte: &u8| TABLE[(crc as u8 ^ byte) as usize] ^ (crc >> 8);
    !bytes.iter().fold(!0, step)
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < table.len() {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { 0xEDB8_8320 ^ (crc >> 1) } else { crc >> 1 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
};

#[cfg(test)]
mod tests;
