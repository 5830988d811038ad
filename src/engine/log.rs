//! The decision log's lines.

/// One line.
#[derive(Clone, Debug)]
pub enum Line {}
