//! One request, from its head to its answer.

use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::answer::{Plan, input_tokens};
use super::body::{Ending, Paced};
use super::faults::{Fault, gzip};
use super::style::Style;
use super::{BrokenOff, Generating, Seen, State, embeddings, realtime, seals, text};

/// Largest request body read.
const LARGEST: usize = 128 << 20;

type Answer = Response<Paced>;

pub(super) async fn answer(
    request: Request<Incoming>,
    state: Arc<State>,
    reset: Arc<AtomicBool>,
) -> Result<Answer, BrokenOff> {
    let serial = state.seen.fetch_add(1, Ordering::AcqRel);
    if request.headers().contains_key(UPGRADE) {
        return Ok(switch(request, state, serial));
    }
    let mut generating = Generating::new(&state);
    let (head, body) = request.into_parts();
    let body = Limited::new(body, LARGEST).collect().await.map_err(|_| BrokenOff)?.to_bytes();
    let seen = Seen { method: head.method, uri: head.uri, headers: head.headers, body };
    *state.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen.clone());
    match Fault::of(&seen.headers) {
        Fault::Reset => {
            reset.store(true, Ordering::Release);
            generating.finish();
            Err(BrokenOff)
        }
        Fault::Hang => std::future::pending().await,
        fault => Ok(route(&seen, fault, &state, serial).respond(fault, &state, generating).await),
    }
}

/// What a route came to.
enum Routed {
    Plain(Answer),
    Completion(Style, Plan),
}

fn route(seen: &Seen, fault: Fault, state: &State, serial: u64) -> Routed {
    let path = seen.uri.path();
    let style = Style::of(&seen.uri, &seen.headers);
    let refuse = |status, message: &str| Routed::Plain(refusal(style, status, message, serial));
    if path.starts_with("/echo") {
        return Routed::Plain(echo(seen));
    }
    if !knows_key(&seen.uri, &seen.headers, &state.settings.key_prefixes) {
        return refuse(401, "This key is not known here.");
    }
    if let Fault::Status(status) = fault {
        return refuse(status, "An error that was asked for.");
    }
    let counts = path.ends_with("/v1/messages/count_tokens");
    let embeds = path.ends_with("/embeddings");
    if seen.method == Method::GET && path.ends_with("/v1/models") {
        return Routed::Plain(json_answer(200, &style.models()));
    }
    if seen.method != Method::POST || !(style.completes(path) || counts || embeds) {
        return refuse(404, &format!("Nothing answers {} {path}.", seen.method));
    }
    let Ok(body) = serde_json::from_slice::<Value>(&seen.body) else {
        return refuse(400, "The body is not JSON.");
    };
    if embeds {
        let answer = embeddings::answer(&body);
        return answer.map_or_else(
            || refuse(400, "A model and an input are needed."),
            |answer| Routed::Plain(json_answer(200, &answer)),
        );
    }
    if let Some(why) = seals::broken(style, &body) {
        return refuse(400, why);
    }
    let body = style.read(&seen.uri, body);
    if !body["messages"].is_array() || !body["model"].is_string() {
        return refuse(400, "A model and messages are needed.");
    }
    if body["model"] == state.settings.missing_model.as_str() {
        return refuse(404, &format!("There is no model {} here.", body["model"]));
    }
    if counts {
        return Routed::Plain(json_answer(200, &json!({"input_tokens": input_tokens(&body)})));
    }
    let mut plan = Plan::new(&body, fault, serial, &state.settings);
    plan.created = state.clock.now().as_millis() / 1000;
    Routed::Completion(style, plan)
}

impl Routed {
    async fn respond(self, fault: Fault, state: &State, generating: Generating) -> Answer {
        let (style, plan) = match self {
            Self::Plain(answer) => return answer.map(|body| body.counted(generating)),
            Self::Completion(style, plan) => (style, plan),
        };
        let settings = &state.settings;
        let pause = if let Fault::Slow(pause) = fault { pause } else { settings.per_chunk };
        let (mut body, kind) = if plan.stream {
            rest(settings.first_byte).await;
            (Paced::stream(frames(style, &plan, fault), pause), style.stream_type())
        } else {
            rest(settings.first_byte + pause * plan.output() as u32).await;
            let bytes = Bytes::from(style.whole(&plan).to_string());
            let coded = if fault == Fault::Gzip { gzip(&bytes) } else { bytes };
            (Paced::whole(coded), "application/json")
        };
        body = match fault {
            Fault::Truncate => body.halved(Ending::Broken),
            Fault::Stall => body.halved(Ending::Stalled),
            _ => body,
        };
        let mut answer = Response::new(body.counted(generating));
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        if fault == Fault::Gzip {
            answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        identify(&mut answer, style, plan.serial);
        answer
    }
}

/// Even a sleep of no length waits for the timer's next millisecond.
async fn rest(pause: Duration) {
    if !pause.is_zero() {
        sleep(pause).await;
    }
}

fn frames(style: Style, plan: &Plan, fault: Fault) -> Vec<Bytes> {
    let mut frames = style.frames(plan);
    match fault {
        Fault::ErrorEvent => {
            frames.truncate(frames.len() / 2);
            frames.push(style.error_frame());
            frames
        }
        Fault::Gzip => {
            let size = frames.iter().map(Bytes::len).max().unwrap_or(1);
            let coded = gzip(&frames.concat());
            (0..coded.len())
                .step_by(size)
                .map(|at| coded.slice(at..coded.len().min(at + size)))
                .collect()
        }
        _ => frames,
    }
}

fn switch(request: Request<Incoming>, state: Arc<State>, serial: u64) -> Answer {
    if !realtime::speaks(request.uri().path()) {
        return upgrade(request);
    }
    if !knows_key(request.uri(), request.headers(), &state.settings.key_prefixes) {
        return refusal(Style::Openai, 401, "This key is not known here.", serial);
    }
    realtime::answer(request, state, serial)
}

/// 101, then every byte comes back until the client closes.
fn upgrade(mut request: Request<Incoming>) -> Answer {
    let protocol = request.headers().get(UPGRADE).cloned();
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        if let Ok(connection) = upgraded.await {
            let (mut read, mut write) = tokio::io::split(TokioIo::new(connection));
            let _ = tokio::io::copy(&mut read, &mut write).await;
            let _ = tokio::io::AsyncWriteExt::shutdown(&mut write).await;
        }
    });
    let mut answer = Response::new(Paced::stream(Vec::new(), Duration::ZERO));
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
    if let Some(protocol) = protocol {
        answer.headers_mut().insert(UPGRADE, protocol);
    }
    answer
}

/// The body as it came; method and target in headers, and a header that is there twice.
fn echo(seen: &Seen) -> Answer {
    let mut answer = Response::new(Paced::whole(seen.body.clone()));
    let headers = answer.headers_mut();
    let target = seen.uri.path_and_query().map_or("/", |target| target.as_str());
    for (name, value) in [("x-echo-method", seen.method.as_str()), ("x-echo-target", target)] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    if let Some(kind) = seen.headers.get(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, kind.clone());
    }
    for cookie in ["a=1", "b=2"] {
        headers.append(http::header::SET_COOKIE, HeaderValue::from_static(cookie));
    }
    answer
}

/// A key may be spelled as any of the clients spells it.
fn knows_key(uri: &Uri, headers: &HeaderMap, prefixes: &[String]) -> bool {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text(&AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    let named = ["x-api-key", "api-key", "x-goog-api-key"].map(HeaderName::from_static);
    let query = || uri.query()?.split('&').find_map(|pair| pair.strip_prefix("key="));
    let signed = || text(&AUTHORIZATION)?.split_once("Credential=").map(|(_, scope)| scope);
    let key = bearer.or_else(signed).or_else(|| named.iter().find_map(text)).or_else(query);
    key.is_some_and(|key| prefixes.iter().any(|prefix| key.starts_with(prefix.as_str())))
}

fn refusal(style: Style, status: u16, message: &str, serial: u64) -> Answer {
    let serial = text::hash(&serial.to_le_bytes());
    let mut answer = json_answer(status, &style.error(status, message, &request_id(serial)));
    if let Some((name, kind)) = style.error_header(status) {
        answer.headers_mut().insert(name, HeaderValue::from_static(kind));
    }
    identify(&mut answer, style, serial);
    answer
}

fn json_answer(status: u16, body: &Value) -> Answer {
    let mut answer = Response::new(Paced::whole(Bytes::from(body.to_string())));
    *answer.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

fn identify(answer: &mut Answer, style: Style, serial: u64) {
    if let (Some(name), Ok(value)) = (style.id_header(), HeaderValue::from_str(&request_id(serial)))
    {
        answer.headers_mut().insert(HeaderName::from_static(name), value);
    }
}

fn request_id(serial: u64) -> String {
    format!("req_{serial:016x}")
}
