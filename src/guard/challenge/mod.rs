//! The first challenge, `sg-challenge-v1`: a refused account proves that somebody tends it.
//!
//! The link in the refusal carries all state; what is kept is whose challenges are open, bounded,
//! and which are spent. A leaked link lets a stranger do the work for an account, never act as it.

mod desk;
mod memory;
mod puzzle;
mod settings;
mod token;

use std::net::IpAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;

use self::memory::{Expiring, Full};
pub use self::puzzle::solve_puzzles;
pub use self::settings::{BaseUrl, NotABaseUrl, Settings};
use self::token::{Mint, Token};
use super::throttle;
use crate::engine::Clearance;
use crate::identity::{AccountId, Keyring};
use crate::policy::Pace;
use crate::signal::Ask;
use crate::time::{Clock, Timestamp};

pub(super) use self::desk::{Visit, answer, link, owns};

/// Puzzles of one challenge.
const PUZZLES: u8 = 16;
/// Challenged accounts, and spent challenges, remembered at once.
const REMEMBERED: usize = 1 << 16;
const DAY: Duration = Duration::from_secs(86_400);

/// Issues challenges and takes their answers.
#[derive(Debug)]
pub(super) struct Challenges {
    mint: Mint,
    clock: Clock,
    memory: Mutex<Memory>,
}

#[derive(Debug)]
struct Memory {
    /// Whose tag a token carries. Only accounts that the engine knows are challenged.
    open: Expiring<[u8; 12], Option<AccountId>>,
    /// Clearances of the last day or two.
    cleared: Expiring<[u8; 12], u8>,
    spent: Expiring<[u8; 8], ()>,
    /// When an address or an account may answer again.
    paces: Expiring<[u8; 17], AtomicU64>,
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    Cleared { seconds: u32, requests: u32 },
    Wrong,
    Unknown,
    Spent,
    Expired,
    TooFast(Duration),
}

impl Challenges {
    pub(super) fn new(keyring: &Keyring, clock: Clock) -> Self {
        let memory = Memory {
            open: Expiring::new(REMEMBERED),
            cleared: Expiring::new(REMEMBERED),
            spent: Expiring::new(REMEMBERED),
            paces: Expiring::new(REMEMBERED),
        };
        let mint = Mint::new(keyring.derive("challenge"));
        Self { mint, clock, memory: Mutex::new(memory) }
    }

    /// A challenge for the account behind `ask`, `excess` nats above the rung: its token, and until
    /// when it may be answered.
    pub(super) fn issue(&self, ask: &Ask, excess: f32, settings: &Settings) -> (String, Timestamp) {
        let account = self.mint.account(&ask.caller.tenant, ask.caller.account);
        let now = self.clock.now();
        let mut memory = self.memory();
        *memory.open.renew(account, now, settings.lifetime()) = Some(ask.caller.account);
        let cleared = memory.cleared.get(&account, now).copied().unwrap_or_default();
        drop(memory);
        let token = Token {
            bits: settings.difficulty(excess, cleared),
            count: PUZZLES,
            issued: u32::try_from(now.as_millis() / 1000).unwrap_or(u32::MAX),
            account,
            nonce: ask.id.0.0.to_be_bytes(),
        };
        (self.mint.seal(&token), expiry(&token, settings))
    }

    /// The token in `text`, if it is one of ours.
    fn open(&self, text: &str) -> Option<Token> {
        self.mint.open(text)
    }

    fn is_expired(&self, token: &Token, settings: &Settings) -> bool {
        expiry(token, settings) <= self.clock.now()
    }

    /// Counts one more answer from `address` to `token`.
    fn pace(&self, token: &Token, address: IpAddr, settings: &Settings) -> Result<(), Duration> {
        let rate = settings.answers_per_minute;
        let pace = Pace { requests_per_minute: rate, burst: rate };
        let (now, nanos) = (self.clock.now(), self.clock.elapsed_nanos());
        let mut memory = self.memory();
        for key in [address_key(address), account_key(token.account)] {
            let cell = memory.paces.renew(key, now, Duration::from_secs(60));
            throttle::admit(cell, pace, 1.0, nanos)?;
        }
        Ok(())
    }

    /// Takes an answer. The challenge is spent before anything is granted: of many answers that
    /// race, one gets through.
    fn settle(
        &self,
        (text, token): (&str, &Token),
        solutions: &[&str],
        settings: &Settings,
        grant: &dyn Fn(AccountId, Clearance) -> bool,
    ) -> Outcome {
        let now = self.clock.now();
        let Some(account) = self.memory().open.get(&token.account, now).copied().flatten() else {
            return Outcome::Unknown;
        };
        if !puzzle::verify(text, token.bits, token.count, solutions) {
            return Outcome::Wrong;
        }
        let spent = self.memory().spent.first(token.nonce, (), now, expiry(token, settings));
        match spent {
            Ok(true) => {}
            Ok(false) => return Outcome::Spent,
            Err(Full) => return Outcome::TooFast(Duration::from_secs(1)),
        }
        let until = now + Duration::from_secs(settings.clear_seconds.into());
        let clearance = Clearance { until, requests: settings.clear_requests };
        if !grant(account, clearance) {
            return Outcome::Unknown;
        }
        let mut memory = self.memory();
        let cleared = memory.cleared.renew(token.account, now, DAY);
        *cleared = cleared.saturating_add(1);
        Outcome::Cleared { seconds: settings.clear_seconds, requests: settings.clear_requests }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outcome {
    fn status(self) -> StatusCode {
        match self {
            Self::Cleared { .. } => StatusCode::OK,
            Self::Wrong => StatusCode::BAD_REQUEST,
            Self::Unknown => StatusCode::NOT_FOUND,
            Self::Spent => StatusCode::CONFLICT,
            Self::Expired => StatusCode::GONE,
            Self::TooFast(_) => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// For the JSON answer.
    fn name(self) -> &'static str {
        match self {
            Self::Cleared { .. } => "cleared",
            Self::Wrong => "wrong",
            Self::Unknown => "unknown",
            Self::Spent => "spent",
            Self::Expired => "expired",
            Self::TooFast(_) => "too-fast",
        }
    }
}

fn expiry(token: &Token, settings: &Settings) -> Timestamp {
    Timestamp::from_millis(u64::from(token.issued) * 1000) + settings.lifetime()
}

/// One address, or one /64 of the many that a single host has.
fn address_key(address: IpAddr) -> [u8; 17] {
    let mut key = [0; 17];
    match address.to_canonical() {
        IpAddr::V4(v4) => key[1..5].copy_from_slice(&v4.octets()),
        IpAddr::V6(v6) => {
            key[0] = 1;
            key[1..9].copy_from_slice(&v6.octets()[..8]);
        }
    }
    key
}

fn account_key(account: [u8; 12]) -> [u8; 17] {
    let mut key = [2; 17];
    key[1..13].copy_from_slice(&account);
    key
}

#[cfg(test)]
mod tests;
