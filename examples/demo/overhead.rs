//! What the proxy adds: the same call straight to the endpoint and through the proxy, in turns, so
//! that whatever else the machine does hits both alike.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};

use stillguard::lab::fleet::{Account, Style};
use stillguard::lab::material::{Call, Cohort, Persona};
use stillguard::lab::rng::Rng;
use stillguard::time::Clock;

use crate::client::{Client, Fate};

/// Pairs of calls, the first of which only warm up.
const PAIRS: usize = 620;
const WARM_UP: usize = 20;

/// Microseconds, sorted.
#[derive(Debug)]
pub(crate) struct Latency {
    pub(crate) direct: Vec<u64>,
    pub(crate) proxied: Vec<u64>,
}

pub(crate) async fn measure(
    endpoint: SocketAddr,
    proxy: SocketAddr,
    seed: u64,
) -> Result<Latency, Box<dyn Error>> {
    let account = Account {
        key: format!("sk-latency-{seed:08x}"),
        address: Ipv4Addr::new(82, 10, 20, 30),
        user_agent: "OpenAI/Python 2.54.0",
        style: Style::OpenaiChat,
    };
    let mut desk = Persona::new(Cohort::Rag, Rng::new(seed));
    let (mut near, mut far) = (Client::unpaced(endpoint), Client::unpaced(proxy));
    let mut latency = Latency { direct: Vec::new(), proxied: Vec::new() };
    for pair in 0..PAIRS {
        // One token and nothing to wait for: what is left is the way there and back.
        let call = Call { model: "large-1".into(), max_tokens: 1, ..desk.conversation().call };
        let direct = timed(&mut near, &account, &call).await?;
        let proxied = timed(&mut far, &account, &call).await?;
        if pair >= WARM_UP {
            latency.direct.push(direct);
            latency.proxied.push(proxied);
        }
    }
    latency.direct.sort_unstable();
    latency.proxied.sort_unstable();
    Ok(latency)
}

async fn timed(client: &mut Client, account: &Account, call: &Call) -> Result<u64, Box<dyn Error>> {
    let clock = Clock::start();
    let outcome = client.send(account, call).await;
    let took = clock.elapsed_nanos() / 1_000;
    match outcome.fate {
        Fate::Served(_) => Ok(took),
        other => Err(format!("a call of the latency run was not served: {other:?}").into()),
    }
}

impl Latency {
    /// The value that `share` of the calls stay below.
    pub(crate) fn quantile(sorted: &[u64], share: f64) -> u64 {
        let at = (sorted.len() as f64 * share) as usize;
        sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
    }
}
