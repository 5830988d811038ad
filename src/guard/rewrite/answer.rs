//! An answer, changed while it passes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::response::Parts;
use http_body::Frame;

use super::super::bind::Wrapping;
use super::super::coding::{Coding, Decoder, Undecodable};
use super::super::settings::Settings;
use crate::dialect::shape::{self, Deeds, Rule, Shaping, Stream};
use crate::dialect::{Frames, Framing};

/// Changes an answer, or only looks on.
///
/// Holds of a stream one unfinished event, of another answer all of it, up to `max_answer`; what is
/// larger passes as it is.
#[derive(Debug)]
pub(in crate::guard) struct Rewriter {
    decoder: Option<Decoder>,
    form: Form,
    work: Work,
    /// Something passed that was not looked at: too large, or unreadable.
    missed: bool,
    /// What follows the last of the body: its trailers.
    pub(in crate::guard) after: Option<Frame<Bytes>>,
    /// The body has ended.
    pub(in crate::guard) ended: bool,
}

#[derive(Debug)]
enum Form {
    Stream(Stream),
    Whole {
        copy: Vec<u8>,
        most: usize,
    },
    /// It passes.
    Nothing,
}

/// What is done to an answer: it is shaped, then bound.
#[derive(Debug, Default)]
pub(in crate::guard) struct Work {
    pub(in crate::guard) shapes: Option<Shapes>,
    pub(in crate::guard) wrapping: Option<Wrapping>,
}

/// How an answer is shaped.
#[derive(Debug)]
pub(in crate::guard) struct Shapes {
    rules: &'static shape::Shapes,
    shaping: Shaping,
    /// If not, nothing changes, and what would have is told.
    carried_out: bool,
    deeds: Deeds,
    withheld: Vec<String>,
}

/// An answer that was to be changed can't be, any more.
#[derive(Debug, thiserror::Error)]
#[error("the answer can't be decoded")]
pub(in crate::guard) struct Unchangeable;

impl From<Undecodable> for Unchangeable {
    fn from(_: Undecodable) -> Self {
        Self
    }
}

/// Which of an API's rules hold.
type Side = fn(&'static shape::Shapes) -> &'static Rule;

const EVENT: Side = |shapes| &shapes.event;
const WHOLE: Side = |shapes| &shapes.answer;

impl Shapes {
    /// None where answers hold nothing that is shaped.
    pub(in crate::guard) fn new(
        rules: &'static shape::Shapes,
        shaping: Shaping,
        carried_out: bool,
    ) -> Option<Self> {
        let any = rules.shape_answers() && (shaping.logprobs || shaping.reasoning);
        let (deeds, withheld) = (Deeds::default(), Vec::new());
        any.then_some(Self { rules, shaping, carried_out, deeds, withheld })
    }

    fn change(&mut self, side: Side, data: &[u8]) -> Option<Vec<u8>> {
        let shaped = side(self.rules).apply(data, &self.shaping).ok()?;
        self.deeds.join(shaped.deeds);
        if !self.carried_out {
            return None;
        }
        self.withheld.extend(Some(shaped.withheld).filter(|text| !text.is_empty()));
        shaped.body
    }
}

impl Work {
    /// The text in place of `data`; none if it stays.
    fn change(&mut self, side: Side, data: &[u8]) -> Option<Vec<u8>> {
        let shaped = self.shapes.as_mut().and_then(|shapes| shapes.change(side, data));
        let bound = self.wrapping.as_mut().and_then(|wrapping| {
            let rule = side(wrapping.shapes());
            rule.bind(shaped.as_deref().unwrap_or(data), wrapping).ok().flatten()
        });
        bound.or(shaped)
    }

    fn shapes_for_real(&self) -> bool {
        self.shapes.as_ref().is_some_and(|shapes| shapes.carried_out)
    }
}

impl Rewriter {
    /// None where there is nothing to do to such an answer, or it can't be read.
    pub(in crate::guard) fn start(
        mut work: Work,
        framing: Framing,
        head: &Parts,
        settings: &Settings,
    ) -> Option<Self> {
        work.wrapping = work.wrapping.filter(|wrapping| wrapping.shapes().shape_answers());
        if !head.status.is_success() || (work.shapes.is_none() && work.wrapping.is_none()) {
            return None;
        }
        let coding = Coding::of(head.headers.get_all(CONTENT_ENCODING)).ok()?;
        let kind = head.headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let form = if let Some(frames) = Frames::of(framing, kind) {
            Form::Stream(Stream::new(frames))
        } else {
            let media = kind.split(';').next().unwrap_or_default().trim();
            let (copy, most) = (Vec::new(), settings.max_answer);
            media.eq_ignore_ascii_case("application/json").then_some(())?;
            Form::Whole { copy, most }
        };
        let decoder = coding.map(|coding| Decoder::chained(coding, settings.max_ratio));
        Some(Self { decoder, form, work, missed: false, after: None, ended: false })
    }

    /// Whether the answer's bytes may be others than the endpoint's.
    pub(in crate::guard) fn changes(&self) -> bool {
        self.work.shapes_for_real() || self.work.wrapping.is_some()
    }

    /// Whether the answer is shaped, and not only looked at.
    pub(in crate::guard) fn shapes(&self) -> bool {
        self.work.shapes_for_real()
    }

    /// Takes the next chunk and gives what can go on: plain, if it came coded.
    pub(in crate::guard) fn take(&mut self, chunk: &[u8]) -> Result<Bytes, Unchangeable> {
        let mut out = Vec::new();
        let Self { decoder, form, work, missed, .. } = self;
        let taken = catch_unwind(AssertUnwindSafe(|| match decoder {
            Some(decoder) => decoder.feed(chunk, |plain| {
                *missed |= form.take(plain, work, &mut out);
                Ok(())
            }),
            None => {
                *missed |= form.take(chunk, work, &mut out);
                Ok(())
            }
        }));
        taken.unwrap_or(Err(Unchangeable))?;
        Ok(out.into())
    }

    /// Gives what is left when the body has ended well.
    pub(in crate::guard) fn finish(&mut self) -> Bytes {
        let mut out = Vec::new();
        let work = &mut self.work;
        match std::mem::replace(&mut self.form, Form::Nothing) {
            Form::Nothing => {}
            Form::Stream(mut stream) => {
                stream.finish(&mut out, |event| work.change(EVENT, event));
                self.missed |= stream.overflowed();
            }
            Form::Whole { copy, .. } => {
                let changed = catch_unwind(AssertUnwindSafe(|| work.change(WHOLE, &copy)));
                self.missed |= changed.is_err();
                out = changed.ok().flatten().unwrap_or(copy);
            }
        }
        out.into()
    }

    /// What was shaped, or would have been.
    pub(in crate::guard) fn deeds(&self) -> Deeds {
        self.work.shapes.as_ref().map(|shapes| shapes.deeds).unwrap_or_default()
    }

    /// Texts of events that were withheld since this was last asked.
    pub(in crate::guard) fn take_withheld(&mut self) -> Vec<String> {
        self.work.shapes.as_mut().map(|it| std::mem::take(&mut it.withheld)).unwrap_or_default()
    }

    /// Seals and ids that have left wrapped, and whether some may have left as they were.
    pub(in crate::guard) fn wrapped(&self) -> (u32, bool) {
        let wrapping = self.work.wrapping.as_ref();
        wrapping.map_or((0, false), |wrapping| (wrapping.wrapped, self.missed))
    }
}

impl Form {
    /// True where something passes unseen from here on.
    fn take(&mut self, plain: &[u8], work: &mut Work, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Stream(stream) => {
                stream.push(plain, out, |event| work.change(EVENT, event));
                stream.overflowed()
            }
            Self::Whole { copy, most } if copy.len() + plain.len() > *most => {
                out.append(copy);
                out.extend_from_slice(plain);
                *self = Self::Nothing;
                true
            }
            Self::Whole { copy, .. } => {
                copy.extend_from_slice(plain);
                false
            }
            Self::Nothing => {
                out.extend_from_slice(plain);
                false
            }
        }
    }
}
