//! Which endpoints answer: learned from the exchanges of all workers, and from probes.

use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::uri::PathAndQuery;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// When an endpoint is taken out, and for how long. One that is out is asked last, so when all are,
/// all are still tried.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct HealthSettings {
    /// Failures in a row that take it out: no connection, one that broke before an answer, or a
    /// 5xx. One answer below 500 ends the row.
    pub failures: u32,
    /// Seconds it stays out at first, twice as long each time it fails again at its return, and at
    /// most.
    pub back_off_secs: u64,
    pub most_back_off_secs: u64,
    /// What each endpoint is asked for at intervals, with its own key if it has one. A status from
    /// 200 to 299 in time says that it is well. Absent: no probes.
    #[schemars(with = "Option<String>")]
    pub probe_path: Option<ProbePath>,
    #[schemars(range(min = 100))]
    pub probe_interval_ms: u64,
    /// For all of a probe, connection included.
    #[schemars(range(min = 1))]
    pub probe_timeout_ms: u64,
    /// Probes in a row that take an endpoint out,
    pub ill_after: NonZeroU32,
    /// and that bring it back, whatever exchanges before said of it.
    pub well_after: NonZeroU32,
    /// Once less than this share of a group's endpoints is well, all of them are taken to be: few must
    /// not drown in the load of many. 0: never.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub panic_below: f32,
}

/// A path below an endpoint's base, with a query if need be.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProbePath(pub(super) PathAndQuery);

#[derive(Clone, Debug, thiserror::Error)]
#[error("`{0}` is no path: it has to begin with a slash")]
pub struct NotAPath(String);

impl Default for HealthSettings {
    fn default() -> Self {
        Self {
            failures: 3,
            back_off_secs: 2,
            most_back_off_secs: 60,
            probe_path: None,
            probe_interval_ms: 5000,
            probe_timeout_ms: 2000,
            ill_after: NonZeroU32::MIN.saturating_add(2),
            well_after: NonZeroU32::MIN.saturating_add(1),
            panic_below: 0.5,
        }
    }
}

impl TryFrom<String> for ProbePath {
    type Error = NotAPath;

    fn try_from(text: String) -> Result<Self, NotAPath> {
        let path = text.parse().ok().filter(|_| text.starts_with('/'));
        path.map(Self).ok_or(NotAPath(text))
    }
}

impl From<ProbePath> for String {
    fn from(path: ProbePath) -> Self {
        path.0.as_str().to_owned()
    }
}

impl HealthSettings {
    /// How long an endpoint stays out that was taken out `outs` times before.
    fn back_off(&self, outs: u32) -> Duration {
        let times = 1_u64.checked_shl(outs).unwrap_or(u64::MAX);
        let secs = self.back_off_secs.saturating_mul(times);
        Duration::from_secs(secs.min(self.most_back_off_secs))
    }
}

/// One endpoint's, shared by all workers.
#[derive(Debug)]
pub(super) struct Health {
    settings: HealthSettings,
    row: Mutex<Row>,
}

#[derive(Debug, Default)]
struct Row {
    failures: u32,
    /// How often it has been taken out since it last answered.
    outs: u32,
    out_until: Option<Instant>,
    /// One exchange is trying whether it is back; all others still pass it over.
    on_trial: bool,
    probes: Probes,
}

/// What probes say. Only they change it: an endpoint may answer what is asked of it, and yet be about
/// to leave.
#[derive(Clone, Copy, Debug, Default)]
struct Probes {
    ill: bool,
    /// Probes in a row that said otherwise.
    otherwise: u32,
}

impl Health {
    pub(super) fn new(settings: HealthSettings) -> Self {
        Self { settings, row: Mutex::default() }
    }

    pub(super) fn is_out(&self) -> bool {
        let row = self.row();
        row.probes.ill || row.is_resting(Instant::now())
    }

    /// A probe was answered, or not. True if with it the endpoint is taken out, or brought back.
    pub(super) fn probed(&self, well: bool) -> bool {
        let mut row = self.row();
        if well != row.probes.ill {
            row.probes.otherwise = 0;
            return false;
        }
        row.probes.otherwise += 1;
        let enough = if well { self.settings.well_after } else { self.settings.ill_after };
        if row.probes.otherwise < enough.get() {
            return false;
        }
        if well {
            *row = Row::default();
        } else {
            row.probes = Probes { ill: true, otherwise: 0 };
        }
        true
    }

    /// An exchange goes there. The first one after an outage is a trial: until it has been answered
    /// or the back-off has passed once more, the endpoint stays out for all others.
    pub(super) fn chosen(&self) {
        let now = Instant::now();
        let mut row = self.row();
        if row.outs > 0 && !row.is_resting(now) {
            row.on_trial = true;
            row.out_until = now.checked_add(self.settings.back_off(row.outs - 1));
        }
    }

    pub(super) fn answered(&self) {
        let mut row = self.row();
        *row = Row { probes: row.probes, ..Row::default() };
    }

    pub(super) fn failed(&self) {
        let now = Instant::now();
        let mut row = self.row();
        row.failures = row.failures.saturating_add(1);
        // Exchanges that were under way when it was taken out say nothing new.
        if row.failures < self.settings.failures || (row.is_resting(now) && !row.on_trial) {
            return;
        }
        row.out_until = now.checked_add(self.settings.back_off(row.outs));
        row.outs = row.outs.saturating_add(1);
        row.on_trial = false;
    }

    /// A panic elsewhere leaves at worst a failure miscounted.
    fn row(&self) -> MutexGuard<'_, Row> {
        self.row.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Row {
    fn is_resting(&self, now: Instant) -> bool {
        self.out_until.is_some_and(|until| until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn secs(secs: u64) {
        tokio::time::advance(Duration::from_secs(secs)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn only_failures_in_a_row_take_an_endpoint_out() {
        let health = Health::new(HealthSettings { failures: 2, ..HealthSettings::default() });
        health.failed();
        health.answered();
        health.failed();
        assert!(!health.is_out());
        health.failed();
        assert!(health.is_out());
        health.answered();
        assert!(!health.is_out());
    }

    #[tokio::test(start_paused = true)]
    async fn the_back_off_doubles_to_its_bound_until_the_endpoint_answers() {
        let settings = HealthSettings {
            failures: 2,
            back_off_secs: 2,
            most_back_off_secs: 5,
            ..HealthSettings::default()
        };
        let health = Health::new(settings);
        health.failed();
        for out in [2, 4, 5, 5] {
            health.failed();
            secs(out - 1).await;
            // Late news of the same outage doesn't prolong it.
            health.failed();
            assert!(health.is_out(), "{out}");
            secs(1).await;
            assert!(!health.is_out(), "{out}");
        }
        health.answered();
        health.failed();
        health.failed();
        secs(2).await;
        assert!(!health.is_out());
    }

    #[tokio::test(start_paused = true)]
    async fn one_exchange_tries_an_endpoint_that_was_out_before_all_others_return() {
        let health = Health::new(HealthSettings { failures: 1, ..HealthSettings::default() });
        health.failed();
        secs(2).await;
        assert!(!health.is_out());
        health.chosen();
        assert!(health.is_out(), "the others wait for the first one's answer");
        health.failed();
        secs(3).await;
        assert!(health.is_out(), "the trial failed: twice as long");
        secs(1).await;
        health.chosen();
        health.answered();
        assert!(!health.is_out());
        // A trial that ends without news, because its client left, is no dead end.
        health.failed();
        secs(2).await;
        health.chosen();
        secs(2).await;
        assert!(!health.is_out());
    }

    fn told(health: &Health, probes: &str) -> Vec<bool> {
        probes.chars().map(|probe| health.probed(probe == '+')).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn probes_in_a_row_take_an_endpoint_out_and_bring_it_back() {
        let health = Health::new(HealthSettings::default());
        assert!(told(&health, "+--+--").iter().all(|changed| !changed));
        assert!(!health.is_out());
        assert!(health.probed(false) && health.is_out());
        health.answered();
        assert!(health.is_out(), "one that still answers may be about to leave");
        assert!(told(&health, "-+-+").iter().all(|changed| !changed) && health.is_out());
        assert!(health.probed(true) && !health.is_out());
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_that_both_saw_ends_with_the_probes() {
        let health = Health::new(HealthSettings { failures: 1, ..HealthSettings::default() });
        health.failed();
        told(&health, "---++");
        assert!(!health.is_out());
        health.failed();
        told(&health, "+++");
        assert!(health.is_out(), "a probe that was well all along knows less than exchanges");
    }
}
