//! The first challenge, `sg-challenge-v1`: a refused account proves that somebody tends it.
//!
//! The link in the refusal carries all state; what is kept is whose challenges are open, bounded,
//! and which are spent. That outlives the process, where memory does; how fast one may answer does not.
//! A leaked link lets a stranger do the work for an account, never act as it.

mod delivery;
mod desk;
mod kept;
mod memory;
mod puzzle;
mod settings;
mod token;
mod webhook;

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use tokio::sync::mpsc::{Receiver, Sender, channel};

pub use self::delivery::{Attempt, Notices};
use self::memory::{Expiring, Full};
pub use self::puzzle::solve_puzzles;
pub use self::settings::{BaseUrl, NotABaseUrl, Settings};
use self::token::{Mint, Token};
use self::webhook::{Finding, MessageId, Word};
pub use self::webhook::{NotAWebhookUrl, Notice, Secret, WeakSecret, Webhook, WebhookUrl};
use super::throttle;
use crate::engine::{Clearance, Verdict};
use crate::identity::{AccountId, Keyring};
use crate::policy::Pace;
use crate::signal::{Ask, Step, Trial};
use crate::time::{Clock, Timestamp};

pub(super) use self::desk::{Visit, answer, link, owns};

/// Opens hostile text as a token, and a token made of the same bytes.
#[cfg(fuzzing)]
pub(super) fn fuzz(bytes: &[u8]) {
    token::fuzz(bytes);
}

/// Puzzles of one challenge.
const PUZZLES: u8 = 16;
/// Challenged accounts, and spent challenges, remembered at once.
const REMEMBERED: usize = 1 << 16;
const DAY: Duration = Duration::from_secs(86_400);
/// Looks at the desk per answer that may be given: a page is four of them, and an office shares one
/// address.
const LOOKS: NonZeroU32 = NonZeroU32::MIN.saturating_add(29);

/// Issues challenges and takes their answers.
#[derive(Debug)]
pub(super) struct Challenges {
    mint: Mint,
    clock: Clock,
    /// Seconds since the epoch from which on it is known what is spent: the process's start, or an
    /// earlier one's whose memory was kept. Links made up to here are taken for expired.
    started: AtomicU32,
    memory: Mutex<Memory>,
    notices: Sender<Notice>,
    queue: Mutex<Option<Receiver<Notice>>>,
    /// What was written down, as it is read back.
    recalled: Mutex<kept::Recalled>,
}

#[derive(Debug)]
struct Memory {
    /// Whose tag a token carries. Only accounts that the engine knows are challenged.
    open: Expiring<[u8; 12], Option<AccountId>>,
    /// Clearances of the last day or two.
    cleared: Expiring<[u8; 12], u8>,
    spent: Expiring<[u8; 8], ()>,
    /// When an address or an account may answer again, or look.
    paces: Expiring<[u8; 17], AtomicU64>,
    /// Accounts the operator's system was told of.
    told: Expiring<AccountId, ()>,
    /// Until when the operator's system has denied an account.
    denied: Expiring<AccountId, Timestamp>,
    /// Messages of that system that were taken.
    taken: Expiring<MessageId, ()>,
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    Cleared {
        seconds: u32,
        requests: u32,
    },
    /// The word of the operator's system was taken.
    Noted,
    Wrong,
    Denied,
    /// Work clears nobody here: the operator's system does.
    Elsewhere,
    Unsigned,
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
            told: Expiring::new(REMEMBERED),
            denied: Expiring::new(REMEMBERED),
            taken: Expiring::new(REMEMBERED),
        };
        let mint = Mint::new(keyring.derive("challenge"));
        let (notices, queue) = channel(delivery::QUEUE);
        let (memory, queue) = (Mutex::new(memory), Mutex::new(Some(queue)));
        let (started, recalled) = (AtomicU32::new(seconds(clock.now())), Mutex::default());
        Self { mint, clock, started, memory, recalled, notices, queue }
    }

    /// What waits to be delivered to the operator's system. Once.
    pub(super) fn notices(&self) -> Option<Receiver<Notice>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take()
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
            issued: seconds(now).max(self.started().saturating_add(1)),
            account,
            nonce: ask.id.0.0.to_be_bytes(),
        };
        (self.mint.seal(&token), expiry(&token, settings))
    }

    /// The token in `text`, if it is one of ours.
    fn open(&self, text: &str) -> Option<Token> {
        self.mint.open(text)
    }

    /// Whether work on the challenge can still be of use.
    fn is_open(&self, token: &Token, settings: &Settings) -> Result<(), Outcome> {
        if token.issued <= self.started() || expiry(token, settings) <= self.clock.now() {
            return Err(Outcome::Expired);
        }
        let elsewhere = settings.webhook.as_ref().is_some_and(|webhook| webhook.required);
        if elsewhere { Err(Outcome::Elsewhere) } else { Ok(()) }
    }

    /// Tells the operator's system, once per account and lifetime of a challenge. False when there
    /// was no room to.
    pub(super) fn tell(&self, ask: &Ask, verdict: &Verdict, at: (&str, Timestamp)) -> bool {
        let (account, now) = (ask.caller.account, self.clock.now());
        let first = self.memory().told.first(account, (), now, at.1);
        match first {
            Ok(true) => self.notices.try_send(Notice::new(ask, verdict, at.0, at.1)).is_ok(),
            Ok(false) => true,
            Err(Full) => false,
        }
    }

    /// Counts one more look at the desk from `address`, whatever is looked at.
    fn look(&self, address: IpAddr, settings: &Settings) -> Result<(), Duration> {
        let rate = settings.answers_per_minute.saturating_mul(LOOKS);
        let pace = Pace { requests_per_minute: rate, burst: rate };
        let (now, nanos) = (self.clock.now(), self.clock.elapsed_nanos());
        let mut key = address_key(address);
        key[16] = 1;
        let mut memory = self.memory();
        let cell = memory.paces.renew(key, now, Duration::from_secs(60));
        throttle::admit(cell, pace, 1.0, nanos)
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
        visit: &Visit<'_>,
    ) -> Outcome {
        let (now, settings) = (self.clock.now(), visit.settings);
        let Some(account) = self.memory().open.get(&token.account, now).copied().flatten() else {
            return Outcome::Unknown;
        };
        if self.memory().denied.get(&account, now).is_some_and(|until| *until > now) {
            return Outcome::Denied;
        }
        let took = seconds(now).saturating_sub(token.issued);
        let trial = |step, clearance| {
            let (at, from) = (now, visit.from);
            (visit.tried)(&Trial { account, at, step, from, org: None, took, clearance })
        };
        if !puzzle::verify(text, token.bits, token.count, solutions) {
            trial(Step::Failed, None);
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
        if !trial(Step::Solved, Some(clearance)) {
            return Outcome::Unknown;
        }
        let mut memory = self.memory();
        let cleared = memory.cleared.renew(token.account, now, DAY);
        *cleared = cleared.saturating_add(1);
        memory.cleared.note(token.account);
        Outcome::Cleared { seconds: settings.clear_seconds, requests: settings.clear_requests }
    }

    /// Takes the word of the operator's system on an account. A message is taken once, and before it
    /// has any effect.
    fn hear(
        &self,
        (id, word): (MessageId, &Word),
        webhook: &Webhook,
        visit: &Visit<'_>,
    ) -> Outcome {
        let now = self.clock.now();
        match self.memory().taken.first(id, (), now, now + webhook::WINDOW * 2) {
            Ok(true) => {}
            Ok(false) => return Outcome::Spent,
            Err(Full) => return Outcome::TooFast(Duration::from_secs(1)),
        }
        let account = word.account;
        let life = Duration::from_secs(webhook.clear_seconds.into());
        let (step, clearance) = match word.result {
            Finding::Verified => {
                let life = word.seconds.map_or(life, |seconds| Duration::from_secs(seconds.into()));
                let requests = word.requests.unwrap_or(webhook.clear_requests);
                (Step::Verified, Some(Clearance { until: now + life, requests }))
            }
            Finding::Denied => (Step::Denied, None),
        };
        let (at, from, org, took) = (now, crate::identity::Tag::default(), None, 0);
        if !(visit.tried)(&Trial { account, at, step, from, org, took, clearance }) {
            return Outcome::Unknown;
        }
        let until = if step == Step::Denied { now + life } else { now };
        let mut memory = self.memory();
        *memory.denied.renew(account, now, life) = until;
        memory.denied.note(account);
        Outcome::Noted
    }

    fn started(&self) -> u32 {
        self.started.load(Relaxed)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outcome {
    fn status(self) -> StatusCode {
        match self {
            Self::Cleared { .. } | Self::Noted => StatusCode::OK,
            Self::Wrong => StatusCode::BAD_REQUEST,
            Self::Denied | Self::Elsewhere => StatusCode::FORBIDDEN,
            Self::Unsigned => StatusCode::UNAUTHORIZED,
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
            Self::Noted => "noted",
            Self::Wrong => "wrong",
            Self::Denied => "denied",
            Self::Elsewhere => "elsewhere",
            Self::Unsigned => "unsigned",
            Self::Unknown => "unknown",
            Self::Spent => "spent",
            Self::Expired => "expired",
            Self::TooFast(_) => "too-fast",
        }
    }
}

fn seconds(at: Timestamp) -> u32 {
    u32::try_from(at.as_millis() / 1000).unwrap_or(u32::MAX)
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
