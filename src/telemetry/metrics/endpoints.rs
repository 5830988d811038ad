//! What is counted of endpoints. As many series as the file names endpoints.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::add;

/// How an exchange with an endpoint began to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// With a status below 500.
    Answered,
    /// With a 5xx.
    ServerError,
    Unreachable,
    /// It broke off before an answer.
    Broken,
    Timeout,
    /// It had its fill of exchanges: another one was asked, or none.
    Full,
    /// The caller left, or its body broke off, before there was an answer.
    Cancelled,
}

/// Why an exchange was sent once more.
#[derive(Clone, Copy, Debug)]
pub enum Again {
    /// A connection that had served before turned out closed.
    Stale,
    /// The endpoint has said that it did nothing: an HTTP/2 stream refused, or beyond a GOAWAY.
    Refused,
}

/// One endpoint's series.
#[derive(Debug)]
pub struct EndpointSeries {
    outcomes: [Counter; 7],
    again: [Counter; 2],
    probes: [Counter; 2],
    in_flight: Gauge,
    up: Gauge,
}

/// One group's.
#[derive(Clone, Debug)]
pub struct GroupSeries {
    panics: Counter,
}

impl EndpointSeries {
    pub fn ended(&self, outcome: Outcome) {
        self.outcomes[outcome as usize].inc();
    }

    pub fn sent_again(&self, why: Again) {
        self.again[why as usize].inc();
    }

    pub fn probed(&self, well: bool) {
        self.probes[usize::from(!well)].inc();
    }

    pub fn begun(&self) {
        self.in_flight.inc();
    }

    pub fn over(&self) {
        self.in_flight.dec();
    }

    /// Whether it takes its share of the load.
    pub fn up(&self, up: bool) {
        self.up.set(up.into());
    }
}

impl GroupSeries {
    /// An exchange was sent to any endpoint, well or not, since too few were well.
    pub fn panicked(&self) {
        self.panics.inc();
    }
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ByGroup {
    group: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ByEndpoint {
    group: String,
    endpoint: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ByOutcome {
    group: String,
    endpoint: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ByReason {
    group: String,
    endpoint: String,
    reason: &'static str,
}

#[derive(Debug)]
pub(super) struct Endpoints {
    requests: Family<ByOutcome, Counter>,
    again: Family<ByReason, Counter>,
    probes: Family<ByOutcome, Counter>,
    in_flight: Family<ByEndpoint, Gauge>,
    up: Family<ByEndpoint, Gauge>,
    panics: Family<ByGroup, Counter>,
}

impl Endpoints {
    pub(super) fn new(into: &mut Registry) -> Self {
        Self {
            requests: add(into, "endpoint_requests", "Exchanges an endpoint was chosen for"),
            again: add(
                into,
                "endpoint_retries",
                "Exchanges sent once more, nothing having been done",
            ),
            probes: add(into, "endpoint_probes", "Health probes answered well or not"),
            in_flight: add(into, "endpoint_in_flight", "Exchanges under way, bodies included"),
            up: add(into, "endpoint_up", "Whether an endpoint takes its share of the load"),
            panics: add(
                into,
                "endpoint_panics",
                "Exchanges sent to any endpoint, too few being well",
            ),
        }
    }

    pub(super) fn series(&self, group: &str, endpoint: &str) -> Arc<EndpointSeries> {
        let outcome =
            |outcome| ByOutcome { group: group.into(), endpoint: endpoint.into(), outcome };
        let reason = |reason| ByReason { group: group.into(), endpoint: endpoint.into(), reason };
        let plain = ByEndpoint { group: group.into(), endpoint: endpoint.into() };
        let series = EndpointSeries {
            outcomes: OUTCOMES.map(|name| self.requests.get_or_create_owned(&outcome(name))),
            again: ["stale", "refused"].map(|name| self.again.get_or_create_owned(&reason(name))),
            probes: ["well", "ill"].map(|name| self.probes.get_or_create_owned(&outcome(name))),
            in_flight: self.in_flight.get_or_create_owned(&plain),
            up: self.up.get_or_create_owned(&plain),
        };
        series.up(true);
        Arc::new(series)
    }

    pub(super) fn group(&self, group: &str) -> GroupSeries {
        let group = ByGroup { group: group.into() };
        GroupSeries { panics: self.panics.get_or_create_owned(&group) }
    }
}

/// In the order of [`Outcome`].
const OUTCOMES: [&str; 7] =
    ["answered", "server-error", "unreachable", "broken", "timeout", "full", "cancelled"];
