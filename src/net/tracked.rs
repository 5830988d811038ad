//! An answer's body as its connection sees it.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Instant;

use super::activity::{Activity, Taken, UnderWay};
use super::app::BoxError;

pin_project! {
    /// A body that counts as under way until it is dropped.
    #[derive(Debug)]
    pub(super) struct Tracked<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindOf]
    #[derive(Debug)]
    enum Kind<B> {
        Plain { #[pin] body: B, under_way: UnderWay },
        Watched { shared: Arc<Shared<B>> },
    }
}

/// Bodies on HTTP/2 are shared with their connection, which lets go of those whose client leaves
/// them untaken: nobody polls them meanwhile, so they can't do it themselves.
struct Shared<B> {
    state: Mutex<State<B>>,
}

struct State<B> {
    /// None once it was cut.
    running: Option<(Pin<Box<B>>, UnderWay)>,
    /// Since when the client has what came last, and has not asked for more.
    handed: Option<Instant>,
}

impl<B: Body<Data = Bytes>> Tracked<B> {
    pub(super) fn new(body: B, under_way: UnderWay) -> Self {
        Self { kind: Kind::Plain { body, under_way } }
    }

    /// A body that `activity` may cut.
    pub(super) fn watched(body: B, under_way: UnderWay, activity: &Activity) -> Self
    where
        B: Send + 'static,
    {
        let running = Some((Box::pin(body), under_way));
        let shared = Arc::new(Shared { state: Mutex::new(State { running, handed: None }) });
        let weak: Weak<Shared<B>> = Arc::downgrade(&shared);
        activity.watch(weak);
        Self { kind: Kind::Watched { shared } }
    }
}

impl<B> Shared<B> {
    /// A panic of a body's ends its stream, and with it all use of this.
    fn state(&self) -> MutexGuard<'_, State<B>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: Send> Taken for Shared<B> {
    fn cut_if_left(&self, limit: Duration) {
        let mut state = self.state();
        let cut = match state.handed.is_some_and(|since| since.elapsed() >= limit) {
            true => state.running.take(),
            false => None,
        };
        drop(state);
        drop(cut);
    }
}

impl<B> Body for Tracked<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let poll = match self.project().kind.project() {
            KindOf::Plain { body, .. } => body.poll_frame(cx),
            KindOf::Watched { shared } => {
                let mut state = shared.state();
                let Some((body, _)) = &mut state.running else {
                    return Poll::Ready(Some(Err("the client took nothing for too long".into())));
                };
                let poll = body.as_mut().poll_frame(cx);
                state.handed = poll.is_ready().then(Instant::now);
                poll
            }
        };
        poll.map(|frame| frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Plain { body, .. } => body.is_end_stream(),
            Kind::Watched { shared } => {
                let state = shared.state();
                state.running.as_ref().is_some_and(|(body, _)| body.is_end_stream())
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Plain { body, .. } => body.size_hint(),
            Kind::Watched { shared } => {
                let state = shared.state();
                state.running.as_ref().map(|(body, _)| body.size_hint()).unwrap_or_default()
            }
        }
    }
}

impl<B> fmt::Debug for Shared<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};
    use tokio::time::advance;

    use super::*;

    const STALL: Duration = Duration::from_secs(120);

    /// Watched by its connection, which idles after a second.
    fn answer(activity: &Arc<Activity>) -> Pin<Box<Tracked<Full<Bytes>>>> {
        let under_way = activity.enter();
        let watching = Arc::clone(activity);
        tokio::spawn(async move { watching.idle_for(Duration::from_secs(1), STALL).await });
        Box::pin(Tracked::watched(Full::from("an answer"), under_way, activity))
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_client_leaves_untaken_is_let_go_of() {
        let activity = Arc::<Activity>::default();
        let mut body = answer(&activity);
        assert!(body.frame().await.unwrap().unwrap().is_data());
        tokio::time::sleep(STALL - Duration::from_secs(1)).await;
        assert!(!activity.is_idle());
        tokio::time::sleep(STALL / 2).await;
        assert!(activity.is_idle(), "the exchange is over though its stream is not");
        assert!(body.frame().await.unwrap().is_err(), "and the stream is seen cut");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_waited_for_or_just_over_is_left_alone() {
        let activity = Arc::<Activity>::default();
        let mut body = answer(&activity);
        advance(STALL * 3).await;
        tokio::task::yield_now().await;
        assert!(body.frame().await.unwrap().unwrap().is_data(), "nobody had been handed anything");
        assert!(body.frame().await.is_none());
        assert!(body.is_end_stream());
    }
}
