//! Takes notices to the operator's system, beside the traffic and never in its way.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::{StatusCode, Uri};
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;

use super::webhook::Notice;
use crate::guard::Shared;

/// Notices that may wait; further ones are dropped and counted.
pub(super) const QUEUE: usize = 1024;
/// Notices on their way at once, those that wait to be tried again included.
const AT_ONCE: usize = 8;
/// For one attempt.
const DEADLINE: Duration = Duration::from_secs(10);
/// Seconds between attempts.
const BACK_OFF: [u64; 5] = [1, 4, 16, 64, 256];

/// What waits to be delivered. There is one for each [`GuardLayer`](crate::guard::GuardLayer).
#[derive(Debug)]
pub struct Notices {
    pub(in crate::guard) queue: Receiver<Notice>,
    pub(in crate::guard) shared: Arc<Shared>,
}

/// One attempt to deliver a notice: a JSON body posted to `url` with these fields besides.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The operator's, as the file says it now.
    pub url: Uri,
    pub fields: [(&'static str, String); 3],
    pub body: String,
}

impl Notices {
    /// Delivers for as long as it is polled. `send` makes one attempt and returns the status it was
    /// answered with, or none; it must follow no redirect. It is given ten seconds.
    pub async fn deliver<F, R>(mut self, send: F)
    where
        F: Fn(Attempt) -> R + Clone + Send + 'static,
        R: Future<Output = Option<StatusCode>> + Send + 'static,
    {
        let mut under_way = JoinSet::new();
        loop {
            tokio::select! {
                notice = self.queue.recv(), if under_way.len() < AT_ONCE => {
                    let Some(notice) = notice else { break };
                    under_way.spawn(take(Arc::clone(&self.shared), notice, send.clone()));
                }
                Some(_) = under_way.join_next() => {}
            }
        }
        while under_way.join_next().await.is_some() {}
    }
}

async fn take<F, R>(shared: Arc<Shared>, notice: Notice, send: F)
where
    F: Fn(Attempt) -> R,
    R: Future<Output = Option<StatusCode>>,
{
    let outcome = attempts(&shared, &notice, send).await;
    shared.telemetry.metrics.webhook(outcome);
}

/// What became of a notice, for metrics.
async fn attempts<F, R>(shared: &Shared, notice: &Notice, send: F) -> &'static str
where
    F: Fn(Attempt) -> R,
    R: Future<Output = Option<StatusCode>>,
{
    for wait in BACK_OFF.into_iter().map(Some).chain([None]) {
        // Each attempt goes where the file says by then, signed for its own time.
        let Some(attempt) = attempt(shared, notice) else { return "dropped" };
        let answered = tokio::time::timeout(DEADLINE, send(attempt)).await.ok().flatten();
        match answered {
            Some(status) if status.is_success() => return "delivered",
            Some(status) if is_final(status) => return "refused",
            Some(_) | None => {}
        }
        if let Some(seconds) = wait {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
        }
    }
    "failed"
}

fn attempt(shared: &Shared, notice: &Notice) -> Option<Attempt> {
    let settings = shared.settings.load();
    let webhook = settings.challenge.webhook.as_ref()?;
    let fields = notice.fields(webhook.secret.as_ref()?, shared.clock.now());
    Some(Attempt { url: webhook.url.uri().clone(), fields, body: notice.body.clone() })
}

/// Whether trying again is of no use.
fn is_final(status: StatusCode) -> bool {
    status.is_client_error()
        && !matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}
