//! The state of limits. It lives with the account, or by a tenant's name, so that a reload, a change
//! of rate or an eviction policy of its own can't refill it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use serde::{Deserialize, Serialize};

use super::{Engine, lock};
use crate::identity::{AccountId, Tag, TenantName};
use crate::policy::{Every, Measure};
use crate::time::Timestamp;

/// Cells of the limits on one account or end user, or on many accounts together. The arithmetic on
/// them is `governor`'s, in `guard::throttle`.
#[derive(Debug, Default)]
pub struct Pace {
    /// Theoretical arrival times, nanoseconds on the guard's clock, in the order of
    /// [`Every::ALL`](crate::policy::Every::ALL) and [`Measure::ALL`](crate::policy::Measure::ALL).
    pub rates: [[AtomicU64; 4]; 2],
    /// The same for the throttle that the score tightens.
    pub throttle: AtomicU64,
    /// What of the quotas has been used, in the order of
    /// [`Period::ALL`](crate::policy::Period::ALL). None until there is a quota.
    pub windows: Mutex<Option<Box<[Window; 3]>>>,
    /// Exchanges whose body has not ended yet.
    pub in_flight: AtomicU32,
}

impl Pace {
    pub fn cell(&self, every: Every, measure: Measure) -> &AtomicU64 {
        &self.rates[every.index()][measure.index()]
    }
}

/// A quota's current window, and what is used or reserved in it, in the order of
/// [`Measure::ALL`](crate::policy::Measure::ALL).
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Window {
    pub start: Timestamp,
    pub used: [u64; 4],
}

impl Engine {
    /// The pace of a known account. None before the endpoint has accepted the account once.
    pub fn pace(&self, account: AccountId) -> Option<Arc<Pace>> {
        self.find(account).map(|account| lock(&account).pace.clone())
    }

    /// The pace of an end user of a known account. None where the table of them has no place left.
    pub fn end_user_pace(
        &self,
        (account, user): (AccountId, Tag),
        at: Timestamp,
    ) -> Option<Arc<Pace>> {
        self.end_users.get((account, user), at, self.rules().settings.max_end_users)
    }

    /// The one pace that all accounts not yet known share where a verdict slows them.
    pub fn strangers(&self) -> &Arc<Pace> {
        &self.strangers
    }

    /// The pace that all accounts of `tenant`, or of one of its groups, share.
    pub fn shared_pace(&self, tenant: &TenantName, group: Option<&str>) -> Arc<Pace> {
        self.pools.get(tenant, group)
    }
}

/// What accounts share: one pace for each tenant and each group of a tenant that has limits in
/// total. Their names come from the operator's file alone, which bounds how many there are; those
/// that a reload no longer names stay, should it name them again.
#[derive(Debug, Default)]
pub(super) struct Pools {
    tenants: RwLock<BTreeMap<TenantName, Arc<Pool>>>,
}

#[derive(Debug, Default)]
struct Pool {
    whole: RwLock<Arc<Pace>>,
    groups: RwLock<BTreeMap<String, Arc<Pace>>>,
}

impl Pools {
    /// The pace of a whole tenant, or of one of its groups.
    pub(super) fn get(&self, tenant: &TenantName, group: Option<&str>) -> Arc<Pace> {
        let pool = find_or_make(&self.tenants, tenant);
        match group {
            Some(group) => find_or_make(&pool.groups, group),
            None => Arc::clone(&read(&pool.whole)),
        }
    }

    /// Every pace, with the tenant's name and the group's, if it is a group's.
    pub(super) fn all(&self) -> Vec<(TenantName, Option<String>, Arc<Pace>)> {
        let mut all = Vec::new();
        for (tenant, pool) in read(&self.tenants).iter() {
            all.push((tenant.clone(), None, Arc::clone(&read(&pool.whole))));
            let groups = read(&pool.groups);
            let groups = groups.iter().map(|(name, pace)| (name.clone(), Arc::clone(pace)));
            all.extend(groups.map(|(name, pace)| (tenant.clone(), Some(name), pace)));
        }
        all
    }

    /// Puts a pace that was read back into its place. Before anybody holds the one that is there.
    pub(super) fn put(&self, tenant: &TenantName, group: Option<&str>, pace: Pace) {
        let (pool, pace) = (find_or_make(&self.tenants, tenant), Arc::new(pace));
        match group {
            Some(group) => {
                let mut groups = pool.groups.write().unwrap_or_else(PoisonError::into_inner);
                groups.insert(group.to_owned(), pace);
            }
            None => *pool.whole.write().unwrap_or_else(PoisonError::into_inner) = pace,
        }
    }
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn find_or_make<K, Q, V>(map: &RwLock<BTreeMap<K, Arc<V>>>, key: &Q) -> Arc<V>
where
    K: Ord + std::borrow::Borrow<Q>,
    Q: Ord + ToOwned<Owned = K> + ?Sized,
    V: Default,
{
    if let Some(found) = read(map).get(key) {
        return Arc::clone(found);
    }
    let mut map = map.write().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(map.entry(key.to_owned()).or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tenant_and_every_group_has_one_pace() {
        let pools = Pools::default();
        let names = [("a", None), ("b", None), ("a", Some("gold")), ("b", Some("gold"))];
        let paces = || names.map(|(tenant, group)| pools.get(&tenant.into(), group));
        let (first, again) = (paces(), paces());
        for (i, pace) in first.iter().enumerate() {
            for (j, other) in again.iter().enumerate() {
                assert_eq!(Arc::ptr_eq(pace, other), i == j);
            }
        }
    }
}
