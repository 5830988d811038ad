//! The guard before several endpoints, all over sockets: who got which request, with which key.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stillguard::guard::respond;
use stillguard::net::upstream::{Endpoints, Settings};
use stillguard::net::{self, Running};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::scene::{CHAT_ANSWER, Scene};
use super::wire::{Message, read};

/// How an endpoint takes requests, but for probes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Mood {
    #[default]
    Answers,
    /// Reads, and says nothing.
    Hangs,
    /// Begins an answer and goes on once it is told to.
    Streams,
    /// Begins an answer and breaks off.
    Breaks,
    /// 503.
    Fails,
}

/// A made-up endpoint. Its answers name it.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    name: String,
    mood: Mutex<Mood>,
    well: Mutex<bool>,
    seen: Mutex<Vec<Message>>,
    go_on: Notify,
}

impl End {
    pub(super) async fn new(name: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mood, well) = (Mutex::default(), Mutex::new(true));
        let (name, seen, go_on) = (name.to_owned(), Mutex::default(), Notify::new());
        let state = Arc::new(State { name, mood, well, seen, go_on });
        let serving = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, Arc::clone(&serving)));
            }
        });
        Self { address, state }
    }

    pub(super) fn mood(&self, mood: Mood) {
        *self.state.mood.lock().unwrap() = mood;
    }

    /// What it says to probes.
    pub(super) fn well(&self, well: bool) {
        *self.state.well.lock().unwrap() = well;
    }

    /// Answers under way end.
    pub(super) fn go_on(&self) {
        self.state.go_on.notify_waiters();
    }

    /// Everything it was asked since it was last looked at.
    pub(super) fn take(&self) -> Vec<Message> {
        std::mem::take(&mut self.state.seen.lock().unwrap())
    }

    /// Requests it was asked, but for probes.
    pub(super) fn asked(&self) -> usize {
        self.state.seen.lock().unwrap().iter().filter(|message| !is_probe(message)).count()
    }

    pub(super) fn is_probed(&self) -> bool {
        self.state.seen.lock().unwrap().iter().any(is_probe)
    }
}

pub(super) fn is_probe(message: &Message) -> bool {
    message.start.starts_with("GET /health")
}

async fn serve(mut socket: TcpStream, state: Arc<State>) {
    while let Some(request) = read(&mut socket, false).await {
        let (probe, upgrade) = (is_probe(&request), request.field("upgrade").is_some());
        state.seen.lock().unwrap().push(request);
        let (mood, well) = (*state.mood.lock().unwrap(), *state.well.lock().unwrap());
        let name = &state.name;
        let plain = |status: &str, body: &str| {
            let length = body.len();
            let head = format!("HTTP/1.1 {status}\r\nx-end: {name}\r\ncontent-length: {length}");
            format!("{head}\r\ncontent-type: application/json\r\n\r\n{body}")
        };
        let streamed = format!(
            "HTTP/1.1 200 OK\r\nx-end: {name}\r\ncontent-type: text/event-stream\r\n\
             transfer-encoding: chunked\r\n\r\n9\r\ndata: {{}}\n\r\n"
        );
        let (text, wait) = match mood {
            _ if probe => (plain(if well { "200 OK" } else { "503 Ill" }, "{}"), false),
            _ if upgrade => {
                let switch = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade";
                (format!("{switch}\r\nupgrade: websocket\r\nx-end: {name}\r\n\r\n"), false)
            }
            Mood::Answers => (plain("200 OK", CHAT_ANSWER), false),
            Mood::Fails => (plain("503 Busy", "{}"), false),
            Mood::Hangs => (String::new(), true),
            Mood::Streams => (streamed, true),
            Mood::Breaks => (streamed, false),
        };
        let going_on = state.go_on.notified();
        if socket.write_all(text.as_bytes()).await.is_err() || mood == Mood::Breaks && !probe {
            return;
        }
        if wait {
            going_on.await;
            // Whoever asked may have left.
            let _ = socket.write_all(b"0\r\n\r\n").await;
        }
    }
}

/// A proxy before endpoints. Stops, without waiting, when dropped.
pub(super) struct Rig {
    pub(super) proxy: SocketAddr,
    pub(super) endpoints: Endpoints,
    stop: CancellationToken,
    _running: Running,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Rig {
    /// `forward` is what stands under `[forward]` in a file. Endpoints are probed as it says.
    pub(super) fn new(scene: &Scene, workers: usize, forward: &str) -> Self {
        let settings: Settings = toml::from_str(forward).unwrap();
        let faults = settings.faults();
        assert!(faults.is_empty(), "{faults:?}");
        let telemetry = Arc::clone(&scene.shared.telemetry);
        let endpoints = Endpoints::new(settings, &telemetry).unwrap();
        let listen = vec!["127.0.0.1:0".parse().unwrap()];
        let net = net::Settings { listen, workers, ..Default::default() };
        let stack = (scene.layer.clone(), endpoints.clone());
        let server = net::bind(net, telemetry, respond, stack).unwrap();
        let (proxy, stop) = (server.local_addr(), CancellationToken::new());
        let running = server.start(stop.clone()).unwrap();
        let (probing, until) = (endpoints.clone(), stop.clone());
        tokio::spawn(async move { probing.probe(&until).await });
        Self { proxy, endpoints, stop, _running: running }
    }

    /// Sends on a connection of its own and leaves the answer to be read.
    pub(super) async fn send(&self, head: &str, body: &str) -> TcpStream {
        let mut client = TcpStream::connect(self.proxy).await.unwrap();
        let length = body.len();
        let request = format!("{head}\r\nhost: a\r\ncontent-length: {length}\r\n\r\n{body}");
        client.write_all(request.as_bytes()).await.unwrap();
        client
    }

    pub(super) async fn ask(&self, head: &str, body: &str) -> Message {
        let mut client = self.send(head, body).await;
        within(read(&mut client, true)).await.expect("an answer")
    }

    /// A chat for `model` with `key`: the endpoint that answered.
    pub(super) async fn chat(&self, key: &str, model: &str) -> String {
        let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"x"}}]}}"#);
        ended(&self.ask(&post("/v1/chat/completions", key), &body).await)
    }
}

/// The endpoint an answer comes from, or its status where it is the proxy's own.
pub(super) fn ended(answer: &Message) -> String {
    let own = answer.start.split(' ').nth(1).unwrap_or_default().as_bytes();
    String::from_utf8(answer.field("x-end").unwrap_or(own).to_vec()).unwrap()
}

/// The head of a post, but for host and length.
pub(super) fn post(path: &str, key: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nauthorization: Bearer {key}\r\ncontent-type: application/json")
}

/// Nothing here takes long; what hangs must fail.
pub(super) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("took too long")
}

/// Looks until it is so.
pub(super) async fn until(so: impl Fn() -> bool) {
    within(async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
