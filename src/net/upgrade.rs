//! Websockets: after a 101 from the endpoint, bytes are passed both ways, unread but for where
//! frames end; and the client's as long as they are frames.

mod meter;

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy, copy_bidirectional, sink};
use tokio::time::timeout;

use self::meter::{Meter, Metered, Why};
use super::activity::Hold;
use super::settings::Settings;
use crate::dialect::websocket;
use crate::guard::Socket;

/// How long either side may take to let go of HTTP after the 101.
const HAND_OVER: Duration = Duration::from_secs(10);
/// How long a frame under way at a cap may take to end.
const GRACE: Duration = Duration::from_secs(5);
/// How long a client may take to see that its tunnel is closed.
const PARTING: Duration = Duration::from_secs(5);

/// Leave to open a tunnel, found among a request's extensions where policy allows one.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    hold: Hold,
    caps: Caps,
}

/// What a tunnel may cost.
#[derive(Clone, Copy, Debug)]
struct Caps {
    idle: Duration,
    total: Duration,
    /// Both ways.
    bytes: u64,
}

impl Terms {
    pub(super) fn new(hold: Hold, settings: &Settings) -> Self {
        let Settings { deadlines, limits, .. } = settings;
        let caps = Caps {
            idle: Duration::from_secs(deadlines.websocket_idle_secs),
            total: Duration::from_secs(deadlines.websocket_total_secs),
            bytes: limits.max_websocket_bytes,
        };
        Self { hold, caps }
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
        self.hold.activity().switch();
        tokio::spawn(async move {
            let _while_open = (self.hold, under_way, kept);
            let both = async { tokio::try_join!(client, endpoint) };
            let Ok(Ok((client, endpoint))) = timeout(HAND_OVER, both).await else { return };
            let (client, endpoint) = (TokioIo::new(client), TokioIo::new(endpoint));
            let ended = pass(client, endpoint, Meter::new(self.caps, socket.clone())).await;
            if let (Err(_), Some(socket)) = (ended, socket) {
                socket.broken();
            }
        });
    }
}

/// Copies until both sides have ended, one fails, nothing has moved for too long, a cap is reached, or
/// the client breaks its protocol; of the last two it is told in words of that.
async fn pass<A, B>(client: A, mut endpoint: B, meter: Meter) -> io::Result<()>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let meter = Arc::new(meter);
    let mut client = Metered::new(client, Arc::clone(&meter));
    let why = {
        let mut copied = pin!(copy_bidirectional(&mut client, &mut endpoint));
        let why = tokio::select! {
            copied = &mut copied => match copied {
                Err(error) if error.kind() == io::ErrorKind::QuotaExceeded => meter.exceeded().await,
                copied => return copied.map(drop),
            },
            () = meter.silence() => return Err(io::ErrorKind::TimedOut.into()),
            why = meter.exceeded() => {
                let last = async {
                    tokio::select! {
                        _either_way = copied => {}
                        () = meter.frame_ended() => {}
                    }
                };
                let _or_not = timeout(GRACE, last).await;
                why
            }
        };
        why
    };
    drop(endpoint);
    let _gone_or_slow = timeout(PARTING, part(client.io, why, meter.between())).await;
    Err(io::ErrorKind::QuotaExceeded.into())
}

/// Closes the client's side. What the client still sends is taken, for a reset would overtake the
/// close.
async fn part<T>(mut client: T, (code, words): Why, between_frames: bool) -> io::Result<()>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    if between_frames {
        client.write_all(&websocket::close(code, words)).await?;
    }
    client.shutdown().await?;
    copy(&mut client, &mut sink()).await.map(drop)
}

#[cfg(test)]
mod tests;
