//! The answer's body: frames at a pace, and an ending that may be a fault.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use super::{BrokenOff, Generating};

/// How a body ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ending {
    Whole,
    /// Halfway, with the connection broken off.
    Broken,
    /// Halfway, and then nothing.
    Stalled,
}

/// Frames, each after a pause.
#[derive(Debug)]
pub(super) struct Paced {
    frames: std::vec::IntoIter<Bytes>,
    pause: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
    ending: Ending,
    /// Bytes promised in `content-length`; none for a stream.
    size: Option<u64>,
    generating: Option<Generating>,
    /// The connection has had a chance to send what it holds: hyper drops it unsent on an error.
    flushed: bool,
}

impl Paced {
    /// A body of one piece.
    pub(super) fn whole(bytes: Bytes) -> Self {
        let size = Some(bytes.len() as u64);
        Self { size, ..Self::stream(vec![bytes], Duration::ZERO) }
    }

    pub(super) fn stream(frames: Vec<Bytes>, pause: Duration) -> Self {
        let frames = frames.into_iter();
        let (waiting, ending, size, generating) = (None, Ending::Whole, None, None);
        Self { frames, pause, waiting, ending, size, generating, flushed: false }
    }

    /// Counts the exchange as cancelled when the body is dropped before its end.
    pub(super) fn counted(self, generating: Generating) -> Self {
        let mut counted = Self { generating: Some(generating), ..self };
        counted.note_end();
        counted
    }

    /// Gives only the first half of the bytes, then ends as `ending` says.
    pub(super) fn halved(self, ending: Ending) -> Self {
        let frames: Vec<Bytes> = self.frames.collect();
        let mut left = frames.iter().map(Bytes::len).sum::<usize>() / 2;
        let half = frames.into_iter().map(|frame| {
            let taken = frame.len().min(left);
            left -= taken;
            frame.slice(..taken)
        });
        let half: Vec<Bytes> = half.filter(|frame| !frame.is_empty()).collect();
        Self { frames: half.into_iter(), ending, ..self }
    }

    fn note_end(&mut self) {
        if self.frames.len() == 0
            && self.ending == Ending::Whole
            && let Some(generating) = &mut self.generating
        {
            generating.finish();
        }
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if !self.pause.is_zero() {
            let pause = self.pause;
            let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(pause)));
            ready!(waiting.as_mut().poll(cx));
        }
        self.waiting = None;
        if let Some(frame) = self.frames.next() {
            self.note_end();
            return Poll::Ready(Some(Ok(Frame::data(frame))));
        }
        match self.ending {
            Ending::Whole => Poll::Ready(None),
            // Never woken again: the client has to leave.
            Ending::Stalled => Poll::Pending,
            Ending::Broken if !self.flushed => {
                self.flushed = true;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Ending::Broken => {
                if let Some(generating) = &mut self.generating {
                    generating.finish();
                }
                Poll::Ready(Some(Err(BrokenOff)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.frames.len() == 0 && self.ending == Ending::Whole
    }

    fn size_hint(&self) -> SizeHint {
        self.size.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
