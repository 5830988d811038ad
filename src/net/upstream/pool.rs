//! One worker's connections to one endpoint.
//!
//! HTTP/1.1 connections are lent out one exchange at a time, the last returned first, so that the
//! rest may grow old and go. HTTP/2 connections are shared up to a number of streams.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http2};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::connect::{Connector, Exclusive, Fresh};
use crate::guard::UpstreamError;
use crate::net::app::BoxError;

/// How long a connection may take to become ready again after its answer, e.g. because the
/// endpoint answered before it had read the request.
const SETTLE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Pool<B> {
    connector: Connector,
    /// Oldest first.
    idle: Mutex<Vec<Idle<B>>>,
    shared: Mutex<Vec<Shared<B>>>,
    /// Held while an HTTP/2 connection is made, so that a burst makes one, not one each.
    making: tokio::sync::Mutex<()>,
    places: Arc<Semaphore>,
}

#[derive(Debug)]
struct Idle<B> {
    connection: Exclusive<B>,
    since: Instant,
}

#[derive(Debug)]
struct Shared<B> {
    sender: http2::SendRequest<B>,
    /// One clone per stream.
    streams: Arc<()>,
}

/// A connection for one exchange. Dropped, it cuts the exchange off: an HTTP/1.1 connection is
/// closed, an HTTP/2 stream reset by hyper. Only [`Lease::end`] brings a connection back.
#[derive(Debug)]
pub(super) struct Lease<B: Send + 'static> {
    line: Line<B>,
    pool: Arc<Pool<B>>,
    /// Whether the connection has served before and may therefore have been closed meanwhile.
    pub(super) used: bool,
    _place: OwnedSemaphorePermit,
}

/// Which connection will do.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pick {
    /// None that has served before.
    pub(super) fresh: bool,
    /// One that may be handed over to another protocol, whatever the endpoint speaks otherwise.
    pub(super) http1: bool,
}

#[derive(Debug)]
enum Line<B> {
    Http1(Exclusive<B>),
    Http2 { sender: http2::SendRequest<B>, _stream: Arc<()> },
}

impl<B> Pool<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    pub(super) fn new(connector: Connector) -> Arc<Self> {
        let places = connector.settings.max_connections.min(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            connector,
            idle: Mutex::default(),
            shared: Mutex::default(),
            making: tokio::sync::Mutex::default(),
            places: Arc::new(Semaphore::new(places)),
        })
    }

    /// A connection: one that is idle, or else a new one.
    pub(super) async fn lease(self: &Arc<Self>, pick: Pick) -> Result<Lease<B>, UpstreamError> {
        let limit = self.connector.settings.deadlines.connect();
        let place = timeout(limit, Arc::clone(&self.places).acquire_owned()).await;
        let Ok(Ok(place)) = place else { return Err(UpstreamError::Overloaded) };
        let known = if pick.fresh { None } else { self.known(pick) };
        let (line, used) = match known {
            Some(line) => (line, true),
            None => self.make(pick).await?,
        };
        if let Line::Http1(connection) = &line {
            let deadlines = &self.connector.settings.deadlines;
            connection.begin(deadlines.first_answer() + deadlines.total());
        }
        Ok(Lease { line, pool: Arc::clone(self), used, _place: place })
    }

    fn known(&self, pick: Pick) -> Option<Line<B>> {
        if let Some(connection) = self.idle() {
            return Some(Line::Http1(connection));
        }
        if pick.http1 {
            return None;
        }
        let most = self.connector.settings.h2_streams_per_connection;
        let mut shared = lock(&self.shared);
        shared.retain(|shared| !shared.sender.is_closed());
        // The pool itself holds one clone.
        let free = shared.iter().find(|shared| Arc::strong_count(&shared.streams) <= most);
        free.map(Shared::line)
    }

    fn idle(&self) -> Option<Exclusive<B>> {
        let limit = self.connector.settings.deadlines.idle();
        let mut idle = lock(&self.idle);
        while let Some(last) = idle.pop() {
            if last.since.elapsed() > limit {
                // All others have been idle for longer.
                idle.clear();
            } else if last.connection.sender.is_ready() {
                return Some(last.connection);
            }
        }
        None
    }

    async fn make(&self, pick: Pick) -> Result<(Line<B>, bool), UpstreamError> {
        let h2 = self.connector.settings.h2 && !pick.http1;
        let _one_at_a_time = match h2 {
            true => Some(self.making.lock().await),
            false => None,
        };
        // Somebody may have made one while this exchange waited for its turn.
        if h2
            && !pick.fresh
            && let Some(line) = self.known(pick)
        {
            return Ok((line, true));
        }
        // Boxed: most exchanges find a connection, and all would carry the room of two handshakes.
        Ok(match Box::pin(self.connector.connect(h2)).await? {
            Fresh::Http1(connection) => (Line::Http1(connection), false),
            Fresh::Http2(sender) => {
                let shared = Shared { sender, streams: Arc::default() };
                let line = shared.line();
                lock(&self.shared).push(shared);
                (line, false)
            }
        })
    }

    fn take_back(&self, connection: Exclusive<B>) {
        let settings = &self.connector.settings;
        let limit = settings.deadlines.idle();
        let mut idle = lock(&self.idle);
        if idle.first().is_some_and(|oldest| oldest.since.elapsed() > limit) {
            let stale = idle.partition_point(|one| one.since.elapsed() > limit);
            idle.drain(..stale);
        }
        if idle.len() < settings.max_idle && !connection.sender.is_closed() {
            connection.rest();
            idle.push(Idle { connection, since: Instant::now() });
        }
    }
}

impl<B> Lease<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    pub(super) fn is_http2(&self) -> bool {
        matches!(self.line, Line::Http2 { .. })
    }

    /// Sends once. The error holds the request again if no byte of it was written.
    pub(super) async fn send(
        &mut self,
        request: Request<B>,
    ) -> Result<Response<Incoming>, TrySendError<Request<B>>> {
        match &mut self.line {
            Line::Http1(connection) => connection.sender.try_send_request(request).await,
            Line::Http2 { sender, .. } => sender.try_send_request(request).await,
        }
    }

    /// The answer has been read to its end: the connection may serve again.
    pub(super) fn end(self) {
        let Self { line: Line::Http1(mut connection), pool, .. } = self else { return };
        if connection.sender.is_ready() {
            return pool.take_back(connection);
        }
        if !connection.sender.is_closed() {
            tokio::spawn(async move {
                if let Ok(Ok(())) = timeout(SETTLE, connection.sender.ready()).await {
                    pool.take_back(connection);
                }
            });
        }
    }
}

impl<B> Shared<B> {
    fn line(&self) -> Line<B> {
        Line::Http2 { sender: self.sender.clone(), _stream: Arc::clone(&self.streams) }
    }
}

/// A panic elsewhere leaves a list whole: at worst a connection is missing from it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
