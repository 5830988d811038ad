//! Pace: governor's arithmetic on cells that live inside the account.
//!
//! A limiter is made for every check: it is three numbers, cheaper than looking one up, and so
//! rates may differ by account and score without a map to bound. All limiters count from the
//! guard's clock at zero, so a cell written under one rate is valid under every other.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use governor::{Quota, RateLimiter};

use crate::dialect::Standing;
use crate::engine;
use crate::policy::{Pace, Rate};

/// The longest wait that is named to a caller: clients sleep through longer ones without a word.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The most that one exchange takes out of a cell, and how far a cell may lie ahead of the clock:
/// 36 and 146 years. Governor adds unchecked.
const DEAREST: u64 = 1 << 60;
const DEEPEST: u64 = 1 << 62;

/// Takes one request out of `cell` at `pace`, slowed `tightened` times; or says how long to wait.
///
/// `now` is in nanoseconds of the guard's clock. The burst shrinks as the rate does, so a rising
/// score never frees what has been used up; one request always fits.
pub(super) fn admit(
    cell: &AtomicU64,
    pace: Pace,
    tightened: f64,
    now: u64,
) -> Result<(), Duration> {
    check(cell, quota(pace.into(), tightened), NonZeroU32::MIN, now)
}

/// Takes `amount` out of `cell` at `rate`, or says how long to wait. Returns what was taken, in the
/// cell's own nanoseconds, for [`settle`].
///
/// More than the burst asks for a full burst and leaves the rest as a debt, which everyone after
/// waits for: refused, it could never be asked at all.
pub(super) fn take(cell: &AtomicU64, rate: Rate, amount: u32, now: u64) -> Result<u64, Duration> {
    let Some(amount) = NonZeroU32::new(amount) else { return Ok(0) };
    let quota = quota(rate, 1.0);
    let at_once = amount.min(quota.burst_size());
    check(cell, quota, at_once, now)?;
    let taken = cost(quota, at_once.get());
    let wanted = cost(quota, amount.get());
    settle(cell, taken, wanted, now);
    Ok(wanted)
}

/// Corrects what was `taken` out of `cell` to what is `owed`.
pub(super) fn settle(cell: &AtomicU64, taken: u64, owed: u64, now: u64) {
    let corrected = |seen: u64| {
        Some(match owed.checked_sub(taken) {
            Some(0) => return None,
            Some(more) => seen.max(now).saturating_add(more).min(now.saturating_add(DEEPEST)),
            None => seen.saturating_sub(taken - owed),
        })
    };
    // Nothing to correct is no failure.
    let _ = cell.fetch_update(AcqRel, Acquire, corrected);
}

/// What `amount` costs at `rate`, in nanoseconds of a cell.
pub(super) fn price(rate: Rate, amount: u32) -> u64 {
    cost(quota(rate, 1.0), amount)
}

/// How much `cell` has left at `rate`.
pub(super) fn standing(cell: &AtomicU64, rate: Rate, now: u64) -> Standing {
    let quota = quota(rate, 1.0);
    let interval = (quota.replenish_interval().as_nanos() as u64).max(1);
    let limit = u64::from(quota.burst_size().get());
    let whole = interval.saturating_mul(limit);
    let owed = cell.load(Acquire).saturating_sub(now);
    Standing {
        limit,
        remaining: whole.saturating_sub(owed) / interval,
        reset: Duration::from_nanos(owed),
        window: Duration::from_nanos(whole),
    }
}

fn cost(quota: Quota, amount: u32) -> u64 {
    let interval = quota.replenish_interval().as_nanos() as u64;
    interval.saturating_mul(amount.into()).min(DEAREST)
}

fn check(cell: &AtomicU64, quota: Quota, amount: NonZeroU32, now: u64) -> Result<(), Duration> {
    let clock = Epoch::default();
    let limiter: RateLimiter<_, _, _, NoOpMiddleware<Nanos>> =
        RateLimiter::new(quota, Tat(cell), clock);
    limiter.clock().0.set(now);
    // More than the burst never comes here.
    let outcome = limiter.check_n(amount).unwrap_or(Ok(()));
    outcome.map_err(|until| until.wait_time_from(Nanos::new(now)))
}

/// The quota of `rate` slowed `tightened` times. Governor multiplies unchecked, so the burst is
/// kept below 2^61 ns (73 years), far from where sums of times would wrap.
fn quota(rate: Rate, tightened: f64) -> Quota {
    let every = f64::from(rate.every.seconds()) * 1e9;
    let interval = every / f64::from(rate.amount.get()) * tightened;
    let interval = Duration::from_nanos((interval as u64).max(1));
    let fits = (1u64 << 61) / interval.as_nanos() as u64;
    let burst = (f64::from(rate.burst.get()) / tightened) as u32;
    let burst = burst.min(u32::try_from(fits).unwrap_or(u32::MAX));
    let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
    let quota = Quota::with_period(interval).unwrap_or_else(|| Quota::per_minute(burst));
    quota.allow_burst(burst)
}

/// Shows zero while a limiter is made, which fixes where it counts from, then the time of a check.
#[derive(Debug, Default)]
struct Epoch(Cell<u64>);

impl Clock for Epoch {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.get())
    }
}

/// An account's theoretical arrival time, as governor's store of one.
struct Tat<'a>(&'a AtomicU64);

impl StateStore for Tat<'_> {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _: &NotKeyed, change: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut seen = self.0.load(Acquire);
        loop {
            let (outcome, next) = change(Some(Nanos::new(seen)))?;
            match self.0.compare_exchange_weak(seen, next.as_u64(), AcqRel, Acquire) {
                Ok(_) => return Ok(outcome),
                Err(now) => seen = now,
            }
        }
    }
}

/// One of an account's exchanges in flight; given back when dropped.
#[derive(Debug)]
pub(super) struct Permit(Arc<engine::Pace>);

impl Permit {
    /// Counts one more exchange, unless `limit` are in flight already.
    pub(super) fn take(pace: &Arc<engine::Pace>, limit: Option<NonZeroU32>) -> Option<Self> {
        let limit = limit.map_or(u32::MAX, NonZeroU32::get);
        let more = |flying: u32| (flying < limit).then(|| flying + 1);
        pace.in_flight.fetch_update(AcqRel, Relaxed, more).ok().map(|_| Self(Arc::clone(pace)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, AcqRel);
    }
}

/// A wait as a caller is told it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Wait {
    /// Whole seconds, 1 to 30.
    pub seconds: u64,
    pub millis: u64,
    /// The wait is longer than anyone is told: the client must not sleep through it but say so.
    pub too_long: bool,
}

impl Wait {
    /// Rounds up and adds up to a quarter by `seed`, so that refused callers don't return as one.
    pub(super) fn new(wait: Duration, seed: u64) -> Self {
        let longest = LONGEST_WAIT.as_millis() as u64;
        let exact = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        let spread = (exact / 4).clamp(50, 2_000);
        let millis = exact.saturating_add(seed % spread).clamp(100, longest);
        Self { seconds: millis.div_ceil(1000), millis, too_long: exact > longest }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::Ladder;

    const SECOND: u64 = 1_000_000_000;

    fn pace(requests_per_minute: u32, burst: u32) -> Pace {
        let number = |n| NonZeroU32::new(n).unwrap();
        Pace { requests_per_minute: number(requests_per_minute), burst: number(burst) }
    }

    /// Requests admitted of one every 10 ms for `seconds`.
    fn admitted(pace: Pace, tightened: f64, seconds: u64) -> usize {
        let cell = AtomicU64::new(0);
        let tries = (0..seconds * 100).map(|i| 3 * SECOND + i * SECOND / 100);
        tries.filter(|now| admit(&cell, pace, tightened, *now).is_ok()).count()
    }

    fn tightening(excess: f32) -> f64 {
        Ladder { throttle: 0.0, ..Ladder::default() }.tightening(excess)
    }

    #[test]
    fn the_rate_halves_with_every_nat() {
        let per_minute = |excess| admitted(pace(600, 1), tightening(excess), 600) / 10;
        assert_eq!([0.0, 1.0, 2.0, 3.0].map(per_minute), [600, 300, 150, 75]);
    }

    #[test]
    fn a_burst_is_admitted_once() {
        let cell = AtomicU64::new(0);
        let at_once = (0..50).filter(|_| admit(&cell, pace(60, 5), 1.0, SECOND).is_ok()).count();
        assert_eq!(at_once, 5);
        assert_eq!(admit(&cell, pace(60, 5), 1.0, SECOND), Err(Duration::from_secs(1)));
        assert_eq!(admit(&cell, pace(60, 5), 1.0, 2 * SECOND), Ok(()));
    }

    #[test]
    fn a_rising_score_frees_nothing() {
        let cell = AtomicU64::new(0);
        while admit(&cell, pace(60, 8), 1.0, SECOND).is_ok() {}
        for excess in 0..12 {
            let tightened = tightening(excess as f32);
            assert!(admit(&cell, pace(60, 8), tightened, SECOND).is_err(), "at {excess} nats");
        }
    }

    #[test]
    fn no_score_and_no_pace_overflows_the_arithmetic() {
        for excess in [f32::NAN, f32::NEG_INFINITY, f32::INFINITY, 1e30, -1e30] {
            for pace in [pace(1, u32::MAX), pace(u32::MAX, u32::MAX), pace(1, 1)] {
                let cell = AtomicU64::new(0);
                let century = 100 * 365 * 86_400 * SECOND;
                assert_eq!(admit(&cell, pace, tightening(excess), century), Ok(()));
                assert!(cell.load(Relaxed) > century);
            }
        }
    }

    #[test]
    fn permits_are_counted_and_given_back() {
        let pace = Arc::new(engine::Pace::default());
        let limit = NonZeroU32::new(2);
        let held = [Permit::take(&pace, limit), Permit::take(&pace, limit)];
        assert!(held.iter().all(Option::is_some));
        assert!(Permit::take(&pace, limit).is_none());
        drop(held);
        assert_eq!(pace.in_flight.load(Relaxed), 0);
        assert!(Permit::take(&pace, limit).is_some());
    }

    proptest! {
        #[test]
        fn a_wait_told_is_long_enough_and_never_zero(millis in 0u64..200_000, seed: u64) {
            let wait = Wait::new(Duration::from_millis(millis), seed);
            prop_assert!((1..=30).contains(&wait.seconds));
            prop_assert!((100..=30_000).contains(&wait.millis));
            prop_assert!(wait.seconds * 1000 >= wait.millis);
            prop_assert!(wait.millis >= millis || wait.too_long);
            prop_assert_eq!(wait.too_long, millis >= 30_000);
        }
    }
}
