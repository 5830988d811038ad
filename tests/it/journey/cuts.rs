//! Streams that end before their end: at a limit, or because the endpoint broke off.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use stillguard::policy::{Limits, Quotas, TenantSettings, TokenPace};

use super::scene::{
    Answered, CHAT, MESSAGES, Plan, Scene, Script, Step, chat, chunk, post, stream,
};
use super::wire::{Wire, Writes, aws_frame};

/// A dialect's way to stream: where, what is asked, the kind of answer, an event of four tokens or
/// more, and what its error event holds.
struct Spoken {
    path: &'static str,
    body: &'static str,
    kind: &'static str,
    event: fn() -> Vec<u8>,
    /// Of a stream cut at a limit, and of one the endpoint has broken off.
    last: [&'static str; 2],
}

/// How early a stream may be cut, and how late: by an event.
const LAST_STEP: u64 = 16;
const EVENT: u64 = 5;

const WORDS: &str = "four little words here";
const SSE: &str = "text/event-stream";

fn sse(data: &str) -> Vec<u8> {
    format!("data: {}\n\n", data.replace("WORDS", WORDS)).into()
}

const GEMINI: &str = r#"{"contents":[{"parts":[{"text":"x"}]}]}"#;
const BEDROCK: &str = r#"{"messages":[{"role":"user","content":[{"text":"x"}]}]}"#;

const SPOKEN: [Spoken; 6] = [
    Spoken {
        path: "/v1/chat/completions",
        body: r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"x"}]}"#,
        kind: SSE,
        event: || sse(r#"{"choices":[{"delta":{"content":"WORDS"}}]}"#),
        last: [
            "data: {\"error\":{\"message\":\"The output",
            "data: {\"error\":{\"message\":\"The model",
        ],
    },
    Spoken {
        path: "/v1/responses",
        body: r#"{"model":"m","stream":true,"input":"x"}"#,
        kind: SSE,
        event: || sse(r#"{"type":"response.output_text.delta","delta":"WORDS"}"#),
        last: [
            "event: error\ndata: {\"type\":\"error\",",
            "event: error\ndata: {\"type\":\"error\",",
        ],
    },
    Spoken {
        path: "/v1/messages",
        body: r#"{"model":"m","stream":true,"max_tokens":900,"messages":[{"role":"user","content":"x"}]}"#,
        kind: SSE,
        event: || sse(r#"{"type":"content_block_delta","delta":{"text":"WORDS"}}"#),
        last: [
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\"",
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\"",
        ],
    },
    Spoken {
        path: "/v1beta/models/m:streamGenerateContent?alt=sse",
        body: GEMINI,
        kind: SSE,
        event: || sse(r#"{"candidates":[{"content":{"parts":[{"text":"WORDS"}]}}]}"#),
        last: ["data: {\"error\":{\"code\":429,", "data: {\"error\":{\"code\":502,"],
    },
    Spoken {
        path: "/v1beta/models/m:streamGenerateContent",
        body: GEMINI,
        kind: "application/json",
        event: || {
            let event = r#"[{"candidates":[{"content":{"parts":[{"text":"WORDS"}]}}]}"#;
            event.replace("WORDS", WORDS).into()
        },
        last: [",\n{\"error\":{\"code\":429,", ",\n{\"error\":{\"code\":502,"],
    },
    Spoken {
        path: "/model/m/converse-stream",
        body: BEDROCK,
        kind: "application/vnd.amazon.eventstream",
        event: || {
            let delta = r#"{"delta":{"text":"WORDS"}}"#.replace("WORDS", WORDS);
            aws_frame("contentBlockDelta", delta.as_bytes())
        },
        last: ["throttlingException", "serviceUnavailableException"],
    },
];

impl Spoken {
    fn asked(&self) -> Request<Script> {
        post(self.path, &[("authorization", "Bearer k")], self.body)
    }

    fn answer(&self, steps: impl IntoIterator<Item = Step>) -> Response<Script> {
        let mut answer = stream(steps);
        answer.headers_mut().insert("content-type", self.kind.parse().unwrap());
        answer
    }

    /// The `n`-th event; of an array, only the first opens it.
    fn nth(&self, n: usize) -> Vec<u8> {
        let event = (self.event)();
        if n > 0 && event[0] == b'[' { [b",", &event[1..]].concat() } else { event }
    }
}

fn a_day(tokens: u64) -> Quotas {
    Quotas { tokens: NonZeroU64::new(tokens), ..Quotas::default() }
}

/// So many tokens a day, and streams cut there.
async fn scene_with(tokens: u64) -> Scene {
    let limits = Limits { per_day: a_day(tokens), cut_streams: true, ..Limits::default() };
    let scene = Scene::with(|tenant| tenant.limits = Some(limits), |_| {});
    scene.introduce("k").await;
    assert_eq!(scene.tokens_today("k"), 0, "nobody is counted before the endpoint knows them");
    scene
}

/// What a caller gets before the error that ends an answer; none if it ends well.
async fn taken(answered: Answered) -> (Vec<u8>, bool) {
    let (mut body, mut bytes) = (answered.into_body(), Vec::new());
    loop {
        match body.frame().await {
            Some(Ok(frame)) => bytes.extend_from_slice(&frame.into_data().unwrap()),
            Some(Err(_)) => {
                assert!(body.frame().await.is_none());
                return (bytes, true);
            }
            None => return (bytes, false),
        }
    }
}

fn holds(bytes: &[u8], words: &str) -> bool {
    bytes.windows(words.len()).any(|window| window == words.as_bytes())
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_cut_where_its_budget_ends_in_the_words_of_its_dialect() {
    for spoken in SPOKEN {
        let scene = scene_with(1100).await;
        let events: Vec<_> = (0..400).map(|n| spoken.nth(n)).collect();
        let steps = events.iter().map(|event| Step::Chunk(Bytes::copy_from_slice(event)));
        scene.plan(Plan::Answer(spoken.answer(steps.chain([Step::Hang]))));
        let (bytes, broken) = taken(scene.call(spoken.asked()).await).await;
        assert!(broken, "{}: a cut stream never ends well", spoken.path);
        let whole = events.concat();
        let same = bytes.iter().zip(&whole).take_while(|(a, b)| a == b).count();
        let ends = events.iter().scan(0, |at, event| {
            *at += event.len();
            Some(*at)
        });
        let end = ends.filter(|end| *end <= same + 1).last().unwrap();
        let last = &bytes[end..];
        assert!(
            holds(last, spoken.last[0]),
            "{}: {:?}",
            spoken.path,
            String::from_utf8_lossy(last)
        );
        assert!(!holds(last, WORDS));
        let exchange = scene.last_end();
        assert_eq!((&exchange["ending"], &exchange["status"]), (&"cut".into(), &200.into()));
        assert_eq!(exchange["completion"]["bytes"], end);
        let output = exchange["completion"]["usage"]["output"].as_u64().unwrap();
        let today = scene.tokens_today("k");
        assert!(output < today && (1100 - LAST_STEP..1100 + EVENT).contains(&today), "{today}");
        assert_eq!(scene.in_flight("k"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_event_never_gets_into_the_middle_of_another() {
    for spoken in SPOKEN {
        for size in [1, 7, 100, 5000] {
            let scene = scene_with(1100).await;
            let whole: Vec<_> = (0..400).flat_map(|n| spoken.nth(n)).collect();
            let steps = whole.chunks(size).map(Bytes::copy_from_slice).map(Step::Chunk);
            scene.plan(Plan::Answer(spoken.answer(steps)));
            let (bytes, broken) = taken(scene.call(spoken.asked()).await).await;
            assert!(broken && holds(&bytes, spoken.last[0]), "{} by {size}", spoken.path);
            let passed = scene.last_end()["completion"]["bytes"].as_u64().unwrap() as usize;
            assert_eq!(bytes[..passed], whole[..passed]);
            let event = (spoken.event)().len();
            // All of one length, but for the carriage of an array's comma.
            assert_eq!(passed % event, 0, "{} by {size}", spoken.path);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_takes_all_its_account_has_left_and_no_more_than_others_leave_it() {
    let spoken = &SPOKEN[0];
    let run = async |scene: &Scene, events: usize| {
        let steps: Vec<_> = (0..events).map(|n| Step::Chunk(spoken.nth(n).into())).collect();
        scene.plan(Plan::Answer(spoken.answer(steps)));
        taken(scene.call(spoken.asked()).await).await.1
    };
    let scene = scene_with(5000).await;
    assert!(!run(&scene, 800).await, "it goes on beyond its first reservation");
    let spent = scene.tokens_today("k");
    assert!((2500..3500).contains(&spent), "{spent}");
    scene.plan(Plan::Answer(spoken.answer([Step::Hang])));
    let held = scene.call(spoken.asked()).await;
    assert!(run(&scene, 800).await, "the other holds some of the rest");
    let today = scene.tokens_today("k");
    assert!((5000 - LAST_STEP..5000 + EVENT).contains(&today), "{today}");
    drop(held);
    assert!(scene.tokens_today("k") < 4000, "what it has reserved is back");
}

#[tokio::test(start_paused = true)]
async fn a_pace_refills_while_a_stream_runs() {
    let pace = |tokens_per_minute, burst| {
        let number = |n| NonZeroU32::new(n).unwrap();
        TokenPace { tokens_per_minute: number(tokens_per_minute), burst: number(burst) }
    };
    for (every, cut) in [(Duration::ZERO, true), (Duration::from_secs(1), false)] {
        let output_tokens = Some(pace(600, 1024));
        let limits = Limits { output_tokens, cut_streams: true, ..Limits::default() };
        let scene = Scene::with(|tenant: &mut TenantSettings| tenant.limits = Some(limits), |_| {});
        scene.introduce("k").await;
        tokio::time::advance(Duration::from_secs(600)).await;
        let spoken = &SPOKEN[0];
        let steps = (0..400).map(|n| Step::Chunk(spoken.nth(n).into()));
        scene.plan(Plan::Answer(spoken.answer(steps)));
        let mut body = scene.call(spoken.asked()).await.into_body();
        let mut broken = false;
        while let Some(frame) = body.frame().await {
            broken |= frame.is_err();
            tokio::time::advance(every).await;
        }
        assert_eq!(broken, cut, "an event every {every:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn whole_answers_and_finished_streams_are_not_cut() {
    let scene = scene_with(1100).await;
    let long = format!(r#"{{"choices":[{{"message":{{"content":"{}"}}}}]}}"#, WORDS.repeat(2000));
    scene.plan(Plan::Answer(super::scene::answer(&long)));
    let (bytes, broken) = taken(scene.call(chat("k")).await).await;
    assert_eq!((bytes.len(), broken), (long.len(), false));
    let scene = scene_with(1100).await;
    let all = [(0..400).flat_map(|n| SPOKEN[0].nth(n)).collect(), sse("[DONE]")].concat();
    scene.plan(Plan::Answer(SPOKEN[0].answer([Step::Chunk(all.clone().into())])));
    let (bytes, broken) = taken(scene.call(SPOKEN[0].asked()).await).await;
    assert_eq!((bytes, broken), (all, false), "it has all passed: nothing is left to be cut");
}

#[tokio::test(start_paused = true)]
async fn without_the_setting_a_stream_runs_on() {
    let limits = Limits { per_day: a_day(1114), ..Limits::default() };
    let scene = Scene::with(|tenant| tenant.limits = Some(limits), |_| {});
    scene.introduce("k").await;
    let steps = (0..400).map(|n| Step::Chunk(SPOKEN[0].nth(n).into()));
    scene.plan(Plan::Answer(SPOKEN[0].answer(steps)));
    assert!(!taken(scene.call(SPOKEN[0].asked()).await).await.1);
}

#[tokio::test(start_paused = true)]
async fn a_coded_stream_is_cut_without_words() {
    let scene = scene_with(1100).await;
    let whole: Vec<_> = (0..4000).flat_map(|n| SPOKEN[0].nth(n)).collect();
    let coded = super::scene::encoded("gzip", &whole);
    let mut answer =
        SPOKEN[0].answer(coded.chunks(64).map(Bytes::copy_from_slice).map(Step::Chunk));
    answer.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    scene.plan(Plan::Answer(answer));
    let (bytes, broken) = taken(scene.call(SPOKEN[0].asked()).await).await;
    assert!(broken && coded.starts_with(&bytes) && bytes.len() < coded.len());
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_breaks_off_between_events_is_told_of_and_within_one_is_not() {
    for spoken in SPOKEN {
        let scene = Scene::new();
        let event = spoken.nth(0);
        scene.plan(Plan::Answer(spoken.answer([Step::Chunk(event.clone().into()), Step::Fail])));
        let (bytes, broken) = taken(scene.call(spoken.asked()).await).await;
        assert!(broken && bytes.starts_with(&event));
        assert!(holds(&bytes[event.len()..], spoken.last[1]), "{}", spoken.path);
        assert_eq!(scene.last_end()["ending"], "truncated");
        for cut in [1, event.len() / 2, event.len() - 1] {
            let half = Bytes::copy_from_slice(&event[..cut]);
            let steps = [Step::Chunk(event.clone().into()), Step::Chunk(half), Step::Fail];
            scene.plan(Plan::Answer(spoken.answer(steps)));
            let (bytes, broken) = taken(scene.call(spoken.asked()).await).await;
            assert!(broken && bytes == [&event, &event[..cut]].concat(), "{} {cut}", spoken.path);
        }
        scene.plan(Plan::Answer(spoken.answer([Step::Fail])));
        let (bytes, broken) = taken(scene.call(spoken.asked()).await).await;
        assert!(broken && bytes.is_empty(), "as a first event, some SDKs would retry");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_added_to_an_answer_of_declared_length_or_after_its_last_event() {
    let scene = Scene::new();
    let event = sse(r#"{"choices":[{"delta":{"content":"x"}}]}"#);
    let done = [event.clone(), sse("[DONE]")].concat();
    scene.plan(Plan::Answer(stream([Step::Chunk(done.clone().into()), Step::Fail])));
    assert_eq!(taken(scene.call(chat("k")).await).await, (done, true));
    let mut declared = stream([]);
    *declared.body_mut() = Script::of_length(100, [Step::Chunk(event.clone().into()), Step::Fail]);
    scene.plan(Plan::Answer(declared));
    assert_eq!(taken(scene.call(chat("k")).await).await, (event, true));
    let plain = post("/v1/chat/completions", &[("authorization", "Bearer k")], CHAT);
    scene.plan(Plan::Answer(stream([chunk(MESSAGES), Step::Fail])));
    assert_eq!(taken(scene.call(plain).await).await, (MESSAGES.into(), true), "no event yet");
}

#[test]
fn on_the_wire_a_broken_stream_has_its_last_words_and_no_end() {
    use std::io::{Read, Write};
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let scene = Scene::new();
    let wire = runtime.block_on(Wire::before(&scene));
    let event = String::from_utf8(SPOKEN[0].nth(0)).unwrap();
    let bytes = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {SSE}\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{event}\r\n",
        event.len()
    );
    wire.answers(Writes { bytes: bytes.into(), cuts: Vec::new(), close: true });
    let mut client = std::net::TcpStream::connect(wire.proxy).unwrap();
    let body = SPOKEN[0].body;
    write!(
        client,
        "POST {} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer k\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        SPOKEN[0].path,
        body.len()
    )
    .unwrap();
    let mut answer = Vec::new();
    // The connection may end with a reset.
    let _ = client.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.contains(&event) && answer.contains(SPOKEN[0].last[1]), "{answer}");
    assert!(!answer.ends_with("0\r\n\r\n"), "the last chunk would say that it is whole");
}
