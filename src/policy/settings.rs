//! The operator's words: defaults, and what single tenants change.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Action, Bind, Bodies, Containment, Ladder, Limits, Mode, Pace, Policies, Policy, Regions,
    Shape, Share, Throttle,
};
use crate::identity::{AccountId, TenantName};
use crate::time::Timestamp;

/// Defaults for everyone and what tenants change.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub defaults: TenantSettings,
    pub tenants: Vec<Tenant>,
}

/// One tenant, by the name that identification gives it.
///
/// In the file the name stands beside the settings: `[[tenants]] name = "acme", mode = "enforce"`.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(from = "Row", into = "Row")]
pub struct Tenant {
    pub name: String,
    pub settings: TenantSettings,
}

/// A tenant as the file spells it. Written out, since serde's `flatten` buffers what it reads: it
/// would let unknown keys pass and lose the line of every mistake.
#[derive(Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Tenant")]
struct Row {
    name: String,
    mode: Option<Mode>,
    #[serde(default)]
    rung_modes: BTreeMap<Action, Mode>,
    #[serde(default)]
    rung_shares: BTreeMap<Action, Share>,
    ladder: Option<Ladder>,
    end_user_limits: Option<Limits>,
    shape: Option<Shape>,
    bind: Option<Bind>,
    throttle: Option<Throttle>,
    campaign: Option<Containment>,
    limits: Option<Limits>,
    total_limits: Option<Limits>,
    announce: Option<Announce>,
    unknown_usage: Option<UnknownUsage>,
    bodies: Option<Bodies>,
    regions: Option<Regions>,
    #[serde(default)]
    weights: BTreeMap<String, f32>,
    #[serde(default)]
    groups: Vec<Group>,
    #[serde(default)]
    allow: Vec<Allow>,
}

/// Whatever is left out is taken from the defaults.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TenantSettings {
    pub mode: Option<Mode>,
    pub rung_modes: BTreeMap<Action, Mode>,
    pub rung_shares: BTreeMap<Action, Share>,
    pub ladder: Option<Ladder>,
    /// Of each end user that an account names in its requests.
    pub end_user_limits: Option<Limits>,
    pub shape: Option<Shape>,
    pub bind: Option<Bind>,
    pub throttle: Option<Throttle>,
    pub campaign: Option<Containment>,
    /// Of each account.
    pub limits: Option<Limits>,
    /// Of all accounts of a tenant together.
    pub total_limits: Option<Limits>,
    pub announce: Option<Announce>,
    pub unknown_usage: Option<UnknownUsage>,
    pub bodies: Option<Bodies>,
    /// Where the service is offered.
    pub regions: Option<Regions>,
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
    /// Of each end user of these accounts, in place of the tenant's.
    #[serde(default)]
    pub end_user_limits: Limits,
    /// Of each account, in place of the tenant's.
    #[serde(default)]
    pub limits: Limits,
    /// Of all accounts of the group together, besides the tenant's.
    #[serde(default)]
    pub total_limits: Limits,
}

/// Which fields tell callers of the limits they are under. Without limits there are none.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Announce {
    Nothing,
    /// Those that the API itself has, if it has any.
    #[default]
    Native,
    /// Those, and the IETF's `RateLimit` and `RateLimit-Policy` for every API.
    Ietf,
}

/// What an exchange costs whose answer could not be read.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownUsage {
    /// What was reserved for it, though no more output tokens than bytes that passed.
    #[default]
    Estimate,
    /// No output.
    Nothing,
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

/// Row and tenant hold the same: only where the name stands differs.
macro_rules! regrouped {
    ($($field:ident),*) => {
        impl From<Row> for Tenant {
            fn from(Row { name, $($field),* }: Row) -> Self {
                Self { name, settings: TenantSettings { $($field),* } }
            }
        }

        impl From<Tenant> for Row {
            fn from(Tenant { name, settings }: Tenant) -> Self {
                let TenantSettings { $($field),* } = settings;
                Self { name, $($field),* }
            }
        }
    };
}
regrouped!(
    mode,
    rung_modes,
    rung_shares,
    ladder,
    throttle,
    end_user_limits,
    shape,
    bind,
    campaign,
    limits,
    bodies,
    regions,
    total_limits,
    announce,
    unknown_usage,
    weights,
    groups,
    allow
);

/// Tenant of the policy that holds for everyone without one of their own.
const DEFAULT_TENANT: &str = "default";

impl From<&Settings> for Policies {
    fn from(settings: &Settings) -> Self {
        let defaults = settings.defaults.over(&Policy::built_in());
        let own = |tenant: &Tenant| {
            let name = TenantName::from(tenant.name.as_str());
            let policy = Policy { tenant: name.clone(), ..tenant.settings.over(&defaults) };
            (name, Arc::new(policy))
        };
        let tenants = settings.tenants.iter().map(own).collect();
        Self { defaults: Arc::new(defaults), tenants }
    }
}

impl Policy {
    /// What holds when the file says nothing: watch everyone, act on nobody.
    pub(super) fn built_in() -> Self {
        Self {
            tenant: DEFAULT_TENANT.into(),
            mode: Mode::Shadow,
            rung_modes: BTreeMap::new(),
            rung_shares: BTreeMap::new(),
            ladder: Ladder::default(),
            end_user_limits: Limits::default(),
            shape: Shape::default(),
            bind: Bind::default(),
            throttle: Throttle::default(),
            campaign: Containment::default(),
            limits: Limits::default(),
            total_limits: Limits::default(),
            announce: Announce::default(),
            unknown_usage: UnknownUsage::default(),
            bodies: Bodies::default(),
            regions: Regions::default(),
            weights: BTreeMap::new(),
            groups: Vec::new(),
            allow: Vec::new(),
        }
    }
}

impl Default for Pace {
    fn default() -> Self {
        let positive = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Self { requests_per_minute: positive(6), burst: positive(3) }
    }
}

impl TenantSettings {
    /// Lays these settings over `base`. Single values and the tables `ladder`, `throttle`, `shape`,
    /// `bind`, `campaign` and those of limits replace; rung modes, their shares and weights replace by
    /// name; lists come before the base's.
    fn over(&self, base: &Policy) -> Policy {
        Policy {
            tenant: base.tenant.clone(),
            mode: self.mode.unwrap_or(base.mode),
            rung_modes: laid_over(&self.rung_modes, &base.rung_modes),
            rung_shares: laid_over(&self.rung_shares, &base.rung_shares),
            ladder: self.ladder.unwrap_or(base.ladder),
            throttle: self.throttle.unwrap_or(base.throttle),
            end_user_limits: self.end_user_limits.unwrap_or(base.end_user_limits),
            shape: self.shape.unwrap_or(base.shape),
            bind: self.bind.unwrap_or(base.bind),
            campaign: self.campaign.unwrap_or(base.campaign),
            limits: self.limits.unwrap_or(base.limits),
            total_limits: self.total_limits.unwrap_or(base.total_limits),
            announce: self.announce.unwrap_or(base.announce),
            unknown_usage: self.unknown_usage.unwrap_or(base.unknown_usage),
            bodies: self.bodies.unwrap_or(base.bodies),
            regions: self.regions.as_ref().unwrap_or(&base.regions).clone(),
            weights: laid_over(&self.weights, &base.weights),
            groups: self.groups.iter().chain(&base.groups).cloned().collect(),
            allow: self.allow.iter().chain(&base.allow).cloned().collect(),
        }
    }
}

fn laid_over<K: Clone + Ord, V: Clone>(
    top: &BTreeMap<K, V>,
    base: &BTreeMap<K, V>,
) -> BTreeMap<K, V> {
    let mut merged = base.clone();
    merged.extend(top.iter().map(|(key, value)| (key.clone(), value.clone())));
    merged
}
