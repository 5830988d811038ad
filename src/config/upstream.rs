//! The address of the inference endpoint.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use http::Uri;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// An absolute `http` or `https` URL without query and credentials. A path, if there is one, is
/// put before the path of every request.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Upstream(Uri);

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("`{url}` is no upstream: {why}")]
pub struct NotAnUpstream {
    url: String,
    why: &'static str,
}

impl Upstream {
    pub fn uri(&self) -> &Uri {
        &self.0
    }

    pub fn host(&self) -> &str {
        self.0.host().unwrap_or_default()
    }

    /// The port, or the scheme's.
    pub fn port(&self) -> u16 {
        let usual = if self.0.scheme_str() == Some("https") { 443 } else { 80 };
        self.0.port_u16().unwrap_or(usual)
    }
}

impl FromStr for Upstream {
    type Err = NotAnUpstream;

    fn from_str(url: &str) -> Result<Self, NotAnUpstream> {
        let no = |why| NotAnUpstream { url: url.to_owned(), why };
        if !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(no("it has to begin with http:// or https://"));
        }
        let uri: Uri = url.parse().map_err(|_| no("it is not a URL"))?;
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if authority.contains('@') {
            return Err(no("credentials don't belong in it"));
        }
        let host =
            uri.host().filter(|host| !host.is_empty()).ok_or_else(|| no("it needs a host"))?;
        let port = authority.strip_prefix(host).filter(|port| !port.is_empty());
        if port.is_some_and(|port| !matches!(port[1..].parse::<u16>(), Ok(1..))) {
            return Err(no("a port is a number from 1 to 65535"));
        }
        if uri.query().is_some() || url.contains('#') {
            return Err(no("it can't have a query or a fragment"));
        }
        Ok(Self(uri))
    }
}

impl TryFrom<String> for Upstream {
    type Error = NotAnUpstream;

    fn try_from(url: String) -> Result<Self, NotAnUpstream> {
        url.parse()
    }
}

impl From<Upstream> for String {
    fn from(upstream: Upstream) -> Self {
        upstream.to_string()
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        f.write_str(text.strip_suffix('/').unwrap_or(&text))
    }
}

impl JsonSchema for Upstream {
    fn schema_name() -> Cow<'static, str> {
        "Upstream".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^https?://[^/?#@]+[^?#]*$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_printed_as_it_was_meant() {
        let printed = |url: &str| url.parse::<Upstream>().unwrap().to_string();
        assert_eq!(printed("http://127.0.0.1:8000/"), "http://127.0.0.1:8000");
        assert_eq!(printed("https://api.example/v1"), "https://api.example/v1");
        assert_eq!("https://[::1]".parse::<Upstream>().unwrap().port(), 443);
    }

    #[test]
    fn what_is_no_upstream_is_refused() {
        for url in [
            "",
            "localhost:8000",
            "ftp://a",
            "http://",
            "http://:80",
            "http://a:",
            "http://a:0",
            "http://a:99999",
            "http://u:p@a",
            "http://a/?q=1",
            "http://a b",
            "http://a/#x",
            "/v1",
        ] {
            assert!(url.parse::<Upstream>().is_err(), "{url}");
        }
    }
}
