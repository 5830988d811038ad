//! Websockets: after a 101 from the endpoint, bytes are passed both ways, unread.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};
use tokio::time::{Instant, sleep_until, timeout};

use super::activity::Hold;
use super::settings::Deadlines;
use crate::guard::Socket;

/// How long either side may take to let go of HTTP after the 101.
const HAND_OVER: Duration = Duration::from_secs(10);

/// Leave to open a tunnel, found among a request's extensions where policy allows one.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    hold: Hold,
    idle: Duration,
    total: Duration,
}

impl Terms {
    pub(super) fn new(hold: Hold, deadlines: &Deadlines) -> Self {
        Self {
            hold,
            idle: Duration::from_secs(deadlines.websocket_idle_secs),
            total: Duration::from_secs(deadlines.websocket_total_secs),
        }
    }

    /// Opens the tunnel in a task of its own. `kept` lives as long as the tunnel, and so does the
    /// exchange, if the guard left its socket.
    pub(super) fn tunnel<K>(
        self,
        (client, endpoint): (OnUpgrade, OnUpgrade),
        socket: Option<Socket>,
        kept: K,
    ) where
        K: Send + 'static,
    {
        // The connection counts as busy from here on, so its idle deadline does not strike.
        let under_way = self.hold.activity().enter();
        tokio::spawn(async move {
            let _while_open = (self.hold, under_way, kept);
            let both = async { tokio::try_join!(client, endpoint) };
            let Ok(Ok((client, endpoint))) = timeout(HAND_OVER, both).await else { return };
            let (client, endpoint) = (TokioIo::new(client), TokioIo::new(endpoint));
            let tunnel = pass(client, endpoint, socket.clone(), self.idle);
            if !matches!(timeout(self.total, tunnel).await, Ok(Ok(())))
                && let Some(socket) = socket
            {
                socket.broken();
            }
        });
    }
}

/// Copies until both sides have ended, one fails, or nothing has moved for `idle`.
async fn pass<A, B>(
    client: A,
    mut endpoint: B,
    socket: Option<Socket>,
    idle: Duration,
) -> io::Result<()>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let start = Instant::now();
    let pulse = Arc::new(AtomicU64::new(0));
    let mut client = Watched { io: client, socket, start, pulse: Arc::clone(&pulse) };
    let silence = async {
        loop {
            let last = start + Duration::from_millis(pulse.load(Ordering::Relaxed));
            if last.elapsed() >= idle {
                return;
            }
            sleep_until(last + idle).await;
        }
    };
    tokio::select! {
        copied = copy_bidirectional(&mut client, &mut endpoint) => copied.map(drop),
        () = silence => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// The client's side: notes what went through, either way, and when last.
#[derive(Debug)]
struct Watched<T> {
    io: T,
    socket: Option<Socket>,
    start: Instant,
    /// Milliseconds after `start`.
    pulse: Arc<AtomicU64>,
}

impl<T> Watched<T> {
    fn beat(&self) {
        let millis = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.pulse.store(millis, Ordering::Relaxed);
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        self.beat();
        if let Some(socket) = &self.socket {
            socket.received(buf.filled().len() - before);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, buf))?;
        self.beat();
        if let Some(socket) = &self.socket {
            socket.sent(written);
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_silent_tunnel_is_closed_and_a_talking_one_is_not() {
        let (mut client, left) = duplex(64);
        let (mut endpoint, right) = duplex(64);
        let tunnel = tokio::spawn(pass(left, right, None, Duration::from_secs(60)));
        let start = Instant::now();
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_secs(50)).await;
            client.write_all(b"ping").await.unwrap();
            let mut got = [0; 4];
            endpoint.read_exact(&mut got).await.unwrap();
        }
        let end = tunnel.await.unwrap().unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::TimedOut);
        assert_eq!(start.elapsed().as_secs(), 150 + 60);
    }
}
