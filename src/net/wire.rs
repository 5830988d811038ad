//! A connection's bytes under deadlines that trickling can't extend.
//!
//! hyper's own head timeout also runs while a kept-alive connection waits for its next request, and
//! nothing in it notices a reader that takes no bytes; both are therefore kept here.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::activity::Activity;
use super::flood::Frames;
use super::scan::{Found, Scan};

/// An IO that first replays what was read before, then reads on.
#[derive(Debug)]
pub(super) struct Wire<T> {
    io: T,
    prefix: Bytes,
    /// None on HTTP/2, where the streams, not the bytes, tell whether a connection is in use.
    reading: Option<Reading>,
    /// On HTTP/2 alone.
    frames: Option<Frames>,
    writing: Alarm,
    stall: Duration,
    /// Bytes thrown away since our side was closed.
    discarded: Option<usize>,
}

/// How long, and for how many bytes, a client may go on sending after our side was closed. To close
/// a socket that holds unread bytes resets it, and the reset would overtake a refusal.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 16 << 20;

/// Deadlines of HTTP/1.1 heads.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) activity: Arc<Activity>,
    pub(super) head: Duration,
    pub(super) keep_alive: Duration,
    phase: Phase,
    seen: u64,
    alarm: Alarm,
    scan: Scan,
    broken: Option<Broken>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// An exchange was under way when last looked.
    Exchange,
    Waiting,
    Head,
}

/// A byte has come that no request may hold: nothing is read any more.
#[derive(Clone, Copy, Debug)]
enum Broken {
    Now,
    /// Once what came before it has been answered.
    Later,
}

/// How often a broken connection looks whether it may end.
const LOOK: Duration = Duration::from_millis(50);

/// A timer that is allocated once and only runs while armed.
#[derive(Debug, Default)]
struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
    armed: bool,
}

impl<T> Wire<T> {
    pub(super) fn new(io: T, prefix: Bytes, stall: Duration) -> Self {
        let writing = Alarm::default();
        Self { io, prefix, reading: None, frames: None, writing, stall, discarded: None }
    }

    /// Puts heads under deadlines; the first head's begins now.
    pub(super) fn with_heads(self, reading: Reading) -> Self {
        Self { reading: Some(reading), ..self }
    }

    /// Bounds how many idle frames of HTTP/2 are taken.
    pub(super) fn with_frames(self) -> Self {
        Self { frames: Some(Frames::new()), ..self }
    }

    /// Looks at what was read, and leaves no more of it than may be passed on.
    fn poll_arrived(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        from: usize,
    ) -> Poll<io::Result<()>> {
        if let Some(reading) = &mut self.reading {
            reading.arrived(buf, from);
            return match reading.broken {
                Some(broken) if buf.filled().len() == from => reading.poll_broken(cx, broken),
                _ => Poll::Ready(Ok(())),
            };
        }
        let frames = self.frames.as_mut();
        if frames.is_none_or(|frames| frames.feed(&buf.filled()[from..])) {
            return Poll::Ready(Ok(()));
        }
        buf.set_filled(from);
        Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()))
    }

    fn sent(&mut self, poll: &Poll<io::Result<usize>>) {
        if let (Some(frames), Poll::Ready(Ok(written))) = (&mut self.frames, poll) {
            frames.sent(*written);
        }
    }
}

impl Reading {
    pub(super) fn new(activity: Arc<Activity>, head: Duration, keep_alive: Duration) -> Self {
        let mut alarm = Alarm::default();
        alarm.set(head);
        let (phase, scan) = (Phase::Head, Scan::new());
        Self { activity, head, keep_alive, phase, seen: 0, alarm, scan, broken: None }
    }

    fn before(&mut self) {
        let begun = self.activity.begun();
        if begun != self.seen || !self.activity.is_idle() {
            self.seen = begun;
            self.phase = Phase::Exchange;
            self.alarm.armed = false;
        }
        if self.phase == Phase::Exchange && self.activity.is_idle() {
            self.phase = Phase::Waiting;
            self.alarm.set(self.keep_alive);
        }
    }

    fn arrived(&mut self, buf: &mut ReadBuf<'_>, from: usize) {
        let bytes = &buf.filled()[from..];
        if bytes.is_empty() {
            return;
        }
        if self.phase == Phase::Waiting {
            self.phase = Phase::Head;
            self.alarm.set(self.head);
        }
        if self.activity.has_switched() {
            self.scan.stop();
        }
        let next = self.activity.is_idle() && self.activity.begun() == self.scan.heads();
        match self.scan.feed(bytes, next) {
            Found::Sound => {}
            Found::Doubtful => self.activity.doubt(),
            Found::Broken { sound, later } => {
                self.broken = Some(if later { Broken::Later } else { Broken::Now });
                buf.set_filled(from + sound);
            }
        }
    }

    /// What a read comes to once a connection is broken.
    fn poll_broken(&mut self, cx: &mut Context<'_>, broken: Broken) -> Poll<io::Result<()>> {
        let answered = self.activity.is_idle() && self.activity.begun() >= self.scan.heads();
        if matches!(broken, Broken::Later) && !answered {
            self.alarm.set(LOOK);
            if !self.alarm.rang(cx) {
                return Poll::Pending;
            }
        }
        Poll::Ready(Err(io::ErrorKind::InvalidData.into()))
    }
}

impl Alarm {
    fn set(&mut self, after: Duration) {
        let at = Instant::now() + after;
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().reset(at),
            None => self.sleep = Some(Box::pin(sleep_until(at))),
        }
        self.armed = true;
    }

    fn rang(&mut self, cx: &mut Context<'_>) -> bool {
        let sleep = self.sleep.as_mut().filter(|_| self.armed);
        sleep.is_some_and(|sleep| sleep.as_mut().poll(cx).is_ready())
    }

    /// Lets `poll` through, but not pending for longer than `limit` at a stretch.
    fn bound<R>(
        &mut self,
        cx: &mut Context<'_>,
        poll: Poll<io::Result<R>>,
        limit: Duration,
    ) -> Poll<io::Result<R>> {
        if poll.is_ready() {
            self.armed = false;
            return poll;
        }
        if !self.armed {
            self.set(limit);
        }
        if self.rang(cx) { Poll::Ready(Err(io::ErrorKind::TimedOut.into())) } else { poll }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Wire<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let filled = buf.filled().len();
        if let Some(reading) = &mut this.reading {
            if let Some(broken) = reading.broken {
                return reading.poll_broken(cx, broken);
            }
            reading.before();
        }
        if !this.prefix.is_empty() {
            let taken = this.prefix.len().min(buf.remaining());
            buf.put_slice(&this.prefix.split_to(taken));
            return this.poll_arrived(cx, buf, filled);
        }
        if let Poll::Ready(done) = Pin::new(&mut this.io).poll_read(cx, buf) {
            done?;
            return this.poll_arrived(cx, buf, filled);
        }
        let late = this.reading.as_mut().is_some_and(|reading| reading.alarm.rang(cx));
        if late { Poll::Ready(Err(io::ErrorKind::TimedOut.into())) } else { Poll::Pending }
    }
}

impl<T: AsyncRead + Unpin> Wire<T> {
    /// Ready once the client has closed its side too, or has had its time.
    fn poll_linger(&mut self, cx: &mut Context<'_>, mut discarded: usize) -> Poll<()> {
        let mut sink = [0; 4096];
        while discarded < LINGER_BYTES {
            let mut buf = ReadBuf::new(&mut sink);
            match Pin::new(&mut self.io).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => discarded += buf.filled().len(),
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => {
                    self.discarded = Some(discarded);
                    return if self.writing.rang(cx) { Poll::Ready(()) } else { Poll::Pending };
                }
            }
        }
        Poll::Ready(())
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.io).poll_write(cx, buf);
        this.sent(&poll);
        this.writing.bound(cx, poll, this.stall)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
        this.sent(&poll);
        this.writing.bound(cx, poll, this.stall)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.discarded.is_some() {
            // Closed: the alarm is the lingering's now.
            return Poll::Ready(Ok(()));
        }
        let poll = Pin::new(&mut this.io).poll_flush(cx);
        this.writing.bound(cx, poll, this.stall)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.discarded.is_none() {
            let poll = Pin::new(&mut this.io).poll_shutdown(cx);
            ready!(this.writing.bound(cx, poll, this.stall))?;
            if this.reading.is_none() {
                return Poll::Ready(Ok(()));
            }
            this.writing.set(LINGER);
        }
        this.poll_linger(cx, this.discarded.unwrap_or_default()).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const HEAD: Duration = Duration::from_secs(10);
    const KEEP_ALIVE: Duration = Duration::from_secs(75);

    fn wire<T>(io: T, prefix: &'static [u8], activity: &Arc<Activity>) -> Wire<T> {
        let reading = Reading::new(Arc::clone(activity), HEAD, KEEP_ALIVE);
        Wire::new(io, prefix.into(), Duration::from_secs(120)).with_heads(reading)
    }

    #[tokio::test(start_paused = true)]
    async fn trickling_does_not_extend_the_head() {
        let (mut client, server) = duplex(64);
        let mut wire = wire(server, b"GET", &Arc::default());
        let start = Instant::now();
        let trickle = tokio::spawn(async move {
            while client.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let mut sink = Vec::new();
        let cut = wire.read_to_end(&mut sink).await.unwrap_err();
        assert_eq!(cut.kind(), io::ErrorKind::TimedOut);
        assert!(sink.starts_with(b"GETx"), "what was read before comes first");
        assert_eq!(start.elapsed().as_secs(), 10);
        drop(wire);
        trickle.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_kept_connection_waits_longer_than_a_head_may_take() {
        let (mut client, server) = duplex(64);
        let activity = Arc::default();
        let mut wire = wire(server, b"", &activity);
        drop(activity.enter());
        let start = Instant::now();
        let mut buf = [0; 8];
        let write = async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            client.write_all(b"G").await.unwrap();
        };
        let (read, ()) = tokio::join!(wire.read(&mut buf), write);
        assert_eq!(read.unwrap(), 1);
        wire.read(&mut buf).await.unwrap_err();
        assert_eq!(start.elapsed().as_secs(), 70);
    }

    #[tokio::test(start_paused = true)]
    async fn a_running_exchange_has_no_head_deadline() {
        let (_client, server) = duplex(64);
        let activity = Arc::default();
        let mut wire = wire(server, b"", &activity);
        let _exchange = activity.enter();
        let mut buf = [0; 8];
        let read = tokio::time::timeout(Duration::from_secs(3_600), wire.read(&mut buf)).await;
        assert!(read.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_nothing_is_cut() {
        let (_client, server) = duplex(4);
        let mut wire = wire(server, b"", &Arc::default());
        let start = Instant::now();
        let cut = wire.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!((cut.kind(), start.elapsed().as_secs()), (io::ErrorKind::TimedOut, 120));
    }

    #[tokio::test(start_paused = true)]
    async fn closing_takes_in_what_is_still_being_sent_but_not_for_ever() {
        let (mut client, server) = duplex(64);
        let mut wire = wire(server, b"", &Arc::default());
        let start = Instant::now();
        let sending = tokio::spawn(async move {
            client.write_all(&[0; 1000]).await.unwrap();
            client
        });
        wire.shutdown().await.unwrap();
        let sent = tokio::time::timeout(LINGER, sending).await.expect("nobody took it in");
        let _still_open = sent.unwrap();
        assert_eq!(start.elapsed(), LINGER);
    }
}
