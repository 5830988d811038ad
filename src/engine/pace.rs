//! The throttle's state of one account. It lives with the account, so a reload, a change of rate or
//! an eviction policy of its own can't refill it.

use std::sync::atomic::{AtomicU32, AtomicU64};

/// Cells of one account's throttles. The arithmetic on them is `governor`'s, in `guard::throttle`.
#[derive(Debug, Default)]
pub struct Pace {
    /// Theoretical arrival time of the limit on requests, nanoseconds on the guard's clock.
    pub limit: AtomicU64,
    /// The same for the throttle that the score tightens.
    pub throttle: AtomicU64,
    /// Exchanges whose body has not ended yet.
    pub in_flight: AtomicU32,
}
