//! `stillguard serve`: wires the rooms together and runs them.

mod control;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use clap::Args;
use stillguard::config::{Config, Upstream, process_environment};
use stillguard::engine::Engine;
use stillguard::guard::{GuardLayer, Shared};
use stillguard::identity::{Identifier, Keyring};
use stillguard::policy::Policies;
use stillguard::telemetry::{AdminState, Telemetry, log_panics, start_logging};
use stillguard::time::Clock;
use tokio_util::sync::CancellationToken;

use self::control::Control;
use super::joints::Server;
use super::{Failure, read, secret};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Without a file, defaults hold: shadow mode, nobody is stopped.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where callers connect [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// The inference endpoint, e.g. http://127.0.0.1:8000.
    #[arg(long, value_name = "URL", env = "STILLGUARD_UPSTREAM")]
    upstream: Option<String>,
    /// Where operators connect [default: 127.0.0.1:9090].
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
}

pub(super) fn serve(options: &Options) -> Result<(), Failure> {
    let file = read(options.config.as_deref())?;
    let config = laid_over(&file, options)?;
    let upstream = config.upstream.clone().ok_or_else(|| Failure::Mistakes(NO_UPSTREAM.into()))?;
    start_log(&config)?;
    let admin = bind_admin(config.telemetry().admin.listen)?;
    let shared = Arc::new(shared(&config)?);
    let server = bind(&config, &shared)?;
    greet(&server, &admin, &upstream, &config).context("can't tell the addresses")?;
    let stop = CancellationToken::new();
    let hosts = config.telemetry().admin.hosts;
    let state = Arc::new(AdminState::new(Arc::clone(&shared.telemetry), hosts));
    let watched = options.config.clone().map(|path| (path, file));
    let control = Control { shared: Arc::clone(&shared), watched, state, stop: stop.clone() };
    let running = control.start(admin)?;
    let served = server.run(stop).context("the listener failed");
    running.finish();
    if !shared.telemetry.decisions.flush(LAST_LINES) {
        tracing::warn!("the decision log's last lines were not written in time");
    }
    Ok(served?)
}

/// How long the decision log may take to write what is left at the end.
const LAST_LINES: Duration = Duration::from_secs(5);

fn start_log(config: &Config) -> anyhow::Result<()> {
    let level = process_environment("STILLGUARD_LOG");
    start_logging(&config.telemetry().log, level.as_deref())?;
    log_panics();
    Ok(())
}

const NO_UPSTREAM: &str = "no upstream: where is the inference endpoint? Say --upstream URL, \
    STILLGUARD_UPSTREAM=URL, or upstream = \"URL\" in the file";

/// The file's settings with the command line's over them.
fn laid_over(file: &Config, options: &Options) -> Result<Config, Failure> {
    let mut config = file.clone();
    if let Some(url) = &options.upstream {
        let upstream = url.parse::<Upstream>();
        config.upstream = Some(upstream.map_err(|why| Failure::Mistakes(why.to_string()))?);
    }
    config.listen = options.listen.or(config.listen);
    config.admin = options.admin.or(config.admin);
    Ok(config)
}

fn shared(config: &Config) -> Result<Shared, Failure> {
    let secret = match secret::configured(config)? {
        Some(secret) => secret,
        None => {
            tracing::warn!(
                "no secret_file, no STILLGUARD_SECRET: account ids change at every start"
            );
            secret::random()?
        }
    };
    let keyring = Keyring::new(*secret);
    let identifier = identifier(config, &keyring).map_err(Failure::Mistakes)?;
    let policies = Policies::from(&config.policy());
    let tenants: Vec<_> = policies.iter().map(|policy| policy.tenant.clone()).collect();
    let telemetry = Telemetry::start(&config.telemetry(), &tenants);
    let telemetry = telemetry.context("can't start the decision log")?;
    Ok(Shared {
        settings: ArcSwap::from_pointee(config.guard.clone()),
        identifier: ArcSwap::from_pointee(identifier),
        engine: Arc::new(Engine::new(config.engine(), policies)),
        telemetry: Arc::new(telemetry),
        keyring,
        clock: Clock::start(),
    })
}

fn identifier(config: &Config, keyring: &Keyring) -> Result<Identifier, String> {
    let texts = config.key_texts()?;
    let made = Identifier::with_keys(&config.identity, keyring.clone(), &texts);
    made.map_err(|why| why.to_string())
}

fn bind(config: &Config, shared: &Arc<Shared>) -> Result<Server, Failure> {
    let net = config.net();
    let Some(address) = net.listen.first().copied() else {
        return Err(Failure::Mistakes("net.listen names no address".into()));
    };
    let layer = GuardLayer::new(Arc::clone(shared));
    Server::bind(&net, move || layer.clone()).map_err(|why| Failure::Listen { address, why })
}

fn bind_admin(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).map_err(|why| Failure::Listen { address, why })
}

/// The one line that says what runs where, and what to do next.
fn greet(
    server: &Server,
    admin: &TcpListener,
    upstream: &Upstream,
    config: &Config,
) -> std::io::Result<()> {
    let (listen, admin) = (server.local_addr()?, admin.local_addr()?);
    let mode = config.policy().defaults.mode.unwrap_or_default().name();
    let reach = if listen.ip().is_unspecified() {
        format!("<this host>:{}", listen.port())
    } else {
        listen.to_string()
    };
    println!(
        "stillguard listens on {listen}, forwards to {upstream}, mode {mode}, metrics on \
         http://{admin}/metrics; try OPENAI_BASE_URL=http://{reach}/v1 or \
         ANTHROPIC_BASE_URL=http://{reach}"
    );
    Ok(())
}
