//! Ways to fail, chosen per request by the header `x-mock`.

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use tokio::net::TcpStream;

/// What goes wrong with one answer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Fault {
    #[default]
    None,
    /// `truncate`: the answer breaks off halfway, and the connection with it.
    Truncate,
    /// `reset`: the connection is reset before the answer's head.
    Reset,
    /// `hang`: no head ever comes.
    Hang,
    /// `stall`: the answer stops halfway and never goes on.
    Stall,
    /// `slow` or `slow=MS`: this long before every chunk, 200 ms if not said.
    Slow(Duration),
    /// `status=NNN`: an error in the dialect's own shape.
    Status(u16),
    /// `gzip`: the answer is gzip-coded, whatever the client accepts.
    Gzip,
    /// `big=N`: an answer of N bytes of text.
    Big(usize),
    /// `talkative`: thinks aloud and tells log probabilities, whether asked or not.
    Talkative,
    /// `redacted`: thinks, and encrypts it where the API does so.
    Redacted,
    /// `error-event`: a stream breaks off with the dialect's own error event.
    ErrorEvent,
}

/// Text no larger than this is made on request.
const BIGGEST: usize = 64 << 20;

impl Fault {
    /// Reads `x-mock`. Anything else in it is no fault.
    pub fn of(headers: &HeaderMap) -> Self {
        let value = headers.get("x-mock").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (name, amount) = value.split_once('=').unwrap_or((value, ""));
        let amount: Option<usize> = amount.trim().parse().ok();
        match (name.trim(), amount) {
            ("truncate", _) => Self::Truncate,
            ("reset", _) => Self::Reset,
            ("hang", _) => Self::Hang,
            ("stall", _) => Self::Stall,
            ("slow", millis) => Self::Slow(Duration::from_millis(millis.unwrap_or(200) as u64)),
            ("status", Some(code @ 400..600)) => Self::Status(code as u16),
            ("gzip", _) => Self::Gzip,
            ("big", Some(size)) => Self::Big(size.min(BIGGEST)),
            ("talkative", _) => Self::Talkative,
            ("redacted", _) => Self::Redacted,
            ("error-event", _) => Self::ErrorEvent,
            _ => Self::None,
        }
    }
}

/// A second handle on a connection's socket.
pub(super) struct Spare(Option<OwnedFd>);

impl Spare {
    pub(super) fn of(stream: &TcpStream) -> Self {
        Self(stream.as_fd().try_clone_to_owned().ok())
    }

    /// Closes with RST instead of FIN: unsent bytes are thrown away. The other handle must be gone.
    pub(super) fn reset(self) {
        if let Some(socket) = self.0.map(socket2::Socket::from) {
            let _ = socket.set_linger(Some(Duration::ZERO));
        }
    }
}

/// `plain` as one gzip member of stored blocks (RFC 1952, RFC 1951 section 3.2.4): valid, and not
/// smaller.
pub(super) fn gzip(plain: &[u8]) -> Bytes {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let mut blocks = plain.chunks(usize::from(u16::MAX)).peekable();
    if blocks.peek().is_none() {
        out.extend([1, 0, 0, 0xff, 0xff]);
    }
    while let Some(block) = blocks.next() {
        let len = block.len() as u16;
        out.push(u8::from(blocks.peek().is_none()));
        out.extend(len.to_le_bytes());
        out.extend((!len).to_le_bytes());
        // Writing into a Vec does not fail.
        let _ = out.write_all(block);
    }
    out.extend(crc32(plain).to_le_bytes());
    out.extend((plain.len() as u32).to_le_bytes());
    out.into()
}

/// Bitwise, about 100 MB/s: the mock's answers are small.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_crc32_is_the_published_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn faults_are_read_from_the_header_and_nonsense_is_none() {
        let fault = |text: &'static str| {
            let header = (http::HeaderName::from_static("x-mock"), text.parse().unwrap());
            Fault::of(&HeaderMap::from_iter([header]))
        };
        assert_eq!(fault("truncate"), Fault::Truncate);
        assert_eq!(fault("status=529"), Fault::Status(529));
        assert_eq!(fault("slow"), Fault::Slow(Duration::from_millis(200)));
        assert_eq!(fault("big=99"), Fault::Big(99));
        assert_eq!(fault("status=200"), Fault::None);
        assert_eq!(fault("big"), Fault::None);
    }
}
