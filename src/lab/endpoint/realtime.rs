//! OpenAI's realtime events over a websocket (RFC 6455): texts in, texts out.

use std::io;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::answer::Plan;
use super::body::Paced;
use super::{Fault, State};

/// Longest message taken.
const LARGEST: u64 = 1 << 20;

pub(super) fn speaks(path: &str) -> bool {
    path.ends_with("/realtime")
}

/// 101, then a session until the client closes.
pub(super) fn answer(
    mut request: Request<Incoming>,
    state: Arc<State>,
    serial: u64,
) -> Response<Paced> {
    let accept = accept(request.headers());
    let model = model(request.uri());
    let fault = Fault::of(request.headers());
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        if let Ok(connection) = upgraded.await {
            let mut session = Session { state, model, said: Vec::new(), serial, fault };
            // The client may leave whenever it likes.
            let _ = session.run(TokioIo::new(connection)).await;
        }
    });
    let mut answer = Response::new(Paced::stream(Vec::new(), std::time::Duration::ZERO));
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::try_from(accept) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    answer
}

/// Proof that the key was read (section 4.2.2).
fn accept(headers: &HeaderMap) -> String {
    const MAGIC: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    let key = headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes).unwrap_or_default();
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key, MAGIC].concat()))
}

fn model(uri: &Uri) -> String {
    let pairs = uri.query().unwrap_or_default().split('&');
    pairs.filter_map(|pair| pair.strip_prefix("model=")).next().unwrap_or_default().to_owned()
}

struct Session {
    state: Arc<State>,
    model: String,
    /// What has been said so far, as messages.
    said: Vec<Value>,
    serial: u64,
    fault: Fault,
}

impl Session {
    async fn run<T: AsyncRead + AsyncWrite + Unpin>(&mut self, mut client: T) -> io::Result<()> {
        let session = json!({"id": "sess_1", "object": "realtime.session", "type": "realtime", "model": self.model});
        send(&mut client, "session.created", json!({"session": session})).await?;
        loop {
            let (kind, payload) = receive(&mut client).await?;
            match kind {
                CLOSE => return client.write_all(&frame(CLOSE, &payload)).await,
                PING => client.write_all(&frame(PONG, &payload)).await?,
                TEXT => self.hear(&payload, &mut client).await?,
                _ => {}
            }
        }
    }

    async fn hear<T: AsyncWrite + Unpin>(&mut self, text: &[u8], client: &mut T) -> io::Result<()> {
        let event: Value = serde_json::from_slice(text).unwrap_or_default();
        match event["type"].as_str() {
            Some("conversation.item.create") => {
                let item = event["item"].clone();
                self.said.push(json!({"role": item["role"], "content": item["content"]}));
                send(client, "conversation.item.added", json!({"item": item})).await
            }
            Some("response.create") => self.respond(client).await,
            Some("session.update") => {
                send(client, "session.updated", json!({"session": event["session"]})).await
            }
            _ => {
                let error = json!({"type": "invalid_request_error", "code": null, "param": null,
                    "message": "An event of no known type."});
                send(client, "error", json!({"error": error})).await
            }
        }
    }

    async fn respond<T: AsyncWrite + Unpin>(&mut self, client: &mut T) -> io::Result<()> {
        let asked = json!({"model": self.model, "messages": self.said});
        self.serial += 1;
        let plan = Plan::new(&asked, self.fault, self.serial, &self.state.settings);
        let (id, item) = (plan.id("resp_", 0), plan.id("item_", 1));
        let response = |status: &str, output: Value, usage: Value| {
            json!({"response": {"id": id, "object": "realtime.response", "status": status,
                "status_details": null, "output": output, "usage": usage}})
        };
        send(client, "response.created", response("in_progress", json!([]), Value::Null)).await?;
        let place = |key: &str, value: Value| json!({"response_id": id, "item_id": item, "output_index": 0, "content_index": 0, key: value});
        let pause =
            if let Fault::Slow(pause) = self.fault { pause } else { self.state.settings.per_chunk };
        for piece in &plan.choices[0].text {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            send(client, "response.output_text.delta", place("delta", json!(piece))).await?;
        }
        let text = plan.choices[0].text.concat();
        send(client, "response.output_text.done", place("text", json!(text))).await?;
        let content = json!([{"type": "output_text", "text": text}]);
        self.said.push(json!({"role": "assistant", "content": content}));
        let output = json!([{"id": item, "object": "realtime.item", "type": "message",
            "status": "completed", "role": "assistant", "content": content}]);
        let (input, given) = (plan.input, plan.output());
        let usage = json!({"total_tokens": input + given, "input_tokens": input, "output_tokens": given,
            "input_token_details": {"text_tokens": input, "audio_tokens": 0, "cached_tokens": 0},
            "output_token_details": {"text_tokens": given, "audio_tokens": 0}});
        send(client, "response.done", response("completed", output, usage)).await
    }
}

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

async fn send<T: AsyncWrite + Unpin>(
    client: &mut T,
    kind: &str,
    mut event: Value,
) -> io::Result<()> {
    event["type"] = json!(kind);
    event["event_id"] = json!("event_1");
    client.write_all(&frame(TEXT, event.to_string().as_bytes())).await
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80 | kind];
    match payload.len() {
        short @ 0..126 => bytes.push(short as u8),
        middle if middle <= usize::from(u16::MAX) => {
            bytes.push(126);
            bytes.extend((middle as u16).to_be_bytes());
        }
        long => {
            bytes.push(127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(payload);
    bytes
}

/// The next frame. Clients' are masked, and the ones spoken to here send messages in one.
async fn receive<T: AsyncRead + Unpin>(client: &mut T) -> io::Result<(u8, Vec<u8>)> {
    let [first, second] = client.read_u16().await?.to_be_bytes();
    let length = match second & 0x7f {
        126 => client.read_u16().await?.into(),
        127 => client.read_u64().await?,
        short => short.into(),
    };
    if length > LARGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut mask = [0; 4];
    if second & 0x80 != 0 {
        client.read_exact(&mut mask).await?;
    }
    let mut payload = vec![0; length as usize];
    client.read_exact(&mut payload).await?;
    for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
    Ok((first & 0x0f, payload))
}
