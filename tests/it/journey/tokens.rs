//! Tokens: reserved when a request comes, settled when its answer has ended.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use http_body_util::BodyExt;
use stillguard::guard::UpstreamError;
use stillguard::policy::{Limits, Quotas, TenantSettings, TokenPace, UnknownUsage};

use super::scene::{
    CHAT, CHAT_ANSWER, Plan, Scene, Step, answer, chat, chunk, messages, post, stream,
};

/// What the endpoint of these scenes says an exchange used.
const REPORTED: u64 = 14;
/// Estimates of the scenes' prompt, and of an answer that names no limit.
const INPUT: u64 = 9;
const OUTPUT: u64 = 1024;

fn daily(tokens: u64) -> impl FnOnce(&mut TenantSettings) {
    move |tenant| {
        let per_day = Quotas { tokens: NonZeroU64::new(tokens), ..Quotas::default() };
        tenant.limits = Some(Limits { per_day, ..Limits::default() });
    }
}

fn paced(tokens_per_minute: u32, burst: u32) -> impl FnOnce(&mut TenantSettings) {
    let number = |n| NonZeroU32::new(n).unwrap();
    let pace = TokenPace { tokens_per_minute: number(tokens_per_minute), burst: number(burst) };
    move |tenant| tenant.limits = Some(Limits { tokens: Some(pace), ..Limits::default() })
}

fn said(text: &str) -> Step {
    chunk(&format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n"))
}

#[tokio::test(start_paused = true)]
async fn every_reservation_is_settled_or_back_however_exchanges_end() {
    let scene = Scene::with(daily(1_000_000), |_| {});
    scene.introduce("k").await;
    let mut spent = 0;
    for round in 0..50 {
        match round % 6 {
            0 => {
                scene.plan(Plan::Answer(stream([said("12345678"), Step::Hang])));
                let mut body = scene.call(chat("k")).await.into_body();
                assert_eq!(scene.tokens_today("k"), spent + INPUT + OUTPUT);
                body.frame().await.unwrap().unwrap();
                spent += INPUT + 2;
            }
            1 => {
                scene.plan(Plan::Answer(stream([said("1234"), Step::Fail])));
                assert!(scene.call(chat("k")).await.into_body().collect().await.is_err());
                spent += INPUT + 2;
            }
            2 => {
                scene.plan(Plan::Fail(UpstreamError::Overloaded));
                assert_eq!(scene.ask(chat("k")).await.0, 503);
            }
            3 => {
                scene.plan(Plan::Hang);
                let call = tokio::time::timeout(Duration::from_secs(1), scene.call(chat("k")));
                assert!(call.await.is_err());
            }
            4 => {
                let mut refused = answer("{}");
                *refused.status_mut() = http::StatusCode::TOO_MANY_REQUESTS;
                scene.plan(Plan::Answer(refused));
                assert_eq!(scene.ask(chat("k")).await.0, 429);
            }
            _ => {
                assert_eq!(scene.ask(chat("k")).await.0, 200);
                spent += REPORTED;
            }
        }
        assert_eq!(scene.tokens_today("k"), spent, "round {round}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_quota_is_not_overdrawn_by_many_at_once() {
    let scene = Scene::with(daily(5 * (INPUT + OUTPUT) + 1000), |_| {});
    scene.introduce("k").await;
    let mut held = Vec::new();
    for _ in 0..5 {
        scene.plan(Plan::Answer(stream([said("1234"), Step::Hang])));
    }
    for _ in 0..50 {
        held.push(scene.call(chat("k")).await);
    }
    assert_eq!(held.iter().filter(|answer| answer.status() == 200).count(), 5);
    let refused = held.iter().find(|answer| answer.status() == 429).unwrap();
    assert_eq!(refused.headers()["x-should-retry"], "false", "the day is longer than a wait");
    drop(held);
    assert!(scene.tokens_today("k") <= 5 * (INPUT + 1));
    assert_eq!(scene.ask(chat("other")).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn an_answer_longer_than_reserved_is_owed() {
    let scene = Scene::with(paced(600, 2000), |_| {});
    scene.introduce("k").await;
    let long = r#"{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}],
        "usage":{"prompt_tokens":11,"completion_tokens":2089}}"#;
    scene.plan(Plan::Answer(answer(long)));
    assert_eq!(scene.ask(chat("k")).await.0, 200);
    let (status, headers, _) = scene.ask(messages("k")).await;
    assert_eq!((status, &headers["x-stillguard-action"]), (429, &"throttle".parse().unwrap()));
    let wait: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((11..=14).contains(&wait), "100 owed and 18 asked at ten a second, not {wait} s");
    tokio::time::advance(Duration::from_secs(wait)).await;
    assert_eq!(scene.ask(messages("k")).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_could_not_be_read_costs_what_policy_says() {
    for (unknown, output) in
        [(UnknownUsage::Estimate, CHAT_ANSWER.len() as u64), (UnknownUsage::Nothing, 0)]
    {
        let policy = |tenant: &mut TenantSettings| {
            daily(5_000)(tenant);
            tenant.unknown_usage = Some(unknown);
        };
        let scene = Scene::with(policy, |_| {});
        scene.introduce("k").await;
        let mut coded = answer(CHAT_ANSWER);
        coded.headers_mut().insert("content-encoding", "br".parse().unwrap());
        scene.plan(Plan::Answer(coded));
        assert_eq!(scene.ask(chat("k")).await.0, 200);
        assert_eq!(scene.tokens_today("k"), INPUT + output);
        assert_eq!(scene.count("stillguard_usage_total{source=\"unknown\"}"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_for_many_completions_reserves_for_each() {
    let scene = Scene::with(daily(20_000), |_| {});
    scene.introduce("k").await;
    let ask = |n: u32| {
        let body = CHAT.replacen('{', &format!("{{\"n\":{n},"), 1);
        post("/v1/chat/completions", &[("authorization", "Bearer k")], &body)
    };
    assert_eq!(scene.ask(ask(20)).await.0, 429);
    assert_eq!(scene.ask(ask(19)).await.0, 200);
    assert_eq!(scene.tokens_today("k"), REPORTED);
}
