//! What a connection is doing, and what it holds while it lives.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::telemetry::Telemetry;

/// Exchanges under way on one connection. An exchange ends with its answer's body.
#[derive(Debug, Default)]
pub(super) struct Activity {
    under_way: AtomicUsize,
    begun: AtomicU64,
    /// The head that was just read must be refused, for what hyper does not tell of it.
    doubtful: AtomicBool,
    /// One waiter at most: the connection's own task.
    changed: Notify,
}

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

    /// Resolves when nothing has been under way for `limit`.
    pub(super) async fn idle_for(&self, limit: Duration) {
        loop {
            tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep(limit), if self.is_idle() => return,
            }
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

pin_project! {
    /// A body that counts as under way until it is dropped.
    #[derive(Debug)]
    pub(super) struct Tracked<B> {
        #[pin]
        body: B,
        under_way: UnderWay,
    }
}

impl<B> Tracked<B> {
    pub(super) fn new(body: B, under_way: UnderWay) -> Self {
        Self { body, under_way }
    }
}

impl<B: Body<Data = Bytes>> Body for Tracked<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_exchange_restarts_the_wait_for_idleness() {
        let activity = Arc::new(Activity::default());
        let start = tokio::time::Instant::now();
        let waiting = Arc::clone(&activity);
        let idle = tokio::spawn(async move { waiting.idle_for(Duration::from_secs(10)).await });
        tokio::time::sleep(Duration::from_secs(8)).await;
        let exchange = activity.enter();
        tokio::time::sleep(Duration::from_secs(60)).await;
        drop(exchange);
        idle.await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 78);
    }
}
