//! What they ask: the body in full, one meaning or none, and its features.

pub(super) mod body;
mod describe;
mod head;

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use http::header::{ACCEPT_ENCODING, SEC_WEBSOCKET_EXTENSIONS};
use http::request::Parts;
use http_body::Body;
use http_body_util::{Either, Full};

use self::body::collect;
pub(super) use self::describe::LONG;
use self::describe::{Described, Task, describe};
use self::head::{declared, fits, form, name_sessions, retry};
use super::bind::{Bond, Unwrapped};
use super::refusal::Refusal;
use super::{BoxError, Outbound, Room};
use crate::dialect::{self, Api, Dialect};
use crate::identity::{Caller, Tag};
use crate::policy::Bodies;
use crate::signal::{Model, Prompt};

/// A request's features and the body to forward.
pub(super) struct Inspected<B> {
    pub prompt: Prompt,
    pub body: Outbound<B>,
    /// An aggregator's own user, where the body names one.
    pub end_user: Option<Tag>,
    /// The model asked for, where it can be told beyond doubt.
    pub model: Option<Model>,
    /// What the caller sends back of what was issued to it, where that is bound.
    pub unwrapped: Option<Unwrapped>,
    /// Nanoseconds that taking features needed; none when it panicked.
    pub took: Option<u64>,
    /// Nanoseconds that the caller needed to send the body.
    pub waited: u64,
}

/// Reads, vets and describes a request of `caller` in the dialect of its route. A route no dialect
/// reads is passed through unread. Nothing of a body that breaks off is forwarded.
pub(super) async fn inspect<B>(
    room: &Arc<Room>,
    (head, body): (&mut Parts, B),
    reader: Option<&'static dyn Dialect>,
    caller: &Caller,
) -> Result<Inspected<B>, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let settings = room.shared.settings.load_full();
    let Some(dialect) = reader else {
        let unread = unread(head, body);
        if settings.narrow_accept_encoding && unread.prompt.api == Api::OpenaiRealtime {
            // What it could agree on is to code messages.
            head.headers.remove(SEC_WEBSOCKET_EXTENSIONS);
        }
        return Ok(unread);
    };
    let (bodies, bond) = {
        let policies = room.shared.engine.policies();
        let policy = policies.of(&caller.tenant);
        (policy.bodies, Bond::of(room, (policy, caller), dialect, head))
    };
    fits(&head.headers, &settings)?;
    let mut form = form(&head.headers, &settings);
    if bodies == Bodies::Strict {
        form = Ok(form?);
    }
    if settings.narrow_accept_encoding {
        head.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    let began = room.shared.clock.elapsed_nanos();
    let body = collect(body, &settings, &room.buffers).await?;
    let waited = room.shared.clock.elapsed_nanos().saturating_sub(began);
    let task = Task { dialect, target: head.uri.clone(), body: body.clone(), form, bodies, bond };
    let Described { mut prompt, end_user, model, unwrapped, took } = describe(room, task).await?;
    prompt.retry = retry(&head.headers);
    name_sessions(&head.headers, &room.shared.keyring, &mut prompt.sessions);
    let body = Either::Left(Full::new(body));
    Ok(Inspected { prompt, body, end_user, model, unwrapped, took, waited })
}

fn unread<B>(head: &Parts, body: B) -> Inspected<B> {
    let bytes = declared(&head.headers).unwrap_or_default();
    let prompt = Prompt {
        api: dialect::of_socket(&head.method, head.uri.path(), &head.headers),
        bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
        retry: retry(&head.headers),
        ..Prompt::default()
    };
    let body = Either::Right(body);
    let (end_user, model, unwrapped) = (None, None, None);
    Inspected { prompt, body, end_user, model, unwrapped, took: Some(0), waited: 0 }
}

#[cfg(test)]
mod tests;
