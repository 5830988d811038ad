//! What the engine concluded, and why.

use serde::{Deserialize, Serialize};

use crate::policy::Action;
use crate::signal::Facet;

/// The judgement on one ask. Kept in the decision log, whole.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Verdict {
    /// Log-odds, in nats, that this account harvests.
    pub score: f32,
    pub prior: f32,
    /// What each signal adds, strongest first; signals that add nothing are left out.
    pub evidence: Vec<Evidence>,
    /// What membership in crowds adds, in nats, and the kind of key that says so.
    pub group: f32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facet: Option<Facet>,
    /// What the ladder calls for.
    pub action: Action,
    /// Whether policy carries it out. If not, the exchange passes and this is a "would have".
    pub enforced: bool,
    /// The account has a standing exemption.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exempt: bool,
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

    /// The judgement as a line for people.
    pub fn in_words(&self) -> String {
        let carried_out = if self.enforced { "enforced" } else { "not enforced" };
        let mut words = format!("{} ({carried_out}), score {:.2}", self.action.name(), self.score);
        for Evidence { signal, nats } in &self.evidence {
            words.push_str(&format!(", {signal} {nats:+.2}"));
        }
        words
    }
}
