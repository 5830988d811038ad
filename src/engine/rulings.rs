//! What operators have said of single accounts.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use super::memory::Urgency;
use super::order::{Disobeyed, Order, Ruling, Verb};
use super::{Engine, lock};
use crate::identity::AccountId;
use crate::policy::Action;
use crate::signal::Ask;
use crate::signal::changes::Changes;
use crate::time::Timestamp;

impl Engine {
    /// Does what an operator orders, as of `now`.
    pub fn obey(&self, order: &Order, now: Timestamp) -> Result<(), Disobeyed> {
        if let Some(objection) = order.verb.objection() {
            return Err(Disobeyed::Unsound(objection));
        }
        match order.verb {
            Verb::Rule { .. } => {
                let ruled = Ruling::made(order, now).is_none_or(|ruling| self.rulings.put(ruling));
                ruled.then_some(()).ok_or(Disobeyed::Full)
            }
            Verb::Lift { account } => {
                self.rulings.lift(account).then_some(()).ok_or(Disobeyed::NotRuled)
            }
            Verb::Clear { account: id } => {
                let found = self.find(id).ok_or(Disobeyed::NotKnown)?;
                let mut account = lock(&found);
                account.absolve(now);
                self.note(id, &mut account, Urgency::Decision);
                self.fleet.speak(&mut account, 0, &self.rules().settings.group);
                self.fleet.recount(&mut account);
                Ok(())
            }
            Verb::Tell { account, provision } => {
                self.provisions.put(account, provision).then_some(()).ok_or(Disobeyed::Full)
            }
            Verb::Review { .. } => Ok(()),
            Verb::Contain { .. } | Verb::Release { .. } | Verb::Close { .. } => {
                self.order_campaign(order, now)
            }
        }
    }

    /// Rulings in force, by account.
    pub fn rulings(&self) -> Vec<Ruling> {
        self.rulings.all()
    }
}

/// Rulings in force, by account. Read once per ask: some 20 ns where there are none.
#[derive(Debug)]
pub(super) struct Rulings {
    by_account: RwLock<BTreeMap<AccountId, Ruling>>,
    /// Accounts of which something else is said than is written down.
    pub(super) unwritten: Changes<AccountId>,
}

impl Default for Rulings {
    fn default() -> Self {
        // What is lifted takes no room, so it is bounded by itself.
        Self { by_account: RwLock::default(), unwritten: Changes::new(2 * MOST) }
    }
}

/// More than any number of operators will ever say; less than a megabyte each thousand.
const MOST: usize = 100_000;

impl Rulings {
    /// What is ruled on this ask.
    pub(super) fn on(&self, ask: &Ask) -> Option<Action> {
        let rulings = self.by_account.read().unwrap_or_else(PoisonError::into_inner);
        let ruling = rulings.get(&ask.caller.account)?;
        ruling.holds(ask.prompt.model.as_str(), ask.at).then_some(ruling.action)
    }

    pub(super) fn of(&self, account: AccountId) -> Option<Ruling> {
        self.by_account.read().unwrap_or_else(PoisonError::into_inner).get(&account).cloned()
    }

    /// False when there is no room for one more.
    pub(super) fn put(&self, ruling: Ruling) -> bool {
        let mut rulings = self.by_account.write().unwrap_or_else(PoisonError::into_inner);
        let room = rulings.len() < MOST || rulings.contains_key(&ruling.account);
        if room {
            self.unwritten.note(ruling.account, 0);
            rulings.insert(ruling.account, ruling);
        }
        room
    }

    /// Whether there was one.
    pub(super) fn lift(&self, account: AccountId) -> bool {
        let mut rulings = self.by_account.write().unwrap_or_else(PoisonError::into_inner);
        self.unwritten.note(account, 0);
        rulings.remove(&account).is_some()
    }

    pub(super) fn all(&self) -> Vec<Ruling> {
        self.by_account.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(super) fn expire(&self, now: Timestamp) {
        self.by_account
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, ruling| ruling.expires > now);
    }
}
