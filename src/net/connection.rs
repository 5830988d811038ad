//! One accepted connection: PROXY preamble, TLS, protocol, requests, end.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::activity::Hold;
use super::app::{App, BoxError};
use super::edge::{Edge, Rules};
use super::proxy;
use super::settings::{Limits, ProxyMode};
use super::sniff::{Protocol, sniff};
use super::wire::{Reading, Wire};
use crate::identity::Peer;

/// Silent HTTP/2 peers are pinged, so that one that is gone does not keep its place.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_ANSWER: Duration = Duration::from_secs(20);
/// By how much hyper's timer comes later than ours.
const SLACK: Duration = Duration::from_secs(1);
/// Stream resets of our own making before an HTTP/2 connection is ended: a flood, not a mistake.
const MAX_ERROR_RESETS: usize = 128;
/// Unread bytes of a request body per HTTP/2 stream, and per connection.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;

/// What an accepted socket has to pass.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) rules: Arc<Rules>,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) drain: CancellationToken,
}

/// Why a connection ended before its first request. The label of a metric.
type Cut = &'static str;

impl Door {
    /// Serves one connection to its end. Never fails: who is cut, is counted.
    pub(super) async fn serve<S: App>(
        self,
        socket: TcpStream,
        from: SocketAddr,
        app: S,
        hold: Hold,
    ) {
        let telemetry = Arc::clone(&self.rules.telemetry);
        if let Err(cut) = self.enter(socket, from, app, hold).await {
            telemetry.metrics.connection_refused(cut);
        }
    }

    async fn enter<S: App>(
        self,
        mut socket: TcpStream,
        from: SocketAddr,
        app: S,
        hold: Hold,
    ) -> Result<(), Cut> {
        let settings = &self.rules.settings;
        let deadline = Instant::now() + settings.deadlines.first_byte();
        let mut seen = BytesMut::new();
        let address = self.address(&mut socket, &mut seen, from, deadline).await?;
        // On a socket for both families IPv4 comes in disguise.
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let peer = Peer { address, tls: self.tls.is_some() };
        let edge = Edge { app, peer, hold, rules: Arc::clone(&self.rules) };
        let Some(acceptor) = &self.tls else {
            return Box::pin(self.speak((socket, seen, None), edge, deadline)).await;
        };
        let stall = settings.deadlines.write_stall();
        // Boxed like what follows: a connection keeps the room of all it ever awaits for its life.
        let handshake = Box::pin(acceptor.accept(Wire::new(socket, seen.freeze(), stall)));
        let tls = tokio::select! {
            tls = timeout(settings.deadlines.tls_handshake(), handshake) => tls,
            () = self.drain.cancelled() => return Ok(()),
        };
        let tls = tls.map_err(|_| "tls_deadline")?.map_err(|_| "tls")?;
        let deadline = Instant::now() + settings.deadlines.first_byte();
        let agreed = match tls.get_ref().1.alpn_protocol() {
            Some(b"h2") => Some(Protocol::Http2),
            Some(_) => Some(Protocol::Http1),
            None => None,
        };
        Box::pin(self.speak((tls, BytesMut::new(), agreed), edge, deadline)).await
    }

    /// The client's address: the socket's, or what a preamble from a listed peer says.
    async fn address(
        &self,
        socket: &mut TcpStream,
        seen: &mut BytesMut,
        from: SocketAddr,
        deadline: Instant,
    ) -> Result<SocketAddr, Cut> {
        let proxy = &self.rules.settings.proxy_protocol;
        if proxy.mode == ProxyMode::Off {
            return Ok(from);
        }
        let ip: IpAddr = from.ip().to_canonical();
        if !proxy.trusted.iter().any(|network| network.contains(&ip)) {
            return Err("proxy_untrusted");
        }
        let preamble = tokio::select! {
            preamble = timeout_at(deadline, proxy::preamble(socket, seen)) => preamble,
            () = self.drain.cancelled() => return Err("drain"),
        };
        match preamble {
            Ok(Ok(source)) => Ok(source.unwrap_or(from)),
            Ok(Err(_)) => Err("proxy_malformed"),
            Err(_) => Err("first_byte_deadline"),
        }
    }

    /// `agreed`: what was negotiated, and must be kept to.
    async fn speak<T, S: App>(
        &self,
        (mut io, mut seen, agreed): (T, BytesMut, Option<Protocol>),
        edge: Edge<S>,
        deadline: Instant,
    ) -> Result<(), Cut>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let protocol = tokio::select! {
            protocol = timeout_at(deadline, sniff(&mut io, &mut seen)) => protocol,
            () = self.drain.cancelled() => return Ok(()),
        };
        let protocol = match protocol {
            Ok(Ok(protocol)) if agreed.is_some_and(|agreed| agreed != protocol) => {
                return Err("alpn");
            }
            Ok(Ok(protocol)) => protocol,
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Ok(Err(_)) => return Err("io"),
            Err(_) => return Err("first_byte_deadline"),
        };
        let deadlines = &self.rules.settings.deadlines;
        let wire = Wire::new(io, seen.freeze(), deadlines.write_stall());
        let activity = Arc::clone(edge.hold.activity());
        let service = service_fn(move |request| edge.clone().answer(request));
        match protocol {
            Protocol::Http1 => {
                let reading = Reading::new(activity, deadlines.head(), deadlines.keep_alive());
                let io = TokioIo::new(wire.with_heads(reading));
                let mut http = http1(&self.rules.settings.limits);
                // `Wire` keeps the heads' deadlines. hyper's own comes later, but without one it
                // would not read, and so not let `Wire` wait, between two requests.
                http.header_read_timeout(deadlines.keep_alive() + deadlines.head() + SLACK);
                let connection = http.serve_connection(io, service).with_upgrades();
                self.drive(Box::pin(connection), std::future::pending()).await;
            }
            Protocol::Http2 => {
                let io = TokioIo::new(wire.with_frames());
                let connection = http2(&self.rules.settings.limits).serve_connection(io, service);
                let idle = activity.idle_for(deadlines.h2_idle(), deadlines.write_stall());
                self.drive(Box::pin(connection), idle).await;
            }
        }
        Ok(())
    }

    /// Runs a connection until it ends, has idled too long, or the process stops. In the last case
    /// what is under way may finish; the worker cuts it at the drain deadline.
    async fn drive(&self, mut connection: Pin<Box<impl Graceful>>, idle: impl Future<Output = ()>) {
        tokio::select! {
            biased;
            () = connection.as_mut().run() => return,
            () = self.drain.cancelled() => {
                connection.as_mut().shut();
                return connection.as_mut().run().await;
            }
            () = idle => connection.as_mut().shut(),
        }
        let grace = self.rules.settings.deadlines.head();
        let _cut_if_not_gone_by_then = timeout(grace, connection.as_mut().run()).await;
    }
}

pub(super) fn http1(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .half_close(false)
        .max_buf_size(limits.max_buf_bytes.max(8 << 10))
        .max_header_size(limits.max_head_bytes);
    builder
}

fn http2(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_h2_streams)
        .max_header_list_size(u32::try_from(limits.max_head_bytes).unwrap_or(u32::MAX))
        .max_local_error_reset_streams(MAX_ERROR_RESETS)
        .max_send_buf_size(limits.max_buf_bytes)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_ANSWER);
    builder
}

/// A connection that can be told to take no further request. Its errors are its client's doing.
trait Graceful {
    fn run(self: Pin<&mut Self>) -> impl Future<Output = ()> + Send;
    fn shut(self: Pin<&mut Self>);
}

impl<I, S, B> Graceful for http1::UpgradeableConnection<I, S>
where
    S: HttpService<Incoming, ResBody = B> + Send,
    S::Future: Send,
    S::Error: Into<BoxError>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    async fn run(self: Pin<&mut Self>) {
        let _the_clients_doing = self.await;
    }

    fn shut(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S, B> Graceful for http2::Connection<I, S, TokioExecutor>
where
    S: HttpService<Incoming, ResBody = B> + Send,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    async fn run(self: Pin<&mut Self>) {
        let _the_clients_doing = self.await;
    }

    fn shut(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}
