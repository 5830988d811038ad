//! The engine's own knobs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::signal;

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// From the file's own `[signals]`.
    #[serde(skip)]
    pub signals: signal::Settings,
}
