//! An answer's body on its way to the caller.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};

use super::super::BoxError;
use super::super::rewrite::Rewriter;
use super::slow::Slow;
use super::{LastWords, Watch};
use crate::signal::Ending;

pin_project! {
    /// An answer's body: every frame passes at once and as it is, read in passing.
    ///
    /// An error of the inner body is passed on, never turned into an end: a clean end would be
    /// taken for the whole answer. A stream that breaks off between two events, or is cut at a
    /// limit, first says why in an event of its dialect's own: SDKs raise both, but only the event
    /// has words for the person who reads the exception. It goes on to fail all the same.
    #[derive(Debug)]
    pub struct Observed<R> {
        // Gone, and with it the endpoint's work, once nothing more of it is passed on.
        #[pin]
        inner: Option<R>,
        watch: Box<Watch>,
        slow: Option<Slow>,
        breaking: Option<Breaking>,
    }
}

/// A stream that is ending before its end: what still passes, and the error after it.
#[derive(Debug)]
struct Breaking {
    chunks: [Option<Bytes>; 2],
    linger: Option<Pin<Box<Sleep>>>,
    error: Option<BoxError>,
}

/// Between the last frame and the error: servers throw away what they have not sent when a body
/// fails, and a caller may be slow to take it.
const LINGER: Duration = Duration::from_millis(250);

/// The answer was cut at a limit of its account.
#[derive(Debug, thiserror::Error)]
#[error("the answer was cut at a limit of its account")]
struct Cut;

impl Breaking {
    fn new(frame: Option<Result<Frame<Bytes>, BoxError>>, last: LastWords) -> Self {
        let (kept, error) = match frame {
            Some(Err(error)) => (Bytes::new(), error),
            Some(Ok(frame)) => (frame.into_data().unwrap_or_default(), Cut.into()),
            None => (Bytes::new(), Cut.into()),
        };
        let kept = kept.slice(..last.keep.min(kept.len()));
        let chunks = [Some(kept).filter(|kept| !kept.is_empty()), last.frame];
        Self { chunks, linger: None, error: Some(error) }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(chunk) = self.chunks.iter_mut().find_map(Option::take) {
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        let linger = self.linger.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        if self.error.is_some() {
            ready!(linger.as_mut().poll(cx));
        }
        Poll::Ready(self.error.take().map(Err))
    }
}

impl<R> Observed<R> {
    pub(super) fn new(inner: R, watch: Box<Watch>, slow: Option<Slow>) -> Self {
        Self { inner: Some(inner), watch, slow, breaking: None }
    }
}

type Next = Option<Result<Frame<Bytes>, BoxError>>;

/// What comes next, changed and slowed where it is to be, and whether it is the last.
fn poll_next<R>(
    mut inner: Pin<&mut R>,
    watch: &mut Watch,
    slow: &mut Option<Slow>,
    cx: &mut Context<'_>,
) -> Poll<(Next, bool)>
where
    R: Body<Data = Bytes>,
    R::Error: Into<BoxError>,
{
    let Some(slow) = slow else {
        let next = ready!(poll_changed(inner.as_mut(), watch.rewriter(), cx));
        // Nothing follows trailers, and servers ask for nothing more.
        let trailers = matches!(&next, Some(Ok(frame)) if frame.is_trailers());
        return Poll::Ready((next, trailers || (inner.is_end_stream() && !watch.is_changed())));
    };
    ready!(slow.poll(cx));
    if slow.is_empty() {
        match ready!(poll_changed(inner.as_mut(), watch.rewriter(), cx)) {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(chunk) => slow.take(chunk),
                Err(trailers) => return Poll::Ready((Some(Ok(trailers)), true)),
            },
            end => return Poll::Ready((end, false)),
        }
    }
    let piece = slow.next().unwrap_or_default();
    let ended = slow.is_empty() && inner.is_end_stream() && !watch.is_changed();
    Poll::Ready((Some(Ok(Frame::data(piece))), ended))
}

/// What comes next, changed where it is to be. Half an event that is held when the body fails is
/// gone: nobody could read it, and it has not been changed.
fn poll_changed<R>(
    mut inner: Pin<&mut R>,
    rewriter: Option<&mut Rewriter>,
    cx: &mut Context<'_>,
) -> Poll<Next>
where
    R: Body<Data = Bytes>,
    R::Error: Into<BoxError>,
{
    let Some(rewriter) = rewriter else {
        return inner.poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(Into::into)));
    };
    loop {
        if let Some(trailers) = rewriter.after.take() {
            return Poll::Ready(Some(Ok(trailers)));
        }
        if rewriter.ended {
            return Poll::Ready(None);
        }
        let chunk = match ready!(inner.as_mut().poll_frame(cx)) {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(chunk) => rewriter.take(&chunk),
                Err(trailers) => {
                    rewriter.ended = true;
                    rewriter.after = Some(trailers);
                    Ok(rewriter.finish())
                }
            },
            Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            None => {
                rewriter.ended = true;
                Ok(rewriter.finish())
            }
        };
        match chunk {
            Ok(chunk) if chunk.is_empty() => {}
            Ok(chunk) => return Poll::Ready(Some(Ok(Frame::data(chunk)))),
            Err(error) => return Poll::Ready(Some(Err(error.into()))),
        }
    }
}

impl<R> Body for Observed<R>
where
    R: Body<Data = Bytes>,
    R::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut this = self.project();
        let Some(inner) = this.inner.as_mut().as_pin_mut() else {
            return this.breaking.as_mut().map_or(Poll::Ready(None), |last| last.poll(cx));
        };
        let (frame, ended) = ready!(poll_next(inner, this.watch, this.slow, cx));
        let (last, ending) = match &frame {
            Some(Ok(frame)) => {
                let chunk = frame.data_ref();
                (chunk.and_then(|chunk| this.watch.passing(chunk, ended)), Ending::Cut)
            }
            Some(Err(_)) => (this.watch.broken_off(), Ending::Truncated),
            None => (None, Ending::Complete),
        };
        if let (Some(slow), Some(Ok(_))) = (this.slow, &frame) {
            slow.passed(this.watch.reading.streamed().unwrap_or_default());
        }
        let Some(last) = last else {
            match &frame {
                Some(Ok(_)) if !ended => {}
                Some(Err(_)) => this.watch.report(Ending::Truncated),
                _ => this.watch.report(Ending::Complete),
            }
            return Poll::Ready(frame);
        };
        this.watch.report(ending);
        this.inner.set(None);
        this.breaking.insert(Breaking::new(frame, last)).poll(cx)
    }

    fn is_end_stream(&self) -> bool {
        let held = self.slow.as_ref().is_some_and(|slow| !slow.is_empty());
        !held && !self.watch.is_changed() && self.inner.as_ref().is_some_and(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.inner.as_ref().filter(|_| self.slow.is_none() && !self.watch.is_changed());
        inner.map(Body::size_hint).unwrap_or_default()
    }
}
