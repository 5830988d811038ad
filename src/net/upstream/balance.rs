//! Which endpoint next: shares by weight, smoothly spread, those that are out last.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::health::Health;

/// Smooth weighted round robin, as nginx made it known: each turn adds every weight to its
/// endpoint's credit; the richest is chosen and pays the sum of all weights.
#[derive(Debug)]
pub(super) struct Balance<T> {
    choices: Vec<T>,
    shares: Mutex<Vec<Share>>,
    healths: Arc<[Health]>,
}

#[derive(Debug)]
struct Share {
    weight: i64,
    credit: i64,
}

impl<T> Balance<T> {
    /// `healths` has one for each choice.
    pub(super) fn new(weighted: impl Iterator<Item = (T, u32)>, healths: Arc<[Health]>) -> Self {
        let share = |weight: u32| Share { weight: weight.into(), credit: 0 };
        let (choices, shares) = weighted.map(|(choice, weight)| (choice, share(weight))).unzip();
        Self { choices, shares: Mutex::new(shares), healths }
    }

    pub(super) fn get(&self, choice: usize) -> &T {
        &self.choices[choice]
    }

    /// All endpoints, the one whose turn it is first.
    pub(super) fn order(&self) -> Vec<usize> {
        if self.choices.len() == 1 {
            return vec![0];
        }
        let out: Vec<_> = self.healths.iter().map(Health::is_out).collect();
        let mut shares = self.shares();
        let sum: i64 = shares.iter().map(|share| share.weight).sum();
        for share in shares.iter_mut() {
            share.credit += share.weight;
        }
        let mut order: Vec<_> = (0..shares.len()).collect();
        order.sort_by_key(|&choice| {
            let share = &shares[choice];
            (out[choice], share.weight == 0, std::cmp::Reverse(share.credit))
        });
        if let Some(&first) = order.first() {
            shares[first].credit -= sum;
            self.healths[first].chosen();
        }
        order
    }

    pub(super) fn health(&self, choice: usize) -> &Health {
        &self.healths[choice]
    }

    /// A panic elsewhere leaves at worst a turn miscounted.
    fn shares(&self) -> MutexGuard<'_, Vec<Share>> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::health::HealthSettings;
    use super::*;

    fn balance<const N: usize>(weighted: [(char, u32); N]) -> Balance<char> {
        let settings = HealthSettings { failures: 1, ..HealthSettings::default() };
        let healths = weighted.iter().map(|_| Health::new(settings.clone())).collect();
        Balance::new(weighted.into_iter(), healths)
    }

    fn turns(balance: &Balance<char>, count: usize) -> String {
        (0..count).map(|_| *balance.get(balance.order()[0])).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn shares_follow_weights_without_bursts() {
        let balance = balance([('a', 4), ('b', 1), ('c', 1)]);
        let turns = turns(&balance, 12);
        assert_eq!(turns.matches('a').count(), 8);
        assert_eq!(turns.matches('b').count(), 2);
        assert!(!turns.contains("aaaaa"), "{turns}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_failed_rests_and_comes_back() {
        let balance = balance([('a', 1), ('b', 1), ('z', 0)]);
        balance.health(0).failed();
        assert_eq!(turns(&balance, 3), "bbb");
        balance.health(1).failed();
        assert_eq!(turns(&balance, 2), "zz");
        balance.health(2).failed();
        assert_eq!(balance.order().len(), 3, "when all are out, all are tried");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(turns(&balance, 2).matches('z').count(), 0, "one trial each");
        balance.health(0).answered();
        balance.health(1).answered();
        let back = turns(&balance, 8);
        assert!(back.contains('a') && back.contains('b') && !back.contains('z'), "{back}");
    }
}
