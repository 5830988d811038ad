//! What a connection is doing, and what it holds while it lives.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::interval;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::telemetry::Telemetry;

/// Exchanges under way on one connection. An exchange ends with its answer's body.
#[derive(Debug, Default)]
pub(super) struct Activity {
    under_way: AtomicUsize,
    begun: AtomicU64,
    /// The head that was just read must be refused, for what hyper does not tell of it.
    doubtful: AtomicBool,
    /// Another protocol is spoken now.
    switched: AtomicBool,
    /// Answers on HTTP/2, those that are over among them for a while.
    taken: Mutex<Vec<Weak<dyn Taken>>>,
    /// One waiter at most: the connection's own task.
    changed: Notify,
}

/// An answer that its client takes, or leaves untaken.
pub(super) trait Taken: std::fmt::Debug + Send + Sync {
    /// Lets go of the answer if its client has taken nothing of it for `limit`.
    fn cut_if_left(&self, limit: Duration);
}

/// How often answers are looked at in the time they may be left untaken.
const LOOKS: u32 = 4;

/// One exchange, counted until dropped.
#[derive(Debug)]
pub(super) struct UnderWay(Arc<Activity>);

impl Activity {
    pub(super) fn enter(self: &Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_one();
        UnderWay(Arc::clone(self))
    }

    pub(super) fn is_idle(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) == 0
    }

    /// Exchanges begun so far: tells a quick one from none at all.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    pub(super) fn doubt(&self) {
        self.doubtful.store(true, Ordering::Relaxed);
    }

    /// Whether the head at hand is in doubt. Asked once per exchange.
    pub(super) fn take_doubt(&self) -> bool {
        self.doubtful.swap(false, Ordering::Relaxed)
    }

    pub(super) fn switch(&self) {
        self.switched.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_switched(&self) -> bool {
        self.switched.load(Ordering::Relaxed)
    }

    /// Has an answer cut once it is left untaken. For connections whose windows, not their bytes, tell.
    pub(super) fn watch(&self, answer: Weak<dyn Taken>) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.len() > 2 * self.under_way.load(Ordering::Relaxed) {
            taken.retain(|answer| answer.strong_count() > 0);
        }
        taken.push(answer);
    }

    /// Resolves when nothing has been under way for `limit`. Until then, cuts answers that are left
    /// untaken for `stall`.
    pub(super) async fn idle_for(&self, limit: Duration, stall: Duration) {
        let mut look = interval((stall / LOOKS).max(Duration::from_millis(10)));
        loop {
            tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep(limit), if self.is_idle() => return,
                _now = look.tick(), if !self.is_idle() => self.cut_what_is_left(stall),
            }
        }
    }

    fn cut_what_is_left(&self, stall: Duration) {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for answer in taken.iter().filter_map(Weak::upgrade) {
            answer.cut_if_left(stall);
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
        self.0.changed.notify_one();
    }
}

/// A connection's place under the process's cap. Counted until the last clone is dropped, so a
/// tunnel that outlives its HTTP connection keeps the place, and a drain waits for it.
#[derive(Clone, Debug)]
pub(super) struct Hold {
    activity: Arc<Activity>,
    _place: Arc<Place>,
}

#[derive(Debug)]
struct Place {
    telemetry: Arc<Telemetry>,
    _permit: OwnedSemaphorePermit,
    _waited_for: TaskTrackerToken,
}

impl Hold {
    pub(super) fn new(
        permit: OwnedSemaphorePermit,
        waited_for: TaskTrackerToken,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        telemetry.metrics.connection_opened();
        let place = Arc::new(Place { telemetry, _permit: permit, _waited_for: waited_for });
        Self { activity: Arc::default(), _place: place }
    }

    pub(super) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.telemetry.metrics.connection_closed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALL: Duration = Duration::from_secs(120);

    #[tokio::test(start_paused = true)]
    async fn an_exchange_restarts_the_wait_for_idleness() {
        let activity = Arc::new(Activity::default());
        let start = tokio::time::Instant::now();
        let waiting = Arc::clone(&activity);
        let idle =
            tokio::spawn(async move { waiting.idle_for(Duration::from_secs(10), STALL).await });
        tokio::time::sleep(Duration::from_secs(8)).await;
        let exchange = activity.enter();
        tokio::time::sleep(Duration::from_secs(60)).await;
        drop(exchange);
        idle.await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 78);
    }
}
