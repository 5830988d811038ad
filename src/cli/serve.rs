//! `stillguard serve`: wires the rooms together and runs them.

mod control;
mod memory;
mod records;

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use arc_swap::ArcSwap;
use clap::Args;
use stillguard::config::{Config, process_environment};
use stillguard::engine::Engine;
use stillguard::guard::{GuardLayer, Records, Shared, respond};
use stillguard::identity::{Identifier, Keyring, TenantName};
use stillguard::net::upstream::{Endpoints, Url};
use stillguard::net::{self, SetupError};
use stillguard::policy::Policies;
use stillguard::telemetry::{
    AdminState, AuditLog, Desk, LastLines, Telemetry, log_panics, start_logging,
};
use stillguard::time::Clock;
use tokio_util::sync::CancellationToken;

use self::control::{Control, Early};
use self::memory::{Memory, Place};
use self::records::Followed;
use super::{Failure, home, joined, print, read, secret};

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
    /// The directory in which memory is kept, or `off` [default: what `[store]` in the file says].
    #[arg(long, value_name = "DIRECTORY", env = "STILLGUARD_STORE")]
    store: Option<PathBuf>,
}

pub(super) fn serve(options: &Options) -> Result<(), Failure> {
    leave_no_core();
    let early = Early::new()?;
    let file = read(options.config.as_deref())?;
    let config = laid_over(&file, options)?;
    if config.forward().endpoints.is_empty() {
        return Err(Failure::Mistakes(NO_UPSTREAM.into()));
    }
    let _last_lines = start_log(&config)?;
    let admin = bind_admin(config.telemetry().admin.listen)?;
    let mut place = Place::take(&config);
    let shared = Arc::new(shared(&config, &mut place)?);
    let telemetry = Arc::clone(&shared.telemetry);
    let records = Arc::new(Followed::read(&config, &shared)?);
    let endpoints = endpoints(&config, &telemetry)?;
    let guard = GuardLayer::new(Arc::clone(&shared));
    let (notices, remembered) = (guard.notices(), guard.memory());
    let stack = (guard, endpoints.clone());
    let server = net::bind(within_descriptors(config.net()), telemetry, respond, stack);
    let server = server.map_err(not_bound)?;
    let admin_address = admin.local_addr().context("can't tell the admin address")?;
    let memory = place.start(&config, &shared, remembered).context("can't start the store")?;
    let stop = CancellationToken::new();
    let hosts = config.telemetry().admin.hosts;
    let state = AdminState::new(Arc::clone(&shared.telemetry), hosts);
    let state = Arc::new(state.with_desk(desk(&config, &shared, &memory)?));
    let watched = options.config.clone().map(|path| (path, file));
    let control = Control {
        shared: Arc::clone(&shared),
        certificates: server.certificates(),
        endpoints,
        notices,
        watched,
        records,
        state,
        memory: memory.clone(),
        stop: stop.clone(),
    };
    let running = control.start(admin, early)?;
    greet(server.local_addr(), admin_address, &config)?;
    let served = server.run(stop).map_err(|why| anyhow!("the listener failed: {why}"));
    running.finish();
    memory.finish();
    if !shared.telemetry.decisions.flush(LAST_LINES) {
        tracing::warn!("the decision log's last lines were not written in time");
    }
    Ok(served?)
}

/// Where operators' orders are taken.
fn desk(config: &Config, shared: &Shared, memory: &Memory) -> Result<Desk, Failure> {
    let audit = AuditLog::new(config.telemetry().audit.path);
    let (engine, token, memory) =
        (Arc::clone(&shared.engine), secret::token(config)?, memory.clone());
    let keyring = shared.keyring.clone();
    let keep = Box::new(move || memory.commit());
    Ok(Desk { engine, clock: shared.clock, token, audit, keyring, keep })
}

/// Memory holds keys and prompts: no crash writes it to a disk, and no other process of the same user
/// reads it. Before a secret is read; a system that declines is left as it is.
fn leave_no_core() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit};
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let _declined = rustix::process::setrlimit(Resource::Core, none);
    let _declined = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// As many descriptors as the system lets this process have, and no more connections than they suffice
/// for: a client's has another one behind it, and what is left over is for files and operators, so that
/// no flood of connections keeps those from being opened.
fn within_descriptors(mut net: net::Settings) -> net::Settings {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _declined = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let Some(most) = getrlimit(Resource::Nofile).current else { return net };
    let others = most / 16 + 32;
    let places = usize::try_from(most.saturating_sub(others) / 2).unwrap_or(usize::MAX).max(1);
    if places < net.limits.max_connections {
        tracing::warn!("{most} descriptors suffice for {places} connections: no more are taken");
        net.limits.max_connections = places;
    }
    net
}

/// How long the decision log may take to write what is left at the end.
const LAST_LINES: Duration = Duration::from_secs(5);

fn start_log(config: &Config) -> anyhow::Result<LastLines> {
    let level = process_environment("STILLGUARD_LOG");
    let last = start_logging(&config.telemetry().log, level.as_deref())?;
    log_panics();
    Ok(last)
}

const NO_UPSTREAM: &str = "no upstream: where is the inference endpoint? Say --upstream URL, \
    STILLGUARD_UPSTREAM=URL, or upstream = \"URL\" in the file";

/// The file's settings with the command line's over them.
fn laid_over(file: &Config, options: &Options) -> Result<Config, Failure> {
    let mut config = file.clone();
    if let Some(url) = &options.upstream {
        let upstream = Url::try_from(url.clone());
        config.upstream = Some(upstream.map_err(|why| Failure::Mistakes(why.to_string()))?);
    }
    home::lay_over(&mut config.store, options.store.as_deref());
    config.listen = options.listen.or(config.listen);
    config.admin = options.admin.or(config.admin);
    Ok(config)
}

/// The configured secret; else the one beside memory; else one for this process only, under which
/// nothing is worth keeping.
fn secret(config: &Config, place: &mut Place) -> Result<secret::Secret, Failure> {
    if let Some(secret) = secret::configured(config)? {
        return Ok(secret);
    }
    let kept = place.path.as_deref().map(secret::kept);
    if let Some(Ok(secret)) = kept {
        return Ok(secret);
    }
    if let Some(Err(why)) = kept {
        tracing::error!("memory is not kept: {why:#}");
    }
    tracing::warn!("no secret_file, no STILLGUARD_SECRET: account ids change at every start");
    place.give_up();
    Ok(secret::random()?)
}

fn shared(config: &Config, place: &mut Place) -> Result<Shared, Failure> {
    let keyring = Keyring::new(*secret(config, place)?);
    let identifier = identifier(config, &keyring).map_err(Failure::Mistakes)?;
    let guard = secret::guard(config, &keyring).map_err(Failure::Mistakes)?;
    let policies = Policies::from(&config.policy());
    let telemetry = Telemetry::start(&config.telemetry(), &tenants(config));
    let telemetry = telemetry.context("can't start the decision log")?;
    Ok(Shared {
        settings: ArcSwap::from_pointee(guard),
        identifier: ArcSwap::from_pointee(identifier),
        records: Records::default(),
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

fn endpoints(config: &Config, telemetry: &Telemetry) -> Result<Endpoints, Failure> {
    Endpoints::new(config.forward(), telemetry).map_err(|why| Failure::Mistakes(why.to_string()))
}

fn not_bound(why: SetupError) -> Failure {
    match why {
        SetupError::Listen { address, source } => Failure::Listen { address, why: source },
        SetupError::NoAddress | SetupError::NobodyTrusted | SetupError::Tls(_) => {
            Failure::Mistakes(why.to_string())
        }
        SetupError::Worker(why) => Failure::Other(why.into()),
    }
}

/// Tenants that get metrics of their own: those the file names.
fn tenants(config: &Config) -> Vec<TenantName> {
    let rules = config.identity.tenants.iter().map(|rule| rule.name.as_str());
    let names = config.tenants.iter().map(|tenant| tenant.name.as_str()).chain(rules);
    let names: BTreeSet<_> = names.chain([config.identity.default_tenant.as_str()]).collect();
    names.into_iter().map(TenantName::from).collect()
}

fn bind_admin(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).map_err(|why| Failure::Listen { address, why })
}

/// The one line that says what runs where, and what to do next.
fn greet(listen: SocketAddr, admin: SocketAddr, config: &Config) -> Result<(), Failure> {
    let mode = config.policy().defaults.mode.unwrap_or_default().name();
    let scheme = if config.net().tls.is_some() { "https" } else { "http" };
    let upstream = joined(&config.forward().endpoints);
    let reach = if listen.ip().is_unspecified() {
        format!("{scheme}://<this host>:{}", listen.port())
    } else {
        format!("{scheme}://{listen}")
    };
    print(&format!(
        "stillguard listens on {listen}, forwards to {upstream}, mode {mode}, metrics on \
         http://{admin}/metrics; try OPENAI_BASE_URL={reach}/v1 or ANTHROPIC_BASE_URL={reach}\n"
    ))
}
