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
        watch: Watch,
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
    pub(super) fn new(inner: R, watch: Watch) -> Self {
        Self { inner: Some(inner), watch, breaking: None }
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
        let Some(mut inner) = this.inner.as_mut().as_pin_mut() else {
            return this.breaking.as_mut().map_or(Poll::Ready(None), |last| last.poll(cx));
        };
        let frame = ready!(inner.as_mut().poll_frame(cx)).map(|frame| frame.map_err(Into::into));
        let ended = inner.is_end_stream();
        let (last, ending) = match &frame {
            Some(Ok(frame)) => {
                let chunk = frame.data_ref();
                (chunk.and_then(|chunk| this.watch.passing(chunk, ended)), Ending::Cut)
            }
            Some(Err(_)) => (this.watch.broken_off(), Ending::Truncated),
            None => (None, Ending::Complete),
        };
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
        self.inner.as_ref().is_some_and(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}
