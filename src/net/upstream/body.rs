//! Bodies on their way: each chunk in time, or a visible end.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use super::cluster::Visit;
use super::pool::Lease;
use super::replay::Replay;
use crate::net::app::BoxError;

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("no chunk within {0:?}")]
    Silent(Duration),
    #[error("not done within {0:?}")]
    Endless(Duration),
    #[error("broke off: {0}")]
    Broken(BoxError),
}

/// An endpoint's answer.
///
/// Read to its end, the connection goes back to the pool. Dropped earlier or broken, the
/// connection is cut off at once, so the endpoint stops working for nobody. Either way its place at
/// the endpoint is free again.
#[derive(Debug)]
pub struct UpstreamBody<B>
where
    B: Send + 'static,
{
    incoming: Incoming,
    held: Option<Held<B>>,
    pace: Pace,
    over: bool,
}

/// What an exchange holds of its endpoint.
#[derive(Debug)]
pub(super) struct Held<B: Send + 'static> {
    pub(super) lease: Lease<B>,
    pub(super) _visit: Visit,
}

/// Deadlines of one body. Its timer is only made once a body is waited for, and only moved when it
/// rings. Time in which nobody asks for a chunk is not held against the sender.
#[derive(Debug)]
struct Pace {
    between: Duration,
    total: Duration,
    begun: Instant,
    waiting: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

pin_project! {
    /// A request's body on its way to the endpoint: under a deadline between chunks, and without
    /// trailers, which an endpoint could take for fields.
    #[derive(Debug)]
    pub struct Sent<B> {
        #[pin]
        body: B,
        pace: Pace,
    }
}

impl<B> UpstreamBody<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    pub(super) fn new(
        incoming: Incoming,
        held: Option<Held<B>>,
        between: Duration,
        total: Duration,
    ) -> Self {
        let mut body = Self { incoming, held, pace: Pace::new(between, total), over: false };
        body.settle();
        body
    }

    /// Returns the connection as soon as nothing more is to be read from it.
    fn settle(&mut self) {
        if self.incoming.is_end_stream() {
            self.end();
        }
    }

    fn end(&mut self) {
        if let Some(held) = self.held.take() {
            held.lease.end();
        }
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.over = true;
        self.held = None;
        Poll::Ready(Some(Err(error)))
    }
}

impl<B> Body for UpstreamBody<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if this.over {
            return Poll::Ready(None);
        }
        match Pin::new(&mut this.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Err(late) = this.pace.moved() {
                    return this.fail(late);
                }
                this.settle();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => this.fail(BodyError::Broken(error.into())),
            Poll::Ready(None) => {
                this.over = true;
                this.end();
                Poll::Ready(None)
            }
            Poll::Pending => match this.pace.waits(cx) {
                Poll::Ready(late) => this.fail(late),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl<B> Sent<B> {
    pub(super) fn new(body: B, between: Duration, total: Duration) -> Self {
        Self { body, pace: Pace::new(between, total) }
    }
}

impl<B: Replay> Replay for Sent<B> {
    fn again(&self) -> Option<Self> {
        Some(Self::new(self.body.again()?, self.pace.between, self.pace.total))
    }
}

impl<B: Body<Data = Bytes, Error: Into<BoxError>>> Body for Sent<B> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut this = self.project();
        loop {
            return match this.body.as_mut().poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) if frame.is_trailers() => continue,
                Poll::Ready(Some(Ok(frame))) => {
                    Poll::Ready(Some(this.pace.moved().map(|()| frame)))
                }
                Poll::Ready(Some(Err(error))) => {
                    Poll::Ready(Some(Err(BodyError::Broken(error.into()))))
                }
                Poll::Ready(None) => Poll::Ready(None),
                Poll::Pending => this.pace.waits(cx).map(|late| Some(Err(late))),
            };
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Pace {
    fn new(between: Duration, total: Duration) -> Self {
        Self { between, total, begun: Instant::now(), waiting: None, timer: None }
    }

    fn moved(&mut self) -> Result<(), BodyError> {
        self.waiting = None;
        let late = self.begun.elapsed() >= self.total;
        if late { Err(BodyError::Endless(self.total)) } else { Ok(()) }
    }

    /// Ready with the reason once the next chunk is late.
    fn waits(&mut self, cx: &mut Context<'_>) -> Poll<BodyError> {
        let since = *self.waiting.get_or_insert_with(Instant::now);
        let (silent, endless) = (since + self.between, self.begun + self.total);
        let at = silent.min(endless);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
        while timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if now >= endless {
                return Poll::Ready(BodyError::Endless(self.total));
            }
            if now >= silent {
                return Poll::Ready(BodyError::Silent(self.between));
            }
            timer.as_mut().reset(at);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    type Piece = Result<Frame<Bytes>, std::convert::Infallible>;

    fn every(seconds: u64, count: usize) -> impl Body<Data = Bytes, Error: Into<BoxError>> {
        let stream = futures_util::stream::unfold(0, move |n| async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            (n < count).then(|| (Piece::Ok(Frame::data(Bytes::from_static(b"x"))), n + 1))
        });
        StreamBody::new(stream)
    }

    fn sent<B>(body: B) -> Pin<Box<Sent<B>>> {
        Box::pin(Sent::new(body, Duration::from_secs(10), Duration::from_secs(60)))
    }

    #[tokio::test(start_paused = true)]
    async fn chunks_in_time_all_pass() {
        assert_eq!(sent(every(6, 5)).collect().await.unwrap().to_bytes().len(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_body_ends_in_an_error() {
        let start = Instant::now();
        let error = sent(every(11, 5)).collect().await.unwrap_err();
        assert!(matches!(error, BodyError::Silent(_)), "{error}");
        assert_eq!(start.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn an_endless_body_ends_in_an_error() {
        let error = sent(every(9, 50)).collect().await.unwrap_err();
        assert!(matches!(error, BodyError::Endless(_)), "{error}");
    }

    #[tokio::test]
    async fn trailers_stay_behind() {
        let trailers = http::HeaderMap::from_iter([(http::header::HOST, "evil".parse().unwrap())]);
        let frames = [Frame::data(Bytes::from_static(b"x")), Frame::trailers(trailers)];
        let body = StreamBody::new(futures_util::stream::iter(frames.map(Piece::Ok)));
        let collected = sent(body).collect().await.unwrap();
        assert!(collected.trailers().is_none());
    }
}
