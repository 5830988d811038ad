//! Which HTTP is spoken, from the first bytes alone.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};

/// What every HTTP/2 connection begins with (RFC 9113 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// Reads into `seen` until it tells. The caller sets the deadline.
pub(super) async fn sniff<T: AsyncRead + Unpin>(
    io: &mut T,
    seen: &mut BytesMut,
) -> io::Result<Protocol> {
    loop {
        let compared = seen.len().min(PREFACE.len());
        if seen[..compared] != PREFACE[..compared] {
            return Ok(Protocol::Http1);
        }
        if compared == PREFACE.len() {
            return Ok(Protocol::Http2);
        }
        seen.reserve(1024);
        if io.read_buf(seen).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    /// One byte per read, as a trickling client sends them.
    async fn of(bytes: &'static [u8]) -> io::Result<Protocol> {
        let (mut client, mut server) = tokio::io::duplex(1);
        let sending = tokio::spawn(async move { client.write_all(bytes).await });
        let mut seen = BytesMut::new();
        let protocol = sniff(&mut server, &mut seen).await;
        assert!(bytes.starts_with(&seen), "nothing is lost");
        drop(server);
        let _cut_off = sending.await.unwrap();
        protocol
    }

    #[tokio::test]
    async fn the_first_byte_that_differs_tells() {
        assert_eq!(of(b"GET / HTTP/1.1\r\n").await.unwrap(), Protocol::Http1);
        assert_eq!(of(b"PRI * HTTP/1.1\r\n").await.unwrap(), Protocol::Http1);
        assert_eq!(of(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nxx").await.unwrap(), Protocol::Http2);
        assert!(of(b"PRI * HT").await.is_err());
        assert!(of(b"").await.is_err());
    }
}
