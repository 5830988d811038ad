//! New connections to one endpoint.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::settings::{Settings, Url};
use crate::guard::UpstreamError;
use crate::net::app::BoxError;

/// Where connections go and how they are made.
#[derive(Debug)]
pub(super) struct Connector {
    pub(super) url: Url,
    /// Present where the URL says `https`.
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) settings: Arc<Settings>,
}

/// A connection that has shaken hands.
#[derive(Debug)]
pub(super) enum Fresh<B> {
    Http1(Exclusive<B>),
    Http2(http2::SendRequest<B>),
}

/// An HTTP/1.1 connection. Dropping it cuts it off at once, and with it what the endpoint does.
#[derive(Debug)]
pub(super) struct Exclusive<B> {
    pub(super) sender: http1::SendRequest<B>,
    task: AbortHandle,
    made: Instant,
    /// Milliseconds after `made` at which the exchange under way is overdue.
    due: Arc<AtomicU64>,
}

/// How often a connection looks whether its exchange is overdue. Bodies keep their deadlines
/// themselves, but only while somebody reads them.
const LOOK: Duration = Duration::from_secs(30);

impl<B> Drop for Exclusive<B> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<B> Exclusive<B> {
    /// An exchange begins, and may take this long in all.
    pub(super) fn begin(&self, limit: Duration) {
        self.due.store(millis(self.made.elapsed().saturating_add(limit)), Ordering::Relaxed);
    }

    pub(super) fn rest(&self) {
        self.due.store(u64::MAX, Ordering::Relaxed);
    }
}

impl Connector {
    /// Resolves, connects and shakes hands, all within the connect deadline. `h2`: HTTP/2 will do.
    pub(super) async fn connect<B>(&self, h2: bool) -> Result<Fresh<B>, UpstreamError>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
    {
        let limit = self.settings.deadlines.connect();
        match timeout(limit, self.shake_hands(h2)).await {
            Ok(done) => done.map_err(|error| UpstreamError::Unreachable(error.to_string())),
            Err(_) => Err(UpstreamError::Unreachable(format!("no connection within {limit:?}"))),
        }
    }

    async fn shake_hands<B>(&self, h2: bool) -> Result<Fresh<B>, BoxError>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
    {
        let socket = TcpStream::connect((self.url.host(), self.url.port())).await?;
        socket.set_nodelay(true)?;
        let Some(config) = &self.tls else {
            return self.speak(socket, h2).await;
        };
        let name = ServerName::try_from(self.url.host().to_owned())?;
        let mut config = Arc::clone(config);
        if self.settings.h2 && !h2 {
            // Shares what matters, sessions and roots, with the original.
            Arc::make_mut(&mut config).alpn_protocols.retain(|protocol| protocol != b"h2");
        }
        let tls = TlsConnector::from(config).connect(name, socket).await?;
        let h2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
        self.speak(tls, h2).await
    }

    async fn speak<T, B>(&self, io: T, h2: bool) -> Result<Fresh<B>, BoxError>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
    {
        let io = TokioIo::new(io);
        let max_buf = self.settings.max_buf_bytes.max(8 << 10);
        if h2 {
            let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_send_buf_size(max_buf)
                .keep_alive_interval(self.settings.deadlines.connect())
                .keep_alive_timeout(self.settings.deadlines.connect())
                .handshake(io)
                .await?;
            // Ends by itself, once the pool and every stream have let go of it.
            tokio::spawn(connection);
            return Ok(Fresh::Http2(sender));
        }
        let (sender, connection) =
            http1::Builder::new().max_buf_size(max_buf).handshake(io).await?;
        let (made, due) = (Instant::now(), Arc::new(AtomicU64::new(u64::MAX)));
        let overdue = overdue(made, Arc::clone(&due));
        // Boxed, or the task would have room for it twice: where it is taken in and where it runs.
        let connection = Box::pin(connection.with_upgrades());
        let task = tokio::spawn(async move {
            tokio::select! {
                _told_to_the_sender = connection => {}
                () = overdue => {}
            }
        });
        Ok(Fresh::Http1(Exclusive { sender, task: task.abort_handle(), made, due }))
    }
}

async fn overdue(made: Instant, due: Arc<AtomicU64>) {
    loop {
        tokio::time::sleep(LOOK).await;
        if millis(made.elapsed()) >= due.load(Ordering::Relaxed) {
            return;
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
