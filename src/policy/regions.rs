//! Where the service is offered.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::identity::Country;

/// Countries that are served, or those that are not; without either, all are. Where a request comes
/// from, the database under `[identity]` says; what it can't place is served.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Regions {
    /// These alone.
    #[schemars(with = "BTreeSet<String>")]
    pub served: BTreeSet<Country>,
    /// None of these.
    #[schemars(with = "BTreeSet<String>")]
    pub not_served: BTreeSet<Country>,
    /// Refuse what comes from elsewhere, whatever the mode: as limits do, this holds for everyone.
    /// Otherwise it is one more piece of evidence.
    pub refuse: bool,
}

impl Regions {
    pub fn are_all(&self) -> bool {
        self.served.is_empty() && self.not_served.is_empty()
    }

    /// What is wrong with the lists.
    pub(super) fn objection(&self) -> Option<(&'static str, String)> {
        if let Some(both) = self.served.intersection(&self.not_served).next() {
            return Some(("not_served", format!("{both} is among those that are served")));
        }
        let why = "no region is left out: there is nothing to refuse";
        (self.refuse && self.are_all()).then(|| ("refuse", why.to_owned()))
    }

    /// Whether the service is known not to be offered there.
    pub fn leave_out(&self, country: Option<Country>) -> bool {
        country.is_some_and(|country| {
            !self.served.is_empty() && !self.served.contains(&country)
                || self.not_served.contains(&country)
        })
    }

    pub fn refuse(&self, country: Option<Country>) -> bool {
        self.refuse && self.leave_out(country)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leave_out(regions: &str, country: &str) -> bool {
        let regions: Regions = serde_json::from_str(regions).unwrap();
        regions.leave_out(country.parse().ok())
    }

    #[test]
    fn what_is_listed_decides_and_what_is_not_known_is_served() {
        assert!(!leave_out("{}", "DE"));
        assert!(leave_out(r#"{"served": ["US", "DE"]}"#, "CN"));
        assert!(!leave_out(r#"{"served": ["US", "DE"]}"#, "DE"));
        assert!(leave_out(r#"{"not_served": ["KP"]}"#, "KP"));
        assert!(!leave_out(r#"{"not_served": ["KP"]}"#, "KR"));
        assert!(!leave_out(r#"{"served": ["US"]}"#, "unknown"));
    }

    #[test]
    fn nobody_is_refused_unless_it_is_said() {
        let regions = |refuse| Regions {
            not_served: ["KP".parse().unwrap()].into(),
            refuse,
            ..Default::default()
        };
        let there = "KP".parse().ok();
        assert!(regions(true).refuse(there) && !regions(false).refuse(there));
        assert!(!regions(true).refuse(None));
    }
}
