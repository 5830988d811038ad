//! New models: named by the operator, or noticed from traffic.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dashmap::DashMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::KeyHash;
use crate::identity::AccountId;
use crate::signal::shelf::{decode, encode};
use crate::signal::{Exchange, Model, New};
use crate::time::{Shift, Timestamp};

/// A model that came out, as the operator says.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// The name callers ask for.
    #[schemars(with = "String")]
    pub model: Model,
    /// RFC 3339.
    #[schemars(with = "String")]
    pub at: jiff::Timestamp,
}

/// How long a model is new, and how long the fleet must have been watched before an unknown name is
/// taken for one.
pub(super) const NEW: Duration = Duration::from_secs(24 * 3600);

/// Accounts that must have been answered by a model: one alone may make names up.
const ACCOUNTS: usize = 5;

/// Names kept. Once full no new one is noticed, which costs nothing but a notice.
const NAMES: usize = 256;

/// Models that answered. Bounded.
#[derive(Debug, Default)]
pub(super) struct Releases {
    models: DashMap<Model, Answered, KeyHash>,
    /// Exchanges over all models.
    total: AtomicU64,
    watch: Mutex<Watch>,
}

/// Since when the fleet is watched, and the counts at each named release: of all exchanges, and of
/// those on the model.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Watch {
    began: Option<Timestamp>,
    named: BTreeMap<Model, (Timestamp, u64, u64)>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Answered {
    first: Timestamp,
    exchanges: u64,
    /// The fleet's exchanges when this model first answered.
    before: u64,
    accounts: BTreeSet<AccountId>,
}

impl Releases {
    pub(super) fn take(&self, exchange: &Exchange) {
        let before = self.total.fetch_add(1, Relaxed);
        let (model, account) = (&exchange.ask.prompt.model, exchange.ask.caller.account);
        if let Some(mut known) = self.models.get_mut(model) {
            known.exchanges += 1;
            if known.accounts.len() < ACCOUNTS {
                known.accounts.insert(account);
            }
        } else if self.models.len() < NAMES {
            let (first, accounts) = (exchange.ended, BTreeSet::from([account]));
            self.models.insert(model.clone(), Answered { first, exchanges: 1, before, accounts });
        }
    }

    /// The models that are new now, by name.
    pub(super) fn tick(&self, now: Timestamp, named: &[Release]) -> Vec<New> {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let began = *watch.began.get_or_insert(now);
        let total = self.total.load(Relaxed);
        let share =
            |count: u64, before: u64| count as f32 / total.saturating_sub(before).max(1) as f32;
        let mut new: Vec<New> = Vec::new();
        for Release { model, at } in named {
            let at = Timestamp::from_millis(u64::try_from(at.as_millisecond()).unwrap_or_default());
            if at > now || now.since(at) > NEW {
                watch.named.remove(model);
                continue;
            }
            let count = self.models.get(model).map_or(0, |known| known.exchanges);
            let start = watch.named.entry(model.clone()).or_insert((at, total, count));
            if start.0 != at {
                *start = (at, total, count);
            }
            let share = share(count.saturating_sub(start.2), start.1);
            new.push(New { model: model.clone(), at, share });
        }
        for known in &self.models {
            let fresh = now.since(known.first) <= NEW && known.first.since(began) >= NEW;
            let told = named.iter().any(|release| release.model == *known.key());
            if fresh && known.accounts.len() >= ACCOUNTS && !told {
                let (model, at) = (known.key().clone(), known.first);
                let share = share(known.exchanges, known.before);
                new.push(New { model, at, share });
            }
        }
        new.sort_by(|a, b| a.model.cmp(&b.model));
        new
    }
}

/// What is written down.
impl Releases {
    pub(super) fn models(&self) -> BTreeMap<Model, Answered> {
        self.models.iter().map(|known| (known.key().clone(), known.value().clone())).collect()
    }

    /// Since when the fleet is watched, and how much it has asked.
    pub(super) fn watch(&self) -> Vec<u8> {
        let watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner).clone();
        encode(&(self.total.load(Relaxed), watch))
    }

    pub(super) fn recall_model(&self, name: &str, value: &[u8], by: Shift) -> bool {
        let Some(mut answered) = decode::<Answered>(value) else { return false };
        let room = self.models.len() < NAMES || self.models.contains_key(&Model::from(name));
        answered.first = answered.first.shifted(by);
        let sound = room && answered.accounts.len() <= ACCOUNTS;
        sound.then(|| self.models.insert(Model::from(name), answered)).is_some()
    }

    /// What operators have named came out when they say, whatever became of the clock.
    pub(super) fn recall_watch(&self, value: &[u8], by: Shift) -> bool {
        let Some((total, mut watch)) = decode::<(u64, Watch)>(value) else { return false };
        watch.began = watch.began.map(|began| began.shifted(by));
        self.total.store(total, Relaxed);
        *self.watch.lock().unwrap_or_else(PoisonError::into_inner) = watch;
        true
    }
}
