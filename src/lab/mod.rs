//! The engine without the proxy, and a world to try it on: replay of logs, prompt material and fleets
//! of accounts of our own, the protocol that plays the one against the other, and a mock endpoint
//! that stands in for the model.
//!
//! The generators (`material`, `fleet`, `world`) import nothing from the engine, its signals or its
//! policies: whoever writes the attack must not know the thresholds.

pub mod rng;
pub mod material;
pub mod fleet;
pub mod replay;
pub mod baseline;
pub mod history;
pub mod world;
pub mod protocol;
pub mod page;
pub mod tune;

#[cfg(feature = "proxy")]
pub mod endpoint;
