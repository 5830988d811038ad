//! The engine's own knobs: the `[engine]` and `[signals]` tables.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::campaign::Release;
use crate::signal::{self, Family};

/// How evidence is remembered and added up. Defaults follow the published base rates this project
/// was tuned on; `docs` of each field give the unit.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Accounts remembered at most, about 1 KiB each. A full table takes no new accounts until
    /// idle, unsuspected ones have been forgotten.
    #[schemars(range(min = 1000, max = 100_000_000))]
    pub max_accounts: usize,
    /// End users remembered at most, some 300 bytes each, and a sixteenth of them of one account:
    /// beyond that, it forgets whom it named longest ago. Only where end users have limits.
    #[schemars(range(min = 16, max = 100_000_000))]
    pub max_end_users: usize,
    /// Days without traffic after which an account is forgotten.
    pub forget_after_days: u16,
    /// Days after its first accepted exchange from which an account counts as established.
    pub established_after_days: u16,
    /// Log-odds, in nats, that a new account harvests.
    pub prior_new: f32,
    /// The same for an established one.
    pub prior_established: f32,
    pub caps: Caps,
    pub group: Group,
    pub campaign: Campaigns,
    #[serde(skip)]
    #[schemars(skip)]
    pub signals: signal::Settings,
}

/// Most evidence, in nats, that each family may add.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
#[expect(non_snake_case, reason = "families are named by their letter everywhere")]
pub struct Caps {
    pub C: f32,
    pub B: f32,
    pub P: f32,
    pub N: f32,
    pub T: f32,
    pub L: f32,
    pub S: f32,
    pub X: f32,
}

/// When a crowd of accounts speaks against its members.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Group {
    /// Fewest members.
    pub min_members: u32,
    /// Most nats a crowd can add to a member's score.
    pub cap: f32,
    /// Intraclass correlation: how much more alike than chance the members of an innocent crowd
    /// are. Products make crowds alike, so an uncorrected test would flag them.
    pub correlation: f32,
    /// Circuit breaker: a crowd that holds more than this share of all established accounts is a
    /// product, and is never acted on.
    pub breaker_share: f32,
}

/// When crowds are one campaign. What is done about it is for each tenant's policy to say.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Campaigns {
    /// Nats of heat from which a crowd begins a campaign.
    pub heat: f32,
    /// Share of a crowd's members, or of the smaller campaign's, that makes two of them one.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub overlap: f32,
    /// Circuit breaker: a campaign with more than this share of all accounts is none. Up to a hundred
    /// members are.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub breaker_share: f32,
    /// Hours without an exchange after which a campaign is closed, and days after which a closed one
    /// is forgotten.
    pub close_after_hours: u16,
    pub forget_after_days: u16,
    /// New models. Unnamed ones are noticed when five accounts have been answered by them.
    pub releases: Vec<Release>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_accounts: 1_000_000,
            max_end_users: 100_000,
            forget_after_days: 45,
            established_after_days: 7,
            prior_new: -6.9,
            prior_established: -9.2,
            caps: Caps::default(),
            group: Group::default(),
            campaign: Campaigns::default(),
            signals: signal::Settings::default(),
        }
    }
}

impl Default for Caps {
    fn default() -> Self {
        Self { C: 2.5, B: 2.0, P: 3.0, N: 2.0, T: 2.0, L: 10.0, S: 3.0, X: 6.0 }
    }
}

impl Default for Group {
    fn default() -> Self {
        Self { min_members: 5, cap: 6.0, correlation: 0.05, breaker_share: 0.001 }
    }
}

impl Default for Campaigns {
    fn default() -> Self {
        Self {
            heat: 2.0,
            overlap: 0.5,
            breaker_share: 0.25,
            close_after_hours: 72,
            forget_after_days: 30,
            releases: Vec::new(),
        }
    }
}

impl Caps {
    pub fn of(&self, family: Family) -> f32 {
        match family {
            Family::C => self.C,
            Family::B => self.B,
            Family::P => self.P,
            Family::N => self.N,
            Family::T => self.T,
            Family::L => self.L,
            Family::S => self.S,
            Family::X => self.X,
        }
    }
}
