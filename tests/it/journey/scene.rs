//! A guard, the endpoint behind it, and what the decision log says of both.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use compression_codecs::brotli::params::EncoderParams;
use compression_codecs::core::Level;
use compression_codecs::core::util::{PartialBuffer, WriteBuffer};
use compression_codecs::{BrotliEncoder, EncodeV2, GzipEncoder, ZlibEncoder, ZstdEncoder};
use http::request::Parts;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use serde_json::Value;
use stillguard::engine::{self, Engine, Verdict};
use stillguard::guard::{Answer, Fault, GuardLayer, Outbound, Settings, Shared, UpstreamError};
use stillguard::identity::{self, AccountId, Identifier, Keyring, Peer};
use stillguard::policy::{self, Action, Mode, Policies, TenantSettings};
use stillguard::telemetry::{self, Telemetry};
use stillguard::time::{Clock, Timestamp};
use tower::{Layer, Service, ServiceExt};

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a made-up body does next.
#[derive(Debug)]
pub(crate) enum Step {
    Chunk(Bytes),
    /// Breaks off.
    Fail,
    /// Says nothing more, ever.
    Hang,
}

#[derive(Debug, Default)]
pub(crate) struct Script {
    steps: VecDeque<Step>,
    length: Option<u64>,
}

impl Script {
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: steps.into_iter().collect(), length: None }
    }

    /// A body that says it has `length` bytes.
    pub(crate) fn of_length(length: u64, steps: impl IntoIterator<Item = Step>) -> Self {
        Self { length: Some(length), ..Self::new(steps) }
    }

    /// One chunk of declared length.
    pub(crate) fn text(text: &str) -> Self {
        let chunk = Step::Chunk(Bytes::copy_from_slice(text.as_bytes()));
        Self { steps: [chunk].into(), length: Some(text.len() as u64) }
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(Step::Hang) = self.steps.front() {
            return Poll::Pending;
        }
        match self.steps.pop_front() {
            Some(Step::Chunk(chunk)) => Poll::Ready(Some(Ok(Frame::data(chunk)))),
            Some(Step::Fail) => Poll::Ready(Some(Err("reset by peer".into()))),
            Some(Step::Hang) | None => Poll::Ready(None),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map(SizeHint::with_exact).unwrap_or_default()
    }
}

/// What the endpoint does with one request.
pub(crate) enum Plan {
    Answer(Response<Script>),
    Fail(UpstreamError),
    Hang,
}

#[derive(Clone, Default)]
pub(crate) struct Endpoint {
    plans: Arc<Mutex<VecDeque<Plan>>>,
    seen: Arc<Mutex<Vec<(Parts, Bytes)>>>,
}

impl Service<Request<Outbound<Script>>> for Endpoint {
    type Response = Response<Script>;
    type Error = UpstreamError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Script>, UpstreamError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Outbound<Script>>) -> Self::Future {
        let endpoint = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await;
            let body = body.map_err(|error| UpstreamError::Body(error.to_string()))?.to_bytes();
            endpoint.seen.lock().unwrap().push((head, body));
            let plan = endpoint.plans.lock().unwrap().pop_front();
            match plan.unwrap_or_else(|| Plan::Answer(answer(CHAT_ANSWER))) {
                Plan::Answer(answer) => Ok(answer),
                Plan::Fail(error) => Err(error),
                Plan::Hang => std::future::pending().await,
            }
        })
    }
}

pub(crate) struct Scene {
    pub(crate) shared: Arc<Shared>,
    pub(super) layer: GuardLayer,
    endpoint: Endpoint,
    folder: tempfile::TempDir,
}

pub(crate) type Answered = Response<Answer<Script>>;

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with(|_| {}, |_| {})
    }

    /// Verdicts are enforced; `tenant` and `guard` change whatever else is to be changed.
    pub(crate) fn with(
        tenant: impl FnOnce(&mut TenantSettings),
        guard: impl FnOnce(&mut Settings),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut policies = policy::Settings::default();
        policies.defaults.mode = Some(Mode::Enforce);
        tenant(&mut policies.defaults);
        let mut settings = Settings::default();
        guard(&mut settings);
        let mut telemetry = telemetry::Settings::default();
        telemetry.decision_log.path = Some(folder.path().join("decisions.jsonl"));
        let keyring = Keyring::new(SECRET);
        let identifier = identifier();
        let engine = Engine::new(engine::Settings::default(), Policies::from(&policies));
        let shared = Arc::new(Shared {
            settings: ArcSwap::from_pointee(settings),
            identifier: ArcSwap::from_pointee(identifier),
            records: Default::default(),
            engine: Arc::new(engine),
            telemetry: Arc::new(Telemetry::start(&telemetry, &["default".into()]).unwrap()),
            keyring,
            clock: Clock::starting_at(Timestamp::from_millis(1_790_000_000_000)),
        });
        let layer = GuardLayer::new(Arc::clone(&shared));
        Self { shared, layer, endpoint: Endpoint::default(), folder }
    }

    pub(crate) async fn call(&self, request: Request<Script>) -> Answered {
        let guard = self.layer.layer(self.endpoint.clone());
        guard.oneshot(request).await.unwrap_or_else(|never| match never {})
    }

    /// Sends a request and takes the whole answer: its status and its body.
    pub(crate) async fn ask(&self, request: Request<Script>) -> (u16, HeaderMap, String) {
        let (head, body) = self.call(request).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (head.status.as_u16(), head.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    /// Has the endpoint accept the account of `key`, so that the engine knows it.
    pub(crate) async fn introduce(&self, key: &str) {
        assert_eq!(self.ask(chat(key)).await.0, 200);
    }

    /// What the endpoint will do with the requests to come, in order. After that it answers.
    pub(crate) fn plan(&self, plan: Plan) {
        self.endpoint.plans.lock().unwrap().push_back(plan);
    }

    /// Forgets what nobody has asked for.
    pub(crate) fn unplan(&self) {
        self.endpoint.plans.lock().unwrap().clear();
    }

    /// Requests that reached the endpoint.
    pub(crate) fn forwarded(&self) -> usize {
        self.endpoint.seen.lock().unwrap().len()
    }

    pub(crate) fn last_forwarded(&self) -> (Parts, Bytes) {
        self.endpoint.seen.lock().unwrap().pop().unwrap()
    }

    /// From now on every verdict is this one.
    pub(crate) fn judge(&self, action: Action, score: f32) {
        let verdict = Verdict { action, score, enforced: true, ..Verdict::default() };
        self.fault(Fault::Judges(Box::new(verdict)));
    }

    pub(crate) fn fault(&self, fault: Fault) {
        let settings =
            Settings { fault: Some(fault), ..self.shared.settings.load().as_ref().clone() };
        self.shared.settings.store(Arc::new(settings));
    }

    /// Lines of the decision log of one kind, `ask` or `end`.
    pub(crate) fn lines(&self, kind: &str) -> Vec<Value> {
        assert!(self.shared.telemetry.decisions.flush(Duration::from_secs(5)));
        let text = std::fs::read_to_string(self.folder.path().join("decisions.jsonl"));
        let text = text.unwrap_or_default();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["kind"] == kind).collect()
    }

    /// How the last exchange ended.
    pub(crate) fn last_end(&self) -> Value {
        self.lines("end").pop().unwrap()
    }

    pub(crate) fn count(&self, series: &str) -> u64 {
        let text = self.shared.telemetry.metrics.encode();
        let line = text.lines().find_map(|line| line.strip_prefix(series));
        line.map_or(0, |value| value.trim().parse().unwrap())
    }

    /// The cells of the account of `key`.
    pub(crate) fn pace(&self, key: &str) -> Arc<engine::Pace> {
        self.shared.engine.pace(account(key)).unwrap()
    }

    /// The cells of an end user that the account of `key` has named.
    pub(crate) fn end_user_pace(&self, key: &str, user: &str) -> Arc<engine::Pace> {
        let user = self.shared.keyring.tag("end-user", user.as_bytes());
        let now = self.shared.clock.now();
        self.shared.engine.end_user_pace((account(key), user), now).unwrap()
    }

    /// The cells that all accounts, or those of a group, share.
    pub(crate) fn shared_pace(&self, group: Option<&str>) -> Arc<engine::Pace> {
        self.shared.engine.shared_pace(&"default".into(), group)
    }

    /// Exchanges of `key` in flight.
    pub(crate) fn in_flight(&self, key: &str) -> u32 {
        self.pace(key).in_flight.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Tokens of `key` that are spent or reserved today.
    pub(crate) fn tokens_today(&self, key: &str) -> u64 {
        let pace = self.pace(key);
        let windows = pace.windows.lock().unwrap();
        windows.as_ref().map_or(0, |windows| windows[1].used[3])
    }
}

/// Of the deployment.
const SECRET: [u8; 32] = [7; 32];

fn identifier() -> Identifier {
    Identifier::new(&identity::Settings::default(), Keyring::new(SECRET)).unwrap()
}

/// The account of `key`, in every scene.
pub(crate) fn account(key: &str) -> AccountId {
    let (head, _) = chat(key).into_parts();
    let peer = *head.extensions.get::<Peer>().unwrap();
    identifier().identify(&head, peer).unwrap().caller.account
}

pub(crate) const CHAT: &str =
    r#"{"model":"m-1","messages":[{"role":"user","content":"What is a stanza?"}]}"#;
pub(crate) const MESSAGES: &str =
    r#"{"model":"m-1","max_tokens":9,"messages":[{"role":"user","content":"What is a stanza?"}]}"#;
pub(crate) const CHAT_ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,
    "model":"m-1","choices":[{"index":0,"message":{"role":"assistant","content":"A verse."},
    "finish_reason":"stop"}],"usage":{"prompt_tokens":11,"completion_tokens":3,
    "total_tokens":14}}"#;

pub(crate) fn chat(key: &str) -> Request<Script> {
    post("/v1/chat/completions", &[("authorization", &format!("Bearer {key}"))], CHAT)
}

pub(crate) fn messages(key: &str) -> Request<Script> {
    let headers = [("x-api-key", key), ("anthropic-version", "2023-06-01")];
    post("/v1/messages", &headers, MESSAGES)
}

pub(crate) fn post(path: &str, headers: &[(&str, &str)], body: &str) -> Request<Script> {
    let mut request = Request::post(path)
        .header("host", "api.example.test")
        .header("content-type", "application/json")
        .header("content-length", body.len());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let peer = Peer { address: ([192, 0, 2, 7], 4711).into(), tls: true };
    request.extension(peer).body(Script::text(body)).unwrap()
}

/// Asks for a websocket.
pub(crate) fn upgrade(path: &str, key: &str) -> Request<Script> {
    let key = format!("Bearer {key}");
    let named =
        [("authorization", key.as_str()), ("connection", "upgrade"), ("upgrade", "websocket")];
    let mut request = post(path, &named, "");
    *request.method_mut() = http::Method::GET;
    request.headers_mut().remove("content-type");
    *request.body_mut() = Script::default();
    request
}

/// The same with a body of any bytes, coded.
pub(crate) fn post_coded(path: &str, coding: &str, body: Vec<u8>) -> Request<Script> {
    let headers = [("authorization", "Bearer k"), ("content-encoding", coding)];
    let mut request = post(path, &headers, "");
    request.headers_mut().insert("content-length", body.len().into());
    *request.body_mut() = Script::new([Step::Chunk(body.into())]);
    request
}

/// `plain` coded as `content-encoding` names it.
pub(crate) fn encoded(coding: &str, plain: &[u8]) -> Vec<u8> {
    let mut encoder: Box<dyn EncodeV2> = match coding {
        "gzip" => Box::new(GzipEncoder::new(Level::Default.into())),
        "deflate" => Box::new(ZlibEncoder::new(Level::Default.into())),
        "br" => Box::new(BrotliEncoder::new(EncoderParams::default())),
        "zstd" => Box::new(ZstdEncoder::new(3)),
        other => panic!("{other} is not known here"),
    };
    let mut input = PartialBuffer::new(plain);
    let (mut coded, mut space, mut done) = (Vec::new(), [0; 4096], false);
    while !done {
        let mut output = WriteBuffer::new_initialized(&mut space);
        if input.unwritten().is_empty() {
            done = encoder.finish(&mut output).unwrap();
        } else {
            encoder.encode(&mut input, &mut output).unwrap();
        }
        coded.extend_from_slice(output.written());
    }
    coded
}

/// A JSON answer of declared length.
pub(crate) fn answer(text: &str) -> Response<Script> {
    let answer = Response::builder().header("content-type", "application/json");
    answer.header("content-length", text.len()).body(Script::text(text)).unwrap()
}

/// A streamed answer.
pub(crate) fn stream(steps: impl IntoIterator<Item = Step>) -> Response<Script> {
    let answer = Response::builder().header("content-type", "text/event-stream");
    answer.body(Script::new(steps)).unwrap()
}

pub(crate) fn chunk(text: &str) -> Step {
    Step::Chunk(Bytes::copy_from_slice(text.as_bytes()))
}
