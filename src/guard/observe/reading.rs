//! Reading an answer without touching it.

use bytes::BytesMut;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::response::Parts;

use crate::dialect::{Dialect, Frames, Framing};
use crate::signal::{Answer, Completion};

/// How an answer is read.
#[derive(Debug, Default)]
pub(super) enum Reading {
    /// Not at all: it passes unread.
    #[default]
    Nothing,
    /// Event by event. Holds no more than one unfinished event.
    Events { dialect: &'static dyn Dialect, frames: Frames, answer: Answer, last: bool },
    /// At its end, from a copy of at most `most` bytes.
    Whole { dialect: &'static dyn Dialect, copy: BytesMut, answer: Answer, most: usize },
}

/// The answer can't be read, or no longer.
#[derive(Debug)]
pub(super) struct Unreadable;

impl Reading {
    /// Chooses by the answer's head. Errors of the endpoint hold nothing worth reading.
    pub(super) fn start(
        reader: Option<(&'static dyn Dialect, Framing)>,
        head: &Parts,
        most: usize,
        answer: impl FnOnce() -> Answer,
    ) -> Result<Self, Unreadable> {
        let Some((dialect, framing)) = reader.filter(|_| head.status.is_success()) else {
            return Ok(Self::Nothing);
        };
        let mut codings = head.headers.get_all(CONTENT_ENCODING).iter();
        if !codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            return Err(Unreadable);
        }
        let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or_default();
        if let Some(frames) = Frames::of(framing, kind) {
            return Ok(Self::Events { dialect, frames, answer: answer(), last: false });
        }
        let media = kind.split(';').next().unwrap_or_default().trim();
        if media.eq_ignore_ascii_case("application/json") {
            Ok(Self::Whole { dialect, copy: BytesMut::new(), answer: answer(), most })
        } else {
            Err(Unreadable)
        }
    }

    /// Takes in the next chunk. An event that can't be read is passed over: its neighbours may
    /// still say how many tokens there were.
    pub(super) fn take(&mut self, chunk: &[u8]) -> Result<(), Unreadable> {
        match self {
            Self::Nothing => {}
            Self::Events { dialect, frames, answer, last } => frames.push(chunk, |event| {
                if let Ok(delta) = dialect.read_event(event) {
                    *last |= delta.last;
                    answer.take(&delta);
                }
            }),
            Self::Whole { copy, most, .. } => {
                if copy.len() + chunk.len() > *most {
                    return Err(Unreadable);
                }
                copy.extend_from_slice(chunk);
            }
        }
        Ok(())
    }

    /// Whether a stream's last event has been read.
    pub(super) fn saw_last(&self) -> bool {
        matches!(self, Self::Events { last: true, .. })
    }

    /// What the answer gave away. A stream cut short tells what it can; half a JSON text, nothing.
    pub(super) fn finish(self, whole: bool) -> Result<Completion, Unreadable> {
        match self {
            Self::Nothing => Ok(Completion::default()),
            Self::Events { answer, .. } => Ok(answer.finish()),
            Self::Whole { .. } if !whole => Ok(Completion::default()),
            Self::Whole { dialect, copy, mut answer, .. } => {
                let delta = dialect.read_answer(&copy).map_err(|_| Unreadable)?;
                answer.take(&delta);
                Ok(answer.finish())
            }
        }
    }
}
