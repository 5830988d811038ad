//! `stillguard solve`: clears an account from a machine without a browser.

use anyhow::{Context, Result, bail, ensure};
use http::{StatusCode, Uri};
use serde::Deserialize;
use stillguard::guard::solve_puzzles;

use super::fetch::{Message, fetch};
use super::{Failure, print};

/// What the proxy answers to `GET /.stillguard/c/<token>`.
#[derive(Debug, Deserialize)]
struct Challenge {
    algorithm: String,
    token: String,
    bits: u8,
    count: u8,
}

/// What a right solution buys.
#[derive(Debug, Deserialize)]
struct Cleared {
    seconds: u64,
    requests: u64,
}

/// Beyond these, a server asks for hours of work: it is refused instead.
const MOST_BITS: u8 = 28;
const MOST_PUZZLES: u8 = 64;

pub(super) fn solve(url: &str) -> Result<(), Failure> {
    let uri: Uri = url.parse().with_context(|| format!("`{url}` is no link"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("can't start a runtime")?;
    let challenge = runtime.block_on(ask(&uri))?;
    eprintln!("working on {} puzzles of {} bits ...", challenge.count, challenge.bits);
    let solution = solve_puzzles(&challenge.token, challenge.bits, challenge.count);
    let cleared = runtime.block_on(answer(&uri, &solution))?;
    print(&format!(
        "cleared for {} minutes or {} requests; the client needs no change\n",
        cleared.seconds / 60,
        cleared.requests
    ))
}

async fn ask(uri: &Uri) -> Result<Challenge> {
    let (status, body) = fetch(uri, Message::default()).await?;
    expect_ok(status)?;
    let challenge: Challenge =
        serde_json::from_slice(&body).context("this is not a challenge of stillguard")?;
    ensure!(challenge.algorithm == "sg-pow-v1", "this challenge needs a newer stillguard");
    ensure!(
        challenge.bits <= MOST_BITS && challenge.count <= MOST_PUZZLES,
        "this challenge asks for more work than any proxy should"
    );
    Ok(challenge)
}

/// Posts to the link itself, not to where the answer may point: the work stays with its server.
async fn answer(uri: &Uri, solution: &[String]) -> Result<Cleared> {
    let body = serde_json::json!({ "solution": solution }).to_string();
    let (status, body) = fetch(uri, Message { body: Some(body), ..Message::default() }).await?;
    expect_ok(status)?;
    serde_json::from_slice(&body).context("the answer to the solution can't be read")
}

fn expect_ok(status: StatusCode) -> Result<()> {
    match status {
        StatusCode::OK => Ok(()),
        StatusCode::FORBIDDEN => {
            bail!("this account can't be verified by work; ask the provider of the API")
        }
        StatusCode::BAD_REQUEST => bail!("the solution was not accepted"),
        StatusCode::NOT_FOUND => bail!("the server doesn't know this link"),
        StatusCode::CONFLICT => bail!("this link was used already; send a request for a new one"),
        StatusCode::GONE => bail!("this link is too old; send a request for a new one"),
        StatusCode::TOO_MANY_REQUESTS => bail!("too many tries; wait a minute"),
        other => bail!("the server answers {other}"),
    }
}
