//! What is remembered of one campaign: plain values.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::harvest::{Harvest, Pivot};
use crate::engine::order::Ordered;
use crate::identity::{AccountId, Tag, TenantName};
use crate::signal::{Facet, Family, Model};
use crate::time::Timestamp;

/// Names one campaign for as long as it is remembered. Printed as `cmp_` and 12 hex digits; only
/// operators see it.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CampaignId(u64);

/// Bits of an id.
const ID: u64 = (1 << 48) - 1;

impl CampaignId {
    /// From a keyed hash. Never zero, which is "none" among the marks of crowds.
    pub(super) fn new(hash: u64) -> Self {
        Self((hash & ID).max(1))
    }
}

impl From<Tag> for CampaignId {
    fn from(mark: Tag) -> Self {
        Self(mark.0)
    }
}

impl From<CampaignId> for Tag {
    fn from(id: CampaignId) -> Self {
        Self(id.0)
    }
}

impl fmt::Display for CampaignId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cmp_{:012x}", self.0)
    }
}

#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq)]
#[error("a campaign's id is expected: cmp_ and 12 hex digits")]
pub struct NotACampaignId;

impl FromStr for CampaignId {
    type Err = NotACampaignId;

    fn from_str(text: &str) -> Result<Self, NotACampaignId> {
        let digits = text.strip_prefix("cmp_").filter(|digits| digits.len() == 12);
        let digits = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let id = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        id.map(Self).ok_or(NotACampaignId)
    }
}

impl Serialize for CampaignId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() { to.collect_str(self) } else { self.0.serialize(to) }
    }
}

impl<'de> Deserialize<'de> for CampaignId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if !from.is_human_readable() {
            return u64::deserialize(from).map(Self);
        }
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// What becomes of a campaign.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Seen, and left alone.
    #[default]
    Watching,
    /// Its members share one pace, where policy carries that out.
    Contained,
    /// No member has been active for days. Its keys coming back open it again.
    Closed,
}

impl State {
    pub const ALL: [Self; 3] = [Self::Watching, Self::Contained, Self::Closed];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Watching => "watching",
            Self::Contained => "contained",
            Self::Closed => "closed",
        }
    }
}

/// A campaign at a glance.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct About {
    pub id: CampaignId,
    pub state: State,
    /// Nats of evidence against it, over all families, and by family.
    pub score: f32,
    pub evidence: BTreeMap<Family, f32>,
    /// Hot keys by the kind of key.
    pub keys: BTreeMap<Facet, u32>,
    /// Accounts that are or were in it, and those who were active within the last day. Both grow
    /// from when the campaign was formed.
    pub members: u32,
    pub active: u32,
    /// Established accounts that match it: never contained.
    pub exempt: u32,
    /// Members by tenant, at most [`Campaign::TENANTS`]. The first policy among them is that of the
    /// tenant with most.
    pub tenants: BTreeMap<TenantName, u32>,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    /// Members who joined within the last day, and how many of all of them came to the endpoint only
    /// after another was refused: replacements.
    pub growth: f32,
    pub replacements: u32,
    pub harvest: Harvest,
    /// Moves to new models, by model.
    pub pivots: BTreeMap<Model, Pivot>,
    /// When containment is to start, and when it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contained_since: Option<Timestamp>,
    /// What an operator has said, in place of the rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Ordered>,
    /// The circuit breaker holds it back: it is too large a part of the fleet.
    pub tripped: bool,
    /// Campaigns that have become part of this one.
    pub merged: Vec<CampaignId>,
}

/// A campaign, whole.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Campaign {
    pub about: About,
    /// At most [`Self::KEYS`].
    pub keys: BTreeMap<Tag, Facet>,
    /// At most [`Self::MEMBERS`], the first that came; the rest is only counted.
    pub members: BTreeMap<AccountId, Member>,
    /// Asks in the last day and tokens with them, decayed, as of `counted_at`; at the onset of
    /// containment both are kept, or the campaign would be slowed by being slow.
    pub(super) rate: [f32; 2],
    pub(super) counted_at: Timestamp,
    pub(super) rate_at_onset: Option<[f32; 2]>,
    pub(super) joined: f32,
    pub(super) refused_since: Option<Timestamp>,
    /// From which the delay of containment is drawn. No part of the id.
    pub(super) draw: u64,
    pub(super) low_since: Option<Timestamp>,
}

impl Campaign {
    pub const KEYS: usize = 256;
    pub const MEMBERS: usize = 1024;
    pub const TENANTS: usize = 8;

    pub(super) fn is_contained(&self) -> bool {
        self.about.state == State::Contained
    }

    /// What is decided of it.
    pub(super) fn stance(&self) -> (State, Option<Timestamp>, Option<&Ordered>) {
        (self.about.state, self.about.contained_since, self.about.order.as_ref())
    }
}

/// One account of a campaign.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Member {
    pub joined: Timestamp,
    pub last: Timestamp,
    pub exchanges: u32,
    pub refused: u32,
    /// Another campaign whose member it is as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub also: Option<CampaignId>,
}
