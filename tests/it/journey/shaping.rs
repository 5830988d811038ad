//! What shaped accounts are given: less, in words their clients read, and told.

use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use stillguard::engine::Verdict;
use stillguard::guard::Fault;
use stillguard::policy::{Action, Mode, Shape, TenantSettings};

use super::scene::{
    Plan, Scene, Script, Step, answer, chat, chunk, encoded, post, post_coded, stream,
};
use super::wire::{Wire, Writes};

/// Everything that can be shaped is.
pub(super) fn all(tenant: &mut TenantSettings) {
    tenant.shape = Some(Shape {
        withhold_reasoning: true,
        most_choices: NonZeroU32::new(2).unwrap(),
        most_output_tokens: NonZeroU32::new(500),
        ..Shape::default()
    });
}

/// Every exchange is shaped, in every way.
pub(super) fn shaping() -> Scene {
    let scene = Scene::with(all, |_| {});
    scene.judge(Action::Shape, 0.5);
    scene
}

pub(super) const KEY: (&str, &str) = ("authorization", "Bearer k");
pub(super) const CHAT: &str = "/v1/chat/completions";

/// Before and after: `<a|b>` stands for `a` and `b`.
pub(super) fn both(marked: &str) -> [String; 2] {
    [0, 1].map(|side| {
        let pieces = marked.split(['<', '>']).enumerate();
        let side = |(index, piece): (usize, &str)| match piece.split_once('|') {
            Some(pair) if index % 2 == 1 => if side == 0 { pair.0 } else { pair.1 }.to_owned(),
            _ => piece.to_owned(),
        };
        pieces.map(side).collect()
    })
}

const ASKED: &str = r#"{"model":"m", "n":<8|2>,"logprobs":<true|false> ,"max_tokens":<900|500>,"messages":[{"role":"user","content":"h\u0069 é"}]}"#;
const ANSWERED: &str = r#"{"id":"chatcmpl-123456","choices":[{"index":0, "logprobs":<{"content":[]}|null>,"message":{"role":"assistant",
    "content":"A verse.","reasoning_content":<"Hm, let me see."|"">},"finish_reason":"stop"}],"usage":{"prompt_tokens":11,"completion_tokens":33}}"#;

pub(super) fn names(deeds: &Value) -> Vec<&str> {
    deeds.as_array().into_iter().flatten().map(|name| name.as_str().unwrap()).collect()
}

const DEEDS: [&str; 4] = ["logprobs", "choices", "output-tokens", "reasoning"];

fn shaped(deed: &str, enforced: bool) -> String {
    format!("stillguard_shaped_total{{deed=\"{deed}\",enforced=\"{enforced}\"}}")
}

#[tokio::test(start_paused = true)]
async fn a_shaped_exchange_asks_and_answers_less_and_says_so() {
    let scene = shaping();
    let ([asked, lower], [told, less]) = (both(ASKED), both(ANSWERED));
    scene.plan(Plan::Answer(answer(&told)));
    let (status, headers, body) = scene.ask(post(CHAT, &[KEY], &asked)).await;
    assert_eq!((status, body), (200, less.clone()));
    assert_eq!(headers["stillguard-shaped"], DEEDS.join(", ").as_str());
    assert!(!headers.contains_key("content-length"), "it was another body's");
    let (head, sent) = scene.last_forwarded();
    assert_eq!(sent, lower);
    assert_eq!(head.headers["content-length"], lower.len().to_string().as_str());
    assert_eq!(head.headers["accept-encoding"], "identity");
    let completion = scene.last_end()["completion"].clone();
    assert_eq!(names(&completion["shaped"]), DEEDS);
    assert_eq!(completion["would_shape"], Value::Null);
    assert_eq!(completion["usage"], json!({"input": 11, "output": 33}));
    assert_eq!(
        (&completion["bytes"], &completion["thinking"]),
        (&less.len().into(), &false.into())
    );
    assert!(DEEDS.iter().all(|deed| scene.count(&shaped(deed, true)) == 1));
}

#[tokio::test(start_paused = true)]
async fn in_shadow_nothing_changes_and_what_would_have_is_written_down() {
    let shadow = |scene: &Scene, exempt| {
        let verdict = Verdict { action: Action::Shape, exempt, ..Verdict::default() };
        scene.fault(Fault::Judges(Box::new(verdict)));
    };
    let scene = Scene::with(all, |_| {});
    let rung = |tenant: &mut TenantSettings| {
        all(tenant);
        tenant.rung_modes.insert(Action::Shape, Mode::Shadow);
    };
    let single = Scene::with(rung, |_| {});
    single.judge(Action::Throttle, 2.3);
    for scene in [scene, single] {
        if scene.shared.settings.load().fault.is_none() {
            shadow(&scene, false);
        }
        let ([asked, _], [told, _]) = (both(ASKED), both(ANSWERED));
        for streamed in [false, true] {
            let told = if streamed {
                format!("data: {}\n\n", told.replace('\n', " "))
            } else {
                told.clone()
            };
            let answered = if streamed {
                stream([chunk(&told[..30]), chunk(&told[30..])])
            } else {
                answer(&told)
            };
            scene.plan(Plan::Answer(answered));
            let (_, headers, body) = scene.ask(post(CHAT, &[KEY], &asked)).await;
            assert_eq!(body, told);
            assert_eq!(headers.contains_key("content-length"), !streamed);
            assert!(!headers.contains_key("stillguard-shaped"));
            assert_eq!(scene.last_forwarded().1, asked);
            let completion = scene.last_end()["completion"].clone();
            assert_eq!(names(&completion["would_shape"]), DEEDS);
            assert_eq!(completion["shaped"], Value::Null);
        }
        assert_eq!(scene.count(&shaped("logprobs", false)), 2);
        shadow(&scene, true);
        scene.ask(post(CHAT, &[KEY], &asked)).await;
        assert_eq!(scene.last_end()["completion"]["would_shape"], Value::Null);
    }
}

#[tokio::test(start_paused = true)]
async fn an_operators_word_is_carried_out_in_shadow_too() {
    let shadow = |tenant: &mut TenantSettings| {
        all(tenant);
        tenant.mode = Some(Mode::Shadow);
    };
    let scene = Scene::with(shadow, |_| {});
    let verdict =
        Verdict { action: Action::Shape, ruled: true, enforced: true, ..Verdict::default() };
    scene.fault(Fault::Judges(Box::new(verdict)));
    let [told, less] = both(ANSWERED);
    scene.plan(Plan::Answer(answer(&told)));
    assert_eq!(scene.ask(post(CHAT, &[KEY], &both(ASKED)[0])).await.2, less);
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_nothing_special_gets_every_byte_by_default() {
    let scene = Scene::new();
    scene.judge(Action::Shape, 0.5);
    let [told, _] = both(ANSWERED);
    scene.plan(Plan::Answer(answer(&told)));
    let (_, headers, body) = scene.ask(chat("k")).await;
    assert_eq!(body, told);
    assert_eq!(headers["content-length"], told.len().to_string().as_str());
    assert!(!headers.contains_key("stillguard-shaped"));
    assert_eq!(scene.last_end()["completion"]["shaped"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn the_header_can_be_left_out() {
    let quiet = |tenant: &mut TenantSettings| {
        tenant.shape =
            Some(Shape { withhold_reasoning: true, announce: false, ..Shape::default() });
    };
    let scene = Scene::with(quiet, |_| {});
    scene.judge(Action::Throttle, 2.3);
    scene.plan(Plan::Answer(answer(&both(ANSWERED)[0])));
    let (_, headers, body) = scene.ask(chat("k")).await;
    assert!(body.contains(r#""reasoning_content":"""#), "a throttled exchange is shaped too");
    assert!(!headers.contains_key("stillguard-shaped"));
    assert_eq!(names(&scene.last_end()["completion"]["shaped"]), ["reasoning"]);
}

#[tokio::test(start_paused = true)]
async fn coded_bodies_are_decoded_where_they_are_shaped() {
    let scene = Scene::with(all, |guard| guard.narrow_accept_encoding = false);
    scene.judge(Action::Shape, 0.5);
    let ([asked, lower], [told, less]) = (both(ASKED), both(ANSWERED));
    for coding in ["gzip", "br", "zstd"] {
        let coded = encoded(coding, told.as_bytes());
        let mut answered = answer("");
        let pieces = coded.chunks(7).map(Bytes::copy_from_slice);
        *answered.body_mut() = Script::new(pieces.map(Step::Chunk));
        answered.headers_mut().insert("content-encoding", coding.parse().unwrap());
        answered.headers_mut().insert("content-length", coded.len().into());
        scene.plan(Plan::Answer(answered));
        let request = post_coded(CHAT, coding, encoded(coding, asked.as_bytes()));
        let (_, headers, body) = scene.ask(request).await;
        assert_eq!(body, less, "{coding}");
        assert!(!headers.contains_key("content-encoding"));
        let (head, sent) = scene.last_forwarded();
        assert_eq!(sent, lower, "{coding}");
        assert!(!head.headers.contains_key("content-encoding"));
        assert_eq!(head.headers["content-length"], lower.len().to_string().as_str());
        assert_eq!(head.headers["accept-encoding"], "identity");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sampling_sweep_is_refused_and_holds_nothing() {
    for (enforced, path, body, says) in [
        (true, CHAT, r#"{"model":"m","n":17,"messages":[]}"#, "too_many_choices"),
        (
            true,
            "/v1beta/models/m:generateContent",
            r#"{"contents":[],"generationConfig":{"candidateCount":64}}"#,
            "TOO_MANY_CHOICES",
        ),
        (false, CHAT, r#"{"model":"m","n":17,"messages":[]}"#, "A verse."),
        (true, CHAT, r#"{"model":"m","n":16,"messages":[]}"#, "A verse."),
    ] {
        let scene = Scene::new();
        scene.introduce("k").await;
        let verdict = Verdict { action: Action::Shape, enforced, ..Verdict::default() };
        scene.fault(Fault::Judges(Box::new(verdict)));
        let (status, _, said) = scene.ask(post(path, &[KEY], body)).await;
        assert!(said.contains(says), "{said}");
        let refused = says.to_lowercase() == "too_many_choices";
        assert_eq!((status == 400, scene.forwarded() == 1), (refused, refused));
        let completion = scene.last_end()["completion"].clone();
        let deeds = if enforced { &completion["shaped"] } else { &completion["would_shape"] };
        assert_eq!(names(deeds).contains(&"sweep"), refused || !enforced, "{completion}");
        assert_eq!(scene.in_flight("k"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_signed_body_stays_and_its_answer_is_shaped_all_the_same() {
    let scene = shaping();
    let signed = (
        "authorization",
        "AWS4-HMAC-SHA256 Credential=AKID/20260101/eu/bedrock/aws4_request, Signature=0",
    );
    let asked = r#"{"messages":[],"inferenceConfig":{"maxTokens":9000}}"#;
    let [told, less] = both(
        r#"{"output":{"message":{"content":[{"reasoningContent":{"reasoningText":{"text":<"hm"|"">,"signature":"s"}}}]}}}"#,
    );
    scene.plan(Plan::Answer(answer(&told)));
    let (_, headers, body) = scene.ask(post("/model/m/converse", &[signed], asked)).await;
    assert_eq!((scene.last_forwarded().1, body), (asked.into(), less));
    assert_eq!(headers["stillguard-shaped"], "reasoning");
}

#[tokio::test(start_paused = true)]
async fn errors_and_answers_that_cannot_be_read_pass_as_they_are() {
    let scene = shaping();
    for (status, kind, body) in [
        (429, "application/json", r#"{"choices":[{"message":{"reasoning":"kept"}}]}"#),
        (200, "application/json", r#"{"choices":[{"message":{"reasoning":"kept""#),
        (200, "text/plain", "reasoning"),
    ] {
        let mut answered = answer(body);
        *answered.status_mut() = http::StatusCode::from_u16(status).unwrap();
        answered.headers_mut().insert("content-type", kind.parse().unwrap());
        scene.plan(Plan::Answer(answered));
        assert_eq!(scene.ask(chat("k")).await.2, body);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_too_large_to_be_held_passes_as_it_is() {
    let scene = Scene::with(all, |guard| guard.max_answer = 64);
    scene.judge(Action::Shape, 0.5);
    let [told, _] = both(ANSWERED);
    let mut answered = answer("");
    *answered.body_mut() =
        Script::new(told.as_bytes().chunks(50).map(Bytes::copy_from_slice).map(Step::Chunk));
    answered.headers_mut().remove("content-length");
    scene.plan(Plan::Answer(answered));
    assert_eq!(scene.ask(chat("k")).await.2, told);
}

#[tokio::test]
async fn over_sockets_lengths_and_trailers_are_right() {
    let scene = shaping();
    let wire = Wire::before(&scene).await;
    let ([asked, lower], [told, less]) = (both(ASKED), both(ANSWERED));
    let request = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: a\r\nte: trailers\r\nauthorization: Bearer k\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{asked}",
        asked.len()
    );
    let (first, second) = told.split_at(60);
    let chunked = format!(
        "transfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\nx-sum: 7\r\n\r\n",
        first.len(),
        second.len()
    );
    let whole = format!("content-length: {}\r\n\r\n{told}", told.len());
    let writes = |bytes: String| Writes { bytes: bytes.into(), cuts: vec![40; 30], close: false };
    for (index, answer) in [chunked, whole].into_iter().enumerate() {
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{answer}");
        let (seen, got) = wire.exchange(writes(request.clone()), writes(answer)).await;
        assert_eq!(seen.body, lower.as_bytes());
        assert_eq!(seen.field("content-length"), Some(lower.len().to_string().as_bytes()));
        assert_eq!(got.body, less.as_bytes());
        let trailers: Vec<_> = got.trailers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(trailers, if index == 0 { vec!["x-sum"] } else { vec![] });
        while scene.lines("end").len() <= index {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let end = scene.last_end();
        assert_eq!(
            (&end["ending"], &end["completion"]["usage"]["output"]),
            (&"complete".into(), &33.into())
        );
    }
}
