//! What operators see: metrics, logs, the decision log and the admin listener.

mod metrics;

pub use self::metrics::{FailOpen, Metrics, Stage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::Verdict;
use crate::signal::{Ask, Exchange};

/// Everything that reports. Cheap to share behind an `Arc`.
#[derive(Debug, Default)]
pub struct Telemetry {
    pub metrics: Metrics,
    pub decisions: Decisions,
}

/// The decision log: one JSON line per ask and per end, features only. Never blocks: when its
/// writer can't follow, lines are dropped and counted.
#[derive(Debug, Default)]
pub struct Decisions {}

impl Decisions {
    pub fn asked(&self, _ask: &Ask, _verdict: &Verdict) {}

    pub fn ended(&self, _exchange: &Exchange) {}
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub admin: Admin,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    #[schemars(with = "String")]
    pub listen: std::net::SocketAddr,
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: (std::net::Ipv4Addr::LOCALHOST, 9090).into() }
    }
}
