//! Memory, score and verdict. No I/O, no async, no clock: the same calls give the same answers.
//!
//! Three verbs: [`Engine::assess`] before forwarding, [`Engine::learn`] after the answer's body has
//! ended, [`Engine::tick`] once a second of event time, the only place where memory expires.

mod log;
mod pace;
mod settings;
mod verdict;

use crate::identity::AccountId;
use crate::policy::Policies;
use crate::signal::{Ask, Exchange};
use crate::time::Timestamp;

use std::sync::Arc;

pub use self::log::{End, Line};
pub use self::pace::Pace;
pub use self::settings::Settings;
pub use self::verdict::{Evidence, Verdict};

#[derive(Debug)]
pub struct Engine {}

/// Proof that an account has answered a challenge: until when, and for how many requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clearance {
    pub until: Timestamp,
    pub requests: u32,
}

impl Engine {
    pub fn new(_settings: Settings, _policies: Policies) -> Self {
        todo!()
    }

    /// Judges a request before it is forwarded. Microseconds; takes the account's lock only.
    pub fn assess(&self, _ask: &Ask) -> Verdict {
        todo!()
    }

    /// Takes in an exchange that has ended, was cut short or was refused.
    pub fn learn(&self, _exchange: &Exchange) {
        todo!()
    }

    /// Forgets what has expired and weighs crowds anew.
    pub fn tick(&self, _now: Timestamp) {
        todo!()
    }

    /// Takes over new settings and policies. Memory, rungs and paces stay as they are.
    pub fn reload(&self, _settings: Settings, _policies: Policies) {
        todo!()
    }

    /// The policies in force.
    pub fn policies(&self) -> Arc<Policies> {
        todo!()
    }

    /// The pace of a known account. None before the endpoint has accepted the account once.
    pub fn pace(&self, _account: AccountId) -> Option<Arc<Pace>> {
        todo!()
    }

    /// The one pace that all accounts not yet known share where a verdict slows them.
    pub fn strangers(&self) -> &Arc<Pace> {
        todo!()
    }

    /// Records that an account has answered its challenge. False when the account is not known.
    pub fn clear(&self, _account: AccountId, _clearance: Clearance) -> bool {
        todo!()
    }

    /// Accounts remembered now.
    pub fn accounts(&self) -> usize {
        todo!()
    }
}
