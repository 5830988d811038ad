//! Campaigns as a person would tell of them: for operators.

use std::fmt::Write as _;

use super::record::{About, Campaign, State};
use crate::engine::explanation::at;

impl About {
    /// One line, for a list.
    pub fn in_a_line(&self) -> String {
        let Self { id, state, score, members, active, replacements, harvest, .. } = self;
        let ordered = if self.order.is_some() { ", by order" } else { "" };
        format!(
            "{id}  {}{ordered}: {score:+.1} nats, {members} members ({active} active), \
             {replacements} replacements, {} served, {} tokens out",
            state.name(),
            harvest.served,
            harvest.output_tokens
        )
    }

    /// What becomes of it, since when, and by whose word.
    pub fn standing(&self) -> String {
        let mut words = match (self.state, self.contained_since, self.due) {
            (State::Contained, Some(since), _) => {
                format!("contained since {}: its members share one pace", at(since))
            }
            (State::Contained, None, _) => "contained: its members share one pace".to_owned(),
            (State::Watching, _, Some(due)) => {
                format!("watched, and to be contained from {}", at(due))
            }
            (State::Watching, _, None) => "watched: nothing is done to it".to_owned(),
            (State::Closed, ..) => "closed".to_owned(),
        };
        if self.tripped {
            words += "; the circuit breaker holds it back";
        }
        if let Some(order) = &self.order {
            let (until, owner) = (at(order.expires), order.owner.as_str());
            let _ = write!(words, "; by order of {owner} until {until}: {}", order.reason.as_str());
        }
        words
    }

    /// Nats by family, strongest first.
    pub fn evidence_in_words(&self) -> String {
        let mut nats: Vec<_> = self.evidence.iter().collect();
        nats.sort_by(|a, b| b.1.total_cmp(a.1));
        let each = nats.into_iter().map(|(family, nats)| format!("{family:?} {nats:+.1}"));
        each.collect::<Vec<_>>().join(", ")
    }
}

impl Campaign {
    pub fn in_words(&self) -> String {
        let about = &self.about;
        let mut words = format!("Campaign {} is {}.", about.id, about.standing());
        let _ = write!(words, "\nScore {:+.1} nats: {}.", about.score, about.evidence_in_words());
        let _ = write!(
            words,
            "\nSeen from {} to {}. {} members, {} of them active within a day, {:.0} joined in it, {} \
             replaced refused accounts; {} established accounts match it and are exempt.",
            at(about.first_seen),
            at(about.last_seen),
            about.members,
            about.active,
            about.growth,
            about.replacements,
            about.exempt
        );
        let keys = about.keys.iter().map(|(facet, keys)| format!("{keys} {}", facet.in_words()));
        let _ = write!(words, "\nHot keys: {}.", list(keys));
        let harvest = &about.harvest;
        let by = harvest.by.iter().map(|(what, taken)| format!("{what:?} {}", taken.exchanges));
        let _ = write!(
            words,
            "\nTook {} answers, {} tokens ({}); refused {}.",
            harvest.served,
            harvest.output_tokens,
            list(by),
            harvest.refused
        );
        for (model, pivot) in &about.pivots {
            let _ = write!(
                words,
                "\nMoved to {}: {:.0} % of its exchanges within a day of {}, {:.0} % of the fleet's.",
                model.as_str(),
                pivot.share() * 100.0,
                at(pivot.released),
                pivot.fleet_share * 100.0
            );
        }
        words
    }
}

fn list(all: impl Iterator<Item = String>) -> String {
    let all: Vec<_> = all.collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}
