//! Groups of endpoints: what is their own, and what they have of `[forward]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::settings::Tls;
use super::health::HealthSettings;
use super::key::{BadKey, Key, KeySource};
use super::settings::{Deadlines, Endpoint, Settings};

/// The group of the endpoints that no route has to lead to. No other one is called so.
pub(super) const DEFAULT: &str = "default";

/// Endpoints that share the load of the routes that lead to them. What is left out is taken from
/// `[forward]`, except for secrets: neither keys nor certificates go to another endpoint than the
/// one they were written down for.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Routes name it, and so do metrics.
    pub name: String,
    pub endpoints: Vec<Endpoint>,
    /// The certificate and key shown to endpoints that ask for one. Never that of `[forward]`.
    pub client_tls: Option<Tls>,
    pub ca_file: Option<PathBuf>,
    pub h2: Option<bool>,
    pub preserve_host: Option<bool>,
    /// Deadlines that are left out are those of `[forward.deadlines]`,
    pub deadlines: Option<Deadlines>,
    /// and these of `[forward.health]`.
    pub health: Option<HealthSettings>,
}

/// Each endpoint's key, in the order of `Settings::sets`.
pub type Keys = Vec<Vec<Option<Key>>>;

impl Settings {
    /// Every group with the settings that hold for it: the default one, those that are written down,
    /// then one for each tenant with an endpoint of its own.
    pub(super) fn sets(&self) -> Vec<(String, Self)> {
        let base = Self { groups: Vec::new(), routes: Vec::new(), ..self.clone() };
        let base = Self { tenants: Default::default(), ..base };
        let written = self.groups.iter().map(|group| (group.name.clone(), group.over(&base)));
        let tenants = self.tenants.iter().map(|(name, url)| {
            let endpoints = vec![Endpoint::from(url.clone())];
            (format!("tenant:{name}"), Self { endpoints, ..base.clone() })
        });
        let rest: Vec<_> = written.chain(tenants).collect();
        [(DEFAULT.to_owned(), base)].into_iter().chain(rest).collect()
    }

    /// Each endpoint's key as it is now. Blocks on the disk.
    pub fn keys(&self) -> Result<Keys, BadKey> {
        self.sets().iter().map(|(_, set)| load_keys(&set.endpoints)).collect()
    }

    /// These settings without what can change while the process runs.
    pub fn fixed(&self) -> Self {
        let mut fixed = self.clone();
        let groups = fixed.groups.iter_mut().flat_map(|group| &mut group.endpoints);
        for endpoint in fixed.endpoints.iter_mut().chain(groups) {
            endpoint.key = None;
        }
        fixed
    }
}

/// The keys of `endpoints` as they are now. Blocks on the disk.
pub fn load_keys(endpoints: &[Endpoint]) -> Result<Vec<Option<Key>>, BadKey> {
    let load = |endpoint: &Endpoint| endpoint.key.as_ref().map(KeySource::load).transpose();
    endpoints.iter().map(load).collect()
}

impl Group {
    fn over(&self, base: &Settings) -> Settings {
        let settings = base.clone();
        Settings {
            endpoints: self.endpoints.clone(),
            client_tls: self.client_tls.clone(),
            ca_file: self.ca_file.clone().or(settings.ca_file),
            h2: self.h2.unwrap_or(settings.h2),
            preserve_host: self.preserve_host.unwrap_or(settings.preserve_host),
            deadlines: self.deadlines.clone().unwrap_or(settings.deadlines),
            health: self.health.clone().unwrap_or(settings.health),
            ..settings
        }
    }
}

/// What metrics call each of `endpoints`. One URL with several keys is several endpoints.
pub(super) fn labels(endpoints: &[Endpoint]) -> Vec<String> {
    let mut labels: Vec<String> = Vec::with_capacity(endpoints.len());
    for endpoint in endpoints {
        let url = endpoint.url.to_string();
        let label = endpoint.name.clone().unwrap_or_else(|| {
            let again = (2..).map(|n| format!("{url}#{n}"));
            let mut free = [url.clone()].into_iter().chain(again);
            free.find(|label| !labels.contains(label)).unwrap_or_default()
        });
        labels.push(label);
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_group_has_everything_of_forward_but_its_secrets() {
        let settings = settings(
            r#"
            endpoints = [{ url = "http://a", key = { header = "api-key", value = "sk-a" } }]
            ca_file = "roots.pem"
            client_tls = { cert_file = "c", key_file = "k" }
            h2 = true
            preserve_host = true
            deadlines = { connect_ms = 7 }
            tenants = { acme = "http://t" }
            groups = [
                { name = "plain", endpoints = [{ url = "http://b" }] },
                { name = "own", endpoints = [], h2 = false, ca_file = "o", client_tls = { cert_file = "o", key_file = "o" } },
            ]
            "#,
        );
        let sets = settings.sets();
        let names: Vec<_> = sets.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["default", "plain", "own", "tenant:acme"]);
        let [_, (_, plain), (_, own), (_, tenant)] = &sets[..] else { panic!("{sets:?}") };
        assert!(plain.h2 && plain.preserve_host && plain.deadlines.connect_ms == 7);
        assert_eq!((&plain.ca_file, &plain.client_tls), (&Some("roots.pem".into()), &None));
        assert!(!own.h2 && own.client_tls.is_some() && own.ca_file == Some("o".into()));
        assert_eq!(tenant.endpoints[0].url.to_string(), "http://t");
        let keys = settings.keys().unwrap();
        let keyed: Vec<_> = keys.iter().flatten().map(Option::is_some).collect();
        assert_eq!(keyed, [true, false, false], "no key but where it was written down");
    }

    #[test]
    fn endpoints_of_one_url_are_told_apart() {
        let same = r#"endpoints = [{ url = "http://a" }, { url = "http://a" }, { url = "http://a", name = "x" }]"#;
        assert_eq!(labels(&settings(same).endpoints), ["http://a", "http://a#2", "x"]);
    }
}
