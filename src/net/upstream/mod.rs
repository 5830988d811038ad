//! The inference endpoints as a tower service: the last leg of the journey.

mod balance;
mod body;
mod cluster;
mod connect;
mod faults;
mod group;
mod health;
mod key;
mod pool;
mod probe;
mod replay;
mod route;
mod settings;
mod wanted;
mod worker;

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;

pub use self::body::{BodyError, Sent, UpstreamBody};
use self::cluster::{Cluster, Site};
pub use self::group::{Group, Keys, load_keys};
pub use self::health::{HealthSettings, NotAPath, ProbePath};
pub use self::key::{BadKey, Key, KeyHeader, KeySource, Secret};
use self::route::{Asked, Routes};
pub use self::route::{ModelPattern, NotAModel, Route};
pub use self::settings::{Deadlines, Endpoint, NotAnEndpoint, Settings, Url};
use self::worker::Worker;
use super::app::BoxError;
use super::tls::TlsError;
use crate::guard::{Outbound, UpstreamError};
use crate::telemetry::Telemetry;

/// What all workers' upstreams have in common: settings that have been checked, and what is known of
/// each endpoint.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// The group of what no route leads elsewhere comes first.
    clusters: Arc<[Arc<Cluster>]>,
    routes: Arc<Routes>,
    /// As last taken over: where the keys are read from now.
    sources: Arc<ArcSwap<Settings>>,
}

#[derive(Debug, thiserror::Error)]
pub enum NoEndpoints {
    #[error("no endpoint is configured")]
    None,
    #[error("there is no group `{0}` of endpoints")]
    Group(String),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Key(#[from] BadKey),
}

/// One worker's way to the endpoints. Cheap to clone; clones share connections.
///
/// A request goes where its route leads, by the [`TenantName`](crate::identity::TenantName) and the
/// [`Model`](crate::signal::Model) among its extensions and by its path, or else to the shared
/// endpoints. The target is passed on byte for byte.
pub struct Upstream<B: Send + 'static> {
    shared: Arc<Shared<Pooled<B>>>,
    body: PhantomData<fn(B)>,
}

/// A request's body as connections take it.
pub type Pooled<B> = Sent<Outbound<B>>;

#[derive(Debug)]
struct Shared<B> {
    routes: Arc<Routes>,
    workers: Vec<Worker<B>>,
}

impl Endpoints {
    /// Reads keys, certificates and roots of every group. Its series in `telemetry` begin here.
    pub fn new(settings: Settings, telemetry: &Telemetry) -> Result<Self, NoEndpoints> {
        if settings.endpoints.is_empty() {
            return Err(NoEndpoints::None);
        }
        let routes = Arc::new(Routes::new(&settings)?);
        let sets = settings.sets().into_iter();
        let clusters = sets.map(|(name, set)| Cluster::new(name, set, telemetry).map(Arc::new));
        let clusters = clusters.collect::<Result<Arc<[_]>, _>>()?;
        Ok(Self { clusters, routes, sources: Arc::new(ArcSwap::from_pointee(settings)) })
    }

    /// Of each endpoint, in the order of the settings, whether it takes its share of the load.
    pub fn up(&self) -> impl Iterator<Item = bool> {
        self.sites().map(|site| !site.health.is_out())
    }

    /// Tells metrics which endpoints take their share now.
    pub fn report(&self) {
        self.sites().for_each(|site| site.series.up(!site.health.is_out()));
    }

    /// Other keys from the next exchange on, on all workers. `keys` are those of `settings`; an
    /// endpoint that is another one there keeps its key: one provider's never goes to the next.
    pub fn rekey(&self, settings: &Settings, keys: Keys) {
        for ((name, set), keys) in settings.sets().into_iter().zip(keys) {
            let Some(cluster) = self.clusters.iter().find(|cluster| cluster.name == name) else {
                continue;
            };
            for ((site, endpoint), key) in cluster.sites.iter().zip(&set.endpoints).zip(keys) {
                if site.url == endpoint.url {
                    site.key.store(key.map(Arc::new));
                }
            }
        }
        self.sources.store(Arc::new(settings.clone()));
    }

    /// Takes over what the key files hold now; while one can't be read, all keys stay as they are.
    /// Blocks on the disk.
    pub fn reread_keys(&self) -> Result<(), BadKey> {
        let sources = self.sources.load_full();
        self.rekey(&sources, sources.keys()?);
        Ok(())
    }

    /// An upstream with connections of its own.
    pub fn worker<B>(&self) -> Upstream<B>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
    {
        let workers = self.clusters.iter().map(|cluster| Worker::new(Arc::clone(cluster)));
        let shared = Shared { routes: Arc::clone(&self.routes), workers: workers.collect() };
        Upstream { shared: Arc::new(shared), body: PhantomData }
    }

    fn sites(&self) -> impl Iterator<Item = &Site> {
        self.clusters.iter().flat_map(|cluster| &cluster.sites)
    }
}

impl<B> tower::Service<Request<Outbound<B>>> for Upstream<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    type Response = Response<UpstreamBody<Pooled<B>>>;
    type Error = UpstreamError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, UpstreamError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Outbound<B>>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { shared.worker(&request).forward(request).await })
    }
}

impl<B> Shared<B> {
    /// The way to the endpoints that the request's route leads to.
    fn worker<T>(&self, request: &Request<T>) -> &Worker<B> {
        let (extensions, path) = (request.extensions(), request.uri().path());
        let asked = Asked { tenant: extensions.get(), model: extensions.get(), path };
        &self.workers[self.routes.lead(asked)]
    }
}

impl<B: Send + 'static> Clone for Upstream<B> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), body: PhantomData }
    }
}

impl<B: Send + 'static> std::fmt::Debug for Upstream<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").field("routes", &self.shared.routes).finish()
    }
}
