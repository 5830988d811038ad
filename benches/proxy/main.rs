//! What inspection costs: stillguard beside a bare streaming proxy of the same threading, in turns,
//! in front of one fixed-answer endpoint. `cargo bench --bench proxy`; below a minute, loopback only.
//!
//! Each peer is a process of its own, so that its processor time can be read from /proc. Rounds
//! alternate between the peers, so that whatever else the machine does hits them alike: trust the
//! ratios more than the microseconds.

mod chat;
mod endpoint;
mod hyper_peer;
mod load;
mod peers;
mod prompts;

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use self::load::Load;
use self::peers::Peer;
use self::prompts::Prompts;
use stillguard::time::Clock;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(600);
/// Turns of the latency run: one request to each peer, then a rest.
const TURNS: usize = 400;
const REST: Duration = Duration::from_millis(4);

/// Microseconds of processor time per request, one for each round.
type Costs = Vec<f64>;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["--endpoint"] => endpoint::serve(),
        ["--bare-hyper", upstream] => hyper_peer::serve(upstream.parse()?),
        _ if words.contains(&"--bench") => tokio::runtime::Runtime::new()?.block_on(bench()),
        // `cargo test --all-targets` runs benches without it.
        _ => Ok(()),
    }
}

async fn bench() -> Result<()> {
    let endpoint = peers::endpoint()?;
    let peers = peers::all(endpoint.address)?;
    if !peers.iter().any(|peer| peer.name == "nginx") {
        println!("nginx is not installed: skipped");
    }
    println!("| body | peer | CPU us/request | of bare hyper | requests/s | p50 us | p99 us |");
    println!("|---|---|---|---|---|---|---|");
    for (label, bytes, count) in
        [("1 KB", 1 << 10, 2000), ("10 KB", 10 << 10, 800), ("100 KB", 100 << 10, 100)]
    {
        let load = Load::new(Prompts::new(bytes, count, false), 16);
        let rows = saturate(&load, &peers).await?;
        let delays = trickle(&load, endpoint.address, &peers).await?;
        report(label, &peers, &rows, &delays);
    }
    let load = Load::new(Prompts::new(1 << 10, 500, true), 32);
    let rows = saturate(&load, &peers).await?;
    report("200 chunks", &peers, &rows, &[]);
    println!("\np50 and p99 are what a peer adds to the median of asking the endpoint directly.");
    Ok(())
}

/// One peer's rounds.
#[derive(Default)]
struct Row {
    costs: Costs,
    served: u64,
}

async fn saturate(load: &Load, peers: &[Peer]) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = peers.iter().map(|_| Row::default()).collect();
    for peer in peers {
        load.saturate(peer.address, ROUND / 3).await?;
    }
    for _ in 0..ROUNDS {
        for (peer, row) in peers.iter().zip(&mut rows) {
            let before = peer.cpu_micros()?;
            let served = load.saturate(peer.address, ROUND).await?;
            let spent = peer.cpu_micros()? - before;
            row.costs.push(spent / served.max(1) as f64);
            row.served += served;
        }
    }
    Ok(rows)
}

/// Sorted microseconds of each peer at a low rate, beyond the median of asking the endpoint itself.
async fn trickle(load: &Load, direct: SocketAddr, peers: &[Peer]) -> Result<Vec<Vec<f64>>> {
    let mut lines = vec![load.open(direct).await?];
    for peer in peers {
        lines.push(load.open(peer.address).await?);
    }
    let clock = Clock::start();
    let mut times = vec![Vec::new(); lines.len()];
    for turn in 0..TURNS {
        for (line, times) in lines.iter_mut().zip(&mut times) {
            let request = load.next();
            let began = clock.elapsed_nanos();
            line.ask(&request).await?;
            // The first turns open the peers' own connections.
            if turn >= 20 {
                times.push((clock.elapsed_nanos() - began) as f64 / 1000.0);
            }
        }
        tokio::time::sleep(REST).await;
    }
    times.iter_mut().for_each(|times| times.sort_by(f64::total_cmp));
    let base = quantile(&times[0], 0.5);
    Ok(times[1..].iter().map(|times| times.iter().map(|time| time - base).collect()).collect())
}

fn report(label: &str, peers: &[Peer], rows: &[Row], delays: &[Vec<f64>]) {
    let bare = rows.first().map(|row| row.costs.clone()).unwrap_or_default();
    for (at, (peer, row)) in peers.iter().zip(rows).enumerate() {
        let ratios: Costs = row.costs.iter().zip(&bare).map(|(cost, bare)| cost / bare).collect();
        let rate = row.served as f64 / (ROUND * ROUNDS as u32).as_secs_f64();
        let delay = |share| match delays.get(at) {
            Some(times) => format!("{:.0}", quantile(times, share)),
            None => "-".to_owned(),
        };
        println!(
            "| {label} | {} | {:.1} | {:.2} | {rate:.0} | {} | {} |",
            peer.name,
            median(&row.costs),
            median(&ratios),
            delay(0.5),
            delay(0.99),
        );
    }
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    quantile(&values, 0.5)
}

fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = (sorted.len() as f64 * share) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}
