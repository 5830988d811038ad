//! The operator's words: defaults, and what single tenants change.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Action, Ladder, Limits, Mode, Pace, Policies};
use crate::identity::AccountId;
use crate::time::Timestamp;

/// Defaults for everyone and what tenants change.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub defaults: TenantSettings,
    pub tenants: Vec<Tenant>,
}

/// One tenant, by the name that identification gives it.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct Tenant {
    pub name: String,
    #[serde(flatten)]
    pub settings: TenantSettings,
}

/// Whatever is left out is taken from the defaults.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TenantSettings {
    pub mode: Option<Mode>,
    pub rung_modes: BTreeMap<Action, Mode>,
    pub ladder: Option<Ladder>,
    pub throttle: Option<Pace>,
    pub limits: Option<Limits>,
    pub weights: BTreeMap<String, f32>,
    pub groups: Vec<Group>,
    pub allow: Vec<Allow>,
}

/// Accounts that share settings.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    pub name: String,
    #[schemars(with = "BTreeSet<String>")]
    pub accounts: BTreeSet<AccountId>,
    #[serde(default)]
    pub limits: Limits,
}

/// An account that is never acted on, why, who answers for it, and until when.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Allow {
    #[schemars(with = "String")]
    pub account: AccountId,
    pub reason: String,
    pub owner: String,
    /// RFC 3339.
    #[schemars(with = "String")]
    pub expires: jiff::Timestamp,
}

impl Allow {
    pub fn lasts(&self, now: Timestamp) -> bool {
        self.expires.as_millisecond() > now.as_millis() as i64
    }
}

impl From<&Settings> for Policies {
    fn from(_settings: &Settings) -> Self {
        todo!("lay each tenant over the defaults")
    }
}
