//! A challenge as the engine sees it: whom it was put to, and what came of it.

use serde::{Deserialize, Serialize};

use crate::identity::{AccountId, Tag};
use crate::time::Timestamp;

/// One step of an account's challenge. Kept in the decision log, whole: a replay takes the same steps.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Trial {
    pub account: AccountId,
    pub at: Timestamp,
    pub step: Step,
    /// The network it was taken from: the refused request's, or the answer's. Zero where an operator
    /// took it.
    #[serde(default)]
    pub from: Tag,
    /// The organisation, where a request told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<Tag>,
    /// Seconds from the refusal to the answer.
    #[serde(default)]
    pub took: u32,
    /// What the step earns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clearance: Option<Clearance>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Refused with a link, for what the account itself shows.
    Issued,
    /// Refused with a link because of the crowds it is in: not counted as its own.
    IssuedToCrowd,
    /// Answered with the right solution.
    Solved,
    /// Answered with a wrong one.
    Failed,
    /// The operator's own verification vouches for the account.
    Verified,
    /// The operator's own verification has failed.
    Denied,
}

impl Step {
    /// For metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Issued | Self::IssuedToCrowd => "issued",
            Self::Solved => "solved",
            Self::Failed => "failed",
            Self::Verified => "verified",
            Self::Denied => "denied",
        }
    }
}

/// Leave to pass a challenge: until when, and for how many requests.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Clearance {
    pub until: Timestamp,
    pub requests: u32,
}
