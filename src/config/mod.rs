//! The operator's file, typed: every room's own settings, composed.
//!
//! A first-day file needs `upstream` and nothing else. [`load()`] reports every mistake of a file at
//! once, each with its line and column; [`schema`] lets editors complete and check while typing.

mod check;
mod environment;
mod load;
mod mistake;
mod range;
mod records;
mod reload;
mod tree;
mod weights;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::environment::{Environment, process as process_environment};
pub use self::load::{Loaded, Refused, load, parse};
pub use self::mistake::{Mistake, Mistakes};
pub use self::records::{Looked, Records};
pub use self::reload::{Changed, Reload, Reloaded, watch};
use crate::net::upstream::{self, Endpoint, Url};
use crate::policy::{Mode, Tenant, TenantSettings};
use crate::{engine, guard, identity, net, policy, signal, store, telemetry};

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The inference endpoint, e.g. `http://127.0.0.1:8000`. Short for `forward.endpoints` with
    /// one. `--upstream` goes before it.
    #[schemars(with = "Option<String>")]
    pub upstream: Option<Url>,
    /// Where callers connect. Short for `net.listen` with one address.
    pub listen: Option<SocketAddr>,
    /// Where operators connect: metrics, health. Keep it private. Short for
    /// `telemetry.admin.listen`.
    pub admin: Option<SocketAddr>,
    /// A file of 64 hex digits: the deployment's secret, from which every pseudonym is made.
    pub secret_file: Option<PathBuf>,
    /// Short for `policy.mode`.
    pub mode: Option<Mode>,
    /// A file of signals' weights, as `stillguard tune` writes it. They replace those under
    /// `[signals]`. Read again when this file changes, and on SIGHUP.
    pub weights_file: Option<PathBuf>,
    /// What holds for everyone.
    pub policy: TenantSettings,
    /// What single tenants change of it.
    pub tenants: Vec<Tenant>,
    pub identity: identity::Settings,
    pub signals: signal::Settings,
    pub engine: engine::Settings,
    pub guard: guard::Settings,
    pub net: net::Settings,
    pub forward: upstream::Settings,
    pub store: store::Settings,
    pub telemetry: telemetry::Settings,
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

    /// The listener's knobs, with `listen` laid over them.
    pub fn net(&self) -> net::Settings {
        let mut net = self.net.clone();
        if let Some(listen) = self.listen {
            net.listen = vec![listen];
        }
        net
    }

    /// The endpoints' knobs, with `upstream` laid over them.
    pub fn forward(&self) -> upstream::Settings {
        let mut forward = self.forward.clone();
        if let Some(url) = self.upstream.clone() {
            forward.endpoints = vec![Endpoint::from(url)];
        }
        forward
    }

    /// What is reported and where, with `admin` laid over it.
    pub fn telemetry(&self) -> telemetry::Settings {
        let mut telemetry = self.telemetry.clone();
        if let Some(admin) = self.admin {
            telemetry.admin.listen = admin;
        }
        telemetry
    }

    /// What the key files that `[identity]` names hold. Blocks on the disk.
    pub fn key_texts(&self) -> Result<identity::KeyTexts, String> {
        let read = |path: &std::path::Path| match std::fs::read(path) {
            Ok(text) => Ok((path.to_owned(), text.into())),
            Err(why) => Err(format!("can't read {}: {why}", path.display())),
        };
        self.identity.key_files().map(read).collect()
    }
}

/// The JSON schema of the file.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Config)
}
