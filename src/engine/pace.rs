//! The throttle's state of one account. It lives with the account, so a reload, a change of rate or
//! an eviction policy of its own can't refill it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64};

use crate::time::Timestamp;

/// Cells of one account's throttles. The arithmetic on them is `governor`'s, in `guard::throttle`.
#[derive(Debug, Default)]
pub struct Pace {
    /// Theoretical arrival time of the limit on requests, nanoseconds on the guard's clock.
    pub limit: AtomicU64,
    /// The same for the throttle that the score tightens.
    pub throttle: AtomicU64,
    /// The same for the limits on tokens: input, output, both together.
    pub tokens: [AtomicU64; 3],
    /// What of the quotas has been spent, in the order of [`Period::ALL`].
    ///
    /// [`Period::ALL`]: crate::policy::Period::ALL
    pub windows: Mutex<[Window; 2]>,
    /// Exchanges whose body has not ended yet.
    pub in_flight: AtomicU32,
}

/// A quota's current window, and the tokens that are spent or reserved in it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Window {
    pub start: Timestamp,
    pub tokens: u64,
}
