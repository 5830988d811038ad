//! Which tenant a request is for.

use std::borrow::Cow;

use http::header::{HOST, HeaderName, HeaderValue};
use http::request::Parts;

use super::encoding::percent;
use super::settings::{Invalid, TenantRule};

/// What the conditions of a rule look at.
pub(super) struct Sought<'a> {
    pub(super) head: &'a Parts,
    pub(super) credential: Option<&'a [u8]>,
    pub(super) trusted_hop: bool,
}

/// The conditions of all rules, in the order they are tried.
#[derive(Debug)]
pub(super) struct Rules {
    /// With each, the index of its rule in the settings.
    rules: Vec<(Conditions, usize)>,
}

#[derive(Debug)]
struct Conditions {
    hosts: Vec<Host>,
    path: Option<String>,
    key: Option<String>,
    header: Option<(HeaderName, HeaderValue)>,
}

#[derive(Debug)]
enum Host {
    Exact(String),
    /// The suffix with its leading dot.
    Below(String),
}

impl Rules {
    pub(super) fn new(rules: &[TenantRule]) -> Result<Self, Invalid> {
        let mut order = Vec::with_capacity(rules.len());
        for (index, rule) in rules.iter().enumerate() {
            unique(&rules[..index], &rule.name)?;
            let conditions = Conditions::new(rule);
            order.push((conditions.map_err(|why| in_rule(&rule.name, &why))?, index));
        }
        // Stable: rules with paths of one length stay in the file's order.
        order.sort_by_key(|(rule, _)| std::cmp::Reverse(rule.path.as_ref().map_or(0, String::len)));
        for (place, (rule, index)) in order.iter().enumerate() {
            if let Some((_, earlier)) = order[..place].iter().find(|(wide, _)| wide.covers(rule)) {
                let earlier = &rules[*earlier].name;
                let why = format!("can never match: tenant `{earlier}` takes its requests first");
                return Err(in_rule(&rules[*index].name, &why));
            }
        }
        Ok(Self { rules: order })
    }

    /// The index of the rule that takes the request.
    pub(super) fn find(&self, sought: &Sought<'_>) -> Option<usize> {
        if self.rules.is_empty() {
            return None;
        }
        let (host, path) = (host(sought.head), plain_path(sought.head.uri.path()));
        let matches = |(rule, _): &&(Conditions, usize)| rule.hold(sought, host, &path);
        self.rules.iter().find(matches).map(|(_, index)| *index)
    }
}

fn unique(earlier: &[TenantRule], name: &str) -> Result<(), Invalid> {
    if name.is_empty() {
        return Err(Invalid("identity.tenants: a rule without a name".to_owned()));
    }
    match earlier.iter().any(|rule| rule.name == name) {
        true => Err(in_rule(name, "is defined twice; give one rule several hosts")),
        false => Ok(()),
    }
}

fn in_rule(tenant: &str, why: &str) -> Invalid {
    Invalid(format!("identity.tenants: tenant `{tenant}` {why}"))
}

impl Conditions {
    fn new(rule: &TenantRule) -> Result<Self, String> {
        if rule.key_prefix.as_deref() == Some("") {
            return Err("has an empty key_prefix, which every key has; leave it out".to_owned());
        }
        let header = match &rule.header {
            Some(header) => {
                let name = header.name.parse::<HeaderName>();
                let value = HeaderValue::from_str(&header.value);
                name.ok().zip(value.ok()).map(Some).ok_or("has a header that HTTP can't carry")?
            }
            None => None,
        };
        let conditions = Self {
            hosts: rule.hosts.iter().map(|host| Host::new(host)).collect::<Result<_, _>>()?,
            path: rule.path_prefix.as_deref().map(prefix).transpose()?,
            key: rule.key_prefix.clone(),
            header,
        };
        match conditions.are_none() {
            true => Err("has no condition; name it in default_tenant instead".to_owned()),
            false => Ok(conditions),
        }
    }

    fn are_none(&self) -> bool {
        let path = self.path.as_deref().unwrap_or_default();
        self.hosts.is_empty() && path.is_empty() && self.key.is_none() && self.header.is_none()
    }

    fn hold(&self, sought: &Sought<'_>, host: Option<&str>, path: &str) -> bool {
        let on_host = || host.is_some_and(|host| self.hosts.iter().any(|rule| rule.names(host)));
        let has_key = |prefix: &String| {
            sought.credential.is_some_and(|key| key.starts_with(prefix.as_bytes()))
        };
        let has_header = |(name, value): &(HeaderName, HeaderValue)| {
            let mut sent = sought.head.headers.get_all(name).iter();
            sought.trusted_hop && sent.next() == Some(value) && sent.next().is_none()
        };
        self.path.as_ref().is_none_or(|prefix| under(path, prefix))
            && (self.hosts.is_empty() || on_host())
            && self.key.as_ref().is_none_or(has_key)
            && self.header.as_ref().is_none_or(has_header)
    }

    /// Whether every request that `narrow` matches matches this too.
    fn covers(&self, narrow: &Self) -> bool {
        let host = |narrow: &Host| self.hosts.iter().any(|wide| wide.covers(narrow));
        let hosts =
            self.hosts.is_empty() || (!narrow.hosts.is_empty() && narrow.hosts.iter().all(host));
        let path = match (&self.path, &narrow.path) {
            (Some(wide), Some(narrow)) => under(narrow, wide),
            (wide, _) => wide.is_none(),
        };
        let key = match (&self.key, &narrow.key) {
            (Some(wide), Some(narrow)) => narrow.starts_with(wide.as_str()),
            (wide, _) => wide.is_none(),
        };
        hosts && path && key && (self.header.is_none() || self.header == narrow.header)
    }
}

impl Host {
    fn new(pattern: &str) -> Result<Self, String> {
        let lower = pattern.to_ascii_lowercase();
        let (below, name) = match lower.strip_prefix('*') {
            Some(suffix) => (true, suffix.strip_prefix('.').unwrap_or_default()),
            None => (false, lower.as_str()),
        };
        let port = name.parse::<std::net::Ipv6Addr>().is_err() && name.contains(':');
        if name.is_empty() || name.contains(['*', '/', '[']) || port {
            return Err(format!(
                "has host `{pattern}`: a name without port, or `*.name`, is expected"
            ));
        }
        let name = name.trim_end_matches('.');
        Ok(if below { Self::Below(format!(".{name}")) } else { Self::Exact(name.to_owned()) })
    }

    fn names(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => host.eq_ignore_ascii_case(name),
            Self::Below(suffix) => host.len().checked_sub(suffix.len()).is_some_and(|cut| {
                cut > 0 && host.as_bytes()[cut..].eq_ignore_ascii_case(suffix.as_bytes())
            }),
        }
    }

    fn covers(&self, narrow: &Self) -> bool {
        match narrow {
            Self::Exact(name) => self.names(name),
            Self::Below(suffix) => matches!(self, Self::Below(wide) if suffix.ends_with(wide)),
        }
    }
}

/// A path prefix without its last slash: it then ends where a segment ends.
fn prefix(path: &str) -> Result<String, String> {
    match path.starts_with('/') {
        true => Ok(path.trim_end_matches('/').to_owned()),
        false => Err(format!("has path_prefix `{path}`, which doesn't begin with a slash")),
    }
}

fn under(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The name the client asked for, without port, brackets and final dot. Two that differ are none.
fn host(head: &Parts) -> Option<&str> {
    let mut sent = head.headers.get_all(HOST).iter();
    let authority = match head.uri.authority() {
        Some(authority) => authority.as_str(),
        None => sent.next()?.to_str().ok()?.trim(),
    };
    if head.uri.authority().is_none() && sent.any(|other| other.as_bytes() != authority.as_bytes())
    {
        return None;
    }
    let authority = authority.rsplit('@').next().unwrap_or(authority);
    let name = match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    Some(name.strip_suffix('.').unwrap_or(name))
}

/// The path as an upstream that tidies up sees it: escapes decoded, `.`, `..` and `//` resolved.
/// Else a client could leave its tenant, and its record there, by a mere spelling.
fn plain_path(path: &str) -> Cow<'_, str> {
    if !path.contains('%') && !path.contains("//") && !path.contains("/.") {
        return Cow::Borrowed(path);
    }
    let decoded = percent(path.as_bytes());
    let decoded = String::from_utf8_lossy(&decoded);
    let mut segments = Vec::new();
    for segment in decoded.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            name => segments.push(name),
        }
    }
    Cow::Owned(format!("/{}", segments.join("/")))
}

#[cfg(test)]
mod tests;
