//! The verdict, or the lack of one: scoring may fail, traffic may not.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::Room;
use super::settings::Fault;
use crate::engine::Verdict;
use crate::signal::Ask;
use crate::telemetry::FailOpen;

/// Judges an ask whose features took `took` nanoseconds (none: they panicked).
///
/// Without a verdict in time the exchange is allowed, and counted. Its ask is written down all the
/// same, as is a verdict that came too late: a replay must see every exchange the engine learns.
pub(super) fn assess(room: &Room, ask: &Ask, took: Option<u64>) -> Verdict {
    let shared = &room.shared;
    let settings = shared.settings.load();
    let metrics = &shared.telemetry.metrics;
    let began = shared.clock.elapsed_nanos();
    let verdict = took.and_then(|_| judge(room, ask, settings.fault.as_ref()));
    let Some(mut verdict) = verdict else {
        metrics.fail_open(FailOpen::Panic);
        shared.telemetry.decisions.asked(ask, &Verdict::default());
        return Verdict::default();
    };
    let judging = shared.clock.elapsed_nanos().saturating_sub(began);
    let spent = Duration::from_nanos(judging.saturating_add(took.unwrap_or_default()));
    if spent.max(injected(settings.fault.as_ref()))
        > settings.scoring_deadline(ask.prompt.bytes as usize)
    {
        metrics.fail_open(FailOpen::Deadline);
        verdict.enforced = false;
    }
    metrics.verdict(&ask.caller.tenant, ask.prompt.api, &verdict);
    shared.telemetry.decisions.asked(ask, &verdict);
    verdict
}

fn judge(room: &Room, ask: &Ask, fault: Option<&Fault>) -> Option<Verdict> {
    let judge = || match fault {
        Some(Fault::Panics) => panic!("injected"),
        Some(Fault::Judges(verdict)) => Verdict::clone(verdict),
        Some(Fault::Takes(_)) | None => room.shared.engine.assess(ask),
    };
    catch_unwind(AssertUnwindSafe(judge)).ok()
}

fn injected(fault: Option<&Fault>) -> Duration {
    if let Some(Fault::Takes(time)) = fault { *time } else { Duration::ZERO }
}
