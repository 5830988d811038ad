//! However an exchange ends, it is learnt from, and the caller gets what the endpoint sent.

use std::future::Future;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body_util::BodyExt;
use stillguard::guard::UpstreamError;

use super::scene::{CHAT_ANSWER, Plan, Scene, Script, Step, answer, chat, chunk, post, stream};

const FIRST: &str = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\
    \"model\":\"m-1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\
    \"content\":\"A verse.\"},\"finish_reason\":null}]}\n\n";
const USAGE: &str = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\
    \"model\":\"m-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":3,\
    \"total_tokens\":14}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

#[tokio::test(start_paused = true)]
async fn a_whole_answer_is_forwarded_as_it_is_and_learnt_from() {
    let scene = Scene::new();
    let (status, headers, body) = scene.ask(chat("k")).await;
    assert_eq!((status, body.as_str()), (200, CHAT_ANSWER));
    assert!(headers["x-stillguard-request-id"].to_str().unwrap().starts_with("sg_"));
    assert!(!headers.contains_key("x-stillguard-action"));
    let end = scene.last_end();
    assert_eq!((&end["ending"], &end["status"]), (&"complete".into(), &200.into()));
    assert_eq!(end["completion"]["usage"]["output"], 3);
    assert_eq!(end["completion"]["bytes"], CHAT_ANSWER.len());
    assert_eq!(scene.shared.engine.accounts(), 1);
}

#[tokio::test(start_paused = true)]
async fn every_chunk_passes_at_once_and_untouched() {
    let scene = Scene::new();
    let pieces: Vec<_> = ["data: {\"cho", "ices\":[", "]}\n", "\n"].map(Bytes::from).to_vec();
    let steps = pieces.iter().cloned().map(Step::Chunk).chain([Step::Hang]);
    scene.plan(Plan::Answer(stream(steps)));
    let mut body = scene.call(chat("k")).await.into_body();
    for piece in &pieces {
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(frame.as_ptr(), piece.as_ptr(), "the very bytes, not a copy");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_read_in_passing_whatever_its_chunks() {
    let whole = [FIRST, USAGE, DONE].concat();
    for size in [1, 7, 64, 10_000] {
        let scene = Scene::new();
        let pieces: Vec<_> = whole.as_bytes().chunks(size).map(Bytes::copy_from_slice).collect();
        scene.plan(Plan::Answer(stream(pieces.into_iter().map(Step::Chunk))));
        assert_eq!(scene.ask(chat("k")).await.2, whole);
        let end = scene.last_end();
        assert_eq!(end["ending"], "complete");
        let completion = &end["completion"];
        assert_eq!(
            (&completion["usage"]["input"], &completion["usage"]["output"]),
            (&11.into(), &3.into())
        );
        assert_eq!(completion["source"], "reported");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_stream_stays_cut_and_is_still_learned_from() {
    let scene = Scene::new();
    scene.plan(Plan::Answer(stream([chunk(FIRST), Step::Fail])));
    let mut body = scene.call(chat("k")).await.into_body();
    assert!(body.frame().await.unwrap().is_ok());
    let last = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(last.starts_with(b"data: {\"error\":"), "{last:?}");
    assert!(body.frame().await.unwrap().is_err(), "never a clean end");
    assert!(body.frame().await.is_none());
    let end = scene.last_end();
    assert_eq!(end["ending"], "truncated");
    assert_eq!(end["completion"]["bytes"], FIRST.len());
    drop(body);
    assert_eq!(scene.lines("end").len(), 1, "reported once");
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_mid_stream_is_still_learned_from() {
    let scene = Scene::new();
    scene.plan(Plan::Answer(stream([chunk(FIRST), Step::Hang])));
    let mut body = scene.call(chat("k")).await.into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    assert_eq!(scene.last_end()["ending"], "cancelled");
    assert_eq!(scene.shared.engine.accounts(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_after_the_last_event_has_had_it_all() {
    let scene = Scene::new();
    scene.plan(Plan::Answer(stream([chunk(FIRST), chunk(DONE), Step::Hang])));
    let mut body = scene.call(chat("k")).await.into_body();
    body.frame().await.unwrap().unwrap();
    body.frame().await.unwrap().unwrap();
    drop(body);
    assert_eq!(scene.last_end()["ending"], "complete");
}

#[tokio::test(start_paused = true)]
async fn a_body_dropped_once_its_declared_length_is_out_is_complete() {
    let scene = Scene::new();
    let mut body = scene.call(chat("k")).await.into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    assert_eq!(scene.last_end()["ending"], "complete");
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_before_the_head_is_reported_but_not_remembered() {
    let scene = Scene::new();
    scene.plan(Plan::Hang);
    let mut call = Box::pin(scene.call(chat("made-up")));
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..4 {
        assert!(matches!(call.as_mut().poll(&mut context), Poll::Pending));
    }
    assert_eq!(scene.forwarded(), 1);
    drop(call);
    let end = scene.last_end();
    assert_eq!((&end["ending"], &end["status"]), (&"cancelled".into(), &0.into()));
    assert_eq!(scene.shared.engine.accounts(), 0, "the endpoint has not accepted the key");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_gives_no_answer_is_a_failure_of_its_own() {
    let scene = Scene::new();
    scene.plan(Plan::Fail(UpstreamError::Unreachable("refused".into())));
    assert_eq!(scene.ask(chat("k")).await.0, 502);
    let end = scene.last_end();
    assert_eq!((&end["ending"], &end["status"]), (&"failed".into(), &502.into()));
    assert_eq!(scene.shared.engine.accounts(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_outsized_or_undecodable_answer_passes_unread_and_is_counted() {
    let scene = Scene::with(|_| {}, |guard| guard.max_answer = 10);
    for coding in ["gzip", "lzma", "gzip, br"] {
        let mut coded = answer("\u{1f}\u{8b}");
        coded.headers_mut().insert("content-encoding", coding.parse().unwrap());
        scene.plan(Plan::Answer(coded));
        assert_eq!(scene.ask(chat("k")).await.0, 200);
        assert_eq!(scene.last_end()["completion"]["source"], "unknown");
    }
    assert_eq!(scene.ask(chat("k")).await.2, CHAT_ANSWER);
    let end = scene.last_end();
    assert_eq!(end["completion"]["source"], "unknown");
    assert_eq!(end["completion"]["bytes"], CHAT_ANSWER.len());
    assert_eq!(scene.count("stillguard_fail_open_total{reason=\"unreadable-answer\"}"), 4);
}

#[tokio::test(start_paused = true)]
async fn a_route_no_dialect_reads_passes_both_ways_unread() {
    let scene = Scene::new();
    let request = post("/v1/files", &[("authorization", "Bearer k")], "not { json");
    scene.plan(Plan::Answer(answer("not json")));
    assert_eq!(scene.ask(request).await.2, "not json");
    let (head, body) = scene.last_forwarded();
    assert_eq!(body, "not { json");
    assert!(!head.headers.contains_key("accept-encoding"));
    assert_eq!(scene.last_end()["ending"], "complete");
    assert_eq!(scene.lines("ask")[0]["ask"]["prompt"]["api"], "other");
}

#[tokio::test(start_paused = true)]
async fn an_inspected_request_is_forwarded_byte_for_byte() {
    let scene = Scene::new();
    let mut request = chat("k");
    request.headers_mut().insert("accept-encoding", "gzip, br".parse().unwrap());
    let sent = request.headers().clone();
    scene.ask(request).await;
    let (head, body) = scene.last_forwarded();
    assert_eq!(body, super::scene::CHAT);
    let changed: Vec<_> =
        head.headers.keys().filter(|name| head.headers.get(*name) != sent.get(*name)).collect();
    assert_eq!(changed, ["accept-encoding"]);
    assert_eq!(head.headers["accept-encoding"], "identity");
    assert!(head.extensions.get::<stillguard::identity::Identity>().is_some());
    assert!(head.extensions.get::<stillguard::identity::TenantName>().is_some());
}

#[tokio::test(start_paused = true)]
async fn half_a_json_answer_is_no_unreadable_one() {
    let scene = Scene::new();
    let mut cut = answer(CHAT_ANSWER);
    *cut.body_mut() = Script::new([chunk(&CHAT_ANSWER[..40]), Step::Fail]);
    scene.plan(Plan::Answer(cut));
    assert!(scene.call(chat("k")).await.into_body().collect().await.is_err());
    let end = scene.last_end();
    assert_eq!((&end["ending"], &end["completion"]["bytes"]), (&"truncated".into(), &40.into()));
    assert_eq!(scene.count("stillguard_fail_open_total{reason=\"unreadable-answer\"}"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_streamed_array_is_read_in_passing_for_the_model_of_its_path() {
    let scene = Scene::new();
    let elements = concat!(
        r#"[{"candidates":[{"content":{"parts":[{"text":"A verse."}]}}]}"#,
        "\n,",
        r#"{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":11,"#,
        r#""candidatesTokenCount":3}}"#,
    );
    let mut whole =
        stream(elements.as_bytes().chunks(7).map(Bytes::copy_from_slice).map(Step::Chunk));
    whole.headers_mut().insert("content-type", "application/json".parse().unwrap());
    scene.plan(Plan::Answer(whole));
    let body = r#"{"contents":[{"parts":[{"text":"What is a stanza?"}]}]}"#;
    let path = "/v1beta/models/m-1:streamGenerateContent";
    let request = post(path, &[("x-goog-api-key", "k")], body);
    assert_eq!(scene.ask(request).await.2, elements, "never ended, so no JSON to read whole");
    let ask = scene.lines("ask").pop().unwrap();
    let prompt = &ask["ask"]["prompt"];
    assert_eq!((&prompt["api"], &prompt["model"]), (&"gemini-generate".into(), &"m-1".into()));
    let usage = &scene.last_end()["completion"]["usage"];
    assert_eq!((&usage["input"], &usage["output"]), (&11.into(), &3.into()));
}
