//! Seeded randomness: the same seed gives the same world, on every machine.

/// SplitMix64 (Steele, Lea and Flood, 2014): one multiply-xor chain over a counter. Good enough for
/// picking words and times, never for secrets.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A stream of its own for `purpose`, so that drawing more for one thing does not shift others.
    pub fn split(&self, purpose: u64) -> Self {
        let mut child = Self(self.0 ^ purpose.wrapping_mul(0xa076_1d64_78bd_642f));
        Self(child.draw())
    }

    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform below `bound`; zero when `bound` is zero.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.draw()) * bound as u128) >> 64) as usize
    }

    /// Uniform in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of `from`, which must not be empty.
    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    /// Log-normal around `median`: how long people think. `sigma` is in nats.
    pub fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        median * (sigma * radius * (std::f64::consts::TAU * self.unit()).cos()).exp()
    }

    /// A rank below `bound` with probability proportional to `1 / (rank + 1)`: what many people ask
    /// one help desk. Linear in `bound`.
    pub fn zipf(&mut self, bound: usize) -> usize {
        let total: f64 = (1..=bound).map(|rank| 1.0 / rank as f64).sum();
        let mut left = self.unit() * total;
        for rank in 0..bound {
            left -= 1.0 / (rank + 1) as f64;
            if left < 0.0 {
                return rank;
            }
        }
        bound.saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_draws_are_those_of_the_published_generator() {
        let mut rng = Rng::new(0);
        let drawn = [rng.draw(), rng.draw()];
        assert_eq!(drawn, [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
    }

    #[test]
    fn streams_split_off_differ_from_each_other_and_from_their_parent() {
        let root = Rng::new(7);
        let drawn = [root.clone().draw(), root.split(1).draw(), root.split(2).draw()];
        assert!(drawn[0] != drawn[1] && drawn[1] != drawn[2] && drawn[0] != drawn[2]);
    }

    #[test]
    fn think_times_lie_around_their_median() {
        let mut rng = Rng::new(3);
        let long = (0..4000).filter(|_| rng.log_normal(10.0, 0.8) > 10.0).count();
        assert!((1800..2200).contains(&long), "{long} of 4000 above the median");
    }

    #[test]
    fn low_ranks_are_asked_for_most() {
        let mut rng = Rng::new(5);
        let mut hits = [0; 20];
        (0..4000).for_each(|_| hits[rng.zipf(20)] += 1);
        assert!(hits[0] > hits[4] && hits[4] > hits[19] && hits[19] > 0, "{hits:?}");
    }
}
