//! The guard between two sockets: clients and endpoints that say and see exact bytes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::{Buf, BytesMut};
use stillguard::guard::respond;
use stillguard::net::upstream::{self, Endpoint, Endpoints, Url};
use stillguard::net::{self, Running};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::scene::Scene;

/// A message of either direction, read off the wire.
#[derive(Clone, Debug, Default)]
pub(super) struct Message {
    /// The first line, without its end.
    pub(super) start: String,
    /// Names in lower case, values as they came.
    pub(super) fields: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
    pub(super) trailers: Vec<(String, Vec<u8>)>,
}

impl Message {
    pub(super) fn field(&self, name: &str) -> Option<&[u8]> {
        let found = self.fields.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_slice())
    }
}

/// Bytes to write, and where to pause between writes.
#[derive(Clone, Debug, Default)]
pub(super) struct Writes {
    pub(super) bytes: Vec<u8>,
    /// Lengths of the writes; the last goes on for the rest.
    pub(super) cuts: Vec<usize>,
    pub(super) close: bool,
}

/// A proxy before an endpoint that gives one answer after the other.
pub(super) struct Wire {
    pub(super) proxy: SocketAddr,
    next: Arc<Mutex<Writes>>,
    seen: Arc<Mutex<Option<Message>>>,
    stop: CancellationToken,
    _running: Running,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Wire {
    pub(super) async fn before(scene: &Scene) -> Self {
        let endpoint = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", endpoint.local_addr().unwrap());
        let settings = upstream::Settings {
            endpoints: vec![Endpoint::from(Url::try_from(url).unwrap())],
            ..Default::default()
        };
        let listen = vec!["127.0.0.1:0".parse().unwrap()];
        let net = net::Settings { listen, workers: 1, ..Default::default() };
        let telemetry = Arc::clone(&scene.shared.telemetry);
        let stack = (scene.layer.clone(), Endpoints::new(settings, &telemetry).unwrap());
        let server = net::bind(net, telemetry, respond, stack).unwrap();
        let proxy = server.local_addr();
        let stop = CancellationToken::new();
        let (next, seen) = (Arc::default(), Arc::default());
        tokio::spawn(serve(endpoint, Arc::clone(&next), Arc::clone(&seen)));
        let running = server.start(stop.clone()).unwrap();
        Self { proxy, next, seen, stop, _running: running }
    }

    /// What the endpoint answers from now on.
    pub(super) fn answers(&self, answer: Writes) {
        *self.next.lock().unwrap() = answer;
    }

    /// Sends a request and has `answer` answered: what came through, there and back.
    pub(super) async fn exchange(&self, request: Writes, answer: Writes) -> (Message, Message) {
        self.answers(answer);
        let mut client = TcpStream::connect(self.proxy).await.unwrap();
        client.set_nodelay(true).unwrap();
        let (mut reading, mut writing) = client.split();
        let sent = async {
            write(&mut writing, &request).await;
            std::future::pending::<()>().await;
        };
        let answered = tokio::select! {
            answered = read(&mut reading, true) => answered.expect("an answer"),
            () = sent => unreachable!(),
        };
        (self.seen.lock().unwrap().take().unwrap_or_default(), answered)
    }
}

async fn serve(endpoint: TcpListener, next: Arc<Mutex<Writes>>, seen: Arc<Mutex<Option<Message>>>) {
    while let Ok((mut served, _)) = endpoint.accept().await {
        let (next, seen) = (Arc::clone(&next), Arc::clone(&seen));
        tokio::spawn(async move {
            served.set_nodelay(true).unwrap();
            while let Some(request) = read(&mut served, false).await {
                *seen.lock().unwrap() = Some(request);
                let answer = next.lock().unwrap().clone();
                write(&mut served, &answer).await;
                if answer.close {
                    break;
                }
            }
        });
    }
}

pub(super) async fn write<T: tokio::io::AsyncWrite + Unpin>(to: &mut T, what: &Writes) {
    let mut rest = &what.bytes[..];
    let mut cuts = what.cuts.iter();
    while !rest.is_empty() {
        let size = cuts.next().map_or(rest.len(), |&cut| cut.clamp(1, rest.len()));
        let (piece, after) = rest.split_at(size);
        // The other side may have gone: what it got is looked at elsewhere.
        if to.write_all(piece).await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
        rest = after;
    }
}

/// Reads one message; none at the end of the connection.
pub(super) async fn read<T: tokio::io::AsyncRead + Unpin>(
    from: &mut T,
    answer: bool,
) -> Option<Message> {
    let mut bytes = BytesMut::new();
    let mut message = Message { start: line(from, &mut bytes).await?, ..Message::default() };
    message.fields = fields(from, &mut bytes).await?;
    let chunked = message.field("transfer-encoding").is_some();
    let length = message
        .field("content-length")
        .map(|length| std::str::from_utf8(length).unwrap().parse::<usize>().unwrap());
    if chunked {
        loop {
            let size = line(from, &mut bytes).await?;
            let size = usize::from_str_radix(&size, 16).unwrap();
            if size == 0 {
                break;
            }
            message.body.extend(take(from, &mut bytes, size).await?);
            assert_eq!(line(from, &mut bytes).await?, "");
        }
        message.trailers = fields(from, &mut bytes).await?;
    } else if let Some(length) = length {
        message.body = take(from, &mut bytes, length).await?;
    } else if answer {
        while from.read_buf(&mut bytes).await.unwrap() > 0 {}
        message.body = bytes.to_vec();
    }
    Some(message)
}

async fn fields<T: tokio::io::AsyncRead + Unpin>(
    from: &mut T,
    bytes: &mut BytesMut,
) -> Option<Vec<(String, Vec<u8>)>> {
    let mut fields = Vec::new();
    loop {
        let line = raw_line(from, bytes).await?;
        if line.is_empty() {
            return Some(fields);
        }
        let colon = line.iter().position(|&byte| byte == b':').expect("a field");
        let name = std::str::from_utf8(&line[..colon]).unwrap().to_ascii_lowercase();
        fields.push((name, line[colon + 1..].trim_ascii().to_vec()));
    }
}

async fn line<T: tokio::io::AsyncRead + Unpin>(
    from: &mut T,
    bytes: &mut BytesMut,
) -> Option<String> {
    Some(String::from_utf8(raw_line(from, bytes).await?).unwrap())
}

async fn raw_line<T: tokio::io::AsyncRead + Unpin>(
    from: &mut T,
    bytes: &mut BytesMut,
) -> Option<Vec<u8>> {
    loop {
        if let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") {
            let line = bytes.split_to(end).to_vec();
            bytes.advance(2);
            return Some(line);
        }
        if from.read_buf(bytes).await.ok()? == 0 {
            return None;
        }
    }
}

async fn take<T: tokio::io::AsyncRead + Unpin>(
    from: &mut T,
    bytes: &mut BytesMut,
    count: usize,
) -> Option<Vec<u8>> {
    while bytes.len() < count {
        if from.read_buf(bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(bytes.split_to(count).to_vec())
}

/// A frame of AWS's event streams with headers of text.
pub(super) fn aws_frame(event: &str, payload: &[u8]) -> Vec<u8> {
    let mut lines = Vec::new();
    for (name, value) in [(":event-type", event), (":message-type", "event")] {
        lines.push(name.len() as u8);
        lines.extend_from_slice(name.as_bytes());
        lines.push(7);
        lines.extend_from_slice(&(value.len() as u16).to_be_bytes());
        lines.extend_from_slice(value.as_bytes());
    }
    let mut out = ((lines.len() + payload.len() + 16) as u32).to_be_bytes().to_vec();
    out.extend_from_slice(&(lines.len() as u32).to_be_bytes());
    out.extend_from_slice(&crc32(&out).to_be_bytes());
    out.extend_from_slice(&lines);
    out.extend_from_slice(payload);
    out.extend_from_slice(&crc32(&out).to_be_bytes());
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
}
