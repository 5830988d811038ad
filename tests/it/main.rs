//! One binary for all integration tests.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cli;
mod config;
