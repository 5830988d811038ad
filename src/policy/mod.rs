//! What to do about it, per tenant.

mod bind;
mod campaign;
mod fault;
mod ladder;
mod limits;
mod regions;
mod settings;
mod shape;
mod share;
mod throttle;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::bind::{Bind, Binding, Conversation, Holder, Unbound};
pub use self::campaign::Containment;
pub use self::fault::{Fault, Gravity};
pub use self::ladder::{Held, Ladder};
pub use self::limits::{Every, Limits, Measure, Period, Quotas, Rate, TokenPace};
pub use self::regions::Regions;
pub use self::settings::{Allow, Announce, Group, Settings, Tenant, TenantSettings, UnknownUsage};
pub use self::shape::Shape;
pub use self::share::{NotAShare, Share};
pub use self::throttle::Throttle;
use crate::identity::{AccountId, TenantName};
use crate::time::Timestamp;

/// What is done to an exchange, mildest first. Also the rungs of the ladder.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    Deserialize,
    Eq,
    Hash,
    JsonSchema,
    Ord,
    PartialEq,
    PartialOrd,
    Serialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    #[default]
    Allow,
    Shape,
    Throttle,
    Challenge,
    Drop,
}

impl Action {
    pub const ALL: [Self; 5] =
        [Self::Allow, Self::Shape, Self::Throttle, Self::Challenge, Self::Drop];

    pub const fn index(self) -> usize {
        self as usize
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Shape => "shape",
            Self::Throttle => "throttle",
            Self::Challenge => "challenge",
            Self::Drop => "drop",
        }
    }
}

/// Whether verdicts are carried out or only written down.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    #[default]
    Shadow,
    Enforce,
}

impl Mode {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shadow => "shadow",
            Self::Enforce => "enforce",
        }
    }
}

/// What becomes of a request body that two readers could read differently, or nobody here can.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bodies {
    /// It is refused: what is judged is what the model sees.
    #[default]
    Strict,
    /// It passes, and is counted. Whoever knows that can hide a prompt from every signal, and have
    /// its tokens estimated as none.
    Lenient,
}

/// One tenant's effective policy: defaults with the tenant's own settings laid over them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Policy {
    pub tenant: TenantName,
    pub mode: Mode,
    /// Modes of single rungs, where they differ from `mode`.
    pub rung_modes: BTreeMap<Action, Mode>,
    /// Shares of accounts on which single rungs are carried out, where that is not all.
    pub rung_shares: BTreeMap<Action, Share>,
    pub ladder: Ladder,
    /// The pace of an account at the throttle rung, before its score tightens it.
    pub throttle: Throttle,
    /// What an account at the shape rung, or above it, is still given.
    pub shape: Shape,
    /// What is bound to whom it was issued to.
    pub bind: Bind,
    /// Of each end user of an account.
    pub end_user_limits: Limits,
    pub campaign: Containment,
    /// Of each account.
    pub limits: Limits,
    /// Of all accounts together.
    pub total_limits: Limits,
    pub announce: Announce,
    pub unknown_usage: UnknownUsage,
    pub bodies: Bodies,
    pub regions: Regions,
    /// Factors on signals' weights, by signal name.
    pub weights: BTreeMap<String, f32>,
    pub groups: Vec<Group>,
    pub allow: Vec<Allow>,
}

/// A rate and how far it may be overdrawn at once.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Pace {
    pub requests_per_minute: NonZeroU32,
    pub burst: NonZeroU32,
}

impl Policy {
    /// Whether `action` is carried out, or only recorded as "would have".
    pub fn enforces(&self, action: Action) -> bool {
        self.rung_modes.get(&action).copied().unwrap_or(self.mode) == Mode::Enforce
    }

    /// The share of accounts on which `action` is carried out, where it is at all.
    pub fn share_of(&self, action: Action) -> Share {
        self.rung_shares.get(&action).copied().unwrap_or_default()
    }

    /// Whether `action` is carried out on `account`.
    pub fn enforces_on(&self, action: Action, account: AccountId) -> bool {
        self.enforces(action) && self.share_of(action).holds(account)
    }

    /// Whether `action` is carried out, but not on `account`.
    pub fn spares(&self, action: Action, account: AccountId) -> bool {
        action > Action::Allow && self.enforces(action) && !self.share_of(action).holds(account)
    }

    /// Whether containment of campaigns is carried out on `account`.
    pub fn contains_on(&self, account: AccountId) -> bool {
        self.contains() && self.campaign.share.holds(account)
    }

    /// Whether containment of campaigns is carried out.
    pub fn contains(&self) -> bool {
        let throttles = || self.enforces(Action::Throttle);
        self.campaign.mode.map_or_else(throttles, |mode| mode == Mode::Enforce)
    }

    /// The entry that exempts `account` now, if one does.
    pub fn allowance(&self, account: AccountId, now: Timestamp) -> Option<&Allow> {
        self.allow.iter().find(|entry| entry.account == account && entry.lasts(now))
    }

    /// The group that `account` is in.
    pub fn group_of(&self, account: AccountId) -> Option<&Group> {
        self.groups.iter().find(|group| group.accounts.contains(&account))
    }
}

/// Every tenant's policy. A tenant without settings of its own gets the defaults.
#[derive(Clone, Debug)]
pub struct Policies {
    defaults: Arc<Policy>,
    tenants: BTreeMap<TenantName, Arc<Policy>>,
}

impl Policies {
    pub fn of(&self, tenant: &TenantName) -> &Arc<Policy> {
        self.tenants.get(tenant).unwrap_or(&self.defaults)
    }

    pub fn defaults(&self) -> &Arc<Policy> {
        &self.defaults
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.tenants.values()
    }
}

impl Default for Policies {
    fn default() -> Self {
        Self::from(&Settings::default())
    }
}
