//! Asking endpoints how they are, beside the traffic.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{HeaderValue, Request, StatusCode};
use http_body_util::Full;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;

use super::Endpoints;
use super::cluster::{Cluster, Site};
use super::connect::Fresh;
use super::health::ProbePath;
use super::wanted::Wanted;
use crate::net::app::BoxError;

impl Endpoints {
    /// Probes every endpoint that has a path for it, each at its own times, until `done`.
    pub async fn probe(&self, done: &CancellationToken) {
        let mut all = JoinSet::new();
        let each = |cluster: &Arc<Cluster>| cluster.sites.len();
        let count = self.clusters.iter().map(each).sum::<usize>();
        let mut nth = 0;
        for cluster in self.clusters.iter() {
            for place in 0..cluster.sites.len() {
                // Spread, so that a long list does not make a burst.
                let share = nth as f64 / count as f64;
                all.spawn(follow(Arc::clone(cluster), place, share));
                nth += 1;
            }
        }
        done.cancelled().await;
    }
}

/// Probes one endpoint for ever, first after `share` of the interval.
async fn follow(cluster: Arc<Cluster>, place: usize, share: f64) {
    let (health, site) = (&cluster.settings.health, &cluster.sites[place]);
    let Some(path) = &health.probe_path else { return };
    let every = Duration::from_millis(health.probe_interval_ms.max(1));
    let limit = Duration::from_millis(health.probe_timeout_ms);
    let mut times = interval_at(Instant::now() + every.mul_f64(share), every);
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        times.tick().await;
        let asked = timeout(limit, ask(&cluster, site, path)).await;
        let well = matches!(asked, Ok(Ok(status)) if status.is_success());
        site.series.probed(well);
        if site.health.probed(well) {
            let (group, label) = (&cluster.name, &site.label);
            match well {
                true => tracing::info!("{label} in group {group} is back: its probes are answered"),
                false => tracing::warn!("{label} in group {group} is taken out: its probes fail"),
            }
        }
    }
}

/// One probe, on a connection of its own: one that is kept says nothing of whether new ones are taken.
async fn ask(cluster: &Cluster, site: &Site, path: &ProbePath) -> Result<StatusCode, BoxError> {
    let mut request = Request::new(Full::<Bytes>::default());
    request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("stillguard-probe"));
    if let Some(key) = site.key.load_full() {
        key.swap_into(request.headers_mut());
    }
    let wanted = Wanted { target: path.0.clone(), host: None, upgrade: false };
    let connection = cluster.connector(site).connect(cluster.settings.h2).await?;
    let http2 = matches!(connection, Fresh::Http2(_));
    wanted.aim(&mut request, &site.url, http2, false)?;
    let response = match connection {
        Fresh::Http1(mut connection) => connection.sender.send_request(request).await?,
        Fresh::Http2(mut sender) => sender.send_request(request).await?,
    };
    Ok(response.status())
}
