//! When something was written, by two clocks: one that operators set, and one that nobody can.
//!
//! The time since boot runs through suspends and never jumps. So as long as the machine has not been
//! started again, the time that passed between a write and a read is known however the wall clock
//! was set meanwhile. Over a boot it is not; then an absence counts for an hour at most.

use std::time::Duration;

use crate::engine::memory::{Moment, Recall, VERSION};
use crate::time::{Clock, Shift, Timestamp};

/// The machine's boot, and where to read what time has passed since.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Boot(pub(super) [u8; 16]);

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Stamp {
    /// By the process's clock, which read the wall clock once, at its start.
    pub(super) at: Timestamp,
    /// Milliseconds since boot; zero where the system doesn't tell.
    pub(super) uptime: u64,
}

/// Clocks that stand so close are one.
const TOLERANCE: i64 = 2_000;
/// What an absence of unknown length counts for at most.
const ABSENCE: Duration = Duration::from_secs(3600);

impl Boot {
    /// This boot. All zeros, which is no boot twice, where the system doesn't tell.
    pub(super) fn this() -> Self {
        let id = std::fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let mut boot = [0; 16];
        if !id.is_empty() {
            boot.copy_from_slice(&blake3::hash(&id).as_bytes()[..16]);
        }
        Self(boot)
    }
}

impl Stamp {
    pub(super) fn now(clock: Clock) -> Self {
        let uptime = uptime().and_then(|uptime| u64::try_from(uptime.as_millis()).ok());
        Self { at: clock.now(), uptime: uptime.unwrap_or_default() }
    }
}

/// Time since boot, that of suspends included. None where the system doesn't tell.
pub fn uptime() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/uptime").ok()?;
    let seconds = text.split(' ').next()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// How to read now what was written then.
pub(super) fn recall(
    (boot, then): (Boot, Stamp),
    (this, now): (Boot, Stamp),
    nanos: u64,
) -> Recall {
    let known =
        boot == this && boot != Boot::default() && then.uptime != 0 && now.uptime >= then.uptime;
    let passed = if known {
        Duration::from_millis(now.uptime - then.uptime)
    } else {
        now.at.since(then.at).min(ABSENCE)
    };
    let by = apart(now.at, then.at + passed);
    // Without a boot in common, only a clock that was set back is known to have been set.
    let stepped = if known { by } else { by.min(0) };
    let now = Moment { at: now.at, nanos };
    Recall { now, shift: Shift(by), stepped: Shift(stepped), version: VERSION }
}

fn apart(one: Timestamp, other: Timestamp) -> i64 {
    let [one, other] = [one, other].map(|at| i64::try_from(at.as_millis()).unwrap_or(i64::MAX));
    let by = one.saturating_sub(other);
    if by.abs() <= TOLERANCE { 0 } else { by }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;
    const THEN: u64 = 1_790_000_000_000;

    /// Hours by which times move and by which the clock was set, for a read `wall` and `uptime` hours
    /// after the write.
    fn moved(boots: (u8, u8), wall: i64, uptime: u64) -> (i64, i64) {
        let stamp = |wall: i64, uptime: u64| Stamp {
            at: Timestamp::from_millis(THEN.saturating_add_signed(wall * HOUR as i64)),
            uptime: 7 * HOUR + uptime * HOUR,
        };
        let boot = |n: u8| Boot([n; 16]);
        let recall = recall((boot(boots.0), stamp(0, 0)), (boot(boots.1), stamp(wall, uptime)), 0);
        (recall.shift.0 / HOUR as i64, recall.stepped.0 / HOUR as i64)
    }

    #[test]
    fn within_one_boot_every_step_of_the_wall_clock_is_known() {
        assert_eq!(moved((1, 1), 5, 5), (0, 0), "five hours have passed");
        assert_eq!(moved((1, 1), 24 * 365, 5), (24 * 365 - 5, 24 * 365 - 5), "set forwards");
        assert_eq!(moved((1, 1), -20, 5), (-25, -25), "set back");
    }

    #[test]
    fn over_a_boot_an_absence_counts_for_an_hour_and_a_clock_set_back_for_none() {
        assert_eq!(moved((1, 2), 1, 0), (0, 0));
        assert_eq!(moved((1, 2), 72, 0), (71, 0), "three days off, or a wrong clock");
        assert_eq!(moved((1, 2), -20, 0), (-20, -20));
        assert_eq!(moved((0, 0), 72, 72), (71, 0), "no boot is ever the same");
    }

    #[test]
    fn clocks_that_drift_are_not_stepped() {
        let at = |millis| Timestamp::from_millis(THEN + millis);
        let (boot, then) = (Boot([1; 16]), Stamp { at: at(0), uptime: 1 });
        let now = Stamp { at: at(61_500), uptime: 60_001 };
        assert_eq!(recall((boot, then), (boot, now), 0).shift, Shift(0));
    }

    #[test]
    fn this_machine_tells_its_boot_and_uptime() {
        assert_eq!(Boot::this(), Boot::this());
        assert_ne!(Boot::this(), Boot::default());
        assert!(uptime() > Some(Duration::ZERO));
    }
}
