//! The `[store]` table.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::policy::Action;

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Off: memory ends with the process.
    pub enabled: bool,
    /// The directory, made where it is missing. `--store` goes before it. Left out: the first of
    /// `$STATE_DIRECTORY`, `$XDG_STATE_HOME/stillguard`, `$HOME/.local/state/stillguard` and
    /// `/var/lib/stillguard`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Milliseconds within which a decision is on disk: a rung from throttle on, a clearance given or
    /// used, a challenge spent.
    #[schemars(range(min = 10, max = 5000))]
    pub commit_ms: u32,
    /// Seconds within which all else is.
    #[schemars(range(min = 1, max = 600))]
    pub evidence_seconds: u32,
    /// Bytes on disk at most, while a new snapshot is written beside the old one, too.
    #[schemars(range(min = 1_048_576))]
    pub max_bytes: u64,
    pub learning: Learning,
}

/// The time after memory was lost, in which accounts of years look new.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Learning {
    /// Hours it lasts; 0: there is none.
    #[schemars(range(max = 720))]
    pub hours: u16,
    /// The highest rung a verdict may rise to in it.
    pub highest: Action,
    /// Also where there never was a memory: at the first start of all, or with every start of a
    /// machine that keeps no disk.
    pub at_first_start: bool,
}

impl Settings {
    pub(super) fn commit_every(&self) -> Duration {
        Duration::from_millis(self.commit_ms.into())
    }

    pub(super) fn evidence_every(&self) -> Duration {
        Duration::from_secs(self.evidence_seconds.into())
    }
}

impl Learning {
    pub fn length(&self) -> Duration {
        Duration::from_secs(u64::from(self.hours) * 3600)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: true,
            path: None,
            commit_ms: 100,
            evidence_seconds: 5,
            max_bytes: 4 << 30,
            learning: Learning::default(),
        }
    }
}

impl Default for Learning {
    fn default() -> Self {
        Self { hours: 24, highest: Action::Throttle, at_first_start: false }
    }
}
