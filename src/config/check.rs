//! What can only be seen once the file is typed: values against each other and across rooms.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::Config;
use super::mistake::Mistake;
use super::range::ranges;
use super::tree::Tree;
use crate::identity::{Identifier, Keyring};
use crate::net::upstream::{Url, load_keys};
use crate::policy::{Fault, Gravity};
use crate::signal::CATALOGUE;
use crate::time::Timestamp;

pub(super) fn check(config: &Config, tree: &Tree<'_>, now: Timestamp) -> Vec<Mistake> {
    let mut found = Vec::new();
    found.extend(addresses(config, tree));
    found.extend(said_twice(tree));
    found.extend(policy(config, tree, now));
    found.extend(ranges(tree));
    found.extend(identity(config, tree));
    found.extend(keys(config, tree));
    found.extend(forward(config, tree));
    found.extend(unselectable(config, tree));
    found.extend(placeless(config, tree));
    found
}

/// Keys at the top of the file that are short for another one.
const SHORT: [(&str, &[&str]); 4] = [
    ("upstream", &["forward", "endpoints"]),
    ("mode", &["policy", "mode"]),
    ("listen", &["net", "listen"]),
    ("admin", &["telemetry", "admin", "listen"]),
];

fn said_twice(tree: &Tree<'_>) -> Vec<Mistake> {
    let both = SHORT.iter().filter(|(short, long)| tree.has(&[short]) && tree.has(long));
    let mistake = |(short, long): &(&str, &[&str])| {
        let message = format!("`{short}` says this already, at the top of the file");
        Mistake::new(tree.span(long), message)
    };
    both.map(mistake).collect()
}

fn addresses(config: &Config, tree: &Tree<'_>) -> Option<Mistake> {
    let (listen, admin) = (config.net().listen, config.telemetry().admin.listen);
    if admin.port() != 0 && listen.contains(&admin) {
        let message = format!("callers and operators can't share {admin}");
        let key = if tree.has(&["admin"]) { "admin" } else { "listen" };
        return Some(Mistake::new(tree.span(&[key]), message));
    }
    let url = config.upstream.as_ref().filter(|url| is_one_of(url, &listen))?;
    let message = format!("{url} is where this proxy listens: it would forward to itself");
    Some(Mistake::new(tree.span(&["upstream"]), message))
}

fn is_one_of(url: &Url, addresses: &[SocketAddr]) -> bool {
    let Ok(uri) = url.to_string().parse::<http::Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let host = if host == "localhost" { "127.0.0.1" } else { host };
    let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    let port = uri.port_u16().unwrap_or(usual);
    let address = host.parse().map(|ip: IpAddr| SocketAddr::from((ip, port)));
    address.is_ok_and(|address| addresses.contains(&address))
}

/// What the identity room refuses. Its settings are checked as a whole: no key is to blame alone.
fn identity(config: &Config, tree: &Tree<'_>) -> Option<Mistake> {
    // Any secret will do: nobody is identified here.
    let keyring = Keyring::new([0; 32]);
    let made = config.key_texts().and_then(|texts| {
        Identifier::with_keys(&config.identity, keyring, &texts).map_err(|why| why.to_string())
    });
    made.err().map(|why| Mistake::new(tree.span(&["identity"]), why))
}

/// The providers' keys, as far as they can be told now.
fn keys(config: &Config, tree: &Tree<'_>) -> Vec<Mistake> {
    let groups = config.forward.groups.iter().enumerate().map(|(index, group)| {
        let at =
            ["forward".to_owned(), "groups".to_owned(), index.to_string(), "endpoints".to_owned()];
        (at.to_vec(), &group.endpoints)
    });
    let shared = (vec!["forward".to_owned(), "endpoints".to_owned()], &config.forward.endpoints);
    let all = [shared].into_iter().chain(groups);
    let mistake = |(at, endpoints): (Vec<String>, &Vec<_>)| {
        Some(Mistake::new(tree.span(&at), load_keys(endpoints).err()?.to_string()))
    };
    all.filter_map(mistake).collect()
}

fn forward(config: &Config, tree: &Tree<'_>) -> Vec<Mistake> {
    let placed = |mut fault: Fault| {
        fault.at.insert(0, "forward".into());
        Mistake { gravity: fault.gravity, ..Mistake::new(tree.span(&fault.at), fault.message) }
    };
    config.forward.faults().into_iter().map(placed).collect()
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

/// Settings for a tenant that identification never names: they can't match.
fn unselectable(config: &Config, tree: &Tree<'_>) -> Vec<Mistake> {
    let rules = config.identity.tenants.iter().map(|rule| rule.name.as_str());
    let named: BTreeSet<&str> = rules.chain([config.identity.default_tenant.as_str()]).collect();
    let tenants = config.tenants.iter().enumerate().map(|(index, tenant)| {
        (
            tenant.name.as_str(),
            ["tenants".to_owned(), index.to_string(), "name".to_owned()].to_vec(),
        )
    });
    let endpoints = config.forward.tenants.keys().map(|name| {
        (name.as_str(), ["forward".to_owned(), "tenants".to_owned(), name.clone()].to_vec())
    });
    let routes = config.forward.routes.iter().enumerate().filter_map(|(index, route)| {
        let at =
            ["forward".to_owned(), "routes".to_owned(), index.to_string(), "tenant".to_owned()];
        Some((route.tenant.as_deref()?, at.to_vec()))
    });
    let missed = tenants.chain(endpoints).chain(routes);
    let missed = missed.filter(|(name, _)| !name.trim().is_empty() && !named.contains(name));
    let mistake = |(name, at): (&str, Vec<String>)| Mistake {
        hint: Some("add a rule under [[identity.tenants]] with this name".into()),
        ..Mistake::new(
            tree.span(&at),
            format!("no identity rule names tenant `{name}`: it can never match"),
        )
    };
    missed.map(mistake).collect()
}

/// Regions that nobody is ever found in: no database tells where addresses are.
fn placeless(config: &Config, tree: &Tree<'_>) -> Vec<Mistake> {
    if config.identity.country_file.is_some() {
        return Vec::new();
    }
    let own = config.tenants.iter().enumerate().map(|(index, tenant)| {
        let at = vec!["tenants".to_owned(), index.to_string(), "regions".to_owned()];
        (tenant.settings.regions.as_ref(), at)
    });
    let shared = (config.policy.regions.as_ref(), vec!["policy".to_owned(), "regions".to_owned()]);
    let named = own.chain([shared]).filter(|(regions, _)| regions.is_some_and(|it| !it.are_all()));
    let mistake = |(_, at): (_, Vec<String>)| Mistake {
        gravity: Gravity::Warning,
        hint: Some("name a database under [identity]: country_file".into()),
        ..Mistake::new(tree.span(&at), "nobody's region is known: this never matters")
    };
    named.map(mistake).collect()
}
