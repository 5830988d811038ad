//! What they ask: the body in full, one meaning or none, and its features.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Uri};
use http_body::Body;
use http_body_util::{BodyExt, Either, Full};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::refusal::Refusal;
use super::settings::{Fault, Settings};
use super::{BoxError, Outbound, Room};
use crate::dialect::{self, Api, Dialect, Reason, Request, json};
use crate::identity::Tag;
use crate::signal::{self, Prompt};
use crate::telemetry::FailOpen;

/// A request's features and the body to forward.
pub(super) struct Inspected<B> {
    pub prompt: Prompt,
    pub body: Outbound<B>,
    /// An aggregator's own user, where the body names one.
    pub end_user: Option<Tag>,
    /// Nanoseconds that taking features needed; none when it panicked.
    pub took: Option<u64>,
    /// Nanoseconds that the caller needed to send the body.
    pub waited: u64,
}

/// Reads, vets and describes a request in the dialect of its route. A route no dialect reads is
/// passed through unread. Nothing of a body that breaks off is forwarded.
pub(super) async fn inspect<B>(
    room: &Arc<Room>,
    head: &mut Parts,
    body: B,
    reader: Option<&'static dyn Dialect>,
) -> Result<Inspected<B>, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let Some(dialect) = reader else { return Ok(unread(head, body)) };
    let settings = room.shared.settings.load_full();
    check(&head.headers, &settings)?;
    if settings.narrow_accept_encoding {
        head.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    let began = room.shared.clock.elapsed_nanos();
    let body = collect(body, &settings, &room.buffers).await?;
    let waited = room.shared.clock.elapsed_nanos().saturating_sub(began);
    let Described { mut prompt, end_user, took } =
        describe(room, dialect, &head.uri, &body).await?;
    prompt.retry = retry(&head.headers);
    Ok(Inspected { prompt, body: Either::Left(Full::new(body)), end_user, took, waited })
}

fn unread<B>(head: &Parts, body: B) -> Inspected<B> {
    let bytes = declared(&head.headers).unwrap_or_default();
    let prompt = Prompt {
        api: dialect::of_socket(&head.method, head.uri.path(), &head.headers),
        bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
        retry: retry(&head.headers),
        ..Prompt::default()
    };
    Inspected { prompt, body: Either::Right(body), end_user: None, took: Some(0), waited: 0 }
}

/// Refuses what the head alone shows to be unreadable, before a byte of the body is taken.
fn check(headers: &HeaderMap, settings: &Settings) -> Result<(), Refusal> {
    if !is_json(headers) {
        return Err(Refusal::malformed("The content type must be application/json."));
    }
    let mut codings = headers.get_all(CONTENT_ENCODING).iter();
    if !codings.all(|coding| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity")) {
        return Err(Reason::UnsupportedEncoding.into());
    }
    if declared(headers).is_some_and(|bytes| bytes > settings.max_body as u64) {
        return Err(Reason::TooLarge.into());
    }
    Ok(())
}

/// Whether the body claims to be JSON in UTF-8. One that claims nothing is read as JSON.
fn is_json(headers: &HeaderMap) -> bool {
    let mut kinds = headers.get_all(CONTENT_TYPE).iter();
    kinds.all(|kind| {
        let mut pieces = kind.to_str().unwrap_or_default().split(';').map(str::trim);
        let essence =
            pieces.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
        let mut charsets = pieces.filter_map(|piece| piece.split_once('='));
        essence
            && charsets.all(|(name, value)| {
                let utf8 = value.trim_matches('"').eq_ignore_ascii_case("utf-8");
                !name.eq_ignore_ascii_case("charset") || utf8
            })
    })
}

fn declared(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Which try of one call this is, by the client's own count: `x-stainless-retry-count: 2`, or
/// `amz-sdk-request: attempt=3; max=3`, where the first attempt is no retry.
fn retry(headers: &HeaderMap) -> u8 {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let stainless = || text("x-stainless-retry-count")?.trim().parse().ok();
    let amazon = || {
        let mut pieces = text("amz-sdk-request")?.split(';').map(str::trim);
        let attempt: u8 = pieces.find_map(|piece| piece.strip_prefix("attempt="))?.parse().ok()?;
        Some(attempt.saturating_sub(1))
    };
    stainless().or_else(amazon).unwrap_or_default()
}

/// A buffered body. Its share of the budget is given back when the last reference to it is gone,
/// wherever the inner service has taken it.
struct Held {
    body: BytesMut,
    _share: Option<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

/// Takes a body in full. Memory grows with what has arrived, never with what was declared.
async fn collect<B>(
    body: B,
    settings: &Settings,
    buffers: &Arc<Semaphore>,
) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let began = Instant::now();
    let mut body = pin!(body);
    let mut held = Held { body: BytesMut::new(), _share: None };
    loop {
        let deadline = began + settings.body_deadline(held.body.len());
        let frame = timeout_at(deadline, body.frame()).await;
        let Some(frame) = frame.map_err(|_| Reason::RequestTimeout)? else { break };
        let Ok(chunk) = frame.map_err(|_| Reason::BadRequest)?.into_data() else { continue };
        if chunk.len() > settings.max_body.saturating_sub(held.body.len()) {
            return Err(Reason::TooLarge.into());
        }
        reserve(&mut held, chunk.len(), buffers)?;
        held.body.extend_from_slice(&chunk);
    }
    Ok(Bytes::from_owner(held))
}

/// Takes whole KiB out of the process's budget so that `more` bytes fit.
fn reserve(held: &mut Held, more: usize, buffers: &Arc<Semaphore>) -> Result<(), Refusal> {
    let needed = (held.body.len() + more).div_ceil(1024);
    let owned = held._share.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
    let missing = u32::try_from(needed.saturating_sub(owned)).unwrap_or(u32::MAX);
    if missing == 0 {
        return Ok(());
    }
    let share = Arc::clone(buffers).try_acquire_many_owned(missing);
    let share = share.map_err(|_| Reason::Overloaded)?;
    match &mut held._share {
        Some(owned) => owned.merge(share),
        none => *none = Some(share),
    }
    Ok(())
}

struct Described {
    prompt: Prompt,
    end_user: Option<Tag>,
    took: Option<u64>,
}

/// Bodies of which more bytes are read on a thread of their own: reading costs some 5 ms per MiB,
/// for which other exchanges of the same worker should not wait.
const LONG: usize = 512 << 10;

async fn describe(
    room: &Arc<Room>,
    dialect: &'static dyn Dialect,
    target: &Uri,
    body: &Bytes,
) -> Result<Described, Refusal> {
    if body.len() <= LONG {
        return describe_now(room, dialect, target, body);
    }
    let (room, target, body) = (Arc::clone(room), target.clone(), body.clone());
    let described =
        tokio::task::spawn_blocking(move || describe_now(&room, dialect, &target, &body));
    described.await.unwrap_or_else(|_| Err(Reason::Malformed.into()))
}

/// Features of a body. A panic while it is read refuses it, for nothing is forwarded unread; a
/// panic while features are taken lets it pass unjudged.
fn describe_now(
    room: &Room,
    dialect: &'static dyn Dialect,
    target: &Uri,
    body: &[u8],
) -> Result<Described, Refusal> {
    let shared = &room.shared;
    let request = catch_unwind(AssertUnwindSafe(|| read(room, dialect, target, body)));
    let request = request.map_err(|_| {
        shared.telemetry.metrics.fail_open(FailOpen::Panic);
        Refusal::from(Reason::Malformed)
    })??;
    let end_user = request.end_user.as_deref().filter(|user| !user.is_empty());
    let end_user = end_user.map(|user| shared.keyring.tag("end-user", user.as_bytes()));
    let began = shared.clock.elapsed_nanos();
    let prompt = catch_unwind(AssertUnwindSafe(|| {
        assert!(shared.settings.load().fault != Some(Fault::Panics), "injected");
        signal::inspect(&request, dialect.api(), body.len(), &shared.keyring)
    }));
    let took = shared.clock.elapsed_nanos().saturating_sub(began);
    Ok(match prompt {
        Ok(prompt) => Described { prompt, end_user, took: Some(took) },
        Err(_) => Described { prompt: bare(dialect.api(), body.len()), end_user, took: None },
    })
}

fn read<'a>(
    room: &Room,
    dialect: &'static dyn Dialect,
    target: &'a Uri,
    body: &'a [u8],
) -> Result<Request<'a>, Refusal> {
    json::vet(body).map_err(|ambiguity| {
        room.shared.telemetry.metrics.ambiguous(ambiguity.label);
        Refusal::ambiguous(&ambiguity)
    })?;
    Ok(dialect.read_call(target.path(), body)?)
}

fn bare(api: Api, bytes: usize) -> Prompt {
    Prompt { api, bytes: u32::try_from(bytes).unwrap_or(u32::MAX), ..Prompt::default() }
}

#[cfg(test)]
mod tests;
