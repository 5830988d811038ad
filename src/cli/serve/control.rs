//! What goes on beside the traffic: ticks, reloads, signals. On a thread of its own, so that
//! nothing here takes time from an exchange.

use std::io;
use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use http::StatusCode;
use stillguard::config::{self, Changed, Config, Reload};
use stillguard::guard::{Attempt, Notices, Shared};
use stillguard::net::Certificates;
use stillguard::net::upstream::Endpoints;
use stillguard::policy::Policies;
use stillguard::store;
use stillguard::telemetry::{self, AdminState, FailOpen};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::memory::Memory;
use super::records::Followed;
use crate::cli::fetch::{Message, fetch};
use crate::cli::secret;

pub(super) struct Control {
    pub(super) shared: Arc<Shared>,
    pub(super) certificates: Option<Arc<Certificates>>,
    pub(super) endpoints: Endpoints,
    /// What the operator's own verification is to be told.
    pub(super) notices: Option<Notices>,
    /// The file, and what it said when it was read: without the command line's words.
    pub(super) watched: Option<(PathBuf, Config)>,
    pub(super) records: Arc<Followed>,
    /// Cancelled on a signal: the listener closes and exchanges are let run out.
    pub(super) stop: CancellationToken,
    pub(super) state: Arc<AdminState>,
    pub(super) memory: Memory,
}

pub(super) struct Running {
    thread: JoinHandle<()>,
    admin: JoinHandle<io::Result<()>>,
    done: CancellationToken,
}

/// What there is before anything else: a hangup that comes while memory is read waits until the file
/// is followed. SIGTERM and SIGINT go on ending the process until there is something to drain.
pub(super) struct Early {
    runtime: Runtime,
    hangup: Signal,
}

impl Early {
    pub(super) fn new() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("can't start the control runtime")?;
        let hangup = {
            let _taken_in = runtime.enter();
            signal(SignalKind::hangup())?
        };
        Ok(Self { runtime, hangup })
    }
}

impl Control {
    /// The admin listener goes on answering while the traffic drains. Once this has returned, no
    /// signal but the second SIGTERM cuts an exchange.
    pub(super) fn start(self, admin: TcpListener, early: Early) -> anyhow::Result<Running> {
        let Early { runtime, hangup } = early;
        let ends = {
            let _taken_in = runtime.enter();
            Ends::new()?
        };
        let done = CancellationToken::new();
        let admin = telemetry::spawn(admin, Arc::clone(&self.state), done.clone());
        let admin = admin.context("can't start the admin thread")?;
        let until = done.clone();
        let work = move || {
            // Should this thread end early, traffic is drained rather than left unattended.
            let _stop = self.stop.clone().drop_guard();
            if let Err(why) = runtime.block_on(self.run((ends, hangup), until)) {
                tracing::error!("control ended: {why:#}");
            }
        };
        let thread = std::thread::Builder::new().name("control".into()).spawn(work);
        let thread = thread.context("can't start the control thread")?;
        Ok(Running { thread, admin, done })
    }

    async fn run(
        self,
        (mut ends, hangup): (Ends, Signal),
        done: CancellationToken,
    ) -> anyhow::Result<()> {
        let Self { shared, certificates, endpoints, notices, watched, records, .. } = self;
        let Self { stop, state, memory, .. } = self;
        state.serving();
        let to_apply = Arc::clone(&shared);
        let ticked = endpoints.clone();
        let named = Arc::clone(&records);
        let apply = move |changed: &Changed| {
            apply(&to_apply, certificates.as_deref(), &endpoints, &changed.config)?;
            named.name(&changed.config.identity);
            Ok(())
        };
        let following = follow(&shared, watched, (hangup, done.clone()), apply);
        let ticking = tick(&shared, (&ticked, &memory), &done);
        let rereading = reread_keys(&ticked, &done);
        let recording = records.follow(&shared, &done);
        let telling = tell(notices, &done);
        let probing = async {
            ticked.probe(&done).await;
            Ok(())
        };
        let obeying = obey(&mut ends, &stop, &state, &done);
        tokio::try_join!(ticking, following, rereading, recording, telling, probing, obeying)?;
        Ok(())
    }
}

impl Running {
    /// To be called once the traffic has ended.
    pub(super) fn finish(self) {
        self.done.cancel();
        if self.thread.join().is_err() {
            tracing::error!("the control thread panicked");
        }
        if !matches!(self.admin.join(), Ok(Ok(()))) {
            tracing::error!("the admin listener failed");
        }
    }
}

/// Lets the engine forget, once a second.
async fn tick(
    shared: &Shared,
    (endpoints, memory): (&Endpoints, &Memory),
    done: &CancellationToken,
) -> anyhow::Result<()> {
    let booted = booted(shared);
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = done.cancelled() => return Ok(()),
            _ = seconds.tick() => {
                if let Some((before, uptime)) = booted.zip(store::uptime()) {
                    shared.clock.catch_up(uptime.saturating_sub(before));
                }
                second(shared);
                endpoints.report();
                shared.telemetry.metrics.kept(&memory.kept(shared));
            }
        }
    }
}

/// Takes notices to the operator's own verification. What waits at the end is let go.
async fn tell(notices: Option<Notices>, done: &CancellationToken) -> anyhow::Result<()> {
    let Some(notices) = notices else { return Ok(()) };
    tokio::select! {
        () = done.cancelled() => {}
        () = notices.deliver(post) => {}
    }
    Ok(())
}

async fn post(attempt: Attempt) -> Option<StatusCode> {
    let message = Message { body: Some(attempt.body), fields: attempt.fields.into() };
    match fetch(&attempt.url, message).await {
        Ok((status, _)) => Some(status),
        Err(why) => {
            tracing::debug!("the webhook was not delivered: {why:#}");
            None
        }
    }
}

/// The machine's uptime when the clock started: what it shows beyond is what has really passed since.
fn booted(shared: &Shared) -> Option<Duration> {
    let uptime = store::uptime()?;
    Some(uptime.saturating_sub(Duration::from_nanos(shared.clock.elapsed_nanos())))
}

/// How often the files that hold providers' keys are read.
const KEYS_EVERY: Duration = Duration::from_secs(2);

/// Follows the providers' key files. What is wrong with one is said once.
async fn reread_keys(endpoints: &Endpoints, done: &CancellationToken) -> anyhow::Result<()> {
    let mut failing = false;
    loop {
        tokio::select! {
            () = done.cancelled() => return Ok(()),
            () = tokio::time::sleep(KEYS_EVERY) => {}
        }
        let endpoints = endpoints.clone();
        let reread = tokio::task::spawn_blocking(move || endpoints.reread_keys()).await;
        let Ok(reread) = reread else { continue };
        match &reread {
            Err(why) if !failing => tracing::error!("the providers' keys stay as they are: {why}"),
            Ok(()) | Err(_) => {}
        }
        failing = reread.is_err();
    }
}

fn second(shared: &Shared) {
    let Shared { engine, telemetry, clock, .. } = shared;
    let now = clock.now();
    // A fault here costs fresh crowds, never the traffic.
    if catch_unwind(AssertUnwindSafe(|| engine.tick(now))).is_err() {
        telemetry.metrics.fail_open(FailOpen::Panic);
    }
    telemetry.decisions.ticked(now);
    telemetry.metrics.accounts(engine.accounts());
    telemetry.metrics.end_users(engine.end_users());
    telemetry.metrics.crowds(engine.crowds());
    telemetry.metrics.campaigns(engine.campaigns_by_state());
}

/// Takes over what changes in the file.
async fn follow(
    shared: &Shared,
    watched: Option<(PathBuf, Config)>,
    (hangup, done): (Signal, CancellationToken),
    apply: impl FnMut(&Changed) -> Result<(), String>,
) -> anyhow::Result<()> {
    // Without a file, a hangup has nothing to reload.
    let Some((path, in_force)) = watched else { return Ok(()) };
    let reload = Reload::new(path, in_force, shared.clock, &config::process_environment);
    let telemetry = Arc::clone(&shared.telemetry);
    config::watch(reload, telemetry, (hangup, done), apply).await;
    Ok(())
}

/// All or nothing: what can fail comes first.
fn apply(
    shared: &Shared,
    certificates: Option<&Certificates>,
    endpoints: &Endpoints,
    config: &Config,
) -> Result<(), String> {
    let identifier = super::identifier(config, &shared.keyring)?;
    let guard = secret::guard(config, &shared.keyring)?;
    let forward = config.forward();
    let keys = forward.keys().map_err(|why| why.to_string())?;
    if let Some((certificates, files)) = certificates.zip(config.net.tls.as_ref()) {
        certificates.reload(files).map_err(|why| why.to_string())?;
    }
    endpoints.rekey(&forward, keys);
    shared.identifier.store(Arc::new(identifier));
    shared.settings.store(Arc::new(guard));
    shared.telemetry.metrics.tenants(&super::tenants(config));
    shared.engine.reload(config.engine(), Policies::from(&config.policy()));
    Ok(())
}

/// The first SIGTERM or SIGINT drains, the second ends the process at once.
async fn obey(
    ends: &mut Ends,
    stop: &CancellationToken,
    state: &AdminState,
    done: &CancellationToken,
) -> anyhow::Result<()> {
    tokio::select! {
        () = done.cancelled() => return Ok(()),
        () = ends.next() => {}
    }
    tracing::info!("draining: exchanges under way are finished, a second signal cuts them");
    state.draining();
    stop.cancel();
    tokio::select! {
        () = done.cancelled() => Ok(()),
        () = ends.next() => std::process::exit(130),
    }
}

/// SIGTERM and SIGINT.
struct Ends {
    term: Signal,
    interrupt: Signal,
}

impl Ends {
    fn new() -> io::Result<Self> {
        let (term, interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Self { term, interrupt })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
