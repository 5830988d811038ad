//! A changed file is taken over while exchanges go on; a broken one changes nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio_util::sync::CancellationToken;

use super::environment::Environment;
use super::load::{Refused, parse, text};
use super::{Config, Mistakes};
use crate::telemetry::Telemetry;
use crate::time::Clock;

/// How often the file is read. Its content is compared, since files mounted from a Kubernetes
/// ConfigMap are swapped behind a link, which file watchers miss.
const EVERY: Duration = Duration::from_secs(2);

/// The file, and what of it is in force.
#[derive(Clone)]
pub struct Reload {
    path: PathBuf,
    env: Environment<'static>,
    clock: Clock,
    /// Of the content last looked at, taken over or not: a mistake is reported once.
    seen: Option<blake3::Hash>,
    in_force: Arc<Config>,
}

impl std::fmt::Debug for Reload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reload").field("path", &self.path).finish_non_exhaustive()
    }
}

/// What a look at the file showed.
#[derive(Debug)]
pub enum Reloaded {
    Unchanged,
    Changed(Box<Changed>),
    Refused(Refused),
}

/// A configuration to take over.
#[derive(Clone, Debug)]
pub struct Changed {
    pub config: Arc<Config>,
    pub warnings: Mistakes,
    /// Keys that changed and take effect at the next start only.
    pub at_restart: Vec<&'static str>,
}

impl Reload {
    /// `in_force` is what the process runs with. The first look compares the file's content with
    /// nothing, so a change between load and watch isn't missed.
    pub fn new(path: PathBuf, in_force: Config, clock: Clock, env: Environment<'static>) -> Self {
        Self { path, env, clock, seen: None, in_force: Arc::new(in_force) }
    }

    /// Looks at the file. `anew` reads it even when its content is the same: the environment or a
    /// file it names may have changed. Blocks on the disk.
    pub fn look(&mut self, anew: bool) -> Reloaded {
        let text = match text(&self.path) {
            Ok(text) => text,
            Err(why) => return self.unreadable(why, anew),
        };
        let hash = blake3::hash(text.as_bytes());
        if !anew && self.seen == Some(hash) {
            return Reloaded::Unchanged;
        }
        self.seen = Some(hash);
        match parse(&self.path.display().to_string(), &text, self.env, self.clock.now()) {
            Err(mistakes) => Reloaded::Refused(mistakes.into()),
            Ok(loaded) if !anew && loaded.config == *self.in_force => Reloaded::Unchanged,
            Ok(loaded) => {
                let at_restart = at_restart(&self.in_force, &loaded.config);
                let (config, warnings) = (Arc::new(loaded.config), loaded.warnings);
                Reloaded::Changed(Box::new(Changed { config, warnings, at_restart }))
            }
        }
    }

    /// A file that can't be read is reported once, like a mistake in it.
    fn unreadable(&mut self, why: std::io::Error, anew: bool) -> Reloaded {
        let nothing = blake3::hash(why.kind().to_string().as_bytes());
        if !anew && self.seen == Some(nothing) {
            return Reloaded::Unchanged;
        }
        self.seen = Some(nothing);
        Reloaded::Refused(Refused::Unreadable { path: self.path.clone(), why })
    }

    /// Notes what is in force from now on.
    pub fn keep(&mut self, config: Arc<Config>) {
        self.in_force = config;
    }
}

/// Follows the file until `stop`: every two seconds, and at once on a `hangup`, be it one that came
/// before.
///
/// `apply` puts a configuration into force, or says why it can't be; then the last good one stays.
pub async fn watch(
    mut reload: Reload,
    telemetry: Arc<Telemetry>,
    (mut hangup, stop): (Signal, CancellationToken),
    mut apply: impl FnMut(&Changed) -> Result<(), String>,
) {
    loop {
        let anew = tokio::select! {
            () = stop.cancelled() => return,
            () = hung_up(&mut hangup) => true,
            () = tokio::time::sleep(EVERY) => false,
        };
        // The disk may be a slow network mount: a blocking thread waits for it, not a worker.
        let mut looking = reload.clone();
        let looked = tokio::task::spawn_blocking(move || (looking.look(anew), looking)).await;
        let Ok((reloaded, looked)) = looked else { continue };
        reload = looked;
        if let Some(config) = take_over(reloaded, &telemetry, &mut apply) {
            reload.keep(config);
        }
    }
}

async fn hung_up(hangup: &mut Signal) {
    if hangup.recv().await.is_none() {
        std::future::pending().await
    }
}

/// Applies and reports. Returns what is now in force, if that changed.
fn take_over(
    reloaded: Reloaded,
    telemetry: &Telemetry,
    apply: &mut impl FnMut(&Changed) -> Result<(), String>,
) -> Option<Arc<Config>> {
    let refused = match reloaded {
        Reloaded::Unchanged => return None,
        Reloaded::Refused(Refused::Mistakes(mistakes)) => mistakes.lines().collect(),
        Reloaded::Refused(why @ Refused::Unreadable { .. }) => vec![why.to_string()],
        Reloaded::Changed(changed) => match apply(&changed) {
            Err(why) => vec![why],
            Ok(()) => {
                telemetry.metrics.reload(true);
                report(&changed);
                return Some(changed.config);
            }
        },
    };
    telemetry.metrics.reload(false);
    for why in refused {
        tracing::error!("configuration refused, the last good one stays: {why}");
    }
    None
}

fn report(changed: &Changed) {
    tracing::info!("the changed configuration is in force");
    for warning in changed.warnings.lines() {
        tracing::warn!("configuration: {warning}");
    }
    if !changed.at_restart.is_empty() {
        let keys = changed.at_restart.join(", ");
        tracing::warn!("changed, but in force only after a restart: {keys}");
    }
}

/// Sockets, workers, the secret and the log's writers are made once, at start.
fn at_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let changes = [
        ("forward", old.forward().fixed() != new.forward().fixed()),
        ("secret_file", old.secret_file != new.secret_file),
        ("net", old.net() != new.net()),
        ("telemetry", old.telemetry() != new.telemetry()),
    ];
    changes.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
}
