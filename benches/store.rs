//! What memory that outlives the process costs: `cargo bench --bench store`. A directory may follow, on
//! the disk that is to be measured.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use stillguard::dialect::{Api, Usage};
use stillguard::engine::memory::{Extent, Moment, Record, Remember};
use stillguard::engine::{Engine, Settings};
use stillguard::identity::{AccountId, Caller, Client, Keyring, Tag};
use stillguard::lab::rng::Rng;
use stillguard::policy::Policies;
use stillguard::signal::sketch::Sketch;
use stillguard::signal::{Ask, Completion, Ending, Exchange, ExchangeId, Prompt, UsageSource};
use stillguard::store::{self, Found, Ledger, Opened, Setup, Store};
use stillguard::time::{Clock, Timestamp};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const START: Timestamp = Timestamp::from_millis(1_790_000_000_000);
const ACCOUNTS: u64 = 350_000;
/// Exchanges of each: enough for habits.
const EACH: u64 = 5;

fn main() -> Result<()> {
    // `cargo test --all-targets` runs benches without it.
    if !std::env::args().any(|word| word == "--bench") {
        return Ok(());
    }
    let directory = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let directory = directory.map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = directory.join(format!("stillguard-bench-{}", std::process::id()));
    let done = measure(&directory);
    std::fs::remove_dir_all(&directory)?;
    done
}

fn measure(directory: &std::path::Path) -> Result<()> {
    let clock = Clock::start();
    let engine = Arc::new(Engine::new(Settings::default(), Policies::default()));
    let unwatched = fill(&engine, 0, ACCOUNTS * EACH, clock);
    println!("learn, nobody watching: {unwatched} ns an exchange");
    let (store, words, _) = start(directory, &engine)?;
    let before = store.report().snapshots;
    let began = clock.elapsed_nanos();
    until(|| store.report().snapshots > before);
    println!("snapshot of {ACCOUNTS} accounts: {} ms", millis(clock, began));
    let watched = fill(&engine, ACCOUNTS * EACH, 200_000, clock);
    println!("learn, watched: {watched} ns an exchange");
    println!(
        "copied under an account's lock, encoded outside: {} ns an account",
        encoding(&engine, clock)
    );
    let mut commits: Vec<_> = (0..50)
        .map(|n| {
            let began = clock.elapsed_nanos();
            let put = words.put(&n.to_string(), n).map_err(Box::<dyn Error>::from);
            put.and_then(|()| Ok(store.commit()?)).map(|()| clock.elapsed_nanos() - began)
        })
        .collect::<Result<_>>()?;
    commits.sort_unstable();
    println!("commit: {} us at the median, {} us at worst", commits[25] / 1000, commits[49] / 1000);
    let began = clock.elapsed_nanos();
    store.finish(Duration::from_secs(60))?;
    println!("last flush: {} ms", millis(clock, began));
    drop(engine);
    let again = Arc::new(Engine::new(Settings::default(), Policies::default()));
    let began = clock.elapsed_nanos();
    let (_store, _, found) = start(directory, &again)?;
    let (took, accounts) = (millis(clock, began), again.accounts());
    let Found { records, bytes, .. } = found;
    println!("start: {took} ms for {accounts} accounts, {records} records, {} MB", bytes >> 20);
    Ok(())
}

fn start(
    directory: &std::path::Path,
    engine: &Arc<Engine>,
) -> Result<(Store, Arc<Ledger<u32>>, Found)> {
    let words = Arc::new(Ledger::new("words", 1000));
    let setup = Setup {
        settings: store::Settings::default(),
        keyring: Keyring::new([7; 32]),
        sources: vec![Arc::clone(engine) as _, Arc::clone(&words) as _],
        clock: Clock::start(),
    };
    let (store, found) = Opened::open(directory)?.start(setup)?;
    Ok((store, words, found))
}

/// Nanoseconds to give one account's record.
fn encoding(engine: &Engine, clock: Clock) -> u64 {
    let (mut accounts, mut bytes) = (0, 0);
    let began = clock.elapsed_nanos();
    engine.everything(Moment { at: START, nanos: 0 }, Extent::Whole, &mut |record: Record<'_>| {
        if record.table == "accounts" {
            accounts += 1;
            bytes += record.value.map_or(0, <[u8]>::len);
        }
    });
    let each = (clock.elapsed_nanos() - began) / accounts;
    println!("an account's record: {} bytes", bytes as u64 / accounts);
    each
}

fn until(mut so: impl FnMut() -> bool) {
    while !so() {
        std::thread::yield_now();
    }
}

fn millis(clock: Clock, since: u64) -> u64 {
    (clock.elapsed_nanos() - since) / 1_000_000
}

/// Lets an engine learn `count` exchanges, the accounts taking turns. Nanoseconds for each.
fn fill(engine: &Engine, from: u64, count: u64, clock: Clock) -> u64 {
    let mut rng = Rng::new(from);
    let sketches: Vec<_> =
        (0..512).map(|_| Sketch::of_hashes((0..40).map(|_| rng.draw()))).collect();
    let began = clock.elapsed_nanos();
    for n in from..from + count {
        let at = START + Duration::from_millis(n);
        if n.is_multiple_of(1000) {
            engine.tick(at);
        }
        let account = n % ACCOUNTS;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&account.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        id[8..].copy_from_slice(&account.to_be_bytes());
        let prompt = Prompt {
            api: Api::OpenaiChat,
            last: Tag(rng.draw() | 1),
            body: Tag(rng.draw() | 1),
            system: sketches[account as usize % 512].clone(),
            user: sketches[n as usize % 511].clone(),
            tools: Tag(account % 64 + 1),
            ..Prompt::default()
        };
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
        let ask = Ask { id: ExchangeId(Tag(n)), at, caller, prompt };
        let completion = Completion {
            usage: Usage { output: Some(300), ..Usage::default() },
            source: UsageSource::Reported,
            issued: vec![Tag(rng.draw() | 1)],
            continues: Tag(rng.draw() | 1),
            ..Completion::default()
        };
        let (ended, ending) = (at + Duration::from_secs(2), Ending::Complete);
        engine.learn(&Exchange { ask, ended, ending, status: 200, completion });
    }
    (clock.elapsed_nanos() - began) / count
}
