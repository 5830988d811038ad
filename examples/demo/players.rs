//! Who plays: honest people and their SDKs, and the relay software of a campaign.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use stillguard::lab::fleet::{Account, Hydra, Seat};
use stillguard::lab::material::{Answer, Conversation};
use stillguard::time::Clock;
use tokio::time::sleep;

use crate::client::{Client, Fate};
use crate::tally::{Board, Row};

/// Where everyone plays, and until when (milliseconds from the start).
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) proxy: SocketAddr,
    pub(crate) clock: Clock,
    pub(crate) ends: u64,
    pub(crate) board: Board,
}

impl Stage {
    pub(crate) fn now(&self) -> u64 {
        self.clock.elapsed_nanos() / 1_000_000
    }

    fn over(&self) -> bool {
        self.now() >= self.ends
    }

    async fn rest(&self, millis: u64) {
        let left = self.ends.saturating_sub(self.now());
        sleep(Duration::from_millis(millis.min(left))).await;
    }
}

/// Times an SDK sends a request again after 429 before its user sees the error.
const SDK_RETRIES: u32 = 2;
/// Longest `retry-after` an SDK waits for.
const SDK_PATIENCE: u64 = 60_000;
/// Refusals for good after which a person gives up.
const DISCOURAGED: u32 = 3;

/// An honest account: every turn on its own key, retries as SDKs do them, pauses as people do.
pub(crate) async fn honest(mut seat: Seat, stage: Arc<Stage>) {
    let mut client = Client::new(stage.proxy);
    let row = Row::Honest(seat.cohort);
    stage.board.joins(row);
    stage.rest(seat.starts).await;
    let mut refused = 0;
    while !stage.over() && refused < DISCOURAGED {
        let mut conversation = seat.conversation();
        loop {
            match call(&mut client, &seat.account, &conversation, &stage, row).await {
                Ok(Some(answer)) => {
                    if !conversation.go_on(answer) || stage.over() {
                        break;
                    }
                }
                Ok(None) => break,
                Err(Refused) => {
                    refused += 1;
                    break;
                }
            }
            stage.rest(seat.think()).await;
        }
        stage.rest(seat.think()).await;
    }
}

/// Challenged or dropped: the user sees an error.
struct Refused;

async fn call(
    client: &mut Client,
    account: &Arc<Account>,
    conversation: &Conversation,
    stage: &Stage,
    row: Row,
) -> Result<Option<Answer>, Refused> {
    for _ in 0..=SDK_RETRIES {
        let outcome = client.send(account, &conversation.call).await;
        stage.board.count(row, &account.key, &outcome, stage.now());
        match outcome.fate {
            Fate::Served(answer) => return Ok(Some(answer)),
            Fate::Throttled(after) if after <= SDK_PATIENCE => stage.rest(after).await,
            Fate::Challenged | Fate::Dropped => return Err(Refused),
            Fate::Throttled(_) | Fate::Failed => return Ok(None),
        }
        if stage.over() {
            break;
        }
    }
    Ok(None)
}

/// A campaign: workers that share one task queue and one pool of accounts.
pub(crate) async fn campaign(number: usize, hydra: Hydra, begins: u64, stage: Arc<Stage>) {
    let row = Row::Campaign(number, hydra.harvest);
    stage.board.joins(row);
    stage.rest(begins).await;
    let workers = hydra.pool.settings.workers;
    let hydra = Arc::new(Mutex::new(hydra));
    let mut working = tokio::task::JoinSet::new();
    for _ in 0..workers {
        working.spawn(work(Arc::clone(&hydra), row, Arc::clone(&stage)));
    }
    while working.join_next().await.is_some() {}
    let pool = &lock(&hydra).pool;
    stage.board.lost(row, pool.lost(), pool.opened());
}

async fn work(hydra: Arc<Mutex<Hydra>>, row: Row, stage: Arc<Stage>) {
    let mut client = Client::new(stage.proxy);
    let pause = lock(&hydra).pool.settings.pause as u64;
    while !stage.over() {
        let mut conversation = lock(&hydra).conversation();
        loop {
            let answer = relay(&mut client, &hydra, &conversation, &stage, row).await;
            stage.rest(pause).await;
            let Some(answer) = answer else { break };
            if !conversation.go_on(answer) || stage.over() {
                break;
            }
        }
    }
}

/// Accounts on which one body is tried before the relay gives it up.
const FAILOVERS: usize = 4;

/// Sends one body on whichever account is next; when that one is refused, at once on another.
async fn relay(
    client: &mut Client,
    hydra: &Mutex<Hydra>,
    conversation: &Conversation,
    stage: &Stage,
    row: Row,
) -> Option<Answer> {
    for _ in 0..FAILOVERS {
        let picked = lock(hydra).pool.pick(stage.now());
        let Some(account) = picked else {
            stage.board.starved(row);
            stage.rest(250).await;
            return None;
        };
        let outcome = client.send(&account, &conversation.call).await;
        stage.board.count(row, &account.key, &outcome, stage.now());
        match outcome.fate {
            Fate::Served(answer) => return Some(answer),
            Fate::Throttled(after) => lock(hydra).pool.rest(&account, stage.now() + after),
            Fate::Challenged | Fate::Dropped => lock(hydra).pool.ban(&account, stage.now()),
            Fate::Failed => {}
        }
    }
    None
}

fn lock(hydra: &Mutex<Hydra>) -> std::sync::MutexGuard<'_, Hydra> {
    hydra.lock().unwrap_or_else(PoisonError::into_inner)
}
