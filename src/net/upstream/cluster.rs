//! One group of endpoints as all workers share it: keys, health, places.

use std::num::NonZeroU32;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::NoEndpoints;
use super::connect::Connector;
use super::group::{labels, load_keys};
use super::health::Health;
use super::key::Key;
use super::settings::{Settings, Url};
use crate::guard::UpstreamError;
use crate::net::tls;
use crate::telemetry::{EndpointSeries, GroupSeries, Outcome, Telemetry};

#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) name: String,
    /// Those that hold for this group alone.
    pub(super) settings: Arc<Settings>,
    tls: Option<Arc<rustls::ClientConfig>>,
    pub(super) sites: Vec<Site>,
    pub(super) series: GroupSeries,
}

/// One endpoint.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) label: String,
    pub(super) url: Url,
    pub(super) weight: u32,
    pub(super) key: ArcSwapOption<Key>,
    pub(super) health: Health,
    /// Exchanges that may yet begin, where they are counted.
    places: Option<Arc<Semaphore>>,
    pub(super) series: Arc<EndpointSeries>,
}

/// One exchange at an endpoint. Holds its place until dropped, which is when the answer's body has
/// ended.
#[derive(Debug)]
pub(super) struct Visit {
    series: Arc<EndpointSeries>,
    _place: Option<OwnedSemaphorePermit>,
    told: bool,
}

impl Cluster {
    /// Reads the keys, and `client_tls` and `ca_file`, or the system's roots where an endpoint speaks
    /// TLS.
    pub(super) fn new(
        name: String,
        settings: Settings,
        telemetry: &Telemetry,
    ) -> Result<Self, NoEndpoints> {
        let secure = settings.endpoints.iter().any(|endpoint| endpoint.url.tls);
        let (ca_file, own) = (settings.ca_file.as_deref(), settings.client_tls.as_ref());
        let tls = secure.then(|| tls::client(ca_file, own, settings.h2)).transpose()?;
        let endpoints = settings.endpoints.iter().zip(labels(&settings.endpoints));
        let keyed = endpoints.zip(load_keys(&settings.endpoints)?);
        let sites = keyed.map(|((endpoint, label), key)| Site {
            series: telemetry.metrics.endpoint(&name, &label),
            label,
            url: endpoint.url.clone(),
            weight: endpoint.weight,
            key: ArcSwapOption::new(key.map(Arc::new)),
            health: Health::new(settings.health.clone()),
            places: endpoint.max_concurrency.map(places),
        });
        let sites = sites.collect();
        let series = telemetry.metrics.group(&name);
        Ok(Self { name, settings: Arc::new(settings), tls, sites, series })
    }

    pub(super) fn connector(&self, site: &Site) -> Connector {
        let tls = self.tls.clone().filter(|_| site.url.tls);
        Connector { url: site.url.clone(), tls, settings: Arc::clone(&self.settings) }
    }
}

impl Site {
    /// Whether no further exchange may begin now.
    pub(super) fn is_full(&self) -> bool {
        self.places.as_ref().is_some_and(|places| places.available_permits() == 0)
    }

    /// Begins an exchange, unless the endpoint has its fill of them.
    pub(super) fn visit(&self) -> Option<Visit> {
        let place = self.places.as_ref().map(|places| Arc::clone(places).try_acquire_owned());
        let Ok(place) = place.transpose() else {
            self.series.ended(Outcome::Full);
            return None;
        };
        self.series.begun();
        Some(Visit { series: Arc::clone(&self.series), _place: place, told: false })
    }

    /// Learns from an exchange. Neither a client's broken body nor our own bounds speak against an
    /// endpoint.
    pub(super) fn note(&self, visit: &mut Visit, outcome: Result<StatusCode, &UpstreamError>) {
        match outcome {
            Ok(status) if !status.is_server_error() => self.health.answered(),
            Ok(_) | Err(UpstreamError::Unreachable(_) | UpstreamError::Broken(_)) => {
                self.health.failed();
            }
            Err(_) => {}
        }
        visit.told = true;
        self.series.ended(match outcome {
            Ok(status) if !status.is_server_error() => Outcome::Answered,
            Ok(_) => Outcome::ServerError,
            Err(UpstreamError::Unreachable(_)) => Outcome::Unreachable,
            Err(UpstreamError::Broken(_)) => Outcome::Broken,
            Err(UpstreamError::Timeout(_)) => Outcome::Timeout,
            Err(UpstreamError::Overloaded) => Outcome::Full,
            Err(UpstreamError::Body(_)) => Outcome::Cancelled,
        });
    }
}

fn places(most: NonZeroU32) -> Arc<Semaphore> {
    let most = usize::try_from(most.get()).unwrap_or(usize::MAX);
    Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)))
}

impl Drop for Visit {
    fn drop(&mut self) {
        if !self.told {
            self.series.ended(Outcome::Cancelled);
        }
        self.series.over();
    }
}
