//! What can only be seen once the file is typed: values against each other and across rooms.

use std::collections::BTreeSet;

use super::mistake::Mistake;
use super::tree::Tree;
use super::{Config, Upstream};
use crate::policy::{Fault, Gravity, check_weight};
use crate::signal::CATALOGUE;
use crate::time::Timestamp;

pub(super) fn check(config: &Config, tree: &Tree<'_>, now: Timestamp) -> Vec<Mistake> {
    let mut found = Vec::new();
    found.extend(addresses(config, tree));
    if config.mode.is_some() && config.policy.mode.is_some() {
        let span = tree.span(&["policy", "mode"]);
        found.push(Mistake::new(span, "`mode` says this already, at the top of the file"));
    }
    found.extend(policy(config, tree, now));
    found.extend(signals(config, tree));
    found.extend(unselectable(config, tree));
    found
}

fn addresses(config: &Config, tree: &Tree<'_>) -> Option<Mistake> {
    if config.listen == config.admin && config.listen.port() != 0 {
        let message = format!("callers and operators can't share {}", config.admin);
        return Some(Mistake::new(tree.span(&["admin"]), message));
    }
    let itself = |upstream: &Upstream| {
        let host = upstream.host().trim_matches(['[', ']']);
        let local = host == "localhost" || host.parse() == Ok(config.listen.ip());
        local && upstream.port() == config.listen.port()
    };
    let upstream = config.upstream.as_ref().filter(|upstream| itself(upstream))?;
    let message = format!("{upstream} is where this proxy listens: it would forward to itself");
    Some(Mistake::new(tree.span(&["upstream"]), message))
}

fn policy(config: &Config, tree: &Tree<'_>, now: Timestamp) -> Vec<Mistake> {
    let names = CATALOGUE.map(|spec| spec.name);
    let placed = |mut fault: Fault| {
        if let Some(root) = fault.at.first_mut().filter(|root| *root == "defaults") {
            *root = "policy".into();
        }
        Mistake { gravity: fault.gravity, ..Mistake::new(tree.span(&fault.at), fault.message) }
    };
    config.policy().faults(&names, now).into_iter().map(placed).collect()
}

fn signals(config: &Config, tree: &Tree<'_>) -> Vec<Mistake> {
    let rows = CATALOGUE.iter().zip(config.signals.knobs());
    let wrong = rows.filter_map(|(spec, (_, weight))| {
        let span = tree.span(&["signals", spec.name, "weight"]);
        check_weight(weight).map(|message| Mistake::new(span, message))
    });
    wrong.collect()
}

/// A tenant that identification never names: its settings can't match.
fn unselectable(config: &Config, tree: &Tree<'_>) -> Vec<Mistake> {
    let rules = config.identity.tenants.iter().map(|rule| rule.name.as_str());
    let named: BTreeSet<&str> = rules.chain([config.identity.default_tenant.as_str()]).collect();
    let missed = config.tenants.iter().enumerate().filter(|(_, tenant)| {
        !tenant.name.trim().is_empty() && !named.contains(tenant.name.as_str())
    });
    let mistake = |(index, tenant): (usize, &crate::policy::Tenant)| Mistake {
        gravity: Gravity::Mistake,
        message: format!("no identity rule names tenant `{}`: it can never match", tenant.name),
        hint: Some("add a rule under [[identity.tenants]] with this name".into()),
        span: tree.span(&["tenants", &index.to_string(), "name"]),
    };
    missed.map(mistake).collect()
}
