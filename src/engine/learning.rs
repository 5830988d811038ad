//! The time after memory was lost.
//!
//! Whoever was known for years looks new then, and so does everything many of them share: templates,
//! networks, cards. So a verdict made of it goes no higher than a rung that nobody is shut out by.
//! What was held higher before stays there, and nobody ripens: what an account is suspected of may be
//! part of what was lost.

use std::sync::{PoisonError, RwLock};

use super::Engine;
use super::account::Account;
use crate::policy::{Action, Held, Policy};
use crate::signal::Ask;
use crate::time::Timestamp;

/// Until when verdicts are capped, and at which rung.
#[derive(Debug, Default)]
pub(super) struct Learning(RwLock<(Timestamp, Action)>);

impl Learning {
    pub(super) fn until(&self) -> (Timestamp, Action) {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, until: Timestamp, highest: Action) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = (until, highest);
    }

    pub(super) fn goes_on(&self, now: Timestamp) -> bool {
        now < self.until().0
    }

    /// `rung`, or what a verdict may rise to now from where it `was`.
    pub(super) fn cap(&self, rung: Action, was: Action, now: Timestamp) -> Action {
        let (until, highest) = self.until();
        if now < until { rung.min(highest.max(was)) } else { rung }
    }
}

/// Where the score alone leads: up at a moment of the account's own, down by hysteresis and dwell.
fn rise(policy: &Policy, ask: &Ask, account: &mut Account) -> Held {
    let before = account.held;
    let called = policy.ladder.hold(before, account.score, ask.at);
    if called.rung <= before.rung {
        account.rises = None;
        return called;
    }
    let onset = || ask.at + policy.ladder.onset(ask.caller.account, called.rung);
    if ask.at < *account.rises.get_or_insert_with(onset) {
        return before;
    }
    account.rises = None;
    called
}

impl Engine {
    /// Moves an account along the ladder; `floor` is the mildest rung its crowd allows.
    pub(super) fn hold(&self, policy: &Policy, ask: &Ask, account: &mut Account, floor: Action) {
        let before = account.held;
        account.held = rise(policy, ask, account);
        if floor > account.held.rung && !account.established {
            account.held = Held { rung: floor, since: ask.at };
        }
        account.held.rung = self.learning.cap(account.held.rung, before.rung, ask.at);
    }

    /// Caps verdicts at `highest` until then: memory has been lost. A period under way that ends
    /// later goes on.
    pub fn learn_anew(&self, until: Timestamp, highest: Action) {
        if until > self.learning.until().0 {
            self.learning.set(until, highest);
        }
    }

    /// Whether verdicts are capped because memory has been lost.
    pub fn is_learning(&self, now: Timestamp) -> bool {
        self.learning.goes_on(now)
    }
}
