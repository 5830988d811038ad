//! MinHash: how alike two texts are, from 32 numbers each.

use serde::{Deserialize, Serialize};

/// Numbers in a sketch. The standard error of an estimated Jaccard index is 1/sqrt(32), 0.18 at most.
pub const SLOTS: usize = 32;

/// A MinHash sketch over the set of a text's stems, stop words left out.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Sketch([u32; SLOTS]);

impl Sketch {
    pub fn slots(&self) -> &[u32; SLOTS] {
        &self.0
    }
}
