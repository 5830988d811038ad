//! The admin listener: health, metrics, recent decisions, and operators' orders. Never on the public
//! port.
//!
//! A web page in an operator's browser could reach a loopback port by rebinding its own name to
//! 127.0.0.1, so a request must name a host we know and may come from no other origin.

mod campaigns;
mod desk;
mod gate;
mod pages;

use std::convert::Infallible;
use std::io;
use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub use self::desk::{Desk, NotAToken, Token};
use super::Telemetry;

/// Connections served at once; further ones wait in the kernel's backlog.
const CONNECTIONS: usize = 64;
/// A connection carries one request; its head must arrive within this,
const HEAD: Duration = Duration::from_secs(5);
/// and all of it, answer included, must be over within this.
const WHOLE: Duration = Duration::from_secs(15);
/// Bytes a request's head may take.
const HEAD_BYTES: usize = 16 << 10;
/// What accepting pauses for when the process is out of descriptors.
const BREATH: Duration = Duration::from_millis(100);

/// What the admin listener shows.
#[derive(Debug)]
pub struct AdminState {
    telemetry: Arc<Telemetry>,
    /// Host names and addresses, without port, that are answered to besides loopback ones.
    hosts: Vec<String>,
    /// Where orders are taken; without one, nothing but reading.
    desk: Option<Desk>,
    phase: AtomicU8,
}

impl AdminState {
    /// Starts out not ready.
    pub fn new(telemetry: Arc<Telemetry>, hosts: Vec<String>) -> Self {
        Self { telemetry, hosts, desk: None, phase: AtomicU8::new(STARTING) }
    }

    /// Takes orders at `desk` too.
    pub fn with_desk(self, desk: Desk) -> Self {
        Self { desk: Some(desk), ..self }
    }

    /// Ready for traffic from here on: `/readyz` answers 200.
    pub fn serving(&self) {
        self.phase.fetch_max(SERVING, Ordering::Relaxed);
    }

    /// No more traffic, for good: `/readyz` answers 503 while exchanges end.
    pub fn draining(&self) {
        self.phase.fetch_max(DRAINING, Ordering::Relaxed);
    }

    fn phase(&self) -> u8 {
        self.phase.load(Ordering::Relaxed)
    }
}

// Phases only go forward.
const STARTING: u8 = 0;
const SERVING: u8 = 1;
const DRAINING: u8 = 2;

/// Serves on a thread and runtime of its own, so that neither a scrape nor a stuck reader takes
/// time from traffic. Ends when `token` is cancelled.
pub fn spawn(
    listener: StdListener,
    state: Arc<AdminState>,
    token: CancellationToken,
) -> io::Result<JoinHandle<io::Result<()>>> {
    listener.set_nonblocking(true)?;
    Builder::new().name("admin".into()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async { serve(TcpListener::from_std(listener)?, state, token).await })
    })
}

/// Serves until `token` is cancelled; connections then open are dropped.
pub async fn serve(
    listener: TcpListener,
    state: Arc<AdminState>,
    token: CancellationToken,
) -> io::Result<()> {
    let router = pages::router(state);
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let permit = Arc::clone(&permits).acquire_owned();
        let accepted = async { (permit.await, listener.accept().await) };
        let (permit, connection) = tokio::select! {
            () = token.cancelled() => return Ok(()),
            accepted = accepted => accepted,
        };
        let Ok((stream, _)) = connection else {
            sleep(BREATH).await;
            continue;
        };
        let (router, token) = (router.clone(), token.clone());
        tokio::spawn(async move {
            let _permit = permit;
            tokio::select! {
                () = token.cancelled() => {}
                () = converse(stream, router) => {}
            }
        });
    }
}

/// One connection, one request, one deadline.
async fn converse(stream: TcpStream, router: Router) {
    let here = stream.local_addr().ok().map(|local| gate::Here(local.ip()));
    let service = service_fn(move |mut request: http::Request<Incoming>| {
        if let Some(here) = here {
            request.extensions_mut().insert(here);
        }
        let answer = router.clone().oneshot(request.map(Body::new));
        async move { Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // Whoever broke the connection off knows it already.
    let _ = timeout(WHOLE, connection).await;
}

#[cfg(test)]
mod tests;
