//! A mock inference endpoint of our own: speaks OpenAI chat completions and responses,
//! Anthropic messages, Gemini, Bedrock's converse and invoke, and realtime events over a websocket,
//! whole and streamed, as the real APIs shape them, and breaks in every way a test asks for.
//!
//! | route | answer |
//! |---|---|
//! | `POST /v1/chat/completions`, `POST /v1/messages` | a completion made from a hash of the prompt |
//! | `POST /v1/responses` | the same |
//! | `POST /model/MODEL/converse`, `POST /model/MODEL/converse-stream` | the same |
//! | `POST /model/MODEL/invoke`, `POST /model/MODEL/invoke-with-response-stream` | the same, of Anthropic's |
//! | `POST /v1/embeddings` | unit vectors made from a hash of each text |
//! | `POST` to `MODEL:generateContent`, `MODEL:streamGenerateContent` with and without `?alt=sse` | the same |
//! | `POST /v1/messages/count_tokens`, `GET /v1/models` | as the APIs answer |
//! | anything below `/echo` | the request's body and content type |
//! | `Connection: upgrade` to `/v1/realtime` | 101, then realtime events |
//! | `Connection: upgrade`, anywhere else | 101, then every byte comes back |
//!
//! Thinking leaves sealed, as the APIs seal it, and comes back with the seal it left with, or is refused.
//!
//! The header `x-mock` chooses a [`Fault`].

mod anthropic;
mod answer;
mod bedrock;
mod body;
mod embeddings;
mod faults;
mod gemini;
mod invoke;
mod openai;
mod realtime;
mod responses;
mod routes;
mod seals;
mod style;
mod text;

#[cfg(test)]
mod tests;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::faults::Fault;

/// How the endpoint behaves when no fault is asked for.
#[derive(Clone, Debug)]
pub struct Settings {
    pub listen: SocketAddr,
    /// From the request to the answer's head.
    pub first_byte: Duration,
    /// From one streamed event to the next. An answer that is not streamed takes as long in all.
    pub per_chunk: Duration,
    /// Tokens of one answer; a little more or less, by prompt. At least 16.
    pub tokens: usize,
    /// Keys with one of these prefixes are known.
    pub key_prefixes: Vec<String>,
    /// This model, and only this one, does not exist.
    pub missing_model: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            first_byte: Duration::ZERO,
            per_chunk: Duration::ZERO,
            tokens: 48,
            key_prefixes: vec!["sk-".into()],
            missing_model: "no-such-model".into(),
        }
    }
}

/// A running endpoint. Dropping it stops it: no new connections, and open ones are ended.
#[derive(Debug)]
pub struct Endpoint {
    pub addr: SocketAddr,
    state: Arc<State>,
    stop: CancellationToken,
}

/// The head and body bytes of a request, as they arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: http::Method,
    pub uri: http::Uri,
    pub headers: http::HeaderMap,
    pub body: Bytes,
}

/// What every connection shares.
#[derive(Debug)]
struct State {
    settings: Settings,
    seen: AtomicU64,
    cancelled: AtomicU64,
    completed: AtomicU64,
    connections: AtomicU64,
    last: Mutex<Option<Seen>>,
    clock: crate::time::Clock,
}

impl Endpoint {
    /// Binds and serves on the current tokio runtime.
    ///
    /// # Errors
    /// When `settings.listen` can't be bound.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind(settings.listen).await?;
        let addr = listener.local_addr()?;
        let state = Arc::new(State {
            settings,
            seen: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            completed: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            last: Mutex::new(None),
            clock: crate::time::Clock::start(),
        });
        let stop = CancellationToken::new();
        tokio::spawn(accept(listener, Arc::clone(&state), stop.clone()));
        Ok(Self { addr, state, stop })
    }

    /// Requests whose head has arrived.
    pub fn seen(&self) -> u64 {
        self.state.seen.load(Ordering::Acquire)
    }

    /// Requests whose client left before the answer had ended.
    pub fn cancelled(&self) -> u64 {
        self.state.cancelled.load(Ordering::Acquire)
    }

    /// Answers handed over whole, broken ones included.
    pub fn completed(&self) -> u64 {
        self.state.completed.load(Ordering::Acquire)
    }

    /// Connections accepted.
    pub fn connections(&self) -> u64 {
        self.state.connections.load(Ordering::Acquire)
    }

    /// The last request whose body has arrived whole.
    pub fn last(&self) -> Option<Seen> {
        self.state.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>, stop: CancellationToken) {
    let open = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        // A failed accept is out of descriptors at worst: the next client may have more luck.
        let Ok((stream, _)) = accepted else { continue };
        state.connections.fetch_add(1, Ordering::AcqRel);
        open.spawn(connection(stream, Arc::clone(&state), stop.clone()));
    }
    open.close();
    open.wait().await;
}

async fn connection(stream: TcpStream, state: Arc<State>, stop: CancellationToken) {
    let _ = stream.set_nodelay(true);
    // A second handle on the socket, so that a fault can turn its end into a reset.
    let spare = faults::Spare::of(&stream);
    let reset = Arc::new(AtomicBool::new(false));
    let service = service_fn(|request| {
        let (state, reset) = (Arc::clone(&state), Arc::clone(&reset));
        async move { routes::answer(request, state, reset).await }
    });
    let serve = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::select! {
        // How a connection ends is the client's business, or a fault's.
        _ = serve => {}
        () = stop.cancelled() => {}
    }
    if reset.load(Ordering::Acquire) {
        spare.reset();
    }
}

/// A request whose client left before its answer had ended, unless told otherwise.
#[derive(Debug)]
struct Generating {
    state: Arc<State>,
    done: bool,
}

impl Generating {
    fn new(state: &Arc<State>) -> Self {
        Self { state: Arc::clone(state), done: false }
    }

    /// The answer has ended, well or by a fault of ours.
    fn finish(&mut self) {
        if !std::mem::replace(&mut self.done, true) {
            self.state.completed.fetch_add(1, Ordering::AcqRel);
        }
    }
}

impl Drop for Generating {
    fn drop(&mut self) {
        if !self.done {
            self.state.cancelled.fetch_add(1, Ordering::AcqRel);
        }
    }
}

/// The connection is to be broken off without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the endpoint breaks off")]
struct BrokenOff;
