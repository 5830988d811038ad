//! The engine without the wire: time per request by body size, memory per account, and whether the
//! cost of a request grows with the number of accounts. `cargo bench --bench engine`; one thread.

#[path = "proxy/chat.rs"]
mod chat;

use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

use http::{HeaderMap, Method};
use stillguard::dialect::{self, Dialect, Usage, json};
use stillguard::engine::{Engine, Settings};
use stillguard::identity::{AccountId, Caller, Client, Keyring, Tag};
use stillguard::lab::rng::Rng;
use stillguard::policy::Policies;
use stillguard::signal::{
    self, Ask, Completion, Ending, Exchange, ExchangeId, Prompt, UsageSource,
};
use stillguard::time::{Clock, Timestamp};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const PATH: &str = "/v1/chat/completions";
const START: Timestamp = Timestamp::from_millis(1_790_000_000_000);
/// Requests that are timed at each size, in batches of which the median counts.
const BATCH: u64 = 500;
const BATCHES: usize = 9;

fn main() -> Result<()> {
    // `cargo test --all-targets` runs benches without it.
    if !std::env::args().any(|word| word == "--bench") {
        return Ok(());
    }
    println!("| body | vet + read ns | inspect ns | assess + learn ns | all ns |");
    println!("|---|---|---|---|---|");
    for (label, bytes) in
        [("1 KB", 1 << 10), ("8 KB", 8 << 10), ("10 KB", 10 << 10), ("100 KB", 100 << 10)]
    {
        by_size(label, bytes)?;
    }
    println!("\n| accounts | bytes per account | assess + learn ns |");
    println!("|---|---|---|");
    for accounts in [1_000, 100_000] {
        by_accounts(accounts)?;
    }
    Ok(())
}

fn by_size(label: &str, bytes: usize) -> Result<()> {
    let mut rng = Rng::new(bytes as u64);
    let bodies: Vec<String> = (0..64).map(|_| chat::body(&mut rng, bytes, false)).collect();
    let bodies: Vec<&[u8]> = bodies.iter().map(String::as_bytes).collect();
    let keyring = Keyring::new([7; 32]);
    let reader = dialect::of(&Method::POST, PATH, &HeaderMap::new()).ok_or("nobody reads it")?;
    let read = timed(|n| {
        black_box(read(reader, bodies[n as usize % bodies.len()]).is_ok());
    });
    let inspected = timed(|n| {
        black_box(prompt(reader, bodies[n as usize % bodies.len()], &keyring).is_ok());
    });
    let prompts = bodies.iter().map(|body| prompt(reader, body, &keyring));
    let prompts = prompts.collect::<Result<Vec<_>>>()?;
    let engine = Engine::new(Settings::default(), Policies::default());
    let judged = timed(|n| exchange(&engine, n % 64, n, &prompts[n as usize % prompts.len()]));
    let rest = inspected.saturating_sub(read);
    println!("| {label} | {read} | {rest} | {judged} | {} |", inspected + judged);
    Ok(())
}

fn read<'a>(reader: &dyn Dialect, body: &'a [u8]) -> Result<dialect::Request<'a>> {
    json::vet(body).map_err(|ambiguity| ambiguity.label)?;
    Ok(reader.read_call(PATH, body)?)
}

fn prompt(reader: &dyn Dialect, body: &[u8], keyring: &Keyring) -> Result<Prompt> {
    Ok(signal::inspect(&read(reader, body)?, reader.api(), body.len(), keyring))
}

/// Fills an engine with accounts of a few requests each, then times further requests of them all.
fn by_accounts(accounts: u64) -> Result<()> {
    let mut rng = Rng::new(accounts);
    let reader = dialect::of(&Method::POST, PATH, &HeaderMap::new()).ok_or("nobody reads it")?;
    let keyring = Keyring::new([7; 32]);
    let prompts: Vec<Prompt> = (0..512)
        .map(|_| prompt(reader, chat::body(&mut rng, 2048, false).as_bytes(), &keyring))
        .collect::<Result<_>>()?;
    let before = resident()?;
    let engine = Engine::new(Settings::default(), Policies::default());
    for n in 0..accounts * 4 {
        let drawn = &prompts[rng.below(prompts.len())];
        exchange(&engine, n % accounts, n, drawn);
    }
    let each = resident()?.saturating_sub(before) / accounts;
    let judged = timed(|n| {
        let at = accounts * 4 + n;
        exchange(&engine, rng.below(accounts as usize) as u64, at, &prompts[at as usize % 512]);
    });
    println!("| {accounts} | {each} | {judged} |");
    Ok(())
}

/// One request and its answer. Fifty a second of event time, ticks included. Each prompt is new.
fn exchange(engine: &Engine, account: u64, n: u64, prompt: &Prompt) {
    let at = START + Duration::from_millis(n * 20);
    if n.is_multiple_of(50) {
        engine.tick(at);
    }
    let mut id = [0; 16];
    id[..8].copy_from_slice(&account.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    let caller = Caller {
        tenant: "default".into(),
        account: AccountId(id),
        org: None,
        end_user: None,
        egress: Tag(account / 4 + 1),
        client: Client::OpenaiPython,
        attributes: Default::default(),
        trace: Default::default(),
    };
    let fresh = Tag(Rng::new(n).draw() | 1);
    let prompt = Prompt { last: fresh, body: fresh, thread: fresh, ..prompt.clone() };
    let ask = Ask { id: ExchangeId(Tag(n)), at, caller, prompt };
    black_box(engine.assess(&ask));
    let usage = Usage { output: Some(300), ..Usage::default() };
    let completion = Completion {
        usage,
        source: UsageSource::Reported,
        continues: Tag(fresh.0.rotate_left(7)),
        ..Completion::default()
    };
    let (ended, ending) = (at + Duration::from_secs(2), Ending::Complete);
    engine.learn(&Exchange { ask, ended, ending, status: 200, completion });
}

/// Nanoseconds per call: the median of batches, after one to warm up.
fn timed(mut call: impl FnMut(u64)) -> u64 {
    (0..BATCH).for_each(&mut call);
    let clock = Clock::start();
    let mut batches: Vec<u64> = (1..=BATCHES as u64)
        .map(|batch| {
            let began = clock.elapsed_nanos();
            (batch * BATCH..(batch + 1) * BATCH).for_each(&mut call);
            (clock.elapsed_nanos() - began) / BATCH
        })
        .collect();
    batches.sort_unstable();
    batches[BATCHES / 2]
}

/// Bytes of memory in use by this process.
fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).ok_or("no VmRSS")?;
    Ok(kib.parse::<u64>()? << 10)
}
