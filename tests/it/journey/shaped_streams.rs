//! Streams of shaped accounts, in every dialect.

use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt;

use super::scene::{Plan, Script, Step, chunk, messages, post, stream};
use super::shaping::{CHAT, KEY, both, names, shaping};
use super::wire::aws_frame;

const SSE: &str = "text/event-stream";
const BINARY: &str = "application/vnd.amazon.eventstream";

/// Where, the kind of answer, and one event of it.
type Streamed = (&'static str, &'static str, fn(&str) -> Vec<u8>);

fn sse(data: &str) -> Vec<u8> {
    format!("event: e\r\ndata: {data}\r\n\r\n").into()
}

const CLAUDE: &str =
    r#"{"model":"m","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#;
const GOOGLE: &str = r#"{"contents":[{"parts":[{"text":"x"}]}]}"#;
const AMAZON: &str = r#"{"messages":[{"role":"user","content":[{"text":"x"}]}]}"#;

const STREAMED: [(Streamed, &str, &str); 6] = [
    (
        (CHAT, SSE, sse),
        r#"{"model":"m","stream":true,"messages":[]}"#,
        r#"{"choices":[{"delta":{"reasoning_content":<"é ok"|"">}}]}"#,
    ),
    (
        ("/v1/responses", SSE, sse),
        r#"{"model":"m","stream":true,"input":"x"}"#,
        r#"{"type":"response.reasoning_summary_text.delta","delta":<"é ok"|"">}"#,
    ),
    (
        ("/v1/messages", SSE, sse),
        CLAUDE,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":<"é ok"|"">}}"#,
    ),
    (
        ("/v1beta/models/m:streamGenerateContent?alt=sse", SSE, sse),
        GOOGLE,
        r#"{"candidates":[{"content":{"parts":[{"text":<"é ok"|"">,"thought":true}]}}]}"#,
    ),
    (
        ("/v1beta/models/m:streamGenerateContent", "application/json", |data| {
            format!("[{data}\n,").into()
        }),
        GOOGLE,
        r#"{"candidates":[{"content":{"parts":[{"text":<"é ok"|"">,"thought":true}]}}]}"#,
    ),
    (
        ("/model/m/converse-stream", BINARY, |data| {
            aws_frame("contentBlockDelta", data.as_bytes())
        }),
        AMAZON,
        r#"{"contentBlockIndex":0,"delta":{"reasoningContent":{"text":<"é ok"|"">}}}"#,
    ),
];

fn answered(kind: &str, steps: impl IntoIterator<Item = Step>) -> Response<Script> {
    let mut answer = stream(steps);
    answer.headers_mut().insert("content-type", kind.parse().unwrap());
    answer
}

#[tokio::test(start_paused = true)]
async fn streams_of_every_dialect_are_shaped_alike_however_they_are_cut() {
    for ((path, kind, event), asked, data) in STREAMED {
        let [told, less] = both(data).map(|data| {
            let (first, second) = (event(&data), event("{}"));
            // Of an array's elements, only the first opens it.
            let later = |event: &[u8]| event.strip_prefix(b"[").unwrap_or(event).to_vec();
            [first.clone(), later(&second), later(&first)].concat()
        });
        for size in [1, 7, 100, 5000] {
            let scene = shaping();
            let steps = told.chunks(size).map(Bytes::copy_from_slice).map(Step::Chunk);
            scene.plan(Plan::Answer(answered(kind, steps)));
            let answer = scene.call(post(path, &[KEY], asked)).await;
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, less, "{path} by {size}");
            let end = scene.last_end();
            let deeds = names(&end["completion"]["shaped"]);
            assert_eq!(deeds.last(), Some(&"reasoning"), "{path} by {size}");
            assert_eq!(end["completion"]["thinking"], false);
            let counted = end["completion"]["usage"]["output"].as_u64().unwrap();
            assert!(counted >= 2, "{path}: what is withheld is counted, too: {end}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn half_an_event_of_a_broken_stream_is_not_given_away() {
    let scene = shaping();
    let steps = [
        chunk("data: {\"type\":\"content_block_delta\",\"delta\":{\"thinking\":\"one\"}}\n\n"),
        chunk("data: {\"type\":\"content_block_delta\",\"delta\":{\"thinking\":\"tw"),
        Step::Fail,
    ];
    scene.plan(Plan::Answer(stream(steps)));
    let mut body = scene.call(messages("k")).await.into_body();
    let mut said = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        said.extend_from_slice(&frame.into_data().unwrap());
    }
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("\"thinking\":\"\"") && said.contains("event: error"), "{said}");
    assert!(!said.contains("one") && !said.contains("tw"), "{said}");
    assert_eq!(scene.last_end()["ending"], "truncated");
}
