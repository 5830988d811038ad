//! The PROXY preamble, v1 and v2, with which a load balancer says whose connection it passes on.

use std::net::SocketAddr;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Ends the text form, which has at most 107 bytes.
const CRLF: &[u8] = b"\r\n";
const MAX_TEXT: usize = 107;
/// Signature, command, family and length of the binary form.
const BINARY_HEAD: usize = 16;
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Addresses and extensions of the binary form; more is not worth the memory.
const MAX_BINARY: usize = 4096;

#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("no PROXY preamble, or one that can't be read")]
    Malformed,
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Reads the preamble and no byte of what follows is lost: it stays in `seen`. None: the balancer
/// speaks for itself, as in a health check. The caller sets the deadline.
pub(super) async fn preamble<T: AsyncRead + Unpin>(
    io: &mut T,
    seen: &mut BytesMut,
) -> Result<Option<SocketAddr>, Broken> {
    loop {
        if let Some(length) = length(seen)? {
            let source = source(&seen[..length])?;
            seen.advance(length);
            return Ok(source);
        }
        seen.reserve(512);
        if io.read_buf(seen).await? == 0 {
            return Err(Broken::Malformed);
        }
    }
}

/// How long the preamble is, once that can be told and all of it is there.
fn length(seen: &[u8]) -> Result<Option<usize>, Broken> {
    let signed = seen.len().min(SIGNATURE.len());
    if signed > 0 && seen[..signed] == SIGNATURE[..signed] {
        let Some(head) = seen.get(..BINARY_HEAD) else { return Ok(None) };
        let rest = usize::from(u16::from_be_bytes([head[14], head[15]]));
        if rest > MAX_BINARY {
            return Err(Broken::Malformed);
        }
        return Ok(Some(BINARY_HEAD + rest).filter(|length| seen.len() >= *length));
    }
    let text = &seen[..seen.len().min(MAX_TEXT)];
    match memchr::memmem::find(text, CRLF) {
        Some(end) => Ok(Some(end + CRLF.len())),
        None if seen.len() >= MAX_TEXT || !b"PROXY ".starts_with(&seen[..seen.len().min(6)]) => {
            Err(Broken::Malformed)
        }
        None => Ok(None),
    }
}

fn source(preamble: &[u8]) -> Result<Option<SocketAddr>, Broken> {
    if preamble.starts_with(SIGNATURE) {
        let header = ppp::v2::Header::try_from(preamble).map_err(|_| Broken::Malformed)?;
        if header.command == ppp::v2::Command::Local {
            return Ok(None);
        }
        return Ok(match header.addresses {
            ppp::v2::Addresses::IPv4(of) => Some((of.source_address, of.source_port).into()),
            ppp::v2::Addresses::IPv6(of) => Some((of.source_address, of.source_port).into()),
            ppp::v2::Addresses::Unspecified | ppp::v2::Addresses::Unix(_) => None,
        });
    }
    let header = ppp::v1::Header::try_from(preamble).map_err(|_| Broken::Malformed)?;
    Ok(match header.addresses {
        ppp::v1::Addresses::Tcp4(of) => Some((of.source_address, of.source_port).into()),
        ppp::v1::Addresses::Tcp6(of) => Some((of.source_address, of.source_port).into()),
        ppp::v1::Addresses::Unknown => None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The source, and what is left for HTTP.
    async fn read(bytes: &[u8]) -> Result<(Option<SocketAddr>, Vec<u8>), Broken> {
        let mut seen = BytesMut::new();
        let mut rest = bytes;
        let source = preamble(&mut rest, &mut seen).await?;
        Ok((source, [&seen[..], rest].concat()))
    }

    fn binary(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[0x20 | command, family], &length, addresses, b"GET /"].concat()
    }

    #[tokio::test]
    async fn both_forms_name_the_client() {
        let (source, rest) = read(b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 80\r\nGET /").await.unwrap();
        assert_eq!((source, &rest[..]), ("192.0.2.7:4711".parse().ok(), &b"GET /"[..]));
        let (source, _) = read(b"PROXY TCP6 2001:db8::7 ::1 4711 80\r\nGET /").await.unwrap();
        assert_eq!(source, "[2001:db8::7]:4711".parse().ok());
        let v4 = binary(1, 0x11, &[192, 0, 2, 7, 10, 0, 0, 1, 0x12, 0x67, 0, 80]);
        let (source, rest) = read(&v4).await.unwrap();
        assert_eq!((source, &rest[..]), ("192.0.2.7:4711".parse().ok(), &b"GET /"[..]));
    }

    #[tokio::test]
    async fn a_balancer_may_speak_for_itself() {
        assert_eq!(read(b"PROXY UNKNOWN\r\nGET /").await.unwrap().0, None);
        assert_eq!(read(&binary(0, 0, &[])).await.unwrap().0, None);
    }

    #[tokio::test]
    async fn anything_else_is_broken() {
        let endless = [b"PROXY ".as_slice(), &[b'x'; 200]].concat();
        let huge = [SIGNATURE, &[0x21, 0x11, 0xff, 0xff]].concat();
        let cases: [&[u8]; 8] = [
            b"",
            b"GET / HTTP/1.1\r\n\r\n",
            b"PROXY TCP4 192.0.2.7 10.0.0.1 4711\r\n",
            b"PROXY TCP4 300.0.2.7 10.0.0.1 1 2\r\n",
            b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 80",
            &binary(1, 0x11, &[1, 2, 3]),
            &endless,
            &huge,
        ];
        for case in cases {
            assert!(read(case).await.is_err(), "{:?}", String::from_utf8_lossy(case));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64), signed: bool) {
            let bytes = if signed { [SIGNATURE, &bytes].concat() } else { bytes };
            let _ = futures_util::FutureExt::now_or_never(read(&bytes)).expect("never waits");
        }
    }
}
