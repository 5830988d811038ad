//! The room as a whole, over loopback: clients and endpoints here speak raw bytes.

mod arrival;
mod cancel;
mod drain;
mod forward;
mod health;
mod keys;
mod http2;
mod secure;
mod websocket;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::{Layer, Service};

use super::upstream::{self, Endpoint, Endpoints, Pooled, Upstream, UpstreamBody};
use super::*;
use crate::guard::UpstreamError;
use crate::identity::TenantName;

const GET: &[u8] = b"GET /v1/models HTTP/1.1\r\nhost: api.example\r\n\r\n";
const POST: &[u8] =
    b"POST /v1/messages HTTP/1.1\r\nhost: api.example\r\ncontent-length: 2\r\n\r\n{}";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// What stands in for the guard: passes everything, words errors as bare statuses.
#[derive(Clone, Debug)]
struct Bare<S>(S);

struct BareLayer;

impl<S> Layer<S> for BareLayer {
    type Service = Bare<S>;

    fn layer(&self, inner: S) -> Bare<S> {
        Bare(inner)
    }
}

type Answer = Response<Either<Full<Bytes>, UpstreamBody<Pooled<Incoming>>>>;

impl Service<Request<Incoming>> for Bare<Upstream<Incoming>> {
    type Response = Answer;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        assert_ne!(request.uri().path(), "/panic", "asked to");
        if let Some(tenant) = request.headers().get("x-tenant") {
            let tenant = TenantName::from(tenant.to_str().unwrap());
            request.extensions_mut().insert(tenant);
        }
        let answer = self.0.call(request.map(Either::Right));
        Box::pin(async move {
            Ok(answer
                .await
                .map_or_else(|error| bare(status_of(&error)), |ok| ok.map(Either::Right)))
        })
    }
}

fn status_of(error: &UpstreamError) -> StatusCode {
    match error {
        UpstreamError::Timeout(_) => StatusCode::GATEWAY_TIMEOUT,
        UpstreamError::Body(_) => StatusCode::BAD_REQUEST,
        UpstreamError::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        UpstreamError::Unreachable(_) | UpstreamError::Broken(_) => StatusCode::BAD_GATEWAY,
    }
}

fn bare(status: StatusCode) -> Answer {
    Response::builder().status(status).body(Either::Left(Full::default())).unwrap()
}

fn refuse(_: &dyn Dialect, reason: Reason, reference: &str) -> Response<Full<Bytes>> {
    let status = match reason {
        Reason::MethodNotAllowed => 405,
        Reason::UriTooLong => 414,
        Reason::HeadersTooLarge => 431,
        _ => 400,
    };
    assert!(reference.starts_with("sg_") && reference.len() == 19);
    Response::builder().status(status).body(Full::default()).unwrap()
}

/// A running proxy. Stops, without waiting, when dropped.
struct Proxy {
    address: SocketAddr,
    certificates: Option<Arc<Certificates>>,
    stop: CancellationToken,
    running: Option<Running>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Proxy {
    fn start(settings: Settings, upstream: upstream::Settings) -> Self {
        Self::over(settings, Endpoints::new(upstream, &Telemetry::default()).unwrap())
    }

    fn over(settings: Settings, endpoints: Endpoints) -> Self {
        let server = bind(settings, Arc::default(), refuse, (BareLayer, endpoints)).unwrap();
        let (address, certificates) = (server.local_addr(), server.certificates());
        let stop = CancellationToken::new();
        let running = Some(server.start(stop.clone()).unwrap());
        Self { address, certificates, stop, running }
    }

    /// With one worker and default settings, before one endpoint.
    async fn before(endpoint: &TcpListener) -> Self {
        Self::start(loopback(), to(endpoint))
    }

    async fn client(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends on a new connection and reads until it is closed.
    async fn ask(&self, request: &[u8]) -> String {
        let mut client = self.client().await;
        client.write_all(request).await.unwrap();
        to_end(&mut client).await
    }

    async fn stopped(mut self) {
        self.stop.cancel();
        let running = self.running.take().unwrap();
        tokio::task::spawn_blocking(|| running.join()).await.unwrap().unwrap();
    }
}

fn loopback() -> Settings {
    Settings { listen: vec!["127.0.0.1:0".parse().unwrap()], workers: 1, ..Settings::default() }
}

fn to(endpoint: &TcpListener) -> upstream::Settings {
    to_url(&format!("http://{}", endpoint.local_addr().unwrap()))
}

fn to_url(url: &str) -> upstream::Settings {
    let endpoint = Endpoint::from(upstream::Url::try_from(url.to_owned()).unwrap());
    upstream::Settings { endpoints: vec![endpoint], ..Default::default() }
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

async fn accept(endpoint: &TcpListener) -> TcpStream {
    within(endpoint.accept()).await.unwrap().0
}

/// Nothing here takes long; what hangs must fail.
async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(5), future).await.expect("took too long")
}

/// Nothing happens, as far as a moment can tell.
async fn nothing<F: Future>(future: F) {
    let moment = Duration::from_millis(100);
    assert!(tokio::time::timeout(moment, future).await.is_err(), "something happened");
}

/// Reads a head, or whatever ends with `end`, and no byte more.
async fn until<T: AsyncRead + Unpin>(io: &mut T, end: &str) -> String {
    let mut text = Vec::new();
    let read = async {
        while !text.ends_with(end.as_bytes()) {
            match io.read_u8().await {
                Ok(byte) => text.push(byte),
                Err(_) => panic!("ended after {:?}", String::from_utf8_lossy(&text)),
            }
        }
    };
    within(read).await;
    String::from_utf8(text).unwrap()
}

async fn head<T: AsyncRead + Unpin>(io: &mut T) -> String {
    until(io, "\r\n\r\n").await
}

/// Reads to the end, be it clean or not.
async fn to_end<T: AsyncRead + Unpin>(io: &mut T) -> String {
    let mut text = Vec::new();
    let _reset_is_an_end_too = within(io.read_to_end(&mut text)).await;
    String::from_utf8(text).unwrap()
}
