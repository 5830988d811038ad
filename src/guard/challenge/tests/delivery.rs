//! Notices on their way to the operator's system, in time that only tests move.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::time::Instant;

use super::super::delivery::QUEUE;
use super::*;
use crate::engine::Engine;
use crate::guard::{self, Shared};
use crate::identity::{self, Identifier};
use crate::policy::Policies;
use crate::telemetry::Telemetry;

/// A queue, and whoever delivers it.
struct Post {
    shared: Arc<Shared>,
    notices: Sender<Notice>,
    /// Seconds after the beginning at which each attempt was made, and for which notice.
    attempts: Arc<Mutex<Vec<(u64, String)>>>,
}

impl Post {
    /// Attempt `n` at a notice is answered with `statuses[n]`; none is no answer at all.
    fn new(statuses: &'static [Option<u16>]) -> Self {
        let shared = shared();
        let (notices, queue) = channel(QUEUE);
        let attempts = Arc::<Mutex<Vec<(u64, String)>>>::default();
        let (made, began) = (Arc::clone(&attempts), Instant::now());
        let send = move |attempt: Attempt| {
            let id = attempt.fields[0].1.clone();
            let mut made = made.lock().unwrap();
            let before = made.iter().filter(|(_, other)| *other == id).count();
            made.push((began.elapsed().as_secs(), id));
            let status = statuses.get(before).copied().unwrap_or(Some(500));
            async move {
                match status {
                    Some(status) => StatusCode::from_u16(status).ok(),
                    None => std::future::pending().await,
                }
            }
        };
        tokio::spawn(Notices { queue, shared: Arc::clone(&shared) }.deliver(send));
        Self { shared, notices, attempts }
    }

    fn put(&self, id: &str) {
        self.notices.try_send(Notice { id: id.into(), body: "{}".into() }).unwrap();
    }

    fn seconds(&self) -> Vec<u64> {
        self.attempts.lock().unwrap().iter().map(|(seconds, _)| *seconds).collect()
    }

    fn counted(&self, outcome: &str) -> bool {
        let line = format!("stillguard_webhooks_total{{outcome=\"{outcome}\"}} 1\n");
        self.shared.telemetry.metrics.encode().contains(&line)
    }
}

fn shared() -> Arc<Shared> {
    let keyring = Keyring::new([1; 32]);
    let identifier = Identifier::new(&identity::Settings::default(), keyring.clone()).unwrap();
    let mut settings = guard::Settings::default();
    let mut webhook: Webhook = serde_json::from_str(r#"{"url": "https://ops.test/"}"#).unwrap();
    webhook.secret = Some(Secret::parse("sixteen bytes or more").unwrap());
    settings.challenge.webhook = Some(webhook);
    Arc::new(Shared {
        settings: ArcSwap::from_pointee(settings),
        identifier: ArcSwap::from_pointee(identifier),
        records: Default::default(),
        engine: Arc::new(Engine::new(Default::default(), Policies::default())),
        telemetry: Arc::new(Telemetry::default()),
        keyring,
        clock: Clock::starting_at(Timestamp::default()),
    })
}

async fn wait(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_notice_that_fails_is_tried_again_ever_later_and_then_given_up() {
    let post = Post::new(&[Some(503), None, Some(429), Some(302)]);
    post.put("a");
    wait(1000).await;
    // The second attempt is not answered within its ten seconds.
    assert_eq!(post.seconds(), [0, 1, 15, 31, 95, 351]);
    assert!(post.counted("failed"));
}

#[tokio::test(start_paused = true)]
async fn a_notice_that_is_taken_or_refused_is_not_sent_again() {
    for (status, outcome) in [(204, "delivered"), (401, "refused")] {
        let answers: &'static [_] = Box::leak(Box::new([Some(500), Some(status)]));
        let post = Post::new(answers);
        post.put("a");
        wait(1000).await;
        assert_eq!(post.seconds(), [0, 1]);
        assert!(post.counted(outcome), "{outcome}");
    }
}

#[tokio::test(start_paused = true)]
async fn eight_notices_that_fail_leave_the_rest_waiting_and_no_more() {
    let post = Post::new(&[]);
    (0..20).for_each(|n| post.put(&n.to_string()));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(post.seconds().len(), 8);
    wait(2000).await;
    assert_eq!(post.seconds().len(), 20 * 6);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_taken_out_of_the_file_is_told_nothing_more() {
    let post = Post::new(&[Some(500), Some(200)]);
    post.put("a");
    tokio::time::sleep(Duration::from_millis(500)).await;
    post.shared.settings.store(Arc::default());
    wait(1000).await;
    assert_eq!(post.seconds(), [0]);
    assert!(post.counted("dropped"));
}
