//! Both ends of the wire.
//!
//! A worker thread accepts a connection, learns who it comes from, unwraps TLS, tells HTTP/1.1 from
//! HTTP/2 and hands each request that has one meaning to the application: the guard around an
//! `Upstream`. Every phase has a deadline for its total, and everything a
//! connection may hold has a bound.

pub mod upstream;
mod accept;
mod activity;
mod app;
mod connection;
mod edge;
mod flood;
mod headers;
mod proxy;
mod scan;
mod settings;
mod sniff;
mod strict;
mod tls;
mod tracked;
mod upgrade;
mod wire;
#[cfg(fuzzing)]
pub mod fuzz;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::body::Incoming;
use tower::Layer;

pub use self::accept::{Panicked, Running, Server, SetupError};
pub use self::app::{App, BoxError};
pub use self::settings::{Deadlines, Limits, ProxyMode, ProxyProtocol, Settings, Tls};
pub use self::tls::{Certificates, TlsError};
use self::upstream::{Endpoints, Upstream};
use crate::dialect::{Dialect, Reason};
use crate::telemetry::Telemetry;

/// How a request that breaks HTTP is refused: in which dialect, why, and under which reference.
/// The shape of `guard::refusal::respond`.
pub type Refuse = fn(&dyn Dialect, Reason, &str) -> Response<Full<Bytes>>;

/// The whole stack: `layer` around the endpoints, behind the listener. Each worker has its own
/// connections to the endpoints.
pub fn bind<L>(
    settings: Settings,
    telemetry: Arc<Telemetry>,
    refuse: Refuse,
    (layer, endpoints): (L, Endpoints),
) -> Result<Server<impl Fn() -> L::Service + Send + Sync + 'static>, SetupError>
where
    L: Layer<Upstream<Incoming>, Service: App> + Send + Sync + 'static,
{
    Server::bind(settings, telemetry, refuse, move || layer.layer(endpoints.worker()))
}
