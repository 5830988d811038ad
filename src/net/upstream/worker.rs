//! One worker's way to one group of endpoints.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::upgrade::OnUpgrade;
use tokio::time::timeout;

use super::balance::Balance;
use super::body::{BodyError, Held, Sent, UpstreamBody};
use super::cluster::{Cluster, Site};
use super::pool::{Lease, Pool};
use super::replay::{Replay, again, is_undone};
use super::wanted::Wanted;
use crate::guard::UpstreamError;
use crate::identity::{Identity, Peer};
use crate::net::app::BoxError;
use crate::net::headers::{self, Hop};
use crate::net::upgrade::Terms;
use crate::telemetry::Again;

/// Attempts on connections that turn out closed before the one on a new connection.
const STALE_TRIES: usize = 1;
/// Endpoints one exchange is offered to, as long as none of them could be reached: a caller must not
/// wait for the connect deadlines of all.
const MOST_OFFERS: usize = 2;

#[derive(Debug)]
pub(super) struct Worker<B> {
    endpoints: Balance<Arc<Pool<B>>>,
}

impl<B> Worker<Sent<B>>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Replay + Send + Unpin + 'static,
{
    pub(super) fn new(cluster: Arc<Cluster>) -> Self {
        let pools = Arc::clone(&cluster);
        Self { endpoints: Balance::new(cluster, |site| Pool::new(pools.connector(site))) }
    }

    pub(super) async fn forward(
        &self,
        mut request: Request<B>,
    ) -> Result<Response<UpstreamBody<Sent<B>>>, UpstreamError> {
        let extensions = std::mem::take(request.extensions_mut());
        let terms = extensions.get::<Terms>().cloned().zip(extensions.get::<OnUpgrade>().cloned());
        let wanted = Wanted { upgrade: terms.is_some(), ..Wanted::by(&request) };
        let trusted = extensions.get::<Identity>().is_some_and(|identity| identity.trusted_hop);
        let hop = extensions.get::<Peer>().map(|peer| Hop { peer: *peer, trusted });
        headers::to_endpoint(request.headers_mut(), hop, terms.is_some());
        let deadlines = &self.endpoints.cluster.settings.deadlines;
        let (between, total) = (deadlines.between_chunks(), deadlines.total());
        let request = request.map(|body| Sent::new(body, between, total));
        let (held, mut response) = self.exchange(request, &wanted).await?;
        *response.version_mut() = Version::HTTP_11;
        let switching = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        headers::to_client(response.headers_mut(), switching);
        if !switching {
            return Ok(response.map(|body| UpstreamBody::new(body, Some(held), between, total)));
        }
        let Some((terms, client)) = terms else {
            return Err(UpstreamError::Broken("it switched protocols unasked".to_owned()));
        };
        let ends = (client, hyper::upgrade::on(&mut response));
        terms.tunnel(ends, extensions.get().cloned(), held);
        Ok(response.map(|body| UpstreamBody::new(body, None, between, total)))
    }

    /// Sends to the endpoint whose turn it is or, where that one can't be reached or has its fill, to
    /// the next.
    async fn exchange(
        &self,
        mut request: Request<Sent<B>>,
        wanted: &Wanted,
    ) -> Result<(Held<Sent<B>>, Response<Incoming>), UpstreamError> {
        let (mut last, mut offers) = (UpstreamError::Overloaded, 0);
        for choice in self.endpoints.order() {
            let (pool, site) = self.endpoints.get(choice);
            let Some(mut visit) = site.visit() else { continue };
            match pool.lease(wanted.pick(false)).await {
                Ok(lease) => {
                    let keyed;
                    let mut wanted = wanted;
                    // From here on the request goes nowhere else.
                    if let Some(key) = site.key.load_full() {
                        key.swap_into(request.headers_mut());
                        keyed = wanted.without_keys()?;
                        wanted = &keyed;
                    }
                    let sent = self.send((pool, site), lease, request, wanted).await;
                    let status = sent.as_ref().map(|(_, response)| response.status());
                    site.note(&mut visit, status);
                    return sent.map(|(lease, response)| (Held { lease, _visit: visit }, response));
                }
                Err(error) => {
                    site.note(&mut visit, Err(&error));
                    last = error;
                    offers += 1;
                }
            }
            if offers == MOST_OFFERS {
                break;
            }
        }
        Err(last)
    }

    /// Sends a request, again only if nothing has been done with it: a connection that had served
    /// before turns out closed before a byte was written, or the endpoint says so itself.
    async fn send(
        &self,
        (pool, site): (&Arc<Pool<Sent<B>>>, &Site),
        mut lease: Lease<Sent<B>>,
        mut request: Request<Sent<B>>,
        wanted: &Wanted,
    ) -> Result<(Lease<Sent<B>>, Response<Incoming>), UpstreamError> {
        let settings = &self.endpoints.cluster.settings;
        let limit = settings.deadlines.first_answer();
        let (mut stale, mut refused) = (0, false);
        loop {
            wanted.aim(&mut request, &site.url, lease.is_http2(), settings.preserve_host)?;
            let spare = if lease.is_http2() && !refused { again(&request) } else { None };
            let sent = timeout(limit, lease.send(request)).await;
            let mut error = match sent.map_err(|_| UpstreamError::Timeout(limit))? {
                Ok(response) => return Ok((lease, response)),
                Err(error) => error,
            };
            request = match error.take_message() {
                Some(unsent) if lease.used && stale < STALE_TRIES => {
                    stale += 1;
                    site.series.sent_again(Again::Stale);
                    unsent
                }
                Some(_) => return Err(why(error, true)),
                None => {
                    let spare = spare.filter(|_| is_undone(error.error()));
                    let Some(spare) = spare else { return Err(why(error, false)) };
                    refused = true;
                    site.series.sent_again(Again::Refused);
                    spare
                }
            };
            drop(lease);
            lease = pool.lease(wanted.pick(true)).await?;
        }
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
