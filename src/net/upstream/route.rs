//! Which group a request goes to.

use rapidhash::RapidHashMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::NoEndpoints;
use super::settings::Settings;
use crate::dialect;
use crate::identity::TenantName;
use crate::signal::Model;

/// Leads requests to a group. All conditions that are given must hold, and one must be given.
///
/// A route chooses where a request goes, not who may ask: what none takes, goes to the endpoints of
/// `[forward]`.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The tenant that asks.
    pub tenant: Option<String>,
    /// The model asked for, as body or path of an inspected route name it: `grove-1`, or `grove-*` for
    /// all that begin so.
    #[schemars(with = "Option<String>")]
    pub model: Option<ModelPattern>,
    /// How the path begins, up to the end of a segment, however it is spelt.
    pub path_prefix: Option<String>,
    /// Where these requests go.
    pub group: String,
}

/// A model's name or, with a `*` at the end, how it begins.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelPattern {
    stem: String,
    open: bool,
}

#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "`{0}` is no model: a name of 1 to 96 letters, digits and `._:/@-` is expected, or how names begin and a `*`"
)]
pub struct NotAModel(String);

/// Of one request, what routes look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) tenant: Option<&'a TenantName>,
    /// Known only where one reading of the request is possible.
    pub(super) model: Option<&'a Model>,
    pub(super) path: &'a str,
}

/// All routes, each with the place of its group among [`Settings::sets`].
#[derive(Debug)]
pub(super) struct Routes {
    rows: Vec<(Route, usize)>,
    tenants: RapidHashMap<String, usize>,
    /// Whether any of them looks at the path.
    paths: bool,
}

impl Routes {
    pub(super) fn new(settings: &Settings) -> Result<Self, NoEndpoints> {
        let place = |name: &str| settings.groups.iter().position(|group| group.name == name);
        let row = |route: &Route| match place(&route.group) {
            Some(place) => Ok((route.trimmed(), place + 1)),
            None => Err(NoEndpoints::Group(route.group.clone())),
        };
        let rows = settings.routes.iter().map(row).collect::<Result<Vec<_>, _>>()?;
        let first = settings.groups.len() + 1;
        let tenants = settings.tenants.keys().cloned().zip(first..).collect();
        let paths = rows.iter().any(|(route, _)| route.path_prefix.is_some());
        Ok(Self { rows, tenants, paths })
    }

    /// The place of the group that the request goes to.
    pub(super) fn lead(&self, asked: Asked<'_>) -> usize {
        let path = if self.paths { dialect::canonical_path(asked.path) } else { "".into() };
        let row = self.rows.iter().find(|(route, _)| route.takes(asked, &path));
        let tenant = || self.tenants.get(asked.tenant?.as_str());
        row.map(|(_, place)| place).or_else(tenant).copied().unwrap_or_default()
    }
}

impl Route {
    /// Whether it would take every request.
    pub(super) fn is_open(&self) -> bool {
        let path = self.trimmed().path_prefix.unwrap_or_default();
        self.tenant.is_none() && self.model.is_none() && path.is_empty()
    }

    /// Its prefix without the last slash: it then ends where a segment ends.
    fn trimmed(&self) -> Self {
        let prefix = self.path_prefix.as_deref().map(|path| path.trim_end_matches('/').to_owned());
        Self { path_prefix: prefix, ..self.clone() }
    }

    fn takes(&self, asked: Asked<'_>, path: &str) -> bool {
        let of = |tenant: &String| asked.tenant.is_some_and(|name| name.as_str() == tenant);
        let names = |model: &ModelPattern| asked.model.is_some_and(|name| model.fits(name));
        self.tenant.as_ref().is_none_or(of)
            && self.model.as_ref().is_none_or(names)
            && self.path_prefix.as_ref().is_none_or(|prefix| under(path, prefix))
    }
}

impl ModelPattern {
    fn fits(&self, model: &Model) -> bool {
        match self.open {
            true => model.as_str().starts_with(&self.stem),
            false => model.as_str() == self.stem,
        }
    }
}

fn under(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl TryFrom<String> for ModelPattern {
    type Error = NotAModel;

    fn try_from(text: String) -> Result<Self, NotAModel> {
        let (stem, open) = match text.strip_suffix('*') {
            Some(stem) => (stem, true),
            None => (text.as_str(), false),
        };
        let known = Model::from(stem).as_str() == stem;
        match known || (open && stem.is_empty()) {
            true => Ok(Self { stem: stem.to_owned(), open }),
            false => Err(NotAModel(text)),
        }
    }
}

impl From<ModelPattern> for String {
    fn from(pattern: ModelPattern) -> Self {
        format!("{}{}", pattern.stem, if pattern.open { "*" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn routes(text: &str) -> Routes {
        Routes::new(&toml::from_str(text).unwrap()).unwrap()
    }

    fn led(routes: &Routes, tenant: &str, model: Option<&str>, path: &str) -> usize {
        let (tenant, model) = (TenantName::from(tenant), model.map(Model::from));
        routes.lead(Asked { tenant: Some(&tenant), model: model.as_ref(), path })
    }

    const ALL: &str = r#"
        tenants = { small = "http://small" }
        groups = [{ name = "a", endpoints = [] }, { name = "b", endpoints = [] }]
        routes = [
            { tenant = "acme", model = "grove-*", group = "a" },
            { model = "grove-1", group = "b" },
            { path_prefix = "/v1/embeddings/", group = "b" },
        ]
    "#;

    #[test]
    fn the_first_route_whose_conditions_all_hold_is_taken() {
        let routes = routes(ALL);
        let model = |tenant, model| led(&routes, tenant, model, "/v1/chat/completions");
        assert_eq!(model("acme", Some("grove-1")), 1);
        assert_eq!(model("acme", Some("grov")), 0);
        assert_eq!(model("other", Some("grove-1")), 2);
        assert_eq!(model("other", Some("grove-12")), 0);
        assert_eq!(model("acme", None), 0, "what can't be told matches nothing");
        assert_eq!(model("small", Some("grove-1")), 2, "routes come before short forms");
        assert_eq!(model("small", None), 3);
    }

    #[test]
    fn a_path_is_taken_in_every_spelling_and_up_to_a_segments_end() {
        let routes = routes(ALL);
        let path = |path| led(&routes, "t", None, path);
        for spelling in
            ["/v1/embeddings", "/v1//embeddings/", "/v1/%65mbeddings/x", "/v1/x/../embeddings?q"]
        {
            assert_eq!(path(spelling), 2, "{spelling}");
        }
        for other in ["/v1/embeddingsx", "/v1", "/x/v1/embeddings", "/v1/x?/v1/embeddings"] {
            assert_eq!(path(other), 0, "{other}");
        }
    }

    #[test]
    fn a_pattern_is_a_name_or_the_beginning_of_one() {
        for text in ["*", "grove-*", "org/grove@1:free"] {
            let pattern = ModelPattern::try_from(text.to_owned()).unwrap();
            assert_eq!(String::from(pattern), text);
        }
        for text in ["", "gr*ove", "**", "two words", "ä"] {
            assert!(ModelPattern::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_request_is_led_nowhere(model in "[ -~]{0,12}", path in "[%/.a-f0-9]{0,16}") {
            prop_assert!(led(&routes(ALL), "acme", Some(&model), &path) < 4);
        }
    }
}
