//! The operator's file, typed: every room's own settings, composed.
//!
//! A first-day file needs `upstream` and nothing else. [`load`] reports every mistake of a file at
//! once, each with its line and column; [`schema`] lets editors complete and check while typing.

mod check;
mod environment;
mod load;
mod mistake;
mod reload;
mod tree;
mod upstream;
#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::environment::{Environment, process as process_environment};
pub use self::load::{Loaded, Refused, load, parse};
pub use self::mistake::{Mistake, Mistakes};
pub use self::reload::{Changed, Reload, Reloaded, watch};
pub use self::upstream::{NotAnUpstream, Upstream};
use crate::policy::{Mode, Tenant, TenantSettings};
use crate::{engine, guard, identity, net, policy, signal, telemetry};

/// The whole file.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The inference endpoint, e.g. `http://127.0.0.1:8000`. `--upstream` goes before it.
    pub upstream: Option<Upstream>,
    /// Where callers connect.
    pub listen: SocketAddr,
    /// Where operators connect: metrics, health, reload. Keep it private.
    pub admin: SocketAddr,
    /// A file of 64 hex digits: the deployment's secret, from which every pseudonym is made.
    pub secret_file: Option<PathBuf>,
    /// Short for `policy.mode`.
    pub mode: Option<Mode>,
    /// What holds for everyone.
    pub policy: TenantSettings,
    /// What single tenants change of it.
    pub tenants: Vec<Tenant>,
    pub identity: identity::Settings,
    pub signals: signal::Settings,
    pub engine: engine::Settings,
    pub guard: guard::Settings,
    pub net: net::Settings,
    pub telemetry: telemetry::Settings,
}

impl Default for Config {
    fn default() -> Self {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            upstream: None,
            listen: local(8080),
            admin: local(9090),
            secret_file: None,
            mode: None,
            policy: TenantSettings::default(),
            tenants: Vec::new(),
            identity: identity::Settings::default(),
            signals: signal::Settings::default(),
            engine: engine::Settings::default(),
            guard: guard::Settings::default(),
            net: net::Settings::default(),
            telemetry: telemetry::Settings::default(),
        }
    }
}

impl Config {
    /// Defaults and tenants as the policy room takes them.
    pub fn policy(&self) -> policy::Settings {
        let mode = self.policy.mode.or(self.mode);
        let defaults = TenantSettings { mode, ..self.policy.clone() };
        policy::Settings { defaults, tenants: self.tenants.clone() }
    }

    /// The engine's knobs with every signal's in them.
    pub fn engine(&self) -> engine::Settings {
        let mut engine = self.engine.clone();
        engine.signals = self.signals.clone();
        engine
    }
}

/// The JSON schema of the file.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Config)
}
