//! A body taken whole, and what it comes to when it is decoded. Both count against the budget.

use std::pin::pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::super::BoxError;
use super::super::coding::{Coding, Decoder, Undecodable};
use super::super::refusal::Refusal;
use super::super::settings::Settings;
use crate::dialect::Reason;
use crate::dialect::json::Ambiguity;

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
pub(super) async fn collect<B>(
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

/// A body made here, counted as one that has come.
pub(in crate::guard) fn held(body: &[u8], buffers: &Arc<Semaphore>) -> Result<Bytes, Refusal> {
    let mut held = Held { body: BytesMut::new(), _share: None };
    reserve(&mut held, body.len(), buffers)?;
    held.body.extend_from_slice(body);
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

/// What a coded body comes to: never larger than a plain one may be, nor than its bytes allow.
pub(in crate::guard) fn decoded(
    coding: Coding,
    coded: &[u8],
    settings: &Settings,
    buffers: &Arc<Semaphore>,
) -> Result<Bytes, Refusal> {
    if coding == Coding::Br && is_plain_too(coded) {
        return Err(Refusal::ambiguous(&TWICE_READABLE));
    }
    let refusal = |why| match why {
        Undecodable::Bomb => Refusal::bomb(),
        Undecodable::Broken => {
            Refusal::malformed(format!("The body is not one whole {} stream.", coding.name()))
        }
    };
    let mut held = Held { body: BytesMut::new(), _share: None };
    let mut keeping = true;
    let length = decode(coding, coded, settings, |plain, length| {
        keeping = keeping && length <= KEPT && reserve(&mut held, plain.len(), buffers).is_ok();
        if keeping {
            held.body.extend_from_slice(plain);
        }
    });
    let length = length.map_err(refusal)?;
    if !keeping {
        let missing = length - held.body.len();
        reserve(&mut held, missing, buffers)?;
        held.body.clear();
        held.body.reserve(length);
        let again = decode(coding, coded, settings, |plain, _| held.body.extend_from_slice(plain));
        again.map_err(refusal)?;
    }
    Ok(Bytes::from_owner(held))
}

/// What comes out of a coded body is held at once up to here. Beyond, it is measured to its end and
/// decoded again to be held: cheap beside what a bomb would cost if it had to be held to be found out.
const KEPT: usize = 1 << 20;

/// Hands what a coded body comes to, in pieces, to `sink`, with the bytes so far; says how many they
/// are in all.
fn decode(
    coding: Coding,
    coded: &[u8],
    settings: &Settings,
    mut sink: impl FnMut(&[u8], usize),
) -> Result<usize, Undecodable> {
    let mut length = 0;
    let mut decoder = Decoder::new(coding, settings.max_ratio);
    decoder.feed(coded, |plain| {
        length += plain.len();
        if length > settings.max_body {
            return Err(Undecodable::Bomb);
        }
        sink(plain, length);
        Ok(())
    })?;
    if decoder.is_whole() { Ok(length) } else { Err(Undecodable::Broken) }
}

const TWICE_READABLE: Ambiguity = Ambiguity {
    what: "the body can be read with and without its content encoding",
    label: "coding",
    at: 0,
};

/// Whether a reader that pays no heed to codings could take coded bytes for an object: brotli has
/// no mark at its beginning, so that one stream may be both.
pub(super) fn is_plain_too(coded: &[u8]) -> bool {
    // Blanks, byte order marks, and the other half of wider letters.
    let skipped = |byte: &&u8| !b" \t\r\n\0\xEF\xBB\xBF\xFE\xFF".contains(byte);
    coded.iter().find(skipped) == Some(&b'{')
}
