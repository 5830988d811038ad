//! Stillguard in half a minute: a mock endpoint, `stillguard serve` in front of it as a process of
//! its own, honest people and a hydra campaign, all over real sockets on this machine.
//!
//! `cargo run --release --example demo [-- --seed N] [--seconds N] [--corpus DIR]`
//!
//! `--corpus` lets the people who chat ask what is in the `.jsonl` files of a directory (`prompt` or
//! OpenAI `messages` per line; decompress with `zstd -d` first) instead of what the demo makes up.
//!
//! Exits with 1 when the campaign was not stopped or an honest user was dropped.

/// The verbs of the program itself: the demo runs a second process of its own executable as
/// `stillguard serve`, since an example can't count on the program being built.
#[path = "../../src/cli/mod.rs"]
mod cli;
mod client;
mod overhead;
mod players;
mod proxy;
mod report;
mod table;
mod tally;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use stillguard::lab::endpoint::{self, Endpoint};
use stillguard::lab::fleet::{Fleet, PoolSettings, Settings, Style};
use stillguard::lab::material::{Cohort, Corpus, Harvest};
use stillguard::time::Clock;

use crate::players::Stage;
use crate::tally::Board;

/// When the campaigns begin, in milliseconds: honest people are there first.
const CAMPAIGNS_BEGIN: u64 = 8_000;

#[derive(Debug)]
struct Wish {
    seed: u64,
    seconds: u64,
    corpus: Option<Arc<Corpus>>,
}

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    match std::env::args().nth(1).as_deref() {
        Some("serve") => Ok(cli::main()),
        _ => tokio::runtime::Runtime::new()?.block_on(demo()),
    }
}

async fn demo() -> Result<ExitCode, Box<dyn Error>> {
    let wish = wish()?;
    let endpoint = Endpoint::start(endpoint::Settings {
        per_chunk: Duration::from_millis(2),
        ..endpoint::Settings::default()
    });
    let endpoint = endpoint.await?;
    let running = proxy::start(endpoint.addr)?;
    report::opening(&running, endpoint.addr);

    let stage = Arc::new(Stage {
        proxy: running.addr,
        clock: Clock::start(),
        ends: wish.seconds * 1_000,
        board: Board::new(wish.seconds * 1_000),
    });
    play(Fleet::new(&cast(&wish)), &stage).await;
    let latency = overhead::measure(endpoint.addr, running.addr, wish.seed).await?;

    let board = &stage.board;
    report::table(board);
    report::enforcement(board, CAMPAIGNS_BEGIN);
    report::latency(&latency);
    report::explanation(board, running.admin).await;
    let passed = report::conclusion(board);
    report::next_steps();
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Who takes part. Time is compressed: think times of seconds instead of a minute.
fn cast(wish: &Wish) -> Settings {
    let pool = PoolSettings {
        accounts: 24,
        networks: 2,
        workers: 6,
        pause: 120.0,
        replacement: 1_500,
        spares: 120,
        style: Style::OpenaiChat,
    };
    let messages = PoolSettings { style: Style::AnthropicMessages, ..pool.clone() };
    let honest = [
        (Cohort::Chat, 30),
        (Cohort::Coding, 20),
        (Cohort::Translation, 3),
        (Cohort::Rag, 4),
        (Cohort::Agent, 16),
        (Cohort::Evaluation, 2),
        (Cohort::Classroom, 18),
    ];
    Settings {
        seed: wish.seed,
        corpus: wish.corpus.clone(),
        honest: honest.to_vec(),
        campaigns: vec![(Harvest::Reasoning, pool), (Harvest::ToolUse, messages)],
        think: 2_500.0,
        arrivals: 6_000.0,
        ..Settings::default()
    }
}

async fn play(fleet: Fleet, stage: &Arc<Stage>) {
    let mut playing = tokio::task::JoinSet::new();
    for seat in fleet.honest {
        playing.spawn(players::honest(seat, Arc::clone(stage)));
    }
    for (number, hydra) in fleet.campaigns.into_iter().enumerate() {
        playing.spawn(players::campaign(number, hydra, CAMPAIGNS_BEGIN, Arc::clone(stage)));
    }
    playing.spawn(report::progress(Arc::clone(stage)));
    while playing.join_next().await.is_some() {}
}

fn wish() -> Result<Wish, Box<dyn Error>> {
    let mut wish = Wish { seed: 1, seconds: 32, corpus: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().unwrap_or_default();
        match (word.as_str(), value.parse()) {
            ("--seed", Ok(seed)) => wish.seed = seed,
            ("--seconds", Ok(seconds @ 16..=50)) => wish.seconds = seconds,
            ("--corpus", _) => wish.corpus = Some(Arc::new(Corpus::read(Path::new(&value))?)),
            _ => return Err("usage: demo [--seed N] [--seconds 16..50] [--corpus DIR]".into()),
        }
    }
    Ok(wish)
}
