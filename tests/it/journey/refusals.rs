//! Every refusal, in the words of every dialect, with nothing forwarded.

use http::{HeaderMap, Request};
use serde_json::Value;
use stillguard::guard::UpstreamError;
use stillguard::policy::Action;

use super::scene::{MESSAGES, Plan, Scene, Script, Step, chat, chunk, messages, post};

type Ask = fn(&str) -> Request<Script>;
const ASKS: [Ask; 2] = [chat, messages];

/// What holds for every refusal; returns its message.
fn check(status: u16, headers: &HeaderMap, body: &str) -> String {
    let body: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{status}: {body}"));
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["cache-control"], "no-store");
    assert!(headers.contains_key("date"));
    let id = headers["x-stillguard-request-id"].to_str().unwrap();
    assert!(id.starts_with("sg_") && id.len() == 19);
    assert!(headers.values().all(|value| value.to_str().is_ok()), "ASCII only");
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.is_ascii() && message.contains(id), "{message}");
    if status == 403 {
        assert_eq!(headers["x-should-retry"], "false");
    }
    message.to_owned()
}

async fn refuse(scene: &Scene, request: Request<Script>, expected: u16) -> (HeaderMap, String) {
    let before = scene.forwarded();
    let (status, headers, body) = scene.ask(request).await;
    assert_eq!(status, expected, "{body}");
    assert_eq!(scene.forwarded(), before, "nothing is forwarded");
    let message = check(status, &headers, &body);
    (headers, message)
}

#[tokio::test(start_paused = true)]
async fn verdicts_are_refused_in_the_callers_dialect() {
    for ask in ASKS {
        let scene = Scene::new();
        scene.introduce("k").await;
        scene.judge(Action::Drop, 9.0);
        let (headers, message) = refuse(&scene, ask("k"), 403).await;
        assert_eq!(headers["x-stillguard-action"], "drop");
        assert!(!message.contains("score") && !message.contains("harvest"));
        assert_eq!(scene.last_end()["ending"], "refused");
        scene.judge(Action::Challenge, 5.0);
        let (headers, message) = refuse(&scene, ask("k"), 403).await;
        assert_eq!(headers["x-stillguard-action"], "challenge");
        assert!(message.contains("https://api.example.test/.stillguard/c/"), "{message}");
        assert_eq!(scene.last_end()["status"], 403);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_can_not_be_read_is_refused_in_the_callers_dialect() {
    let scene = Scene::new();
    for path in ["/v1/chat/completions", "/v1/messages"] {
        let key = [("x-api-key", "k")];
        refuse(&scene, post(path, &key, "{"), 400).await;
        refuse(&scene, post(path, &key, r#"{"model":"a","model":"b","messages":[]}"#), 400).await;
        for (coding, status) in [("lzma", 415), ("gzip, br", 415), ("gzip", 400)] {
            let coded = post(path, &[key[0], ("content-encoding", coding)], "{}");
            refuse(&scene, coded, status).await;
        }
        refuse(&scene, post(path, &[key[0], ("authorization", "Bearer q")], MESSAGES), 400).await;
        let mut form = post(path, &key, "a=1");
        form.headers_mut().insert("content-type", "text/plain".parse().unwrap());
        refuse(&scene, form, 400).await;
    }
    assert_eq!(scene.shared.engine.accounts(), 0);
    assert!(scene.count("stillguard_ambiguous_body_total{reason=\"duplicate\"}") >= 1);
}

#[tokio::test(start_paused = true)]
async fn a_long_body_is_read_like_any_other() {
    let scene = Scene::new();
    let words = "stanza ".repeat(100_000);
    let body = |extra: &str| MESSAGES.replace("stanza", &words).replace("\"model\"", extra);
    let key = [("x-api-key", "k")];
    assert_eq!(scene.ask(post("/v1/messages", &key, &body("\"model\""))).await.0, 200);
    refuse(&scene, post("/v1/messages", &key, &body("\"model\":\"b\",\"model\"")), 400).await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_off_or_never_comes_is_not_forwarded() {
    let scene = Scene::new();
    for ask in ASKS {
        let mut broken = ask("k");
        *broken.body_mut() = Script::new([chunk(MESSAGES), Step::Fail]);
        refuse(&scene, broken, 400).await;
        let mut silent = ask("k");
        *silent.body_mut() = Script::new([chunk("{"), Step::Hang]);
        let (headers, _) = refuse(&scene, silent, 408).await;
        assert_eq!(headers["x-should-retry"], "false");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_off_in_passing_is_the_callers_fault() {
    let scene = Scene::new();
    let mut broken = post("/v1/files", &[("authorization", "Bearer k")], "");
    *broken.body_mut() = Script::new([chunk("abc"), Step::Fail]);
    refuse(&scene, broken, 400).await;
}

#[tokio::test(start_paused = true)]
async fn a_body_too_large_is_refused_before_it_is_read_and_by_count() {
    let scene = Scene::with(|_| {}, |guard| guard.max_body = 100);
    for ask in ASKS {
        let mut declared = ask("k");
        declared.headers_mut().insert("content-length", "10737418240".parse().unwrap());
        *declared.body_mut() = Script::new([Step::Hang]);
        refuse(&scene, declared, 413).await;
        let mut chunked = ask("k");
        chunked.headers_mut().remove("content-length");
        *chunked.body_mut() = Script::new([chunk(&" ".repeat(60)), chunk(&" ".repeat(60))]);
        refuse(&scene, chunked, 413).await;
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_beyond_the_process_budget_are_refused_for_now() {
    let scene = Scene::with(|_| {}, |guard| guard.max_buffered = 1024);
    for ask in ASKS {
        let mut large = ask("k");
        *large.body_mut() = Script::new([chunk(&" ".repeat(1025))]);
        large.headers_mut().remove("content-length");
        let (headers, _) = refuse(&scene, large, 503).await;
        assert_eq!(headers["retry-after"], "1");
        assert_eq!(scene.ask(ask("k")).await.0, 200);
        assert_eq!(scene.ask(ask("k")).await.0, 503, "the endpoint still holds a body");
        drop(scene.last_forwarded());
        assert_eq!(scene.ask(ask("k")).await.0, 200, "the budget is given back");
        drop(scene.last_forwarded());
    }
}

#[tokio::test(start_paused = true)]
async fn failures_of_the_endpoint_are_told_in_the_callers_dialect() {
    let scene = Scene::new();
    let wait = std::time::Duration::from_secs(600);
    for ask in ASKS {
        for (error, expected) in [
            (UpstreamError::Unreachable("refused".into()), 502),
            (UpstreamError::Broken("reset".into()), 502),
            (UpstreamError::Timeout(wait), 504),
            (UpstreamError::Overloaded, 503),
        ] {
            scene.plan(Plan::Fail(error));
            let (status, headers, body) = scene.ask(ask("k")).await;
            assert_eq!(status, expected);
            let message = check(status, &headers, &body);
            assert!(!message.contains("reset") && !message.contains("refused"), "{message}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_endpoints_own_refusals_pass_untouched() {
    let scene = Scene::new();
    let own = http::Response::builder()
        .status(429)
        .header("retry-after", "130")
        .header("content-type", "text/plain")
        .body(Script::text("slow down"))
        .unwrap();
    scene.plan(Plan::Answer(own));
    let (status, headers, body) = scene.ask(chat("k")).await;
    assert_eq!((status, body.as_str()), (429, "slow down"));
    assert_eq!(
        (&headers["retry-after"], headers.get("x-should-retry")),
        (&"130".parse().unwrap(), None)
    );
    assert_eq!(scene.count("stillguard_fail_open_total{reason=\"unreadable-answer\"}"), 0);
}

#[tokio::test(start_paused = true)]
async fn an_unread_route_is_refused_in_the_nearest_dialect() {
    let scene = Scene::new();
    scene.judge(Action::Drop, 9.0);
    let headers = [("authorization", "Bearer k"), ("anthropic-version", "2023-06-01")];
    let (status, _, body) = scene.ask(post("/v1/skills", &headers, "")).await;
    assert_eq!(
        (status, serde_json::from_str::<Value>(&body).unwrap()["type"].clone()),
        (403, "error".into())
    );
    let (status, _, body) = scene.ask(post("/v1/files", &headers[..1], "")).await;
    assert_eq!(status, 403);
    assert!(serde_json::from_str::<Value>(&body).unwrap()["error"]["message"].is_string());
}
