//! What operators see: metrics, logs, the decision log and the admin listener.
//!
//! Nothing here can hold traffic up: metrics are atomics, the decision log drops what its writer
//! can't follow, and the admin listener has a thread of its own.

mod admin;
mod audit;
mod decisions;
mod journal;
mod lines;
mod logging;
mod metrics;
mod recent;
mod settings;

use std::io;

pub use self::admin::{AdminState, Desk, NotAToken, Token, serve, spawn};
pub use self::audit::{AuditLog, Entry};
pub use self::decisions::Decisions;
pub use self::lines::LastLines;
pub use self::logging::{LoggingError, log_panics, start_logging};
pub use self::metrics::{
    Again, EndpointSeries, FailOpen, GroupSeries, Kept, Metrics, Outcome, Stage,
};
pub use self::settings::{Admin, Audit, DecisionLog, Format, Level, Log, Settings};
use crate::identity::TenantName;

/// Everything that reports. Cheap to share behind an `Arc`.
#[derive(Debug, Default)]
pub struct Telemetry {
    pub metrics: Metrics,
    pub decisions: Decisions,
}

impl Telemetry {
    /// Sets up metrics for `tenants` and starts the decision log's writer, if a path is set. Fails
    /// only where no thread can be started.
    pub fn start(settings: &Settings, tenants: &[TenantName]) -> io::Result<Self> {
        let metrics = Metrics::default();
        metrics.tenants(tenants);
        let decisions = Decisions::start(&settings.decision_log, metrics.log())?;
        Ok(Self { metrics, decisions })
    }
}

#[cfg(test)]
pub(crate) mod fakes {
    //! Exchanges of nobody, told apart by their ids.

    use crate::identity::{Caller, Tag};
    use crate::signal::{Ask, Completion, Ending, Exchange, ExchangeId, Prompt};
    use crate::time::Timestamp;

    pub(crate) fn ask(id: u64) -> Ask {
        let caller = Caller { egress: Tag(1), ..Caller::sample(7) };
        let at = Timestamp::from_millis(id);
        Ask { id: ExchangeId(Tag(id)), at, caller, prompt: Prompt::default() }
    }

    pub(crate) fn exchange(id: u64) -> Exchange {
        let ask = ask(id);
        let (ended, ending) = (ask.at, Ending::Complete);
        Exchange { ask, ended, ending, status: 200, completion: Completion::default() }
    }
}
