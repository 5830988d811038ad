//! What is written down, where, and how much of it: the `[telemetry]` table.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub log: Log,
    pub decision_log: DecisionLog,
    pub audit: Audit,
    pub admin: Admin,
}

/// The program's own log, on standard error.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// A level (`error`, `warn`, `info`, `debug`, `trace`) or directives per module, e.g.
    /// `info,stillguard::net=debug`. Other crates never speak below `warn`: their debug output may
    /// quote headers.
    pub level: Level,
    pub format: Format,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    #[default]
    Text,
    Json,
}

/// Filter directives that are known to parse.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Level(String);

/// The decision log: one JSON line per ask, end and tick, with features and never text.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct DecisionLog {
    /// The file to append to, created readable by its owner alone. Left out: no log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Bytes after which the file is set aside as `<path>.1`. A batch of at most 1 MiB is never
    /// split, so smaller numbers mean one batch per file.
    #[schemars(range(min = 65_536))]
    pub max_bytes: u64,
    /// Files set aside that are kept, `<path>.1` the youngest. Zero keeps none.
    #[schemars(range(max = 1_000))]
    pub keep: u16,
    /// Lines that may wait for the disk, about 1 KiB each. Further ones are dropped and counted.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub queue: u32,
}

/// The audit log: one JSON line per operator's order, written to disk before it is carried out.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    /// The file to append to, created readable by its owner alone. Left out: orders are in the
    /// program's own log and in the decision log only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
}

/// The admin listener: metrics, health, recent decisions and operators' orders. Not for the public.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// Address and port of its own listener. Keep it on loopback or a network of your own.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// Host names and addresses, without port, by which the listener may be asked for besides
    /// loopback ones and its own address. Others are refused, so a web page can't reach it by
    /// rebinding its name.
    pub hosts: Vec<String>,
    /// A file of at least 16 characters: the token that operators' orders carry, and whatever names
    /// an account. `STILLGUARD_ADMIN_TOKEN` does as well. Without one, no order is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
}

/// Directives that don't parse.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is not a log level: a level or directives like `info,stillguard::net=debug` are expected"
)]
pub struct NotALevel(String);

impl Level {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Level {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl TryFrom<String> for Level {
    type Error = NotALevel;

    fn try_from(text: String) -> Result<Self, NotALevel> {
        match EnvFilter::builder().parse(&text) {
            Ok(_) => Ok(Self(text)),
            Err(_) => Err(NotALevel(text)),
        }
    }
}

impl From<Level> for String {
    fn from(level: Level) -> Self {
        level.0
    }
}

impl Default for DecisionLog {
    fn default() -> Self {
        Self { path: None, max_bytes: 256 << 20, keep: 8, queue: 8_192 }
    }
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: (Ipv4Addr::LOCALHOST, 9090).into(), hosts: Vec::new(), token_file: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_table_is_the_default() {
        assert_eq!(toml::from_str::<Settings>("").unwrap(), Settings::default());
    }

    #[test]
    fn the_default_reads_back_from_its_own_text() {
        let text = toml::to_string(&Settings::default()).unwrap();
        assert_eq!(toml::from_str::<Settings>(&text).unwrap(), Settings::default());
    }

    #[test]
    fn a_level_that_is_none_is_refused_at_load() {
        let refused = toml::from_str::<Settings>("[log]\nlevel = \"stillguard=chatty\"");
        assert!(refused.unwrap_err().to_string().contains("not a log level"));
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(toml::from_str::<Settings>("[decision_log]\nfile = \"x\"").is_err());
    }
}
