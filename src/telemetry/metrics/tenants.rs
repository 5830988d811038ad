//! Verdicts by tenant, for tenants the operator has named.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use crate::engine::Verdict;
use crate::identity::TenantName;
use crate::policy::Action;

/// Tenants with series of their own, over all reloads. Bounds the text at about 1 MiB.
const MAX_NAMED: usize = 1_000;

const OTHER: &str = "other";

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct Labels {
    tenant: String,
    action: &'static str,
    enforced: &'static str,
}

type Named = HashMap<TenantName, Arc<Series>, rapidhash::fast::RandomState>;

#[derive(Debug)]
pub(super) struct Tenants {
    family: Family<Labels, Counter>,
    named: ArcSwap<Named>,
    other: Series,
}

/// One tenant's counters, by action and whether it was enforced; made when first counted into.
#[derive(Debug, Default)]
struct Series([[OnceLock<Counter>; 2]; Action::ALL.len()]);

impl Tenants {
    pub(super) fn new(family: Family<Labels, Counter>) -> Self {
        Self { family, named: ArcSwap::default(), other: Series::default() }
    }

    pub(super) fn name(&self, names: &[TenantName]) {
        self.named.rcu(|known| {
            let mut named = Named::clone(known);
            for name in names {
                if named.len() < MAX_NAMED || named.contains_key(name) {
                    named.entry(name.clone()).or_default();
                }
            }
            named
        });
    }

    pub(super) fn verdict(&self, tenant: &TenantName, verdict: &Verdict) {
        let named = self.named.load();
        let (series, label) = match named.get(tenant) {
            Some(series) => (&**series, tenant.as_str()),
            None => (&self.other, OTHER),
        };
        let cell = &series.0[verdict.action.index()][usize::from(verdict.enforced)];
        cell.get_or_init(|| self.family.get_or_create_owned(&Labels::of(label, verdict))).inc();
    }
}

impl Labels {
    fn of(tenant: &str, verdict: &Verdict) -> Self {
        Self {
            tenant: tenant.to_owned(),
            action: verdict.action.name(),
            enforced: if verdict.enforced { "true" } else { "false" },
        }
    }
}
