//! Lengths and times after public traces.
//!
//! Quantiles of tokens are those of the Azure LLM inference traces of 2023 (conversation and code,
//! Patel et al., ISCA 2024) and of the Mooncake conversation trace (FAST 2025). The profile of a
//! day is the mean over Alibaba's ServeGen clients, 14 days; so is the spread of clients' loads,
//! which scenarios make narrower: its clients are whole products.

use crate::lab::rng::Rng;

/// Quantiles .01 .05 .1 .25 .5 .75 .9 .95 .99 of a length.
#[derive(Clone, Copy, Debug)]
pub struct Lengths([f64; 9]);

const AT: [f64; 9] = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99];

pub const CHAT_IN: Lengths =
    Lengths([29.0, 181.0, 207.0, 396.0, 1020.0, 1189.0, 2735.0, 4083.0, 4142.0]);
pub const CHAT_OUT: Lengths = Lengths([16.0, 41.0, 54.0, 85.0, 129.0, 395.0, 424.0, 451.0, 601.0]);
pub const CODE_IN: Lengths =
    Lengths([17.0, 75.0, 147.0, 578.0, 1469.0, 2745.0, 5194.0, 7315.0, 7436.0]);
pub const CODE_OUT: Lengths = Lengths([6.0, 6.0, 7.0, 9.0, 13.0, 24.0, 55.0, 90.0, 252.0]);
pub const AGENT_OUT: Lengths =
    Lengths([3.0, 10.0, 24.0, 156.0, 350.0, 472.0, 597.0, 698.0, 1120.0]);

impl Lengths {
    /// A length, log-linear between the quantiles.
    pub fn draw(self, rng: &mut Rng) -> u32 {
        let at = rng.unit().clamp(AT[0], AT[8]);
        let above = AT.iter().position(|q| *q >= at).unwrap_or(8).max(1);
        let (low, high) = (self.0[above - 1].ln(), self.0[above].ln());
        let part = (at - AT[above - 1]) / (AT[above] - AT[above - 1]);
        (low + (high - low) * part).exp() as u32
    }
}

/// Load of each hour of the day against the mean.
const HOURS: [f64; 24] = [
    0.84, 0.71, 0.73, 0.68, 0.71, 0.66, 0.68, 0.85, 1.02, 1.05, 1.13, 1.09, 1.06, 1.07, 1.06, 1.05,
    1.09, 1.08, 1.01, 1.23, 1.46, 1.4, 1.27, 1.06,
];

/// The busiest hour against the mean.
pub const PEAK: f64 = 1.46;

/// Load at `at` milliseconds in a time zone `zone` hours east of the start.
pub fn load(at: u64, zone: u32) -> f64 {
    HOURS[((at / 3_600_000 + u64::from(zone)) % 24) as usize]
}

/// Milliseconds to the next event of a Poisson process of `per_day`, its rate following the day
/// where `zone` is given.
pub fn gap(now: u64, per_day: f64, zone: Option<u32>, rng: &mut Rng) -> u64 {
    let peak = if zone.is_some() { PEAK } else { 1.0 };
    let mean = 86_400_000.0 / (per_day.max(1e-6) * peak);
    let mut at = now as f64;
    // Thinning (Lewis and Shedler 1979); the bound only guards against a rate of nothing.
    for _ in 0..1_000 {
        at -= (1.0 - rng.unit()).ln() * mean;
        if zone.is_none_or(|zone| rng.chance(load(at as u64, zone) / PEAK)) {
            break;
        }
    }
    (at as u64).saturating_sub(now).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_lengths_have_the_medians_of_their_trace() {
        let mut rng = Rng::new(1);
        let mut drawn: Vec<u32> = (0..9_999).map(|_| CHAT_OUT.draw(&mut rng)).collect();
        drawn.sort_unstable();
        assert!((115..145).contains(&drawn[5_000]), "{}", drawn[5_000]);
        assert!(drawn[0] >= 15 && drawn[9_998] <= 601);
    }

    #[test]
    fn a_day_has_as_many_events_as_its_rate_and_more_of_them_in_the_evening() {
        let (mut rng, mut at, mut hours) = (Rng::new(2), 0, [0_u32; 24]);
        let days = 200;
        while at < days * 86_400_000 {
            at += gap(at, 50.0, Some(0), &mut rng);
            hours[(at / 3_600_000 % 24) as usize] += 1;
        }
        let all: u32 = hours.iter().sum();
        assert!((9_300..10_700).contains(&all), "{all}");
        assert!(hours[20] > hours[4] * 3 / 2, "{hours:?}");
    }
}
