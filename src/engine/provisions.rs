//! What operators have told of single accounts: their provisioning attributes.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use super::Engine;
use crate::identity::{AccountId, Provision};
use crate::signal::changes::Changes;

impl Engine {
    /// What operators have told of an account, for whoever makes the ask: it holds what is known.
    pub fn provision(&self, account: AccountId) -> Option<Provision> {
        self.provisions.of(account)
    }
}

/// Provisions by account. Read once per exchange: some 20 ns where there are none.
#[derive(Debug)]
pub(super) struct Provisions {
    by_account: RwLock<BTreeMap<AccountId, Provision>>,
    /// Accounts of which something else is told than is written down.
    pub(super) unwritten: Changes<AccountId>,
}

impl Default for Provisions {
    fn default() -> Self {
        // What is taken back takes no room, so it is bounded by itself.
        Self { by_account: RwLock::default(), unwritten: Changes::new(2 * MOST) }
    }
}

/// More than anybody will tell one by one; some 20 MB. Fleets come by file.
const MOST: usize = 100_000;

impl Provisions {
    pub(super) fn of(&self, account: AccountId) -> Option<Provision> {
        let provisions = self.by_account.read().unwrap_or_else(PoisonError::into_inner);
        provisions.get(&account).copied()
    }

    /// Replaces what was told of an account; nothing at all takes it back. False when there is no
    /// room for one more.
    pub(super) fn put(&self, account: AccountId, provision: Provision) -> bool {
        let mut provisions = self.by_account.write().unwrap_or_else(PoisonError::into_inner);
        let empty = provision.is_empty();
        let room = empty || provisions.len() < MOST || provisions.contains_key(&account);
        if room {
            self.unwritten.note(account, 0);
            if empty {
                provisions.remove(&account);
            } else {
                provisions.insert(account, provision);
            }
        }
        room
    }

    pub(super) fn all(&self) -> Vec<AccountId> {
        let provisions = self.by_account.read().unwrap_or_else(PoisonError::into_inner);
        provisions.keys().copied().collect()
    }
}
