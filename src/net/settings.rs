//! The listener's knobs.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where clients connect and what a connection may cost.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Addresses to listen on. With port 0 the system picks one.
    #[schemars(with = "Vec<String>")]
    pub listen: Vec<SocketAddr>,
    /// Threads, each with its own listener and upstream connections. 0: one per core.
    pub workers: usize,
    /// Certificate and key. Left out: plain HTTP.
    pub tls: Option<Tls>,
    pub proxy_protocol: ProxyProtocol,
    /// Let websockets through where the endpoint answers 101.
    pub upgrade_websocket: bool,
    pub deadlines: Deadlines,
    pub limits: Limits,
}

/// PEM files, read again when the certificate is reloaded.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The chain, leaf first.
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
}

/// Whether a load balancer announces each client's address with a PROXY preamble (v1 or v2).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProxyProtocol {
    pub mode: ProxyMode,
    /// The only networks that may connect while the preamble is required.
    #[schemars(with = "Vec<String>")]
    pub trusted: Vec<IpNet>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProxyMode {
    #[default]
    Off,
    Required,
}

/// Total time per phase: sending a byte now and then extends none of them.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Deadlines {
    /// Milliseconds until the protocol is known: the PROXY preamble, then the first bytes.
    pub first_byte_ms: u64,
    /// Milliseconds for the TLS handshake.
    pub tls_handshake_ms: u64,
    /// Milliseconds from a request's first byte to the end of its head.
    pub head_ms: u64,
    /// Seconds an HTTP/1.1 connection may wait between requests.
    pub keep_alive_secs: u64,
    /// Seconds an HTTP/2 connection may stay without a stream.
    pub h2_idle_secs: u64,
    /// Seconds a client may leave sent bytes untaken.
    pub write_stall_secs: u64,
    /// Seconds a websocket may stay silent in both directions.
    pub websocket_idle_secs: u64,
    /// Seconds a websocket may last; then it is closed with code 1008.
    #[schemars(range(min = 1))]
    pub websocket_total_secs: u64,
    /// Seconds running exchanges get to finish when the process stops.
    pub drain_secs: u64,
}

/// What one connection may hold or ask for.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections per process, websockets included.
    pub max_connections: usize,
    /// Bytes a websocket may carry, both ways together; then it is closed with code 1008.
    #[schemars(range(min = 1))]
    pub max_websocket_bytes: u64,
    /// Bytes of a head, 32 added per field. More is answered with 431. An HTTP/1.1 head must also
    /// fit into `max_buf_bytes`.
    pub max_head_bytes: usize,
    /// Bytes of a request target. More is answered with 414.
    pub max_target_bytes: usize,
    /// Bytes of a method.
    pub max_method_bytes: usize,
    /// Streams under way on one HTTP/2 connection.
    pub max_h2_streams: u32,
    /// Bytes buffered per direction of a connection; at least 8192.
    pub max_buf_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))],
            workers: 0,
            tls: None,
            proxy_protocol: ProxyProtocol::default(),
            upgrade_websocket: true,
            deadlines: Deadlines::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            first_byte_ms: 10_000,
            tls_handshake_ms: 10_000,
            head_ms: 10_000,
            // Longer than the 60 s that common load balancers keep theirs.
            keep_alive_secs: 75,
            h2_idle_secs: 75,
            write_stall_secs: 120,
            websocket_idle_secs: 600,
            // Longer than the hour that OpenAI gives a realtime session.
            websocket_total_secs: 4000,
            drain_secs: 300,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 16_384,
            max_websocket_bytes: 1 << 30,
            max_head_bytes: 32 << 10,
            max_target_bytes: 8 << 10,
            max_method_bytes: 32,
            max_h2_streams: 100,
            max_buf_bytes: 16 << 10,
        }
    }
}

impl Deadlines {
    pub(super) fn first_byte(&self) -> Duration {
        Duration::from_millis(self.first_byte_ms)
    }

    pub(super) fn tls_handshake(&self) -> Duration {
        Duration::from_millis(self.tls_handshake_ms)
    }

    pub(super) fn head(&self) -> Duration {
        Duration::from_millis(self.head_ms)
    }

    pub(super) fn keep_alive(&self) -> Duration {
        Duration::from_secs(self.keep_alive_secs)
    }

    pub(super) fn h2_idle(&self) -> Duration {
        Duration::from_secs(self.h2_idle_secs)
    }

    pub(super) fn write_stall(&self) -> Duration {
        Duration::from_secs(self.write_stall_secs)
    }

    pub(super) fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_secs)
    }
}
