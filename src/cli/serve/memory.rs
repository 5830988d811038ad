//! Where memory is kept, and what becomes of what was found there.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use stillguard::config::Config;
use stillguard::engine::memory::Remember;
use stillguard::guard::Shared;
use stillguard::store::{Opened, Setup, Store};
use stillguard::telemetry;

use super::super::home;

/// A place for memory that is this process's own, or none.
pub(super) struct Place {
    pub(super) path: Option<PathBuf>,
    opened: Option<Opened>,
}

/// Memory that is kept, or not.
#[derive(Clone)]
pub(super) struct Memory(Option<Arc<Store>>);

/// How long the store may take to write what is left at the end.
const LAST_WORDS: Duration = Duration::from_secs(10);

impl Place {
    /// Takes the configured directory. Without one, the proxy runs all the same.
    pub(super) fn take(config: &Config) -> Self {
        let Some(path) = home::directory(&config.store) else {
            tracing::info!("memory ends with this process: [store] is off");
            return Self { path: None, opened: None };
        };
        let opened = Opened::open(&path).inspect_err(|taken| {
            tracing::error!("{taken}; the memory of this one ends with it");
        });
        Self { path: Some(path), opened: opened.ok() }
    }

    /// There is nothing to keep memory with: its key would be another at the next start.
    pub(super) fn give_up(&mut self) {
        self.opened = None;
    }

    /// Reads back what there is and goes on writing.
    pub(super) fn start(
        self,
        config: &Config,
        shared: &Shared,
        guard: Arc<dyn Remember>,
    ) -> std::io::Result<Memory> {
        let Some(opened) = self.opened else {
            if self.path.is_some() {
                learn_anew(config, shared);
            }
            return Ok(Memory(None));
        };
        // The engine first: a clearance may be lost though its challenge is spent, never the reverse.
        let engine: Arc<dyn Remember> = Arc::clone(&shared.engine) as _;
        let setup = Setup {
            settings: config.store.clone(),
            keyring: shared.keyring.clone(),
            sources: vec![engine, guard],
            clock: shared.clock,
        };
        let began = shared.clock.elapsed_nanos();
        let (store, found) = opened.start(setup)?;
        let took = Duration::from_nanos(shared.clock.elapsed_nanos().saturating_sub(began));
        tracing::info!(
            "{} accounts remembered: {} records, {} bytes, read in {took:.1?}",
            shared.engine.accounts(),
            found.records,
            found.bytes
        );
        for (path, loss) in &found.lost {
            tracing::error!("of memory, {} is lost: {loss}", path.display());
        }
        let cold = found.is_first && config.store.learning.at_first_start;
        if cold || !found.lost.is_empty() {
            learn_anew(config, shared);
        }
        Ok(Memory(Some(Arc::new(store))))
    }
}

/// Something of memory is missing: caps verdicts for a while.
fn learn_anew(config: &Config, shared: &Shared) {
    let learning = &config.store.learning;
    if learning.hours > 0 {
        let (hours, highest) = (learning.hours, learning.highest);
        tracing::warn!("for {hours} hours verdicts rise no higher than {}", highest.name());
        shared.engine.learn_anew(shared.clock.now() + learning.length(), highest);
    }
}

impl Memory {
    /// What metrics show of it.
    pub(super) fn kept(&self, shared: &Shared) -> telemetry::Kept {
        let learning = shared.engine.is_learning(shared.clock.now());
        let Some(store) = &self.0 else {
            return telemetry::Kept { learning, ..Default::default() };
        };
        let report = store.report();
        telemetry::Kept {
            keeping: report.keeping,
            lean: report.lean,
            learning,
            waiting: report.waiting,
            age: report.age_nanos as f64 / 1e9,
            bytes: report.bytes,
            failures: report.failures,
            snapshots: report.snapshots,
            lost: report.lost,
        }
    }

    /// Waits until what was decided is on disk; false where it is not, or not in time.
    pub(super) fn commit(&self) -> bool {
        self.0.as_ref().is_some_and(|store| store.commit().is_ok())
    }

    /// Writes what is left.
    pub(super) fn finish(&self) {
        let finished = self.0.as_ref().map(|store| store.finish(LAST_WORDS));
        if matches!(finished, Some(Err(_))) {
            tracing::error!("the last of memory was not written: it is forgotten");
        }
    }
}
