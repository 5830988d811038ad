//! The endpoint's knobs.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use http::uri::Authority;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::settings::Tls;
use super::group::Group;
use super::health::HealthSettings;
use super::key::KeySource;
use super::route::Route;

/// The inference endpoints, and how long they may take.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Endpoints that share the load by weight, for what no route leads elsewhere. One that can't be
    /// reached is passed over.
    pub endpoints: Vec<Endpoint>,
    /// Further endpoints, in groups that `routes` lead to. These settings hold for them, too, but for
    /// what they state themselves, keys, and the certificate shown.
    pub groups: Vec<Group>,
    /// Which requests go to which group: the first one that matches, in the order of the file.
    pub routes: Vec<Route>,
    /// Tenants with an endpoint of their own, by name: short for a group and, after all other ones, a
    /// route. Their clients' keys are passed on.
    #[schemars(with = "BTreeMap<String, String>")]
    pub tenants: BTreeMap<String, Url>,
    /// Speak HTTP/2: by ALPN over TLS, with prior knowledge over plain TCP.
    pub h2: bool,
    /// PEM roots the endpoints' certificates are checked against, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The certificate and key shown to endpoints that ask for one.
    pub client_tls: Option<Tls>,
    /// Pass the client's Host on instead of the endpoint's own.
    pub preserve_host: bool,
    /// Idle HTTP/1.1 connections kept per endpoint and worker.
    pub max_idle: usize,
    /// Exchanges under way per endpoint and worker: connections on HTTP/1.1, streams on HTTP/2.
    pub max_connections: usize,
    /// Streams on one HTTP/2 connection before another is opened. More than the endpoint allows
    /// wait for each other.
    pub h2_streams_per_connection: usize,
    /// Bytes buffered per direction of a connection; at least 8192.
    pub max_buf_bytes: usize,
    pub deadlines: Deadlines,
    pub health: HealthSettings,
}

/// One endpoint and its share of the load.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    #[schemars(with = "String")]
    pub url: Url,
    /// What metrics call it; its URL, where it has no name.
    pub name: Option<String>,
    /// Its share relative to the others'. 0 keeps it for when all others can't be reached.
    #[serde(default = "one")]
    pub weight: u32,
    /// Exchanges under way there at most, until their bodies end: of the whole process. Further ones
    /// go to the next endpoint or, where all have their fill, are refused at once.
    pub max_concurrency: Option<NonZeroU32>,
    /// The provider's key, sent in place of the client's, which never gets there. Without one, the
    /// client's own is passed on.
    pub key: Option<KeySource>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Deadlines {
    /// Milliseconds to resolve, connect and shake hands, and to wait for a free connection.
    pub connect_ms: u64,
    /// Seconds from sending a request to the head of its answer.
    pub first_answer_secs: u64,
    /// Seconds between two chunks of a body, either way.
    pub between_chunks_secs: u64,
    /// Seconds for an answer's whole body.
    pub total_secs: u64,
    /// Seconds an unused connection is kept.
    pub idle_secs: u64,
}

/// `http://host:port/base` or `https://…`: no query, no credentials.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Url {
    pub(super) tls: bool,
    pub(super) authority: Authority,
    /// What goes before the request's own path: empty, or `/…` without a slash at its end.
    pub(super) base: String,
}

#[derive(Clone, Debug, thiserror::Error)]
#[error("`{0}` is not an endpoint: http://host[:port][/base] or https://… is expected")]
pub struct NotAnEndpoint(String);

impl From<Url> for Endpoint {
    fn from(url: Url) -> Self {
        Self { url, name: None, weight: 1, max_concurrency: None, key: None }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            groups: Vec::new(),
            routes: Vec::new(),
            tenants: BTreeMap::new(),
            h2: false,
            ca_file: None,
            client_tls: None,
            preserve_host: false,
            max_idle: 256,
            max_connections: 10_000,
            h2_streams_per_connection: 100,
            max_buf_bytes: 16 << 10,
            deadlines: Deadlines::default(),
            health: HealthSettings::default(),
        }
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect_ms: 5_000,
            first_answer_secs: 600,
            between_chunks_secs: 300,
            total_secs: 3_600,
            // Below the 5 s that uvicorn, in front of many endpoints, keeps its connections.
            idle_secs: 4,
        }
    }
}

impl Deadlines {
    pub(super) fn connect(&self) -> Duration {
        Duration::from_millis(self.connect_ms)
    }

    pub(super) fn first_answer(&self) -> Duration {
        Duration::from_secs(self.first_answer_secs)
    }

    pub(super) fn between_chunks(&self) -> Duration {
        Duration::from_secs(self.between_chunks_secs)
    }

    pub(super) fn total(&self) -> Duration {
        Duration::from_secs(self.total_secs)
    }

    pub(super) fn idle(&self) -> Duration {
        Duration::from_secs(self.idle_secs)
    }
}

impl Url {
    /// The host without brackets, as resolvers and TLS want it.
    pub(super) fn host(&self) -> &str {
        self.authority.host().trim_start_matches('[').trim_end_matches(']')
    }

    pub(super) fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(if self.tls { 443 } else { 80 })
    }
}

impl TryFrom<String> for Url {
    type Error = NotAnEndpoint;

    fn try_from(text: String) -> Result<Self, NotAnEndpoint> {
        let parsed = text.parse::<Uri>().ok().filter(|uri| uri.query().is_none());
        let Some(uri) = parsed.filter(|_| !text.contains(['#', '@'])) else {
            return Err(NotAnEndpoint(text));
        };
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(NotAnEndpoint(text));
        };
        // What stands behind the host is a port; one out of range would read as "none".
        let port = authority.as_str().get(authority.host().len()..).filter(|port| !port.is_empty());
        let no_port = port.is_some() && !matches!(authority.port_u16(), Some(1..));
        if !matches!(scheme, "http" | "https") || authority.host().is_empty() || no_port {
            return Err(NotAnEndpoint(text));
        }
        let base = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { tls: scheme == "https", authority: authority.clone(), base })
    }
}

impl From<Url> for String {
    fn from(url: Url) -> Self {
        url.to_string()
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.base)
    }
}

fn one() -> u32 {
    1
}

#[cfg(test)]
mod tests {
    use super::Url;

    #[test]
    fn an_endpoint_is_a_scheme_a_host_and_a_base_path() {
        let url = Url::try_from("https://[::1]:8443/base/".to_owned()).unwrap();
        assert_eq!((url.host(), url.port(), url.base.as_str()), ("::1", 8443, "/base"));
        assert_eq!(url.to_string(), "https://[::1]:8443/base");
        let plain = Url::try_from("http://vllm".to_owned()).unwrap();
        assert_eq!((plain.port(), plain.base.as_str()), (80, ""));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "vllm:8000",
            "http://x:0",
            "http://x:99999",
            "http://x:",
            "/v1",
            "ftp://x",
            "http://u:p@x",
            "http://x/?q",
            "http://x/#f",
        ] {
            assert!(Url::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
