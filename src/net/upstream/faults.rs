//! Settings that parse and yet can't work, or can't matter.

use std::collections::BTreeSet;

use super::group::{DEFAULT, labels};
use super::settings::{Endpoint, Settings};
use crate::policy::{Fault, Gravity};

impl Settings {
    /// Every fault of groups and routes. Places begin at these settings' own keys.
    pub fn faults(&self) -> Vec<Fault> {
        let mut found = Vec::new();
        twins(&["endpoints"], &self.endpoints, &mut found);
        let mut names = BTreeSet::from([DEFAULT]);
        for (index, group) in self.groups.iter().enumerate() {
            let index = index.to_string();
            let at = |key| ["groups", &index, key];
            if let Some(why) = unfit(&group.name) {
                found.push(mistake(&at("name"), why));
            } else if !names.insert(&group.name) {
                let why = format!("there is a group `{}` already", group.name);
                found.push(mistake(&at("name"), why));
            }
            if group.endpoints.is_empty() {
                let why = "a group needs endpoints".to_owned();
                found.push(mistake(&at("endpoints"), why));
            }
            if !self.routes.iter().any(|route| route.group == group.name) {
                let why = format!("no route leads to group `{}`", group.name);
                found.push(Fault { gravity: Gravity::Warning, ..mistake(&at("name"), why) });
            }
            twins(&at("endpoints"), &group.endpoints, &mut found);
        }
        self.routes_faults(&mut found);
        found
    }

    fn routes_faults(&self, found: &mut Vec<Fault>) {
        for (index, route) in self.routes.iter().enumerate() {
            let index = index.to_string();
            if !self.groups.iter().any(|group| group.name == route.group) {
                let why = format!("there is no group `{}`", route.group);
                found.push(mistake(&["routes", &index, "group"], why));
            }
            let prefix = route.path_prefix.as_deref();
            if prefix.is_some_and(|prefix| !prefix.starts_with('/')) {
                let why = "a path begins with a slash".to_owned();
                found.push(mistake(&["routes", &index, "path_prefix"], why));
            } else if route.is_open() {
                let why = "a route needs `tenant`, `model` or `path_prefix`: all else goes to the \
                           endpoints of [forward]";
                found.push(mistake(&["routes", &index], why.to_owned()));
            }
        }
    }
}

/// Endpoints whose names metrics can't tell apart, or can't show.
fn twins(at: &[&str], endpoints: &[Endpoint], found: &mut Vec<Fault>) {
    let mut seen = BTreeSet::new();
    for (index, (endpoint, label)) in endpoints.iter().zip(labels(endpoints)).enumerate() {
        let why = endpoint.name.as_deref().and_then(unfit);
        let twin = format!("there is an endpoint `{label}` already");
        let why = why.or_else(|| (!seen.insert(label)).then_some(twin));
        if let Some(why) = why {
            let index = index.to_string();
            found.push(mistake(&[at, &[&index, "name"]].concat(), why));
        }
    }
}

fn unfit(name: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let fits = !name.is_empty() && name.len() <= 64 && name.chars().all(plain);
    (!fits).then(|| "a name is 1 to 64 letters, digits and `._-`".to_owned())
}

fn mistake(at: &[&str], message: String) -> Fault {
    let at = at.iter().map(|key| (*key).to_owned()).collect();
    Fault { at, gravity: Gravity::Mistake, message }
}
