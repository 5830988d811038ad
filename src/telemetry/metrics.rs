//! Prometheus metrics. Labels are bounded: tenants come from the file, all else from enums.

use crate::dialect::{Api, Reason};
use crate::engine::Verdict;
use crate::identity::TenantName;
use crate::signal::Exchange;

#[derive(Debug, Default)]
pub struct Metrics {}

/// Where time was added.
#[derive(Clone, Copy, Debug)]
pub enum Stage {
    Before,
    After,
    Stream,
}

/// Why an exchange went on unjudged.
#[derive(Clone, Copy, Debug)]
pub enum FailOpen {
    Panic,
    Deadline,
    /// The answer could not be read: served, but not learned from.
    UnreadableAnswer,
}

impl Metrics {
    /// One verdict: by tenant and action, enforced or not; one counter per signal that spoke.
    pub fn verdict(&self, _tenant: &TenantName, _api: Api, _verdict: &Verdict) {}

    pub fn refused(&self, _reason: Reason) {}

    /// A body refused for having two meanings, by label.
    pub fn ambiguous(&self, _label: &'static str) {}

    pub fn fail_open(&self, _why: FailOpen) {}

    pub fn overhead(&self, _stage: Stage, _nanos: u64) {}

    /// An exchange ended: by dialect and ending, with its tokens and bytes.
    pub fn ended(&self, _exchange: &Exchange) {}

    pub fn connection_opened(&self) {}

    pub fn connection_closed(&self) {}

    /// A connection refused or cut before a request, by reason.
    pub fn connection_refused(&self, _why: &'static str) {}

    /// A configuration was loaded (`true`) or refused (`false`).
    pub fn reload(&self, _taken: bool) {}
}
