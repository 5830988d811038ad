//! One linear scan that refuses a body two readers could read differently.

/// Why a body has no single meaning. The name is a metric label.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct Ambiguity {
    pub what: &'static str,
    pub label: &'static str,
    pub at: usize,
}

/// Passes bodies that every JSON reader reads alike.
pub fn vet(_body: &[u8]) -> Result<(), Ambiguity> {
    todo!()
}
