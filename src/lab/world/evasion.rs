//! What attackers do so as not to be seen, each by its name.

use serde::{Deserialize, Serialize};

use super::scenario::Plan;
use crate::lab::material::Wording;

#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evasion {
    SlotEdits,
    Paraphrase,
    TemplatePerAccount,
    FastRotation,
    DistinctTasks,
    DayNight,
    LogNormalLoad,
    SessionAffinity,
    NoFailover,
    StrippedIds,
    UniqueIdentities,
    PinnedHeaders,
    #[serde(rename = "unrelated-10")]
    Unrelated10,
    #[serde(rename = "unrelated-50")]
    Unrelated50,
    #[serde(rename = "unrelated-90")]
    Unrelated90,
    AgedAccounts,
    OldModel,
    ServeAndHarvest,
}

impl Evasion {
    pub const ALL: [Self; 18] = [
        Self::SlotEdits,
        Self::Paraphrase,
        Self::TemplatePerAccount,
        Self::FastRotation,
        Self::DistinctTasks,
        Self::DayNight,
        Self::LogNormalLoad,
        Self::SessionAffinity,
        Self::NoFailover,
        Self::StrippedIds,
        Self::UniqueIdentities,
        Self::PinnedHeaders,
        Self::Unrelated10,
        Self::Unrelated50,
        Self::Unrelated90,
        Self::AgedAccounts,
        Self::OldModel,
        Self::ServeAndHarvest,
    ];

    /// As scenario files spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SlotEdits => "slot-edits",
            Self::Paraphrase => "paraphrase",
            Self::TemplatePerAccount => "template-per-account",
            Self::FastRotation => "fast-rotation",
            Self::DistinctTasks => "distinct-tasks",
            Self::DayNight => "day-night",
            Self::LogNormalLoad => "log-normal-load",
            Self::SessionAffinity => "session-affinity",
            Self::NoFailover => "no-failover",
            Self::StrippedIds => "stripped-ids",
            Self::UniqueIdentities => "unique-identities",
            Self::PinnedHeaders => "pinned-headers",
            Self::Unrelated10 => "unrelated-10",
            Self::Unrelated50 => "unrelated-50",
            Self::Unrelated90 => "unrelated-90",
            Self::AgedAccounts => "aged-accounts",
            Self::OldModel => "old-model",
            Self::ServeAndHarvest => "serve-and-harvest",
        }
    }

    /// Evasions with one knob can't be had together.
    pub const fn knob(self) -> u8 {
        match self {
            Self::SlotEdits
            | Self::Paraphrase
            | Self::TemplatePerAccount
            | Self::FastRotation
            | Self::DistinctTasks
            | Self::ServeAndHarvest => 0,
            Self::Unrelated10 | Self::Unrelated50 | Self::Unrelated90 => 1,
            other => other as u8 + 2,
        }
    }

    pub(super) fn apply(self, plan: &mut Plan) {
        match self {
            Self::SlotEdits => plan.wording = Wording::Edited,
            Self::Paraphrase => plan.wording = Wording::Paraphrased,
            Self::TemplatePerAccount => (plan.wording, plan.wordings) = (Wording::Rotated, 0),
            // More wordings than any account sends requests in a week of the slow regime.
            Self::FastRotation => (plan.wording, plan.wordings) = (Wording::Rotated, 500),
            Self::DistinctTasks => plan.wording = Wording::Bare,
            Self::DayNight => plan.day_night = true,
            Self::LogNormalLoad => plan.uneven = true,
            Self::SessionAffinity => plan.affinity = true,
            Self::NoFailover => plan.failover = false,
            Self::StrippedIds => plan.stripped = true,
            Self::UniqueIdentities => plan.unique = true,
            Self::PinnedHeaders => plan.pinned = true,
            Self::Unrelated10 => plan.unrelated = 0.1,
            Self::Unrelated50 => plan.unrelated = 0.5,
            Self::Unrelated90 => plan.unrelated = 0.9,
            Self::AgedAccounts => plan.aged = true,
            Self::OldModel => plan.pivot = 0.0,
            Self::ServeAndHarvest => plan.wording = Wording::Users,
        }
    }
}
