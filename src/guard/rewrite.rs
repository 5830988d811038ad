//! Bodies that are changed on their way, and the fields that speak of them.

mod answer;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH};
use http::request::Parts;
use tokio::sync::Semaphore;

pub(super) use self::answer::{Rewriter, Shapes, Work};
use super::inspect::body;
use super::refusal::Refusal;
use crate::dialect::Api;

/// Fields that speak of a body's bytes, and no longer hold once they are other ones.
const DIGESTS: [&str; 4] = ["content-digest", "repr-digest", "digest", "content-md5"];

/// Gets a request ready for the body `now`, which is not coded.
pub(super) fn replace(
    head: &mut Parts,
    now: &[u8],
    buffers: &Arc<Semaphore>,
) -> Result<Bytes, Refusal> {
    if head.headers.contains_key(CONTENT_LENGTH) {
        head.headers.insert(CONTENT_LENGTH, now.len().into());
    }
    head.headers.remove(CONTENT_ENCODING);
    forget_digests(&mut head.headers);
    body::held(now, buffers)
}

/// Gets an answer's head ready for a body that is changed, and plain, as it passes.
pub(super) fn loosen(headers: &mut HeaderMap) {
    headers.remove(CONTENT_LENGTH);
    headers.remove(CONTENT_ENCODING);
    forget_digests(headers);
}

/// Whether the caller has signed the body for the endpoint: then it must stay as it is.
pub(super) fn is_signed(api: Api, head: &Parts) -> bool {
    let bedrock = matches!(api, Api::BedrockConverse | Api::BedrockInvoke);
    let signed = head.headers.get(AUTHORIZATION).map(http::HeaderValue::as_bytes);
    bedrock
        && (signed.is_some_and(|value| value.starts_with(b"AWS4-"))
            || head.uri.query().is_some_and(|query| query.contains("X-Amz-Signature=")))
}

/// Does work on a body: on a thread of its own where that may be long.
pub(super) async fn aside<T: Send + 'static>(
    long: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Panicked> {
    let work = move || catch_unwind(AssertUnwindSafe(work)).map_err(|_| Panicked);
    if !long {
        return work();
    }
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(Panicked))
}

/// Work on a body has panicked.
#[derive(Debug)]
pub(super) struct Panicked;

fn forget_digests(headers: &mut HeaderMap) {
    for name in DIGESTS {
        headers.remove(name);
    }
}
