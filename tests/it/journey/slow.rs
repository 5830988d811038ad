//! Streams of throttled accounts pass no faster than they may.

use std::num::NonZeroU32;
use std::time::Duration;

use http_body_util::BodyExt;
use stillguard::policy::{Action, TenantSettings, Throttle};
use tokio::time::Instant;

use super::scene::{Answered, Plan, Scene, Step, chat, chunk, stream};

const EVENT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\" word\"}}]}\n\n";

fn slowed(tokens: u32) -> impl Fn(&mut TenantSettings) {
    move |tenant| {
        let number = |n| NonZeroU32::new(n).unwrap();
        tenant.throttle = Some(Throttle {
            requests_per_minute: number(6000),
            burst: number(100),
            concurrency: NonZeroU32::new(4),
            stream_tokens_per_second: NonZeroU32::new(tokens),
        });
    }
}

async fn throttled(tokens: u32, nats: f32) -> Scene {
    let scene = Scene::with(slowed(tokens), |_| {});
    scene.introduce("k").await;
    scene.judge(Action::Throttle, 2.3 + nats);
    scene
}

/// All that comes, and how many seconds it took.
async fn taken(answered: Answered) -> (String, u64) {
    let began = Instant::now();
    let body = answered.into_body().collect().await.unwrap().to_bytes();
    (String::from_utf8(body.to_vec()).unwrap(), began.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn a_throttled_stream_passes_at_its_pace_byte_for_byte() {
    // However the endpoint hands it over: an event at a time, or all at once.
    for steps in [vec![EVENT; 100], vec![&EVENT.repeat(100)[..]]] {
        for (tokens, nats, seconds) in [(10, 0.0, 9..=10), (10, 1.0, 19..=20), (20, 0.0, 4..=5)] {
            let scene = throttled(tokens, nats).await;
            scene.plan(Plan::Answer(stream(steps.iter().copied().map(chunk))));
            let (said, took) = taken(scene.call(chat("k")).await).await;
            assert_eq!(said, EVENT.repeat(100));
            assert!(seconds.contains(&took), "{tokens} a second, {nats} nats: {took} s");
            assert_eq!(scene.last_end()["ending"], "complete");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_other_answer_is_slowed() {
    let stream = || Plan::Answer(stream(vec![EVENT; 100].into_iter().map(chunk)));
    let scene = throttled(1, 0.0).await;
    assert_eq!(taken(scene.call(chat("k")).await).await.1, 0, "not streamed");
    scene.judge(Action::Shape, 1.0);
    scene.plan(stream());
    assert_eq!(taken(scene.call(chat("k")).await).await.1, 0, "not throttled");
    let scene = Scene::new();
    scene.introduce("k").await;
    scene.judge(Action::Throttle, 9.0);
    scene.plan(stream());
    assert_eq!(taken(scene.call(chat("k")).await).await.1, 0, "not by default");
}

#[tokio::test(start_paused = true)]
async fn a_slow_endpoint_earns_no_burst() {
    let scene = throttled(10, 0.0).await;
    scene.plan(Plan::Answer(stream([chunk(EVENT), chunk(&EVENT.repeat(50))])));
    let mut body = scene.call(chat("k")).await.into_body();
    body.frame().await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let began = Instant::now();
    body.collect().await.unwrap();
    assert!((4..=5).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn pauses_are_short_enough_for_clients_to_sit_out() {
    let scene = throttled(1, 0.0).await;
    let long = EVENT.replace(" word", &" word".repeat(400));
    scene.plan(Plan::Answer(stream([chunk(&long), chunk(EVENT)])));
    let mut body = scene.call(chat("k")).await.into_body();
    let mut waited = Instant::now();
    while let Some(frame) = body.frame().await {
        frame.unwrap();
        assert!(waited.elapsed() <= Duration::from_millis(10_001), "{:?}", waited.elapsed());
        waited = Instant::now();
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_stream_holds_its_permit_and_can_be_left() {
    let scene = throttled(10, 1.0).await;
    let hold = async || {
        scene.plan(Plan::Answer(stream([chunk(&EVENT.repeat(20)), Step::Hang])));
        let mut answered = scene.call(chat("k")).await;
        if answered.status() == 200 {
            answered.body_mut().frame().await.unwrap().unwrap();
        }
        answered
    };
    let held = [hold().await, hold().await];
    assert_eq!(scene.in_flight("k"), 2);
    assert_eq!(hold().await.status(), 429, "four at once, halved by a nat");
    drop(held);
    assert_eq!(scene.in_flight("k"), 0);
    assert_eq!(scene.last_end()["ending"], "cancelled");
}
