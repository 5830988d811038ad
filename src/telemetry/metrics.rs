//! Prometheus metrics. Labels are bounded: tenants come from the file, all else from enums.
//!
//! What is counted several times per request holds its handles, about 10 ns each; what is counted
//! once, at the end or on a refusal looks its series up, about 100 ns.

mod endpoints;
mod kept;
mod labels;
mod tenants;

use std::sync::Arc;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry, Unit};

use self::endpoints::Endpoints;
pub use self::endpoints::{Again, EndpointSeries, GroupSeries, Outcome};
pub use self::kept::Kept;
use self::kept::KeptMetrics;
use self::labels::{
    ByApi, ByBond, ByDeed, ByDirection, ByEnding, ByOutcome, ByReason, ByRecord, BySignal,
    BySource, ByStage, ByState, ByTokens,
};
use self::tenants::Tenants;
use super::lines::LOST;
use crate::dialect::{Api, Reason};
use crate::engine::{State, Verdict};
use crate::identity::TenantName;
use crate::signal::{CATALOGUE, COUNT, Exchange, UsageSource};

#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    tenants: Tenants,
    asks: Family<ByApi, Counter>,
    signals: [Counter; COUNT],
    refusals: Family<ByReason, Counter>,
    challenges: Family<ByOutcome, Counter>,
    webhooks: Family<ByOutcome, Counter>,
    ambiguous: Family<ByReason, Counter>,
    shaped: Family<ByDeed, Counter>,
    bound: Family<ByBond, Counter>,
    fail_open: [Counter; 4],
    overhead: [Histogram; 3],
    exchanges: Family<ByEnding, Counter>,
    tokens: Family<ByTokens, Counter>,
    usage: Family<BySource, Counter>,
    bytes: [Counter; 2],
    connections: Gauge,
    opened: Counter,
    turned_away: Family<ByReason, Counter>,
    reloads: [Counter; 2],
    records: Family<ByRecord, Counter>,
    told_of: Gauge,
    accounts: Gauge,
    end_users: Gauge,
    crowds: Gauge,
    campaigns: Family<ByState, Gauge>,
    endpoints: Endpoints,
    kept: KeptMetrics,
    log: LogCounters,
}

/// Where time was added.
#[derive(Clone, Copy, Debug)]
pub enum Stage {
    Before,
    After,
    Stream,
}

/// Why an exchange went on unjudged.
#[derive(Clone, Copy, Debug)]
pub enum FailOpen {
    Panic,
    Deadline,
    /// The answer could not be read: served, but not learned from.
    UnreadableAnswer,
    /// The body was not read, or may mean something else to the endpoint.
    UnvettedBody,
}

/// The decision log's own account of itself. Clones count into the same series.
#[derive(Clone, Debug, Default)]
pub(super) struct LogCounters {
    pub(super) lines: Counter,
    pub(super) dropped: Counter,
    pub(super) errors: Counter,
}

impl Metrics {
    /// Gives these tenants series of their own; all others share `other`. Tenants that were named
    /// before keep theirs, up to a thousand in all.
    pub fn tenants(&self, names: &[TenantName]) {
        self.tenants.name(names);
    }

    /// One verdict: by tenant and action, enforced or not; one counter per signal that spoke.
    pub fn verdict(&self, tenant: &TenantName, api: Api, verdict: &Verdict) {
        self.tenants.verdict(tenant, verdict);
        self.asks.get_or_create(&ByApi::from(api)).inc();
        for evidence in &verdict.evidence {
            let place = CATALOGUE.iter().position(|spec| spec.name == evidence.signal);
            if let Some(counter) = place.and_then(|place| self.signals.get(place)) {
                counter.inc();
            }
        }
    }

    pub fn refused(&self, reason: Reason) {
        self.refusals.get_or_create(&ByReason::from(reason)).inc();
    }

    /// A step of a challenge.
    pub fn challenge(&self, outcome: &'static str) {
        self.challenges.get_or_create(&ByOutcome { outcome }).inc();
    }

    /// What became of a notice to the operator's own verification.
    pub fn webhook(&self, outcome: &'static str) {
        self.webhooks.get_or_create(&ByOutcome { outcome }).inc();
    }

    /// A body that has two meanings, by label.
    pub fn ambiguous(&self, label: &'static str) {
        self.ambiguous.get_or_create(&ByReason { reason: label }).inc();
    }

    /// An answer left unread, or in part, whose seals were to be wrapped.
    pub fn unwrapped(&self, api: Api) {
        self.bound.get_or_create(&ByBond::of(api, "missed")).inc();
    }

    pub fn fail_open(&self, why: FailOpen) {
        let [panic, deadline, unreadable, unvetted] = &self.fail_open;
        let counter = match why {
            FailOpen::Panic => panic,
            FailOpen::Deadline => deadline,
            FailOpen::UnreadableAnswer => unreadable,
            FailOpen::UnvettedBody => unvetted,
        };
        counter.inc();
    }

    pub fn overhead(&self, stage: Stage, nanos: u64) {
        let [before, after, stream] = &self.overhead;
        let histogram = match stage {
            Stage::Before => before,
            Stage::After => after,
            Stage::Stream => stream,
        };
        histogram.observe(nanos as f64 / 1e9);
    }

    /// An exchange ended: by dialect and ending, with its tokens and bytes.
    ///
    /// Input tokens of a served exchange whose answer reports none are our own estimate.
    pub fn ended(&self, exchange: &Exchange) {
        let (prompt, completion) = (&exchange.ask.prompt, &exchange.completion);
        let [received, sent] = &self.bytes;
        received.inc_by(u64::from(prompt.bytes).saturating_add(completion.received));
        sent.inc_by(completion.bytes);
        let ending = ByEnding::of(prompt.api, exchange.ending);
        self.exchanges.get_or_create(&ending).inc();
        for (deeds, enforced) in [(completion.shaped, true), (completion.would_shape, false)] {
            for deed in deeds.iter() {
                self.shaped.get_or_create(&ByDeed::of(deed, enforced)).inc();
            }
        }
        let wrapped = ("wrapped", completion.wrapped);
        let counts = prompt.bonds.counts().map(|(outcome, count)| (outcome, count.into()));
        for (outcome, count) in counts.into_iter().chain([wrapped]).filter(|(_, count)| *count > 0)
        {
            self.bound.get_or_create(&ByBond::of(prompt.api, outcome)).inc_by(count.into());
        }
        if !exchange.served() {
            return;
        }
        if prompt.api != Api::Other {
            self.usage.get_or_create(&BySource::from(completion.source)).inc();
        }
        let count = |direction, source, tokens: u32| {
            self.tokens.get_or_create(&ByTokens::of(direction, source)).inc_by(tokens.into());
        };
        match completion.usage.input {
            Some(tokens) => count("input", completion.source, tokens),
            None => count("input", UsageSource::Counted, prompt.tokens),
        }
        count("output", completion.source, completion.output());
    }

    pub fn connection_opened(&self) {
        self.opened.inc();
        self.connections.inc();
    }

    pub fn connection_closed(&self) {
        self.connections.dec();
    }

    /// A connection refused or cut before a request, by reason.
    pub fn connection_refused(&self, why: &'static str) {
        self.turned_away.get_or_create(&ByReason { reason: why }).inc();
    }

    /// A configuration was loaded (`true`) or refused (`false`).
    pub fn reload(&self, taken: bool) {
        let [accepted, refused] = &self.reloads;
        if taken {
            accepted.inc()
        } else {
            refused.inc()
        };
    }

    /// A file of records (`attributes` or `regions`) was read, or refused and the old one kept.
    pub fn records(&self, file: &'static str, taken: bool) {
        let outcome = if taken { "taken" } else { "refused" };
        self.records.get_or_create(&ByRecord { file, outcome }).inc();
    }

    /// Accounts that the attributes' file tells of.
    pub fn told_of(&self, accounts: usize) {
        self.told_of.set(i64::try_from(accounts).unwrap_or(i64::MAX));
    }

    /// Accounts remembered now. Also what the admin listener shows.
    pub fn accounts(&self, remembered: usize) {
        self.accounts.set(i64::try_from(remembered).unwrap_or(i64::MAX));
    }

    /// End users whose limits are remembered now.
    pub fn end_users(&self, remembered: usize) {
        self.end_users.set(i64::try_from(remembered).unwrap_or(i64::MAX));
    }

    /// Crowds weighed now.
    pub fn crowds(&self, weighed: usize) {
        self.crowds.set(i64::try_from(weighed).unwrap_or(i64::MAX));
    }

    /// Campaigns by state, in the order of [`State::ALL`].
    pub fn campaigns(&self, counts: [usize; State::ALL.len()]) {
        for (state, count) in State::ALL.into_iter().zip(counts) {
            let gauge = self.campaigns.get_or_create(&ByState { state: state.name() });
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// The series of an endpoint, by the names that the file gives it and its group.
    pub fn endpoint(&self, group: &str, endpoint: &str) -> Arc<EndpointSeries> {
        self.endpoints.series(group, endpoint)
    }

    pub fn group(&self, name: &str) -> GroupSeries {
        self.endpoints.group(name)
    }

    /// How memory is kept beyond the process.
    pub fn kept(&self, kept: &Kept) {
        self.kept.set(kept);
    }

    /// Everything in the OpenMetrics text format.
    pub fn encode(&self) -> String {
        let mut text = String::with_capacity(16 << 10);
        // Fails only where writing to the string fails, which it never does.
        let _ = encode(&mut text, &self.registry);
        text
    }

    pub(super) fn remembered(&self) -> i64 {
        self.accounts.get()
    }

    pub(super) fn log(&self) -> &LogCounters {
        &self.log
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("stillguard");
        let into = &mut registry;
        let build = [("version", env!("CARGO_PKG_VERSION"))];
        into.register("build", "The running build", Info::new(build));
        Self {
            tenants: Tenants::new(add(into, "verdicts", "Verdicts, carried out or not")),
            asks: add(into, "asks", "Requests judged"),
            signals: signals(into),
            refusals: add(into, "refusals", "Requests refused"),
            challenges: add(
                into,
                "challenges",
                "Challenges put to accounts, and what came of them",
            ),
            webhooks: add(
                into,
                "webhooks",
                "Notices of challenged accounts by what became of them",
            ),
            ambiguous: add(into, "ambiguous_body", "Bodies that have two meanings"),
            shaped: add(into, "shaped", "Exchanges shaped, or that would have been"),
            bound: add(into, "bound", "Seals and ids that left wrapped, and what came back"),
            fail_open: fail_open(into),
            overhead: overhead(into),
            exchanges: add(into, "exchanges", "Exchanges ended"),
            tokens: add(into, "tokens", "Tokens of served exchanges"),
            usage: add(into, "usage", "Served exchanges by where their token counts come from"),
            bytes: bytes(into),
            connections: add(into, "connections", "Connections open now"),
            opened: add(into, "connections_opened", "Connections accepted"),
            turned_away: add(into, "connections_refused", "Connections cut before a request"),
            reloads: reloads(into),
            records: add(into, "records_reloads", "Files of records read or refused"),
            told_of: add(into, "attributes_accounts", "Accounts the file of attributes tells of"),
            accounts: add(into, "accounts", "Accounts remembered now"),
            end_users: add(into, "end_users", "End users whose limits are remembered now"),
            crowds: add(into, "crowds", "Crowds weighed now"),
            campaigns: add(into, "campaigns", "Campaigns remembered now, by state"),
            endpoints: Endpoints::new(into),
            kept: KeptMetrics::new(into),
            log: log(into),
            registry,
        }
    }
}

fn add<M: Clone + Default + Metric>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

fn signals(registry: &mut Registry) -> [Counter; COUNT] {
    let family: Family<BySignal, Counter> = add(registry, "signal", "Verdicts a signal spoke in");
    CATALOGUE.each_ref().map(|spec| family.get_or_create_owned(&BySignal { signal: spec.name }))
}

fn fail_open(registry: &mut Registry) -> [Counter; 4] {
    let help = "Exchanges that went on unread, unjudged or unlearned";
    let family: Family<ByReason, Counter> = add(registry, "fail_open", help);
    [FailOpen::Panic, FailOpen::Deadline, FailOpen::UnreadableAnswer, FailOpen::UnvettedBody]
        .map(|why| family.get_or_create_owned(&ByReason::from(why)))
}

fn overhead(registry: &mut Registry) -> [Histogram; 3] {
    const BUCKETS: [f64; 13] =
        [5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2];
    let family: Family<ByStage, Histogram> =
        Family::new_with_constructor(|| Histogram::new(BUCKETS));
    let help = "Time added before forwarding, after the answer's head and in its stream";
    registry.register_with_unit("overhead", help, Unit::Seconds, family.clone());
    [Stage::Before, Stage::After, Stage::Stream]
        .map(|stage| family.get_or_create_owned(&ByStage::from(stage)))
}

fn bytes(registry: &mut Registry) -> [Counter; 2] {
    let family: Family<ByDirection, Counter> = Family::default();
    let help = "Bytes of bodies";
    registry.register_with_unit("body", help, Unit::Bytes, family.clone());
    ["received", "sent"].map(|direction| family.get_or_create_owned(&ByDirection { direction }))
}

fn reloads(registry: &mut Registry) -> [Counter; 2] {
    let help = "Configurations loaded or refused";
    let family: Family<ByOutcome, Counter> = add(registry, "reloads", help);
    ["taken", "refused"].map(|outcome| family.get_or_create_owned(&ByOutcome { outcome }))
}

fn log(registry: &mut Registry) -> LogCounters {
    let help = "Lines of the program's own log lost to a reader that is stuck";
    registry.register("log_lines_lost", help, LOST.clone());
    LogCounters {
        lines: add(registry, "decision_log_lines", "Lines written"),
        dropped: add(registry, "decision_log_dropped", "Lines lost to a slow or broken disk"),
        errors: add(registry, "decision_log_errors", "Failures to open, write or rotate the log"),
    }
}

#[cfg(test)]
#[path = "metrics/tests.rs"]
mod tests;
