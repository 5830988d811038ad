//! The proxy, started in this process as `stillguard serve` starts it. The only file of the demo
//! that knows how.

use std::error::Error;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use stillguard::config::{self, Config};
use stillguard::engine::Engine;
use stillguard::guard::{self, GuardLayer, Shared};
use stillguard::identity::{Identifier, Keyring};
use stillguard::lab::rng::Rng;
use stillguard::net;
use stillguard::policy::Policies;
use stillguard::telemetry::{self, AdminState, Telemetry};
use stillguard::time::Clock;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A proxy that takes requests until it is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    /// The admin listener, where decisions are explained.
    pub(crate) admin: Option<SocketAddr>,
    /// The configuration it runs with, as the operator would write it.
    pub(crate) config: String,
    _stop: DropGuard,
}

/// Everything at its default but these lines.
fn operators_file(upstream: SocketAddr) -> String {
    format!(
        r#"upstream = "http://{upstream}"
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
mode = "enforce"

[identity]
# Everyone in this demo calls from this machine and says in x-forwarded-for where they would sit.
trusted_hops = ["127.0.0.0/8"]
"#
    )
}

/// Starts the proxy in front of `upstream`, on ports of the system's choice.
pub(crate) async fn start(upstream: SocketAddr) -> Result<Running, Box<dyn Error>> {
    let text = operators_file(upstream);
    let clock = Clock::start();
    let loaded = config::parse("demo.toml", &text, &|_| None, clock.now())?;
    let shared = Arc::new(shared(&loaded.config, clock)?);
    let layer = GuardLayer::new(Arc::clone(&shared));
    let endpoint =
        net::upstream::Endpoint { url: format!("http://{upstream}").try_into()?, weight: 1 };
    let endpoints = net::upstream::Settings { endpoints: vec![endpoint], ..Default::default() };
    let endpoints = net::upstream::Endpoints::new(endpoints)?;
    let telemetry = Arc::clone(&shared.telemetry);
    let server = net::bind(loaded.config.net(), telemetry, guard::respond, (layer, endpoints))?;
    let addr = server.local_addr();
    let stop = CancellationToken::new();
    let admin = admin(&loaded.config, &shared, stop.clone())?;
    server.start(stop.clone())?;
    tokio::spawn(tick(shared));
    Ok(Running { addr, admin: Some(admin), config: text, _stop: stop.drop_guard() })
}

fn shared(config: &Config, clock: Clock) -> Result<Shared, Box<dyn Error>> {
    let mut rng = Rng::new(clock.now().as_millis());
    let keyring = Keyring::new(std::array::from_fn(|_| rng.draw() as u8));
    let policies = Policies::from(&config.policy());
    let tenants: Vec<_> = policies.iter().map(|policy| policy.tenant.clone()).collect();
    Ok(Shared {
        settings: ArcSwap::from_pointee(config.guard.clone()),
        identifier: ArcSwap::from_pointee(Identifier::new(&config.identity, keyring.clone())?),
        engine: Arc::new(Engine::new(config.engine(), policies)),
        telemetry: Arc::new(Telemetry::start(&config.telemetry(), &tenants)?),
        keyring,
        clock,
    })
}

fn admin(
    config: &Config,
    shared: &Shared,
    stop: CancellationToken,
) -> Result<SocketAddr, Box<dyn Error>> {
    let admin = config.telemetry().admin;
    let listener = TcpListener::bind(admin.listen)?;
    let addr = listener.local_addr()?;
    let state = Arc::new(AdminState::new(Arc::clone(&shared.telemetry), admin.hosts));
    state.serving();
    telemetry::spawn(listener, state, stop)?;
    Ok(addr)
}

/// The engine forgets and weighs crowds anew once a second.
async fn tick(shared: Arc<Shared>) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        second.tick().await;
        shared.engine.tick(shared.clock.now());
    }
}
