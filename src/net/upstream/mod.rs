//! The inference endpoints as a tower service: the last leg of the journey.

mod balance;
mod body;
mod connect;
mod health;
mod key;
mod pool;
mod settings;

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::uri::{PathAndQuery, Scheme};
use http::{Request, Response, StatusCode, Uri, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::upgrade::OnUpgrade;
use rapidhash::RapidHashMap;
use tokio::time::timeout;

use self::balance::Balance;
pub use self::body::{BodyError, Sent, UpstreamBody};
use self::connect::Connector;
use self::health::Health;
pub use self::health::HealthSettings;
pub use self::key::{BadKey, Key, KeyHeader, KeySource, Secret};
use self::pool::{Lease, Pick, Pool};
pub use self::settings::{Deadlines, Endpoint, NotAnEndpoint, Settings, Url};
use super::app::BoxError;
use super::headers::{self, Hop};
use super::tls::{self, TlsError};
use super::upgrade::Terms;
use crate::guard::{Outbound, UpstreamError};
use crate::identity::{Identity, Peer, TenantName};

/// Attempts on connections that turn out closed before the one on a new connection.
const STALE_TRIES: usize = 1;
/// Endpoints one exchange is offered to, as long as none of them could be reached: a caller must not
/// wait for the connect deadlines of all.
const MOST_OFFERS: usize = 2;

/// What all workers' upstreams have in common: settings that have been checked.
#[derive(Clone, Debug)]
pub struct Endpoints {
    settings: Arc<Settings>,
    tls: Option<Arc<rustls::ClientConfig>>,
    keys: Keys,
    /// As last taken over: where the keys are read from now.
    sources: Arc<ArcSwap<Settings>>,
    healths: Arc<[Health]>,
}

/// By endpoint, in the order of the settings.
type Keys = Arc<[ArcSwapOption<Key>]>;

#[derive(Debug, thiserror::Error)]
pub enum NoEndpoints {
    #[error("no endpoint is configured")]
    None,
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Key(#[from] BadKey),
}

/// One worker's way to the endpoints. Cheap to clone; clones share connections.
///
/// A request goes to its tenant's own endpoint, by the [`TenantName`] among its extensions, or else
/// to the shared ones. The target is passed on byte for byte.
pub struct Upstream<B: Send + 'static> {
    shared: Arc<Shared<Pooled<B>>>,
    body: PhantomData<fn(B)>,
}

/// A request's body as connections take it.
pub type Pooled<B> = Sent<Outbound<B>>;

#[derive(Debug)]
struct Shared<B> {
    settings: Arc<Settings>,
    endpoints: Balance<Arc<Pool<B>>>,
    keys: Keys,
    tenants: RapidHashMap<String, Arc<Pool<B>>>,
}

/// What is said to whichever endpoint is chosen.
struct Wanted {
    target: PathAndQuery,
    host: Option<HeaderValue>,
    /// To switch protocols, which HTTP/2 has no way to.
    upgrade: bool,
}

impl Endpoints {
    /// Reads the keys, and `client_tls` and `ca_file`, or the system's roots where an endpoint speaks TLS.
    pub fn new(settings: Settings) -> Result<Self, NoEndpoints> {
        if settings.endpoints.is_empty() {
            return Err(NoEndpoints::None);
        }
        let mut urls = settings.endpoints.iter().map(|endpoint| &endpoint.url);
        let secure = urls.any(|url| url.tls) || settings.tenants.values().any(|url| url.tls);
        let ca_file = settings.ca_file.as_deref();
        let own = settings.client_tls.as_ref();
        let tls = secure.then(|| tls::client(ca_file, own, settings.h2)).transpose()?;
        let keys = settings.keys()?.into_iter().map(|key| ArcSwapOption::new(key.map(Arc::new)));
        let keys = keys.collect();
        let healths =
            settings.endpoints.iter().map(|_| Health::new(settings.health.clone())).collect();
        let sources = Arc::new(ArcSwap::from_pointee(settings.clone()));
        Ok(Self { settings: Arc::new(settings), tls, keys, sources, healths })
    }

    /// Of each endpoint, in the order of the settings, whether it takes its share of the load.
    pub fn up(&self) -> impl Iterator<Item = bool> {
        self.healths.iter().map(|health| !health.is_out())
    }

    /// Other keys from the next exchange on, on all workers. `keys` are those of `settings`; an
    /// endpoint that is another one there keeps its key: one provider's never goes to the next.
    pub fn rekey(&self, settings: &Settings, keys: Vec<Option<Key>>) {
        let same = self.settings.endpoints.iter().zip(&settings.endpoints);
        for (index, ((old, new), key)) in same.zip(keys).enumerate() {
            if old.url == new.url {
                self.keys[index].store(key.map(Arc::new));
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
        let pool = |url: &Url| {
            let (url, settings) = (url.clone(), Arc::clone(&self.settings));
            let tls = self.tls.clone().filter(|_| url.tls);
            Pool::new(Connector { url, tls, settings })
        };
        let endpoints = self.settings.endpoints.iter();
        let tenants = self.settings.tenants.iter();
        let shared = Arc::new(Shared {
            settings: Arc::clone(&self.settings),
            keys: Arc::clone(&self.keys),
            endpoints: Balance::new(
                endpoints.map(|one| (pool(&one.url), one.weight)),
                Arc::clone(&self.healths),
            ),
            tenants: tenants.map(|(name, url)| (name.clone(), pool(url))).collect(),
        });
        Upstream { shared, body: PhantomData }
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
        Box::pin(async move { shared.forward(request).await })
    }
}

impl<B> Shared<Sent<B>>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    async fn forward(
        &self,
        mut request: Request<B>,
    ) -> Result<Response<UpstreamBody<Sent<B>>>, UpstreamError> {
        let extensions = std::mem::take(request.extensions_mut());
        let terms = extensions.get::<Terms>().cloned().zip(extensions.get::<OnUpgrade>().cloned());
        let wanted = Wanted { upgrade: terms.is_some(), ..Wanted::by(&request) };
        let trusted = extensions.get::<Identity>().is_some_and(|identity| identity.trusted_hop);
        let hop = extensions.get::<Peer>().map(|peer| Hop { peer: *peer, trusted });
        headers::to_endpoint(request.headers_mut(), hop, terms.is_some());
        let (between, total) =
            (self.settings.deadlines.between_chunks(), self.settings.deadlines.total());
        let request = request.map(|body| Sent::new(body, between, total));
        let tenant = extensions.get::<TenantName>().map(TenantName::as_str);
        let (lease, mut response) = self.exchange(request, &wanted, tenant).await?;
        *response.version_mut() = Version::HTTP_11;
        let switching = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        headers::to_client(response.headers_mut(), switching);
        if !switching {
            return Ok(response.map(|body| UpstreamBody::new(body, Some(lease), between, total)));
        }
        let Some((terms, client)) = terms else {
            return Err(UpstreamError::Broken("it switched protocols unasked".to_owned()));
        };
        let ends = (client, hyper::upgrade::on(&mut response));
        terms.tunnel(ends, extensions.get().cloned(), lease);
        Ok(response.map(|body| UpstreamBody::new(body, None, between, total)))
    }

    /// Sends to the endpoint whose turn it is or, where that one can't be reached, to the next.
    async fn exchange(
        &self,
        mut request: Request<Sent<B>>,
        wanted: &Wanted,
        tenant: Option<&str>,
    ) -> Result<(Lease<Sent<B>>, Response<Incoming>), UpstreamError> {
        if let Some(own) = tenant.and_then(|tenant| self.tenants.get(tenant)) {
            let lease = own.lease(wanted.pick(false)).await?;
            return self.send(own, lease, request, wanted).await;
        }
        let mut last = None;
        for choice in self.endpoints.order().into_iter().take(MOST_OFFERS) {
            let pool = self.endpoints.get(choice);
            match pool.lease(wanted.pick(false)).await {
                Ok(lease) => {
                    let keyed;
                    let mut wanted = wanted;
                    if let Some(key) = self.keys[choice].load_full() {
                        key.swap_into(request.headers_mut());
                        keyed = wanted.without_keys()?;
                        wanted = &keyed;
                    }
                    let sent = self.send(pool, lease, request, wanted).await;
                    self.note(choice, sent.as_ref().map(|(_, response)| response.status()));
                    return sent;
                }
                Err(error) => {
                    self.note(choice, Err(&error));
                    last = Some(error);
                }
            }
        }
        Err(last.unwrap_or(UpstreamError::Overloaded))
    }

    /// Neither a client's broken body nor our own bounds speak against an endpoint.
    fn note(&self, choice: usize, outcome: Result<StatusCode, &UpstreamError>) {
        let health = self.endpoints.health(choice);
        match outcome {
            Ok(status) if !status.is_server_error() => health.answered(),
            Ok(_) | Err(UpstreamError::Unreachable(_) | UpstreamError::Broken(_)) => {
                health.failed();
            }
            Err(_) => {}
        }
    }

    /// Sends a request, again only if a connection that had served before turns out closed before
    /// a byte was written.
    async fn send(
        &self,
        pool: &Arc<Pool<Sent<B>>>,
        mut lease: Lease<Sent<B>>,
        mut request: Request<Sent<B>>,
        wanted: &Wanted,
    ) -> Result<(Lease<Sent<B>>, Response<Incoming>), UpstreamError> {
        let limit = self.settings.deadlines.first_answer();
        let mut tries = 0;
        loop {
            let url = &pool.connector().url;
            wanted.aim(&mut request, url, lease.is_http2(), self.settings.preserve_host)?;
            let sent = timeout(limit, lease.send(request)).await;
            match sent.map_err(|_| UpstreamError::Timeout(limit))? {
                Ok(response) => return Ok((lease, response)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) if lease.used && tries < STALE_TRIES => {
                        request = unsent;
                        tries += 1;
                        drop(lease);
                        lease = pool.lease(wanted.pick(true)).await?;
                    }
                    unsent => return Err(why(error, unsent.is_some())),
                },
            }
        }
    }
}

impl Wanted {
    fn by<B>(request: &Request<B>) -> Self {
        let target = request.uri().path_and_query().cloned();
        let target = target.unwrap_or_else(|| PathAndQuery::from_static("/"));
        Self { target, host: request.headers().get(HOST).cloned(), upgrade: false }
    }

    fn pick(&self, fresh: bool) -> Pick {
        Pick { fresh, http1: self.upgrade }
    }

    fn without_keys(&self) -> Result<Self, UpstreamError> {
        let target = key::without_keys(&self.target);
        let target = target.ok_or_else(|| UpstreamError::Broken("no target is left".to_owned()))?;
        Ok(Self { target, host: self.host.clone(), upgrade: self.upgrade })
    }

    /// Addresses the request to an endpoint. May be called again for another connection.
    fn aim<B>(
        &self,
        request: &mut Request<B>,
        url: &Url,
        http2: bool,
        preserve_host: bool,
    ) -> Result<(), UpstreamError> {
        let invalid = |error: &dyn std::fmt::Display| UpstreamError::Broken(error.to_string());
        let own = || HeaderValue::from_str(url.authority.as_str()).map_err(|e| invalid(&e));
        let host = match &self.host {
            Some(host) if preserve_host => host.clone(),
            _ => own()?,
        };
        let mut parts = http::uri::Parts::default();
        parts.path_and_query = Some(match url.base.as_str() {
            "" => self.target.clone(),
            base => {
                let target = format!("{base}{}", self.target);
                PathAndQuery::from_maybe_shared(Bytes::from(target)).map_err(|e| invalid(&e))?
            }
        });
        if http2 {
            parts.scheme = Some(if url.tls { Scheme::HTTPS } else { Scheme::HTTP });
            let authority = http::uri::Authority::try_from(host.as_bytes());
            parts.authority = Some(authority.map_err(|e| invalid(&e))?);
            request.headers_mut().remove(HOST);
            *request.version_mut() = Version::HTTP_2;
        } else {
            request.headers_mut().insert(HOST, host);
            *request.version_mut() = Version::HTTP_11;
        }
        *request.uri_mut() = Uri::from_parts(parts).map_err(|e| invalid(&e))?;
        Ok(())
    }
}

/// What a failed attempt means to the caller.
fn why<B>(error: TrySendError<Request<B>>, unsent: bool) -> UpstreamError {
    let error = error.into_error();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    let mut of_body = false;
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        of_body |= cause.is::<BodyError>();
        source = cause.source();
    }
    match (unsent, of_body) {
        (true, _) => UpstreamError::Unreachable(text),
        (false, true) => UpstreamError::Body(text),
        (false, false) => UpstreamError::Broken(text),
    }
}

impl<B: Send + 'static> Clone for Upstream<B> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), body: PhantomData }
    }
}

impl<B: Send + 'static> std::fmt::Debug for Upstream<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").field("settings", &self.shared.settings).finish()
    }
}
