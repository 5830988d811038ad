//! Which endpoint next: shares by weight, smoothly spread, those that are out last.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::cluster::{Cluster, Site};

/// Smooth weighted round robin, as nginx made it known: each turn adds the weight of every endpoint
/// that may be chosen to its credit; the richest is chosen and pays the sum of these weights.
#[derive(Debug)]
pub(super) struct Balance<T> {
    choices: Vec<T>,
    credits: Mutex<Vec<i64>>,
    pub(super) cluster: Arc<Cluster>,
}

impl<T> Balance<T> {
    /// `choice` is made for each endpoint.
    pub(super) fn new(cluster: Arc<Cluster>, choice: impl Fn(&Site) -> T) -> Self {
        let choices: Vec<_> = cluster.sites.iter().map(choice).collect();
        let credits = Mutex::new(vec![0; choices.len()]);
        Self { choices, credits, cluster }
    }

    pub(super) fn get(&self, choice: usize) -> (&T, &Site) {
        (&self.choices[choice], &self.cluster.sites[choice])
    }

    /// All endpoints, the one whose turn it is first.
    pub(super) fn order(&self) -> Vec<usize> {
        let sites = &self.cluster.sites;
        if sites.len() == 1 {
            return vec![0];
        }
        let mut out: Vec<_> = sites.iter().map(|site| site.health.is_out()).collect();
        if self.panics(&out) {
            self.cluster.series.panicked();
            out.fill(false);
        }
        let full: Vec<_> = sites.iter().map(Site::is_full).collect();
        // Nothing is saved up by those that are passed over, to be spent in one burst at their return.
        let fit = |choice: usize| !out[choice] && !full[choice];
        let any = (0..sites.len()).any(fit);
        let mut credits = self.credits();
        let mut sum = 0;
        for (choice, site) in sites.iter().enumerate().filter(|(choice, _)| fit(*choice) || !any) {
            credits[choice] += i64::from(site.weight);
            sum += i64::from(site.weight);
        }
        let mut order: Vec<_> = (0..sites.len()).collect();
        order.sort_by_key(|&choice| {
            let spare = sites[choice].weight == 0;
            (full[choice], out[choice], spare, std::cmp::Reverse(credits[choice]))
        });
        if let Some(&first) = order.first() {
            // Spare ones take turns, too.
            credits[first] -= sum.max(1);
            sites[first].health.chosen();
        }
        order
    }

    /// Whether too few are well to bear the load of all, as in Envoy: where a spare one is well, it
    /// bears it first.
    fn panics(&self, out: &[bool]) -> bool {
        let sites = || self.cluster.sites.iter().zip(out);
        let spare_is_well = sites().any(|(site, out)| site.weight == 0 && !out);
        let sharing = || sites().filter(|(site, _)| site.weight > 0);
        let (all, well) = (sharing().count(), sharing().filter(|(_, out)| !**out).count());
        let share = well as f32 / all.max(1) as f32;
        !spare_is_well && well < all && share < self.cluster.settings.health.panic_below
    }

    /// A panic elsewhere leaves at worst a turn miscounted.
    fn credits(&self) -> MutexGuard<'_, Vec<i64>> {
        self.credits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::settings::Settings;
    use super::*;
    use crate::telemetry::Telemetry;

    /// Endpoints by their one letter and weight.
    fn balance<const N: usize>(weighted: [(char, u32); N]) -> Balance<char> {
        let endpoint = |(name, weight)| serde_json::json!({ "url": format!("http://{name}"), "weight": weight });
        let endpoints: Vec<_> = weighted.into_iter().map(endpoint).collect();
        let settings = serde_json::json!({ "endpoints": endpoints, "health": { "failures": 1 } });
        let settings: Settings = serde_json::from_value(settings).unwrap();
        let cluster = Cluster::new("default".to_owned(), settings, &Telemetry::default());
        Balance::new(Arc::new(cluster.unwrap()), |site| site.label.chars().next_back().unwrap())
    }

    fn turns(balance: &Balance<char>, count: usize) -> String {
        (0..count).map(|_| *balance.get(balance.order()[0]).0).collect()
    }

    fn failed<const N: usize>(balance: &Balance<char>, choices: [usize; N]) {
        choices.iter().for_each(|&choice| balance.get(choice).1.health.failed());
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
        failed(&balance, [0]);
        assert_eq!(turns(&balance, 3), "bbb");
        failed(&balance, [1]);
        assert_eq!(turns(&balance, 2), "zz", "a spare one bears the load before anybody panics");
        failed(&balance, [2]);
        assert_eq!(balance.order().len(), 3, "when all are out, all are tried");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(turns(&balance, 2).matches('z').count(), 0, "one trial each");
        [0, 1].iter().for_each(|&choice| balance.get(choice).1.health.answered());
        let back = turns(&balance, 8);
        assert!(back.contains('a') && back.contains('b') && !back.contains('z'), "{back}");
    }

    #[tokio::test(start_paused = true)]
    async fn too_few_that_are_well_are_not_left_alone_with_the_load_of_all() {
        let balance = balance([('a', 1), ('b', 1), ('c', 1), ('d', 1)]);
        failed(&balance, [0, 1]);
        let half = turns(&balance, 8);
        assert!(!half.contains('a') && !half.contains('b'), "half of them is enough: {half}");
        failed(&balance, [2]);
        let panicking = turns(&balance, 8);
        assert!("abcd".chars().all(|one| panicking.matches(one).count() == 2), "{panicking}");
        balance.get(0).1.health.answered();
        let half = turns(&balance, 8);
        assert!(half.matches('a').count() == 4 && half.matches('d').count() == 4, "{half}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_comes_back_is_not_flooded() {
        let balance = balance([('a', 1), ('b', 1)]);
        failed(&balance, [0]);
        assert_eq!(turns(&balance, 50).matches('b').count(), 50);
        balance.get(0).1.health.answered();
        assert_eq!(turns(&balance, 10).matches('a').count(), 5);
    }
}
