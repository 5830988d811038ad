//! What the engine concluded, and why.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::campaign::CampaignId;
use crate::policy::Action;
use crate::signal::{CATALOGUE, Facet};

/// The judgement on one ask. Kept in the decision log, whole.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Verdict {
    /// Log-odds, in nats, that this account harvests.
    pub score: f32,
    /// Where the score started from.
    pub prior: f32,
    /// What each signal adds, strongest first; signals that add nothing are left out. Families are
    /// capped afterwards, so these may sum to more than the score.
    pub evidence: Vec<Evidence>,
    /// What membership in a crowd adds, in nats, and the kind of key that forms the crowd.
    pub group: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facet: Option<Facet>,
    /// The campaign the account is in, and whether that is contained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub campaign: Option<CampaignId>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub contained: bool,
    /// An operator has ordered that: it is carried out in shadow mode too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ordered: bool,
    /// What the ladder calls for, or the containment.
    pub action: Action,
    /// Whether policy carries it out. If not, the exchange passes and this is a "would have".
    pub enforced: bool,
    /// Policy carries it out, but not on this account: it is outside the rung's share.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub outside: bool,
    /// The account has a standing exemption.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub exempt: bool,
    /// An operator's ruling takes the place of the ladder.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ruled: bool,
    /// A solved challenge lets it past.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cleared: bool,
    /// The account was known before this ask.
    pub known: bool,
}

/// One signal's share.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Evidence {
    pub signal: String,
    pub nats: f32,
}

impl Verdict {
    /// What happens to the exchange.
    pub fn outcome(&self) -> Action {
        if self.enforced { self.action } else { Action::Allow }
    }

    /// The verdict as a person would say it, for operators: it names signals, so it is never shown
    /// to callers.
    pub fn in_words(&self) -> String {
        let mut words = format!("{} (score {:+.1} nats).", self.headline(), self.score);
        let _ = write!(words, " It starts at {:+.1}", self.prior);
        words += if self.known { "." } else { ": nothing was known of this account before." };
        for Evidence { signal, nats } in &self.evidence {
            let spec = CATALOGUE.iter().find(|spec| spec.name == signal.as_str());
            let (id, says) = spec.map_or(("?", ""), |spec| (spec.id, spec.says));
            let _ = write!(words, "\n  {nats:+.1}  {id} {signal}: this account {says}.");
        }
        if let Some(facet) = self.facet.filter(|_| self.group > 0.0) {
            let what = facet.in_words();
            let _ = write!(
                words,
                "\n  {:+.1}  the accounts that share its {what} show other kinds of evidence far \
                 more often than honest accounts do.",
                self.group
            );
        }
        if let Some(campaign) = self.campaign {
            let what = match (self.contained, self.ordered) {
                (false, _) => "",
                (true, false) => ": its members share one pace",
                (true, true) => ": its members share one pace, by an operator's order",
            };
            let _ = write!(words, "\n  It is in campaign {campaign}{what}.");
        }
        words
    }

    fn headline(&self) -> String {
        let action = self.action.name();
        if self.exempt {
            format!("Allowed by a standing exemption; the ladder says {action}")
        } else if self.cleared {
            format!("Allowed past {action} by a solved challenge")
        } else if self.ruled {
            format!("Verdict by an operator's ruling: {action}")
        } else if self.enforced || self.action == Action::Allow {
            format!("Verdict: {action}")
        } else if self.outside {
            format!("Allowed outside the share that {action} is carried out on")
        } else {
            format!("Allowed in shadow mode; it would have been {action}")
        }
    }
}
