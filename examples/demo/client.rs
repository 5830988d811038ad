//! A client as the SDKs are one: HTTP/1.1, keep-alive, both dialects, streamed and not.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use stillguard::lab::fleet::{Account, Style};
use stillguard::lab::material::{Answer, Call, ToolUse};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A whole exchange must be over within this.
const PATIENCE: Duration = Duration::from_secs(20);

/// One connection, opened when needed.
#[derive(Debug)]
pub(crate) struct Client {
    server: SocketAddr,
    /// Asked of the mock endpoint: see its faults.
    mock: &'static str,
    connection: Option<SendRequest<Full<Bytes>>>,
}

/// What became of one call.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) fate: Fate,
    /// The decision id, if there is one.
    pub(crate) decision: Option<String>,
}

#[derive(Debug)]
pub(crate) enum Fate {
    Served(Answer),
    /// 429: come back after so many milliseconds.
    Throttled(u64),
    /// 403 with a way to be verified.
    Challenged,
    /// 403 for good.
    Dropped,
    Failed,
}

impl Client {
    pub(crate) fn new(server: SocketAddr) -> Self {
        Self { server, mock: "", connection: None }
    }

    /// Answers come without the pauses of a model at work.
    pub(crate) fn unpaced(server: SocketAddr) -> Self {
        Self { mock: "slow=0", ..Self::new(server) }
    }

    /// Sends `call` once, with the key and from the address of `account`.
    pub(crate) async fn send(&mut self, account: &Account, call: &Call) -> Outcome {
        match timeout(PATIENCE, self.exchange(account, call)).await {
            Ok(Some(outcome)) => outcome,
            _ => {
                self.connection = None;
                Outcome { fate: Fate::Failed, decision: None }
            }
        }
    }

    async fn exchange(&mut self, account: &Account, call: &Call) -> Option<Outcome> {
        let request = request(account, call, self.mock)?;
        let answer = self.connected().await?.send_request(request).await.ok()?;
        let header = |name: &str| {
            answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let (status, action) = (answer.status().as_u16(), header("x-stillguard-action"));
        let decision = header("x-stillguard-request-id");
        let after = header("retry-after").and_then(|seconds| seconds.parse::<u64>().ok());
        let body = answer.into_body().collect().await.ok()?.to_bytes();
        let fate = match (status, action.as_deref()) {
            (200, _) => Fate::Served(read(account.style, call.stream, &body)?),
            (429, _) => Fate::Throttled(after.unwrap_or(1) * 1_000),
            (403, Some("challenge")) => Fate::Challenged,
            (403, _) => Fate::Dropped,
            _ => Fate::Failed,
        };
        Some(Outcome { fate, decision })
    }

    async fn connected(&mut self) -> Option<&mut SendRequest<Full<Bytes>>> {
        let usable = match &mut self.connection {
            Some(connection) => connection.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            let stream = TcpStream::connect(self.server).await.ok()?;
            stream.set_nodelay(true).ok()?;
            let (send, connection) = handshake(TokioIo::new(stream)).await.ok()?;
            tokio::spawn(connection);
            self.connection = Some(send);
        }
        self.connection.as_mut()
    }
}

fn request(account: &Account, call: &Call, mock: &str) -> Option<http::Request<Full<Bytes>>> {
    let body = match account.style {
        Style::OpenaiChat => call.openai(),
        Style::AnthropicMessages => call.anthropic(),
    };
    let request = http::Request::post(account.style.path())
        .header("host", "inference.example")
        .header("content-type", "application/json")
        .header("user-agent", account.user_agent)
        .header("x-mock", mock)
        .header("x-forwarded-for", account.address.to_string());
    let request = match account.style {
        Style::OpenaiChat => request.header("authorization", format!("Bearer {}", account.key)),
        Style::AnthropicMessages => {
            request.header("x-api-key", &account.key).header("anthropic-version", "2023-06-01")
        }
    };
    request.body(Full::from(body.to_string())).ok()
}

fn read(style: Style, stream: bool, body: &Bytes) -> Option<Answer> {
    if !stream {
        let whole: Value = serde_json::from_slice(body).ok()?;
        return Some(match style {
            Style::OpenaiChat => openai(&whole["choices"][0]["message"]),
            Style::AnthropicMessages => anthropic(&whole["content"]),
        });
    }
    let text = std::str::from_utf8(body).ok()?;
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let events = data.filter_map(|data| serde_json::from_str(data).ok());
    Some(match style {
        Style::OpenaiChat => events.fold(Answer::default(), openai_event),
        Style::AnthropicMessages => events.fold(Answer::default(), anthropic_event),
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn openai(message: &Value) -> Answer {
    let calls = message["tool_calls"].as_array().into_iter().flatten();
    let calls = calls.map(|call| ToolUse {
        id: text(&call["id"]),
        name: text(&call["function"]["name"]),
        arguments: text(&call["function"]["arguments"]),
    });
    Answer { text: text(&message["content"]), calls: calls.collect(), thinking: None }
}

fn anthropic(content: &Value) -> Answer {
    let mut answer = Answer::default();
    for block in content.as_array().into_iter().flatten() {
        match block["type"].as_str() {
            Some("text") => answer.text.push_str(&text(&block["text"])),
            Some("thinking") => {
                answer.thinking = Some((text(&block["thinking"]), text(&block["signature"])));
            }
            Some("tool_use") => answer.calls.push(ToolUse {
                id: text(&block["id"]),
                name: text(&block["name"]),
                arguments: block["input"].to_string(),
            }),
            _ => {}
        }
    }
    answer
}

fn openai_event(mut answer: Answer, event: Value) -> Answer {
    let delta = &event["choices"][0]["delta"];
    answer.text.push_str(delta["content"].as_str().unwrap_or_default());
    for piece in delta["tool_calls"].as_array().into_iter().flatten() {
        if let Some(id) = piece["id"].as_str() {
            let name = text(&piece["function"]["name"]);
            answer.calls.push(ToolUse { id: id.to_owned(), name, arguments: String::new() });
        }
        if let Some(call) = answer.calls.last_mut() {
            call.arguments.push_str(piece["function"]["arguments"].as_str().unwrap_or_default());
        }
    }
    answer
}

fn anthropic_event(mut answer: Answer, event: Value) -> Answer {
    let (block, delta) = (&event["content_block"], &event["delta"]);
    if block["type"] == "tool_use" {
        let (id, name) = (text(&block["id"]), text(&block["name"]));
        answer.calls.push(ToolUse { id, name, arguments: String::new() });
    }
    match delta["type"].as_str() {
        Some("text_delta") => answer.text.push_str(delta["text"].as_str().unwrap_or_default()),
        Some("thinking_delta") => {
            let thinking = answer.thinking.get_or_insert_default();
            thinking.0.push_str(delta["thinking"].as_str().unwrap_or_default());
        }
        Some("signature_delta") => {
            answer.thinking.get_or_insert_default().1 = text(&delta["signature"]);
        }
        Some("input_json_delta") => {
            if let Some(call) = answer.calls.last_mut() {
                call.arguments.push_str(delta["partial_json"].as_str().unwrap_or_default());
            }
        }
        _ => {}
    }
    answer
}
