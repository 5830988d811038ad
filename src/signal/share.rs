//! A share of an account's requests that forgets.

/// How many of the account's recent requests had some mark: counts that shrink a little with every
/// request, so that a low-and-slow account can't wait them out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Share {
    hits: f32,
    total: f32,
    seen: u32,
}

/// Unmarked requests every account is given to start with: a few early hits are no habit yet.
const BENEFIT: f32 = 2.0;

impl Share {
    /// Takes in one request. `memory` is how many requests the counts reach back.
    pub(super) fn take(&mut self, hit: bool, memory: u32) {
        let keep = 1.0 - 1.0 / memory.max(1) as f32;
        self.hits = self.hits * keep + f32::from(u8::from(hit));
        self.total = self.total * keep + 1.0;
        self.seen = self.seen.saturating_add(1);
    }

    /// The share, once `at_least` requests were taken in.
    pub(super) fn get(&self, at_least: u32) -> Option<f32> {
        (self.seen >= at_least).then_some(self.hits / (self.total + BENEFIT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(hits: impl IntoIterator<Item = bool>) -> Share {
        let mut share = Share::default();
        hits.into_iter().for_each(|hit| share.take(hit, 50));
        share
    }

    #[test]
    fn a_share_says_nothing_before_enough_requests() {
        assert_eq!(after([true; 3]).get(4), None);
        assert_eq!(after([true; 4]).get(4).map(|share| share < 0.7), Some(true));
    }

    #[test]
    fn a_share_follows_what_the_account_does_now() {
        let share = after((0..400).map(|n| n >= 200)).get(4);
        assert!(share > Some(0.9) && share < Some(1.0), "{share:?}");
        assert!(after((0..400).map(|n| n < 200)).get(4) < Some(0.03));
        let half = after((0..400).map(|n| n % 2 == 0)).get(4);
        assert!(half > Some(0.45) && half < Some(0.51), "{half:?}");
    }
}
