//! One binary for all integration tests: they link once.

#![expect(clippy::unwrap_used, reason = "a test that can't go on must fail")]

mod abuse;
mod architecture;
mod bind;
mod challenge;
mod cli;
mod config;
mod faults;
mod journey;
mod memory;
#[path = "../support/mmdb.rs"]
mod mmdb;
mod protocol;
mod readme;
mod records;
mod sdk;
mod serve;
mod stand;
mod whole;
