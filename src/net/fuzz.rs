//! Doors for fuzz targets: readers of hostile bytes that nobody else may call.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::activity::Hold;
use super::edge::{Edge, Rules};
use super::headers::{self, Hop};
use super::wire::{Reading, Wire};
use super::{Settings, connection, proxy};
use crate::guard::respond;
use crate::identity::Peer;
use crate::telemetry::Telemetry;

/// A request as an endpoint would get it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Forwarded {
    pub target: String,
    pub fields: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

type Seen = Arc<Mutex<Vec<Forwarded>>>;

/// What is forwarded of an HTTP/1.1 connection on which `pieces` come, one read each.
pub fn exchanges(pieces: &mut dyn Iterator<Item = &[u8]>) -> Vec<Forwarded> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let Ok(runtime) = runtime else { return Vec::new() };
    let seen = Seen::default();
    runtime.block_on(async {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let serving = tokio::spawn(serve(server, Arc::clone(&seen)));
        for piece in pieces {
            // It may have closed the connection already.
            if client.write_all(piece).await.is_err() {
                break;
            }
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
        }
        let _closed = client.shutdown().await;
        let _answers = client.read_to_end(&mut Vec::new()).await;
        let _ended = serving.await;
    });
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::take(&mut seen)
}

async fn serve(io: tokio::io::DuplexStream, seen: Seen) {
    let rules = rules();
    let peer = Peer { address: ([192, 0, 2, 7], 4711).into(), tls: false };
    let Ok(permit) = Arc::new(Semaphore::new(1)).try_acquire_owned() else { return };
    let hold = Hold::new(permit, TaskTracker::new().token(), Arc::clone(&rules.telemetry));
    let activity = Arc::clone(hold.activity());
    let deadline = Duration::from_secs(60);
    let reading = Reading::new(activity, deadline, deadline);
    let io = TokioIo::new(Wire::new(io, Bytes::new(), deadline).with_heads(reading));
    let app = tower::service_fn(move |request| record(request, Arc::clone(&seen)));
    let limits = rules.settings.limits.clone();
    let edge = Edge { app, peer, hold, rules };
    let service = service_fn(move |request| edge.clone().answer(request));
    let _the_clients_doing = connection::http1(&limits).serve_connection(io, service).await;
}

fn rules() -> Arc<Rules> {
    static TELEMETRY: OnceLock<Arc<Telemetry>> = OnceLock::new();
    let telemetry = Arc::clone(TELEMETRY.get_or_init(Arc::default));
    Arc::new(Rules { settings: Settings::default(), telemetry, refuse: respond })
}

async fn record(
    request: Request<Incoming>,
    seen: Seen,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (mut head, body) = request.into_parts();
    let mut answer = Response::new(Full::default());
    let Ok(body) = body.collect().await else {
        *answer.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(answer);
    };
    let hop = head.extensions.get::<Peer>().map(|peer| Hop { peer: *peer, trusted: false });
    headers::to_endpoint(&mut head.headers, hop, false);
    let fields = head.headers.iter();
    let fields = fields.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
    let (fields, body) = (fields.collect(), body.to_bytes().to_vec());
    let forwarded = Forwarded { target: head.uri.to_string(), fields, body };
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(forwarded);
    Ok(answer)
}

/// What follows the preamble that `bytes` begin with, if they do.
pub fn preamble(bytes: &[u8]) -> Option<Vec<u8>> {
    let (mut seen, mut rest) = (BytesMut::new(), bytes);
    let read = proxy::preamble(&mut rest, &mut seen);
    futures_util::FutureExt::now_or_never(read)?.ok()?;
    Some([&seen[..], rest].concat())
}
