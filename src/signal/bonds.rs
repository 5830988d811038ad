//! How what came back in a request was bound to its caller.

use serde::{Deserialize, Serialize};

/// Seals and ids of one request, by what became of their wrapping. None where nothing is bound.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bonds {
    /// Issued to this caller, and as they were.
    #[serde(skip_serializing_if = "is_zero")]
    pub verified: u16,
    /// Issued to another.
    #[serde(skip_serializing_if = "is_zero")]
    pub foreign: u16,
    /// Not as they were issued.
    #[serde(skip_serializing_if = "is_zero")]
    pub altered: u16,
    /// Wrapped with a key that no longer holds, or never did.
    #[serde(skip_serializing_if = "is_zero")]
    pub retired: u16,
    /// Seals that were never wrapped.
    #[serde(skip_serializing_if = "is_zero")]
    pub bare: u16,
    /// Issued to this caller in another conversation: of those verified.
    #[serde(skip_serializing_if = "is_zero")]
    pub moved: u16,
}

impl Bonds {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The counts, each with its name.
    pub fn counts(self) -> [(&'static str, u16); 6] {
        [
            ("verified", self.verified),
            ("foreign", self.foreign),
            ("altered", self.altered),
            ("retired", self.retired),
            ("bare", self.bare),
            ("moved", self.moved),
        ]
    }
}

/// For serde, which passes a reference.
fn is_zero(count: &u16) -> bool {
    *count == 0
}
