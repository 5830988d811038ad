//! A stream that passes no faster than its account may have it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, Sleep, sleep_until};

/// Bytes that pass at once: a few tokens, so that a chunk of many flows in place of jumping.
const PIECE: usize = 256;

/// The longest pause between two pieces. Clients give up on a silent stream after a minute or more;
/// what is owed beyond it is waited for later.
const LONGEST: Duration = Duration::from_secs(10);

/// Paces one stream. Holds what is left of one chunk and asks for the next when that has passed, so
/// it is the endpoint that waits. Nothing is put into the stream.
#[derive(Debug)]
pub(super) struct Slow {
    /// Tokens a second.
    rate: f64,
    rest: Bytes,
    /// Tokens that have passed, and when the next may.
    tokens: u32,
    due: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Slow {
    pub(super) fn new(rate: f64) -> Self {
        Self { rate, rest: Bytes::new(), tokens: 0, due: None, timer: None }
    }

    /// Waits until something may pass.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(timer) = &mut self.timer {
            ready!(timer.as_mut().poll(cx));
        }
        self.timer = None;
        Poll::Ready(())
    }

    /// Takes a chunk; its first piece is the next.
    pub(super) fn take(&mut self, chunk: Bytes) {
        self.rest = chunk;
    }

    /// The next piece of what is held.
    pub(super) fn next(&mut self) -> Option<Bytes> {
        let length = self.rest.len().min(PIECE);
        (length > 0).then(|| self.rest.split_to(length))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// A piece has passed, and so many tokens with it in all. A stream that was slow by itself earns
    /// nothing by it.
    pub(super) fn passed(&mut self, tokens: u32) {
        let more = f64::from(tokens.saturating_sub(self.tokens)) / self.rate;
        self.tokens = self.tokens.max(tokens);
        let now = Instant::now();
        let due = self.due.map_or(now, |due| due.max(now)) + Duration::from_secs_f64(more);
        self.due = Some(due);
        self.timer = (due > now).then(|| Box::pin(sleep_until(due.min(now + LONGEST))));
    }
}
