//! Follows the operator's files of records while the proxy runs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use stillguard::config::{Config, Looked, Records};
use stillguard::guard::Shared;
use stillguard::identity::Settings;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::cli::Failure;

/// Which files are followed, and how they last looked.
#[derive(Debug)]
pub(super) struct Followed {
    settings: ArcSwap<Settings>,
    seen: Mutex<Records>,
}

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(2);

impl Followed {
    /// Reads the files for the first time: then a broken one is a mistake.
    pub(super) fn read(config: &Config, shared: &Shared) -> Result<Self, Failure> {
        let followed = Self {
            settings: ArcSwap::from_pointee(config.identity.clone()),
            seen: Mutex::default(),
        };
        let mistakes = take_over(followed.look(shared, true), shared);
        match mistakes.first() {
            Some(why) => Err(Failure::Mistakes(why.clone())),
            None => Ok(followed),
        }
    }

    /// Follows other files from now on.
    pub(super) fn name(&self, settings: &Settings) {
        self.settings.store(Arc::new(settings.clone()));
    }

    /// Until `done`: every two seconds, and at once on SIGHUP. A broken file is told once and changes
    /// nothing.
    pub(super) async fn follow(
        self: Arc<Self>,
        shared: &Arc<Shared>,
        done: &CancellationToken,
    ) -> anyhow::Result<()> {
        let mut hangup = signal(SignalKind::hangup())?;
        loop {
            let anew = tokio::select! {
                () = done.cancelled() => return Ok(()),
                _ = hangup.recv() => true,
                () = tokio::time::sleep(EVERY) => false,
            };
            // Reading may take seconds: a blocking thread does it.
            let (followed, of) = (Arc::clone(&self), Arc::clone(shared));
            let look = move || take_over(followed.look(&of, anew), &of);
            for why in tokio::task::spawn_blocking(look).await.unwrap_or_default() {
                tracing::error!("records refused, the last good ones stay: {why}");
            }
        }
    }

    fn look(&self, shared: &Shared, anew: bool) -> Looked {
        let (settings, identifier) = (self.settings.load_full(), shared.identifier.load_full());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.look(&settings, &identifier, anew)
    }
}

/// Puts what was read in the place of what was known, and returns what could not be read.
fn take_over(looked: Looked, shared: &Shared) -> Vec<String> {
    let metrics = &shared.telemetry.metrics;
    let mut refused = Vec::new();
    if let Some(read) = looked.register {
        metrics.records("attributes", read.is_ok());
        match read {
            Ok(register) => {
                metrics.told_of(register.len());
                shared.records.register.store(Arc::new(register));
            }
            Err(why) => refused.push(why),
        }
    }
    if let Some(read) = looked.atlas {
        metrics.records("regions", read.is_ok());
        match read {
            Ok(atlas) => shared.records.atlas.store(Arc::new(atlas)),
            Err(why) => refused.push(why),
        }
    }
    refused
}
