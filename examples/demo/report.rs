//! What the person at the terminal is told.

use std::io::{IsTerminal, Write, stdout};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use stillguard::policy::{Action, Ladder};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::overhead::Latency;
use crate::players::Stage;
use crate::proxy::Running;
use crate::table::Table;
use crate::tally::{Board, Counts, Row};

pub(crate) fn opening(running: &Running, endpoint: SocketAddr) {
    println!("stillguard demo");
    println!();
    println!(
        "  A mock endpoint listens on {endpoint}, the proxy in front of it on {}.",
        running.addr
    );
    println!(
        "  Honest people arrive first. After a few seconds two campaigns start to harvest, each"
    );
    println!("  through a pool of accounts: round robin, failover on refusal, fresh accounts for");
    println!("  banned ones. The engine is told nothing about who is who. Its configuration:");
    println!();
    running.config.lines().for_each(|line| println!("    {line}"));
    let ladder = Ladder::default();
    let rungs = Action::ALL[1..].iter();
    let rungs = rungs.map(|rung| format!("{} from {:.1}", rung.name(), ladder.threshold(*rung)));
    println!();
    println!("  The ladder is the default: {} nats.", rungs.collect::<Vec<_>>().join(", "));
    println!();
}

/// One line that is written over; without a terminal, a new one every few seconds.
pub(crate) async fn progress(stage: Arc<Stage>) {
    let live = stdout().is_terminal();
    let every = Duration::from_millis(if live { 250 } else { 4_000 });
    while stage.now() < stage.ends {
        sleep(every.min(Duration::from_millis(stage.ends.saturating_sub(stage.now()).max(1))))
            .await;
        let (honest, campaign) = (stage.board.total(false), stage.board.total(true));
        let line = format!(
            "  {:>2} s   honest: {} served, {} refused   campaigns: {} served, {} throttled, \
             {} challenged, {} dropped",
            stage.now() / 1_000,
            honest.served,
            honest.refused(),
            campaign.served,
            campaign.throttled,
            campaign.challenged,
            campaign.dropped
        );
        if live {
            print!("\r\x1b[2K{line}");
            // A terminal that went away is no reason to stop.
            let _ = stdout().flush();
        } else {
            println!("{line}");
        }
    }
    println!();
}

/// The outcome by cohort and campaign.
pub(crate) fn table(board: &Board) {
    let head =
        ["", "accounts", "offered", "served", "throttled", "challenged", "dropped", "failed"];
    let mut table = Table::new(&head);
    let rows = board.rows();
    for campaigns in [false, true] {
        let of = rows.iter().filter(|(row, _)| matches!(row, Row::Campaign(..)) == campaigns);
        of.for_each(|(row, counts)| table.row(cells(&row.name(), counts)));
        table.rule();
        let name = if campaigns { "all campaigns" } else { "all honest users" };
        table.row(cells(name, &board.total(campaigns)));
        if !campaigns {
            table.rule();
        }
    }
    println!("{table}");
}

fn cells(name: &str, counts: &Counts) -> Vec<String> {
    let numbers = [
        counts.accounts as u64,
        counts.offered,
        counts.served,
        counts.throttled,
        counts.challenged,
        counts.dropped,
        counts.failed,
    ];
    std::iter::once(name.to_owned()).chain(numbers.iter().map(u64::to_string)).collect()
}

/// When each campaign was first refused, and how much it still got at the end.
pub(crate) fn enforcement(board: &Board, begins: u64) {
    for (row, counts) in board.rows() {
        let Row::Campaign(..) = row else { continue };
        let first = match counts.first {
            Some((at, offered)) => format!(
                "first refused {:.1} s after it began, at its exchange {offered}",
                at.saturating_sub(begins) as f64 / 1_000.0
            ),
            None => "never refused".to_owned(),
        };
        let (lost, opened) = counts.lost.unwrap_or_default();
        let [.., before, last] = counts.quarters;
        println!("  {}: {first};", row.name());
        println!(
            "    {lost} of {opened} accounts lost; answers in the third and last quarter: {before}, {last};"
        );
        println!("    {} times it had no account left to send with.", counts.starved);
    }
    println!();
}

pub(crate) fn latency(latency: &Latency) {
    let mut table = Table::new(&["one small exchange, µs", "p50", "p99"]);
    let quantiles = |sorted: &[u64]| [0.5, 0.99].map(|share| Latency::quantile(sorted, share));
    let (direct, proxied) = (quantiles(&latency.direct), quantiles(&latency.proxied));
    let row =
        |name: &str, [p50, p99]: [u64; 2]| vec![name.into(), p50.to_string(), p99.to_string()];
    table.row(row("straight to the endpoint", direct));
    table.row(row("through the proxy", proxied));
    let added = [0, 1].map(|at| proxied[at].saturating_sub(direct[at]));
    table.row(row("added", added));
    println!("{table}");
}

/// One verdict in words, asked of the admin listener as an operator would.
pub(crate) async fn explanation(board: &Board, admin: SocketAddr) {
    let Some(noted) = board.noted() else {
        println!("  There is no refusal to explain.\n");
        return;
    };
    let path = format!("/admin/v1/decisions/{}?format=text", noted.decision);
    println!("  Why? GET http://{admin}{path} ({}):\n", noted.row.name());
    match timeout(Duration::from_secs(5), get(admin, &path)).await {
        Ok(Some(text)) => text.lines().for_each(|line| println!("    {line}")),
        _ => println!("    (the admin listener did not answer)"),
    }
    println!();
}

async fn get(server: SocketAddr, path: &str) -> Option<String> {
    let stream = TcpStream::connect(server).await.ok()?;
    let (mut send, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection);
    let request = http::Request::get(path).header("host", server.to_string());
    let answer = send.send_request(request.body(Empty::<Bytes>::new()).ok()?).await.ok()?;
    let body = answer.into_body().collect().await.ok()?.to_bytes();
    String::from_utf8(body.to_vec()).ok()
}

/// Says whether it went as it should. A campaign counts as stopped when in the last quarter it got
/// at most a tenth of the answers it got in its best one.
pub(crate) fn conclusion(board: &Board) -> bool {
    let rows = board.rows();
    let stopped = |counts: &Counts| {
        let best = counts.quarters.into_iter().max().unwrap_or_default();
        counts.first.is_some() && counts.quarters[3] * 10 <= best
    };
    let mut passed = true;
    for (row, counts) in rows {
        match row {
            Row::Campaign(..) if !stopped(&counts) => {
                println!("  FAILED: {} was not stopped.", row.name());
                passed = false;
            }
            Row::Honest(_) if !counts.dropped_accounts.is_empty() => {
                let dropped = counts.dropped_accounts.len();
                println!("  FAILED: {dropped} honest accounts ({}) were dropped.", row.name());
                passed = false;
            }
            _ => {}
        }
    }
    if passed {
        println!("  Both campaigns were stopped; no honest user was dropped.");
    }
    println!();
    passed
}

pub(crate) fn next_steps() {
    println!("  To put it in front of your own endpoint, watching and stopping nothing:");
    println!();
    println!("    stillguard serve --upstream http://127.0.0.1:8000");
    println!();
    println!("  Point clients at port 8080. When the decision log has convinced you, set");
    println!(
        "  mode = \"enforce\" in the configuration file: config/stillguard.toml shows every knob."
    );
}
