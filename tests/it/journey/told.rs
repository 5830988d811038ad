//! What callers are told of their limits: in their API's fields, beside the endpoint's own.

use std::num::NonZeroU32;
use std::time::Duration;

use http::{HeaderMap, Request};
use stillguard::policy::{Action, Announce, Limits, Pace, Quotas, TenantSettings, TokenPace};

use super::scene::{CHAT_ANSWER, Plan, Scene, Script, answer, chat, messages, post};

fn number(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

fn limited(tenant: &mut TenantSettings) {
    let requests = Some(Pace { requests_per_minute: number(60), burst: number(3) });
    let tokens = Some(TokenPace { tokens_per_minute: number(60_000), burst: number(5_000) });
    tenant.limits = Some(Limits { requests, tokens, ..Limits::default() });
}

fn told<'a>(headers: &'a HeaderMap, part: &str) -> Vec<(&'a str, &'a str)> {
    let told = headers.iter().filter(|(name, _)| name.as_str().contains(part));
    let mut told: Vec<_> =
        told.map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    told.sort_unstable();
    told
}

fn gemini(key: &str) -> Request<Script> {
    let body = r#"{"contents":[{"parts":[{"text":"What is a stanza?"}]}]}"#;
    post("/v1beta/models/m-1:generateContent", &[("x-goog-api-key", key)], body)
}

#[tokio::test(start_paused = true)]
async fn an_answer_tells_what_is_left() {
    let scene = Scene::with(limited, |_| {});
    scene.introduce("k").await;
    let headers = scene.ask(chat("k")).await.1;
    assert_eq!(
        told(&headers, "ratelimit"),
        [
            ("x-ratelimit-limit-requests", "3"),
            ("x-ratelimit-limit-tokens", "5000"),
            ("x-ratelimit-remaining-requests", "2"),
            ("x-ratelimit-remaining-tokens", "3967"),
            ("x-ratelimit-reset-requests", "1s"),
            ("x-ratelimit-reset-tokens", "2s"),
        ],
        "what is reserved counts as used"
    );
    let headers = scene.ask(messages("k")).await.1;
    let left = told(&headers, "anthropic-ratelimit-requests");
    assert_eq!(left[1], ("anthropic-ratelimit-requests-remaining", "1"));
    assert_eq!(left[2], ("anthropic-ratelimit-requests-reset", "2026-09-21T14:13:22Z"));
    assert_eq!(told(&headers, "input-tokens"), [], "not limited");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_tells_it_too_and_when_to_come_back() {
    let scene = Scene::with(limited, |_| {});
    scene.introduce("k").await;
    for _ in 0..3 {
        assert_eq!(scene.ask(chat("k")).await.0, 200);
    }
    let (status, headers, _) = scene.ask(chat("k")).await;
    assert_eq!((status, &headers["x-ratelimit-remaining-requests"]), (429, &"0".parse().unwrap()));
    assert_eq!(headers["x-ratelimit-reset-requests"], "3s");
    let (status, headers, body) = scene.ask(gemini("k")).await;
    assert_eq!((status, told(&headers, "ratelimit")), (429, vec![]));
    let wait = headers["retry-after"].to_str().unwrap();
    assert!(body.contains(&format!("\"retryDelay\":\"{wait}s\"")), "{body}");
}

#[tokio::test(start_paused = true)]
async fn without_limits_or_where_none_is_to_be_told_fields_pass_as_they_came() {
    let quiet = |tenant: &mut TenantSettings| {
        limited(tenant);
        tenant.announce = Some(Announce::Nothing);
    };
    for scene in [Scene::new(), Scene::with(quiet, |_| {})] {
        scene.introduce("k").await;
        let mut theirs = answer(CHAT_ANSWER);
        theirs.headers_mut().append("x-ratelimit-remaining-tokens", "-1".parse().unwrap());
        theirs.headers_mut().append("x-ratelimit-remaining-tokens", "many".parse().unwrap());
        scene.plan(Plan::Answer(theirs));
        let headers = scene.ask(chat("k")).await.1;
        let left = told(&headers, "ratelimit");
        assert_eq!(left.iter().map(|(_, value)| *value).collect::<Vec<_>>(), ["-1", "many"]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_endpoints_own_limit_shows_where_it_leaves_less() {
    let scene = Scene::with(limited, |_| {});
    scene.introduce("k").await;
    let mut theirs = answer(CHAT_ANSWER);
    for (name, value) in [
        ("x-ratelimit-limit-requests", "500"),
        ("x-ratelimit-remaining-requests", "1"),
        ("x-ratelimit-reset-requests", "6m0s"),
        ("x-ratelimit-limit-tokens", "90000"),
        ("x-ratelimit-remaining-tokens", "80000"),
        ("x-ratelimit-reset-tokens", "12ms"),
    ] {
        theirs.headers_mut().append(name, value.parse().unwrap());
    }
    scene.plan(Plan::Answer(theirs));
    let headers = scene.ask(chat("k")).await.1;
    let values: Vec<_> = told(&headers, "ratelimit").iter().map(|(_, value)| *value).collect();
    assert_eq!(values, ["500", "5000", "1", "3967", "6m0s", "2s"]);
}

#[tokio::test(start_paused = true)]
async fn on_request_every_api_tells_it_in_the_ietfs_fields() {
    let ietf = |tenant: &mut TenantSettings| {
        limited(tenant);
        tenant.announce = Some(Announce::Ietf);
    };
    let scene = Scene::with(ietf, |_| {});
    scene.introduce("k").await;
    let headers = scene.ask(gemini("k")).await.1;
    assert_eq!(headers["ratelimit"], "\"requests\";r=2;t=1, \"tokens\";r=3967;t=2");
    let policy = "\"requests\";q=3;w=3, \"tokens\";q=5000;w=5;qu=\"tokens\"";
    assert_eq!(headers["ratelimit-policy"], policy);
}

/// Else whoever is throttled by its score could read off the fields that no limit did it.
#[tokio::test(start_paused = true)]
async fn a_throttle_by_score_looks_like_a_limit() {
    let slow = |tenant: &mut TenantSettings| {
        limited(tenant);
        tenant.throttle = Some(Pace { requests_per_minute: number(6), burst: number(1) }.into());
    };
    let scene = Scene::with(slow, |_| {});
    scene.introduce("k").await;
    scene.judge(Action::Throttle, 2.3);
    assert_eq!(scene.ask(chat("k")).await.0, 200);
    let (status, headers, _) = scene.ask(chat("k")).await;
    assert_eq!((status, &headers["x-ratelimit-remaining-requests"]), (429, &"0".parse().unwrap()));
    assert_eq!(headers["x-ratelimit-reset-requests"], "10s");
}

#[tokio::test(start_paused = true)]
async fn what_all_accounts_have_left_together_is_told_to_each() {
    let together = |tenant: &mut TenantSettings| {
        let per_day = Quotas { requests: std::num::NonZeroU64::new(10), ..Quotas::default() };
        tenant.total_limits = Some(Limits { per_day, ..Limits::default() });
    };
    let scene = Scene::with(together, |_| {});
    for key in ["a", "b", "c"] {
        scene.introduce(key).await;
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    let headers = scene.ask(chat("a")).await.1;
    assert_eq!(headers["x-ratelimit-remaining-requests"], "6");
    assert_eq!(headers["x-ratelimit-reset-requests"], "9h46m37s", "midnight");
}

/// SDKs raise one exception for both, but its `type` and its words tell which there was too much of.
#[tokio::test(start_paused = true)]
async fn a_refusal_says_whether_requests_or_tokens_are_used_up() {
    let pace = Some(Pace { requests_per_minute: number(60), burst: number(1) });
    let tokens = Some(TokenPace { tokens_per_minute: number(600), burst: number(1) });
    for (limits, scarce) in [
        (Limits { requests: pace, ..Limits::default() }, "requests"),
        (Limits { concurrency: Some(number(1)), ..Limits::default() }, "requests"),
        (Limits { tokens, ..Limits::default() }, "tokens"),
        (Limits { output_tokens: tokens, ..Limits::default() }, "tokens"),
    ] {
        let scene = Scene::with(|tenant| tenant.limits = Some(limits), |_| {});
        scene.introduce("k").await;
        let _held = scene.call(chat("k")).await;
        let (status, _, body) = scene.ask(chat("k")).await;
        let error: serde_json::Value = serde_json::from_str(&body).unwrap();
        let error = &error["error"];
        assert_eq!(
            (status, &error["type"], &error["code"]),
            (429, &scarce.into(), &"rate_limit_exceeded".into())
        );
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with(&format!("Too many {scarce} for now.")), "{message}");
        let (status, _, body) = scene.ask(messages("k")).await;
        assert!(
            status == 429 && body.contains("rate_limit_error") && body.contains(scarce),
            "{body}"
        );
        let (_, _, body) = scene.ask(gemini("k")).await;
        assert!(body.contains(&format!("\"description\":\"Too many {scarce}\"")), "{body}");
    }
}
