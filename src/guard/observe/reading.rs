//! Reading an answer without touching it.

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::response::Parts;

use super::super::coding::{Coding, Decoder, Undecodable};
use super::super::refusal::Refusal;
use super::super::settings::Settings;
use super::spoken::Spoken;
use crate::dialect::{Dialect, Frames, Framing, Usage};
use crate::signal::{Answer, Completion};

/// How an answer is read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// What decodes a copy of it first.
    decoder: Option<Decoder>,
    form: Form,
}

#[derive(Debug, Default)]
enum Form {
    /// Not at all: it passes unread.
    #[default]
    Nothing,
    /// Event by event. Holds no more than one unfinished event.
    Events(Events),
    /// Message by message, over a websocket.
    Spoken(Box<Spoken>),
    /// At its end, from a copy of at most `most` bytes.
    Whole { dialect: &'static dyn Dialect, copy: BytesMut, answer: Answer, most: usize },
}

#[derive(Debug)]
struct Events {
    dialect: &'static dyn Dialect,
    frames: Frames,
    answer: Answer,
    /// An event has come, and the last one.
    begun: bool,
    last: bool,
}

/// The answer can't be read, or no longer.
#[derive(Debug)]
pub(super) struct Unreadable;

impl From<Undecodable> for Unreadable {
    fn from(_: Undecodable) -> Self {
        Self
    }
}

impl Reading {
    /// Chooses by the answer's head. Errors of the endpoint hold nothing worth reading.
    pub(super) fn start(
        reader: Option<(&'static dyn Dialect, Framing)>,
        head: &Parts,
        settings: &Settings,
        answer: impl FnOnce() -> Answer,
    ) -> Result<Self, Unreadable> {
        let Some((dialect, framing)) = reader.filter(|_| head.status.is_success()) else {
            return Ok(Self::default());
        };
        let coding = Coding::of(head.headers.get_all(CONTENT_ENCODING)).map_err(|_| Unreadable)?;
        let decoder = coding.map(|coding| Decoder::chained(coding, settings.max_ratio));
        let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or_default();
        let form = if let Some(frames) = Frames::of(framing, kind) {
            let (begun, last) = (false, false);
            Form::Events(Events { dialect, frames, answer: answer(), begun, last })
        } else {
            let media = kind.split(';').next().unwrap_or_default().trim();
            if !media.eq_ignore_ascii_case("application/json") {
                return Err(Unreadable);
            }
            let (copy, most) = (BytesMut::new(), settings.max_answer);
            Form::Whole { dialect, copy, answer: answer(), most }
        };
        Ok(Self { decoder, form })
    }

    /// Reads what a model says over a websocket, response by response.
    pub(super) fn socket(answer: Answer) -> Self {
        Self { decoder: None, form: Form::Spoken(Box::new(Spoken::new(answer))) }
    }

    /// Takes what went over a websocket. The tokens of the responses it has ended, if any; and whether
    /// these are the first.
    pub(super) fn hear(&mut self, bytes: &[u8]) -> Option<(Usage, bool)> {
        let Form::Spoken(spoken) = &mut self.form else { return None };
        let first = spoken.responses == 0;
        Some((spoken.take(bytes)?, first))
    }

    /// Takes in the next chunk.
    pub(super) fn take(&mut self, chunk: &[u8]) -> Result<(), Unreadable> {
        match &mut self.decoder {
            Some(decoder) => decoder.feed(chunk, |plain| self.form.take(plain)),
            None => self.form.take(chunk),
        }
    }

    /// Counts an event's text that was taken out before it came here.
    pub(super) fn withhold(&mut self, text: &str) {
        match &mut self.form {
            // Nothing is taken out of sockets.
            Form::Nothing | Form::Spoken(_) => {}
            Form::Events(Events { answer, .. }) | Form::Whole { answer, .. } => {
                answer.withhold(text);
            }
        }
    }

    /// Whether a stream's last event has been read.
    pub(super) fn saw_last(&self) -> bool {
        matches!(&self.form, Form::Events(events) if events.last)
    }

    /// Output tokens that a stream has given away so far.
    pub(super) fn streamed(&self) -> Option<u32> {
        let Form::Events(events) = &self.form else { return None };
        Some(events.answer.counted())
    }

    /// Where the stream stands between two events, after at least one: bytes back from here. A coded
    /// stream has no such place, for nothing plain can be put into it.
    pub(super) fn since_event(&self) -> Option<usize> {
        let Form::Events(events) = &self.form else { return None };
        events.frames.pending().filter(|_| events.begun && self.decoder.is_none())
    }

    /// The frame that ends a stream with an error.
    pub(super) fn last_words(&self, refusal: &Refusal, reference: &str) -> Option<Bytes> {
        let Form::Events(events) = &self.form else { return None };
        Some(refusal.frame(events.dialect, events.frames.framing(), reference))
    }

    /// What the answer gave away. A stream cut short tells what it can; half a JSON text, nothing.
    pub(super) fn finish(self, whole: bool) -> Result<Completion, Unreadable> {
        match self.form {
            Form::Nothing => Ok(Completion::default()),
            Form::Events(mut events) => {
                if whole {
                    events.finish();
                }
                Ok(events.answer.finish())
            }
            Form::Spoken(spoken) => Ok(spoken.finish()),
            Form::Whole { .. } if !whole => Ok(Completion::default()),
            Form::Whole { dialect, copy, mut answer, .. } => {
                let delta = dialect.read_answer(&copy).map_err(|_| Unreadable)?;
                answer.take(&delta);
                Ok(answer.finish())
            }
        }
    }
}

impl Form {
    fn take(&mut self, plain: &[u8]) -> Result<(), Unreadable> {
        match self {
            Self::Nothing | Self::Spoken(_) => {}
            Self::Events(events) => events.take(plain),
            Self::Whole { copy, most, .. } => {
                if copy.len() + plain.len() > *most {
                    return Err(Unreadable);
                }
                copy.extend_from_slice(plain);
            }
        }
        Ok(())
    }
}

impl Events {
    fn take(&mut self, plain: &[u8]) {
        let Self { dialect, frames, answer, begun, last } = self;
        frames.push(plain, |event| *last |= read(*dialect, answer, begun, event));
    }

    /// Reads what the last line of a stream has left open.
    fn finish(&mut self) {
        let Self { dialect, frames, answer, begun, last } = self;
        frames.finish(|event| *last |= read(*dialect, answer, begun, event));
    }
}

/// An event that can't be read is passed over: its neighbours may still say how many tokens there
/// were. True for the last one.
fn read(
    dialect: &dyn Dialect,
    answer: &mut Answer,
    begun: &mut bool,
    event: crate::dialect::sse::Event<'_>,
) -> bool {
    *begun = true;
    let Ok(delta) = dialect.read_event(event) else { return false };
    answer.take(&delta);
    delta.last
}
