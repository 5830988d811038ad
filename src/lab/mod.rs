//! The engine without the proxy, and a world to try it on: replay of decision logs, prompt material
//! and fleets of accounts of our own, and a mock endpoint that stands in for the model.
//!
//! The generators (`material`, `fleet`) import nothing from the engine, its signals or its
//! policies: whoever writes the attack must not know the thresholds.

pub mod rng;
pub mod material;
pub mod fleet;
pub mod replay;
pub mod history;

#[cfg(feature = "proxy")]
pub mod endpoint;
