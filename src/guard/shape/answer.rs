//! An answer, shaped while it passes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::response::Parts;
use http_body::Frame;

use super::super::coding::{Coding, Decoder, Undecodable};
use super::super::settings::Settings;
use crate::dialect::shape::{Deeds, Shapes, Shaping, Stream};
use crate::dialect::{Frames, Framing};

/// Shapes an answer, or only looks on.
///
/// Holds of a stream one unfinished event, of another answer all of it, up to `max_answer`; what is
/// larger passes as it is.
#[derive(Debug)]
pub(in crate::guard) struct Shaper {
    decoder: Option<Decoder>,
    form: Form,
    deeds: Deeds,
    withheld: Vec<String>,
    /// What follows the last of the body: its trailers.
    pub(in crate::guard) after: Option<Frame<Bytes>>,
    /// The body has ended.
    pub(in crate::guard) ended: bool,
}

#[derive(Debug)]
enum Form {
    Stream(Stream),
    Whole {
        shapes: &'static Shapes,
        shaping: Shaping,
        copy: Vec<u8>,
        most: usize,
    },
    /// It passes.
    Nothing,
}

/// An answer that was to be shaped can't be, any more.
#[derive(Debug, thiserror::Error)]
#[error("the answer can't be decoded")]
pub(in crate::guard) struct Unshapeable;

impl From<Undecodable> for Unshapeable {
    fn from(_: Undecodable) -> Self {
        Self
    }
}

impl Shaper {
    /// None where nothing of such an answer is shaped, or it can't be read.
    pub(super) fn start(
        (shapes, shaping): (&'static Shapes, &Shaping),
        framing: Framing,
        head: &Parts,
        settings: &Settings,
    ) -> Option<Self> {
        let any = shapes.shape_answers() && (shaping.logprobs || shaping.reasoning);
        if !head.status.is_success() || !any {
            return None;
        }
        let coding = Coding::of(head.headers.get_all(CONTENT_ENCODING)).ok()?;
        let kind = head.headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let form = if let Some(frames) = Frames::of(framing, kind) {
            Form::Stream(Stream::new(frames, &shapes.event, *shaping))
        } else {
            let media = kind.split(';').next().unwrap_or_default().trim();
            let (copy, most) = (Vec::new(), settings.max_answer);
            media.eq_ignore_ascii_case("application/json").then_some(())?;
            Form::Whole { shapes, shaping: *shaping, copy, most }
        };
        let decoder = coding.map(|coding| Decoder::chained(coding, settings.max_ratio));
        let (deeds, withheld) = (Deeds::default(), Vec::new());
        Some(Self { decoder, form, deeds, withheld, after: None, ended: false })
    }

    /// Takes the next chunk and gives what can go on: plain, if it came coded.
    pub(in crate::guard) fn take(&mut self, chunk: &[u8]) -> Result<Bytes, Unshapeable> {
        let mut out = Vec::new();
        let Self { decoder, form, .. } = self;
        let taken = catch_unwind(AssertUnwindSafe(|| match decoder {
            Some(decoder) => decoder.feed(chunk, |plain| {
                form.take(plain, &mut out);
                Ok(())
            }),
            None => {
                form.take(chunk, &mut out);
                Ok(())
            }
        }));
        taken.unwrap_or(Err(Unshapeable))?;
        self.gather();
        Ok(out.into())
    }

    /// Gives what is left when the body has ended well.
    pub(in crate::guard) fn finish(&mut self) -> Bytes {
        let mut out = Vec::new();
        match std::mem::replace(&mut self.form, Form::Nothing) {
            Form::Nothing => {}
            Form::Stream(mut stream) => {
                stream.finish(&mut out);
                self.form = Form::Stream(stream);
                self.gather();
                self.form = Form::Nothing;
            }
            Form::Whole { shapes, shaping, copy, .. } => {
                let apply = || shapes.answer.apply(&copy, &shaping);
                let shaped = catch_unwind(AssertUnwindSafe(apply));
                if let Ok(Ok(shaped)) = shaped {
                    self.deeds.join(shaped.deeds);
                    self.withheld.extend(Some(shaped.withheld).filter(|text| !text.is_empty()));
                    out = shaped.body.unwrap_or(copy);
                } else {
                    out = copy;
                }
            }
        }
        out.into()
    }

    pub(in crate::guard) fn deeds(&self) -> Deeds {
        self.deeds
    }

    /// Texts of events that were withheld since this was last asked.
    pub(in crate::guard) fn take_withheld(&mut self) -> Vec<String> {
        std::mem::take(&mut self.withheld)
    }

    fn gather(&mut self) {
        if let Form::Stream(stream) = &mut self.form {
            self.deeds.join(stream.deeds());
            self.withheld.append(&mut stream.take_withheld());
        }
    }
}

impl Form {
    fn take(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Stream(stream) => stream.push(plain, out),
            Self::Whole { copy, most, .. } if copy.len() + plain.len() > *most => {
                out.append(copy);
                out.extend_from_slice(plain);
                *self = Self::Nothing;
            }
            Self::Whole { copy, .. } => copy.extend_from_slice(plain),
            Self::Nothing => out.extend_from_slice(plain),
        }
    }
}
