//! What goes through a tunnel: counted, timed and cut between frames.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Duration, Instant, sleep_until};

use super::Caps;
use crate::dialect::websocket::{Frames, POLICY_VIOLATION, PROTOCOL_ERROR, Strict};
use crate::guard::Socket;

/// Why a tunnel is closed: a code, and words.
pub(super) type Why = (u16, &'static str);

/// A tunnel's counts. One task waits on it.
#[derive(Debug)]
pub(super) struct Meter {
    caps: Caps,
    start: Instant,
    /// When bytes last went through, in milliseconds after `start`.
    pulse: AtomicU64,
    /// Bytes so far, both ways.
    passed: AtomicU64,
    /// From here on no frame begins.
    over: AtomicBool,
    /// Because the account has no tokens left.
    spent: AtomicBool,
    /// Because what the client sends is no websocket's.
    broken: AtomicBool,
    /// Whether what went to the client ended with a whole frame.
    between: AtomicBool,
    changed: Notify,
    socket: Option<Socket>,
}

impl Meter {
    pub(super) fn new(caps: Caps, socket: Option<Socket>) -> Self {
        Self {
            caps,
            start: Instant::now(),
            pulse: AtomicU64::new(0),
            passed: AtomicU64::new(0),
            over: AtomicBool::new(false),
            spent: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            between: AtomicBool::new(true),
            changed: Notify::new(),
            socket,
        }
    }

    /// Resolves when nothing has moved for long enough.
    pub(super) async fn silence(&self) {
        loop {
            let last = self.start + Duration::from_millis(self.pulse.load(Relaxed));
            if last.elapsed() >= self.caps.idle {
                return;
            }
            sleep_until(last + self.caps.idle).await;
        }
    }

    /// Resolves at a cap, with the code and the words for it.
    pub(super) async fn exceeded(&self) -> Why {
        let end = sleep_until(self.start + self.caps.total);
        tokio::pin!(end);
        loop {
            if self.broken.load(Relaxed) {
                return (PROTOCOL_ERROR, "What was sent is no frame of a websocket's client.");
            }
            if self.passed.load(Relaxed) >= self.caps.bytes {
                return (POLICY_VIOLATION, "The connection has carried as much as it may.");
            }
            if self.spent.load(Relaxed) {
                return (POLICY_VIOLATION, "The tokens of this account are used up.");
            }
            tokio::select! {
                () = self.changed.notified() => {}
                () = &mut end => {
                    self.over.store(true, Relaxed);
                    return (POLICY_VIOLATION, "The connection has lasted as long as it may.");
                }
            }
        }
    }

    /// Resolves once no frame to the client is under way.
    pub(super) async fn frame_ended(&self) {
        while !self.between() {
            self.changed.notified().await;
        }
    }

    pub(super) fn between(&self) -> bool {
        self.between.load(Relaxed)
    }

    /// Bytes up to the cap; at least one before it has been reached.
    fn left(&self) -> u64 {
        self.caps.bytes.saturating_sub(self.passed.load(Relaxed)).max(1)
    }

    /// Nothing more of what the client sends is passed on.
    fn refuse(&self) {
        self.broken.store(true, Relaxed);
        self.over.store(true, Relaxed);
        self.changed.notify_one();
    }

    /// Counts what went to the client, and has the exchange read it.
    fn sent(&self, bytes: &[u8]) {
        if self.socket.as_ref().is_some_and(|socket| socket.sent(bytes)) {
            self.spent.store(true, Relaxed);
            self.over.store(true, Relaxed);
        }
        self.count(bytes.len());
    }

    fn count(&self, bytes: usize) {
        let millis = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.pulse.store(millis, Relaxed);
        let passed = self.passed.fetch_add(bytes as u64, Relaxed).saturating_add(bytes as u64);
        if passed >= self.caps.bytes {
            self.over.store(true, Relaxed);
        }
        if self.over.load(Relaxed) {
            self.changed.notify_one();
        }
    }
}

/// The client's side of a tunnel.
#[derive(Debug)]
pub(super) struct Metered<T> {
    pub(super) io: T,
    /// Of what goes to the client.
    frames: Frames,
    /// Of what comes from it.
    asked: Strict,
    meter: Arc<Meter>,
}

impl<T> Metered<T> {
    pub(super) fn new(io: T, meter: Arc<Meter>) -> Self {
        Self { io, frames: Frames::default(), asked: Strict::default(), meter }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Metered<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.meter.over.load(Relaxed) {
            // For good: the tunnel is about to be closed, and whoever closes it is awake.
            return Poll::Pending;
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        if !self.asked.pass(&buf.filled()[before..]) {
            buf.set_filled(before);
            self.meter.refuse();
            return Poll::Pending;
        }
        let read = buf.filled().len() - before;
        if let Some(socket) = &self.meter.socket {
            socket.received(read);
        }
        self.meter.count(read);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Metered<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let left = usize::try_from(self.meter.left()).unwrap_or(usize::MAX);
        if !self.meter.over.load(Relaxed) {
            buf = &buf[..buf.len().min(left)];
        } else {
            buf = &buf[..self.frames.rest(buf)];
            if buf.is_empty() {
                return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
            }
        }
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, buf))?;
        self.frames.pass(&buf[..written]);
        self.meter.between.store(self.frames.between(), Relaxed);
        self.meter.sent(&buf[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
