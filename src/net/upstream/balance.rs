//! Which endpoint next: shares by weight, smoothly spread, those that just failed last.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long an endpoint that could not be reached is asked last.
const REST: Duration = Duration::from_secs(2);

/// Smooth weighted round robin, as nginx made it known: each turn adds every weight to its
/// endpoint's credit; the richest is chosen and pays the sum of all weights.
#[derive(Debug)]
pub(super) struct Balance<T> {
    choices: Vec<T>,
    shares: Mutex<Vec<Share>>,
}

#[derive(Debug)]
struct Share {
    weight: i64,
    credit: i64,
    rests_until: Option<Instant>,
}

impl<T> Balance<T> {
    pub(super) fn new(weighted: impl Iterator<Item = (T, u32)>) -> Self {
        let share = |weight: u32| Share { weight: weight.into(), credit: 0, rests_until: None };
        let (choices, shares) = weighted.map(|(choice, weight)| (choice, share(weight))).unzip();
        Self { choices, shares: Mutex::new(shares) }
    }

    pub(super) fn get(&self, choice: usize) -> &T {
        &self.choices[choice]
    }

    /// All endpoints, the one whose turn it is first.
    pub(super) fn order(&self) -> Vec<usize> {
        if self.choices.len() == 1 {
            return vec![0];
        }
        let now = Instant::now();
        let mut shares = self.shares();
        let sum: i64 = shares.iter().map(|share| share.weight).sum();
        for share in shares.iter_mut() {
            share.credit += share.weight;
        }
        let mut order: Vec<_> = (0..shares.len()).collect();
        order.sort_by_key(|&choice| {
            let share = &shares[choice];
            let rests = share.rests_until.is_some_and(|until| until > now);
            (rests, share.weight == 0, std::cmp::Reverse(share.credit))
        });
        if let Some(&first) = order.first() {
            shares[first].credit -= sum;
        }
        order
    }

    pub(super) fn failed(&self, choice: usize) {
        self.shares()[choice].rests_until = Some(Instant::now() + REST);
    }

    /// A panic elsewhere leaves at worst a turn miscounted.
    fn shares(&self) -> MutexGuard<'_, Vec<Share>> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(balance: &Balance<char>, count: usize) -> String {
        (0..count).map(|_| *balance.get(balance.order()[0])).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn shares_follow_weights_without_bursts() {
        let balance = Balance::new([('a', 4), ('b', 1), ('c', 1)].into_iter());
        let turns = turns(&balance, 12);
        assert_eq!(turns.matches('a').count(), 8);
        assert_eq!(turns.matches('b').count(), 2);
        assert!(!turns.contains("aaaaa"), "{turns}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_failed_rests_and_comes_back() {
        let balance = Balance::new([('a', 1), ('b', 1), ('z', 0)].into_iter());
        balance.failed(0);
        assert_eq!(turns(&balance, 3), "bbb");
        balance.failed(1);
        assert_eq!(turns(&balance, 2), "zz");
        tokio::time::advance(REST).await;
        let back = turns(&balance, 8);
        assert!(back.contains('a') && back.contains('b') && !back.contains('z'), "{back}");
    }
}
