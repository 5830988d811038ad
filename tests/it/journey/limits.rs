//! Paces and permits, and what a refused caller is told about waiting.

use std::num::NonZeroU32;
use std::time::Duration;

use http_body_util::BodyExt;
use stillguard::policy::{Action, Limits, Pace, TenantSettings};

use super::scene::{Answered, Plan, Scene, Step, chat, chunk, messages, stream};

fn pace(requests_per_minute: u32, burst: u32) -> Pace {
    let number = |n| NonZeroU32::new(n).unwrap();
    Pace { requests_per_minute: number(requests_per_minute), burst: number(burst) }
}

fn two_at_once(tenant: &mut TenantSettings) {
    tenant.limits = Some(Limits { concurrency: NonZeroU32::new(2), ..Limits::default() });
}

async fn hold(scene: &Scene) -> Answered {
    scene.plan(Plan::Answer(stream([chunk("data: {}\n\n"), Step::Hang])));
    scene.call(chat("k")).await
}

#[tokio::test(start_paused = true)]
async fn a_permit_is_held_until_the_body_has_ended() {
    let scene = Scene::with(two_at_once, |_| {});
    scene.introduce("k").await;
    let held = [hold(&scene).await, hold(&scene).await];
    assert!(held.iter().all(|answer| answer.status() == 200));
    assert_eq!(scene.in_flight("k"), 2);
    assert_eq!(scene.ask(chat("k")).await.0, 429);
    assert_eq!(scene.ask(chat("other")).await.0, 200);
    drop(held);
    assert_eq!(scene.in_flight("k"), 0);
    assert_eq!(scene.ask(chat("k")).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn no_permit_is_lost_however_exchanges_end() {
    let scene = Scene::with(two_at_once, |_| {});
    scene.introduce("k").await;
    for round in 0..50 {
        match round % 5 {
            0 => drop(hold(&scene).await),
            1 => {
                scene.plan(Plan::Answer(stream([Step::Fail])));
                assert!(scene.call(chat("k")).await.into_body().collect().await.is_err());
            }
            2 => {
                scene.plan(Plan::Fail(stillguard::guard::UpstreamError::Overloaded));
                assert_eq!(scene.ask(chat("k")).await.0, 503);
            }
            3 => {
                scene.plan(Plan::Hang);
                let call = tokio::time::timeout(Duration::from_secs(1), scene.call(chat("k")));
                assert!(call.await.is_err());
            }
            _ => assert_eq!(scene.ask(chat("k")).await.0, 200),
        }
        assert_eq!(scene.in_flight("k"), 0, "round {round}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_on_requests_holds_whatever_the_score() {
    let limits = Limits { requests: Some(pace(60, 3)), ..Limits::default() };
    let scene = Scene::with(|tenant| tenant.limits = Some(limits), |_| {});
    scene.introduce("k").await;
    for _ in 0..3 {
        assert_eq!(scene.ask(chat("k")).await.0, 200);
    }
    let (status, headers, _) = scene.ask(chat("k")).await;
    assert_eq!(status, 429);
    let wait: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=2).contains(&wait), "{wait}");
    tokio::time::advance(Duration::from_secs(wait)).await;
    assert_eq!(scene.ask(chat("k")).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn a_score_tightens_the_throttle() {
    for (nats, admitted) in [(0.0, 61), (1.0, 31), (2.0, 16)] {
        let scene = Scene::with(|tenant| tenant.throttle = Some(pace(60, 1).into()), |_| {});
        scene.introduce("k").await;
        scene.judge(Action::Throttle, 2.3 + nats);
        let mut served = 0;
        for _ in 0..=240 {
            served += usize::from(scene.ask(chat("k")).await.0 == 200);
            tokio::time::advance(Duration::from_millis(250)).await;
        }
        assert!(served.abs_diff(admitted) <= 1, "{served} at {nats} nats");
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttled_caller_is_told_a_wait_that_suffices() {
    let scene = Scene::with(|tenant| tenant.throttle = Some(pace(10, 1).into()), |_| {});
    scene.introduce("k").await;
    scene.judge(Action::Throttle, 2.3);
    assert_eq!(scene.ask(messages("k")).await.0, 200);
    for _ in 0..5 {
        let (status, headers, _) = scene.ask(messages("k")).await;
        assert_eq!((status, &headers["x-stillguard-action"]), (429, &"throttle".parse().unwrap()));
        assert!(!headers.contains_key("x-should-retry"));
        let wait: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=30).contains(&wait));
        tokio::time::advance(Duration::from_secs(wait)).await;
        assert_eq!(scene.ask(messages("k")).await.0, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_too_long_to_sleep_through_is_said_aloud() {
    let scene = Scene::with(|tenant| tenant.throttle = Some(pace(1, 1).into()), |_| {});
    scene.introduce("k").await;
    scene.judge(Action::Throttle, 9.0);
    assert_eq!(scene.ask(chat("k")).await.0, 200);
    let (status, headers, _) = scene.ask(chat("k")).await;
    assert_eq!(status, 429);
    assert_eq!(headers["retry-after"], "30");
    assert_eq!(headers["x-should-retry"], "false");
}

#[tokio::test(start_paused = true)]
async fn accounts_not_yet_known_share_one_pace_where_a_verdict_slows_them() {
    let scene = Scene::with(|tenant| tenant.throttle = Some(pace(60, 2).into()), |_| {});
    scene.judge(Action::Throttle, 2.3);
    let mut statuses = Vec::new();
    for key in ["a", "b", "c"] {
        scene.plan(Plan::Answer(
            http::Response::builder().status(401).body(Default::default()).unwrap(),
        ));
        statuses.push(scene.ask(chat(key)).await.0);
    }
    assert_eq!(statuses, [401, 401, 429]);
    assert_eq!(scene.shared.engine.accounts(), 0);
}
