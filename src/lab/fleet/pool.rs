//! The scheduler of relay software: round robin over credentials, no session affinity, failover on
//! refusal, and a new account for each one that is banned.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use super::{Account, Style, key, user_agent};
use crate::lab::rng::Rng;

/// A campaign's means. Times are in milliseconds.
#[derive(Clone, Debug)]
pub struct PoolSettings {
    /// Accounts in use at once.
    pub accounts: usize,
    /// /24 networks they leave through.
    pub networks: usize,
    /// Requests in flight at once.
    pub workers: usize,
    /// Pause of one worker between two requests.
    pub pause: f64,
    /// From a ban to the new account that takes the place.
    pub replacement: u64,
    /// New accounts that can be had at all.
    pub spares: usize,
    pub style: Style,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            accounts: 40,
            networks: 3,
            workers: 8,
            pause: 400.0,
            replacement: 3_600_000,
            spares: 200,
            style: Style::OpenaiChat,
        }
    }
}

/// The accounts of one campaign and whose turn it is.
#[derive(Clone, Debug)]
pub struct Pool {
    pub settings: PoolSettings,
    slots: Vec<Slot>,
    cursor: usize,
    minted: usize,
    networks: Vec<[u8; 3]>,
    banned: BTreeSet<String>,
    rng: Rng,
}

#[derive(Clone, Debug)]
struct Slot {
    account: Arc<Account>,
    /// Not to be picked before.
    ready: u64,
}

impl Pool {
    pub(super) fn new(number: usize, settings: PoolSettings, rng: Rng) -> Self {
        let mut rng = rng;
        let network = |_| [45, number as u8, rng.below(256) as u8];
        let networks = (0..settings.networks.max(1)).map(network).collect();
        let mut pool = Self {
            slots: Vec::with_capacity(settings.accounts),
            cursor: 0,
            minted: 0,
            networks,
            banned: BTreeSet::new(),
            rng,
            settings,
        };
        for _ in 0..pool.settings.accounts {
            let account = pool.mint();
            pool.slots.push(Slot { account, ready: 0 });
        }
        pool
    }

    /// The next account in line that may be used; none when all rest or are gone.
    pub fn pick(&mut self, now: u64) -> Option<Arc<Account>> {
        let count = self.slots.len();
        let mut inline = (0..count).map(|step| (self.cursor + step) % count);
        let at = inline.find(|&at| self.slots[at].ready <= now)?;
        self.cursor = (at + 1) % count;
        Some(Arc::clone(&self.slots[at].account))
    }

    /// The endpoint asked `account` to wait: others take its place meanwhile.
    pub fn rest(&mut self, account: &Account, until: u64) {
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.account.key == account.key) {
            slot.ready = slot.ready.max(until);
        }
    }

    /// `account` was refused for good. A new one replaces it, as long as there are any to be had.
    pub fn ban(&mut self, account: &Account, now: u64) {
        let Some(at) = self.slots.iter().position(|slot| slot.account.key == account.key) else {
            return;
        };
        self.banned.insert(account.key.clone());
        if self.minted < self.settings.accounts + self.settings.spares {
            let ready = now + self.settings.replacement;
            self.slots[at] = Slot { account: self.mint(), ready };
        } else {
            self.slots.remove(at);
            self.cursor = if self.slots.is_empty() { 0 } else { self.cursor % self.slots.len() };
        }
    }

    /// Accounts lost so far.
    pub fn lost(&self) -> usize {
        self.banned.len()
    }

    /// Accounts ever opened.
    pub const fn opened(&self) -> usize {
        self.minted
    }

    fn mint(&mut self) -> Arc<Account> {
        let [a, b, c] = self.networks[self.minted % self.networks.len()];
        self.minted += 1;
        let style = self.settings.style;
        let address = Ipv4Addr::new(a, b, c, 1 + self.rng.below(250) as u8);
        let user_agent = user_agent(style, &mut self.rng);
        Arc::new(Account { key: key("cmp", &mut self.rng), address, user_agent, style })
    }
}
