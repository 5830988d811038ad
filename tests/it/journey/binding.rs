//! What an account is given, and what it brings back: the endpoint sees what it issued, and nobody
//! else's.

use bytes::Bytes;
use http::{HeaderMap, Request};
use serde_json::{Value, json};
use stillguard::engine::Verdict;
use stillguard::guard::Fault;
use stillguard::policy::{Bind, Binding, Conversation, Mode, Unbound};

use super::scene::{Plan, Scene, Script, Step, answer, post, stream};
use super::shaping::names;
use super::wire::aws_frame;

pub(super) const SEAL: &str = "ErUBCkYIBxgCIkDq+/0sZWFsZWQ=";

/// An API: where it is asked, a request that brings `SEAL` back after other words, an answer that
/// issues it, and an event that does.
pub(super) struct Case {
    pub(super) path: &'static str,
    pub(super) brings: &'static str,
    pub(super) issues: &'static str,
    pub(super) event: &'static str,
    pub(super) stream: Streamed,
}

/// Where, the kind of answer, and one event of it.
type Streamed = (&'static str, &'static str, fn(&str) -> Vec<u8>);

fn sse(data: &str) -> Vec<u8> {
    format!("event: e\r\ndata: {data}\r\n\r\n").into()
}

fn frame(data: &str) -> Vec<u8> {
    aws_frame("contentBlockDelta", data.as_bytes())
}

pub(super) const CASES: [Case; 5] = [
    Case {
        path: "/v1/messages",
        brings: r#"{"model":"m", "max_tokens":9,"messages":[{"role":"user","content":"h\u0069"},{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"SEAL"},{"type":"text","text":"a"}]}]}"#,
        issues: r#"{"id":"msg_012345", "content":[{"type":"thinking","thinking":"hm","signature":"SEAL"},{"type":"text","text":"\u00e9"}],"stop_reason":"end_turn","usage":{"input_tokens":7,"output_tokens":33}}"#,
        event: r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"SEAL"}}"#,
        stream: ("/v1/messages", "text/event-stream", sse),
    },
    Case {
        path: "/v1/responses",
        brings: r#"{"model":"m","input":[{"role":"user","content":"hi"},{"type":"reasoning","id":"rs_0123456","summary":[] , "encrypted_content":"SEAL"}]}"#,
        issues: r#"{"id":"resp_0123","status":"completed","output":[{"type":"reasoning","id":"rs_0123456","encrypted_content":"SEAL","summary":[]}],"usage":{"input_tokens":7,"output_tokens":33}}"#,
        event: r#"{"type":"response.output_item.done","item":{"type":"reasoning","encrypted_content":"SEAL"}}"#,
        stream: ("/v1/responses", "text/event-stream", sse),
    },
    Case {
        path: "/v1beta/models/m:generateContent",
        brings: r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"text":"a", "thoughtSignature":"SEAL"}]}]}"#,
        issues: r#"{"candidates":[{"content":{"parts":[{"text":"a","thoughtSignature":"SEAL"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":33}}"#,
        event: r#"{"candidates":[{"content":{"parts":[{"text":"","thoughtSignature":"SEAL"}]}}]}"#,
        stream: ("/v1beta/models/m:streamGenerateContent", "application/json", |data| {
            format!("[{data}\r\n,").into()
        }),
    },
    Case {
        path: "/model/m/converse",
        brings: r#"{"messages":[{"role":"user","content":[{"text":"hi"}]},{"role":"assistant","content":[{"reasoningContent":{"reasoningText":{"text":"hm","signature":"SEAL"}}},{"text":"a"}]}]}"#,
        issues: r#"{"output":{"message":{"role":"assistant","content":[{"reasoningContent":{"redactedContent":"SEAL"}},{"text":"a"}]}},"stopReason":"end_turn","usage":{"inputTokens":7,"outputTokens":33}}"#,
        event: r#"{"contentBlockIndex":0,"delta":{"reasoningContent":{"signature":"SEAL"}}}"#,
        stream: ("/model/m/converse-stream", "application/vnd.amazon.eventstream", frame),
    },
    Case {
        path: "/model/anthropic.m/invoke",
        brings: r#"{"anthropic_version":"v","max_tokens":9,"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"redacted_thinking","data":"SEAL"},{"type":"text","text":"a"}]}]}"#,
        issues: r#"{"id":"msg_012345","type":"message","content":[{"type":"thinking","thinking":"hm","signature":"SEAL"}],"usage":{"input_tokens":7,"output_tokens":33}}"#,
        event: r#"{"type":"content_block_start","content_block":{"type":"redacted_thinking","data":"SEAL"}}"#,
        // What its events hold is coded: they are read elsewhere.
        stream: ("/v1/messages", "text/event-stream", sse),
    },
];

pub(super) fn bound(bind: Bind) -> Scene {
    Scene::with(|tenant| tenant.bind = Some(bind), |_| {})
}

pub(super) const WRAP: Bind = Bind {
    signatures: Binding::Wrap,
    tool_ids: Binding::Off,
    holder: stillguard::policy::Holder::Organisation,
    foreign: Unbound::Count,
    altered: Unbound::Count,
    bare: Unbound::Count,
    bare_until: None,
    conversation: Conversation::Off,
};

pub(super) const REFUSE: Bind =
    Bind { foreign: Unbound::Refuse, altered: Unbound::Refuse, bare: Unbound::Refuse, ..WRAP };

/// A request of `key`, in whatever spelling.
pub(super) fn of(key: &str, path: &str, body: &str) -> Request<Script> {
    post(path, &[("authorization", &format!("Bearer {key}"))], body)
}

/// What stands between the words around the seal.
pub(super) fn between<'a>(text: &'a str, around: &str) -> &'a str {
    let (before, after) = around.split_once("SEAL").unwrap();
    text.strip_prefix(before)
        .and_then(|rest| rest.strip_suffix(after))
        .unwrap_or_else(|| panic!("{text}"))
}

impl Scene {
    /// Has the endpoint issue the seal to `key`; what the caller gets.
    pub(super) async fn issues(&self, key: &str, case: &Case) -> (HeaderMap, String) {
        self.plan(Plan::Answer(answer(&case.issues.replace("SEAL", SEAL))));
        let (status, headers, body) = self.ask(of(key, case.path, plain(case))).await;
        assert_eq!(status, 200, "{body}");
        (headers, between(&body, case.issues).to_owned())
    }

    /// Has `key` bring back `seal`: the answer's status and text, and what the endpoint saw of it.
    pub(super) async fn brings(
        &self,
        key: &str,
        case: &Case,
        seal: &str,
    ) -> (u16, String, Option<Bytes>) {
        let before = self.forwarded();
        let (status, _, body) =
            self.ask(of(key, case.path, &case.brings.replace("SEAL", seal))).await;
        let saw = (self.forwarded() > before).then(|| self.last_forwarded().1);
        (status, body, saw)
    }
}

/// A first request, that brings nothing back.
pub(super) fn plain(case: &Case) -> &'static str {
    match case.path {
        "/v1/messages" => {
            r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#
        }
        "/v1/responses" => r#"{"model":"m","input":"hi"}"#,
        "/model/m/converse" => r#"{"messages":[{"role":"user","content":[{"text":"hi"}]}]}"#,
        "/model/anthropic.m/invoke" => {
            r#"{"anthropic_version":"v","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#
        }
        _ => r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#,
    }
}

pub(super) fn outcome(api: &str, outcome: &str) -> String {
    format!("stillguard_bound_total{{api=\"{api}\",outcome=\"{outcome}\"}}")
}

#[tokio::test(start_paused = true)]
async fn what_an_account_is_given_comes_back_as_the_endpoint_issued_it() {
    for case in &CASES {
        let scene = bound(REFUSE);
        let (headers, seal) = scene.issues("own", case).await;
        assert!(seal.starts_with("sgb1") && seal.len() > SEAL.len(), "{}: {seal}", case.path);
        assert!(!headers.contains_key("content-length"), "it was another body's");
        assert!(!headers.contains_key("stillguard-shaped"), "nothing is withheld");
        let end = scene.last_end()["completion"].clone();
        assert_eq!((&end["wrapped"], &end["usage"]["output"]), (&json!(1), &json!(33)), "{end}");
        let (status, said, saw) = scene.brings("own", case, &seal).await;
        assert_eq!(status, 200, "{said}");
        assert_eq!(saw.unwrap(), case.brings.replace("SEAL", SEAL), "{}", case.path);
        let asked = scene.lines("ask").pop().unwrap();
        assert_eq!(asked["ask"]["prompt"]["bonds"], json!({"verified": 1}), "{asked}");
    }
}

#[tokio::test(start_paused = true)]
async fn streams_issue_wrapped_seals_however_they_are_cut() {
    for case in &CASES {
        let (path, kind, event) = case.stream;
        let told = event(&case.event.replace("SEAL", SEAL));
        let other = event("{}");
        let rest = other.strip_prefix(b"[").unwrap_or(&other);
        let told = [&told[..], rest].concat();
        let mut first = None;
        for size in [1, 7, 100, 5000] {
            let scene = bound(WRAP);
            let steps = told.chunks(size).map(Bytes::copy_from_slice).map(Step::Chunk);
            let mut answered = stream(steps);
            answered.headers_mut().insert("content-type", kind.parse().unwrap());
            scene.plan(Plan::Answer(answered));
            let asked = CASES.iter().find(|asked| path.starts_with(asked.path)).unwrap_or(case);
            let body = scene.whole(of("own", path, plain(asked))).await;
            assert_eq!(scene.last_end()["completion"]["wrapped"], 1, "{path} by {size}");
            assert_eq!(&body, first.get_or_insert_with(|| body.clone()), "{path} by {size}");
        }
        let body = first.unwrap();
        let text = String::from_utf8_lossy(&body);
        let start = text.find("sgb1").unwrap();
        let seal = text[start..].split('"').next().unwrap();
        assert_eq!(body, [&event(&case.event.replace("SEAL", seal))[..], rest].concat(), "{path}");
        let (_, _, saw) = bound(REFUSE).brings("own", case, seal).await;
        assert_eq!(saw.unwrap(), case.brings.replace("SEAL", SEAL));
    }
}

impl Scene {
    /// The whole body of the answer, of any bytes.
    pub(super) async fn whole(&self, request: Request<Script>) -> Bytes {
        use http_body_util::BodyExt;
        self.call(request).await.into_body().collect().await.unwrap().to_bytes()
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_issued_to_another_is_counted_stripped_or_refused() {
    for case in &CASES {
        let counted = bound(WRAP);
        let (_, seal) = counted.issues("a", case).await;
        counted.introduce("b").await;
        let (status, _, saw) = counted.brings("b", case, &seal).await;
        assert_eq!((status, saw.unwrap()), (200, case.brings.replace("SEAL", SEAL).into()));
        let asked = counted.lines("ask").pop().unwrap()["ask"]["prompt"].clone();
        assert_eq!(asked["bonds"], json!({"foreign": 1}));
        assert_eq!(asked["foreign"].as_array().unwrap().len(), 1, "{asked}");
        assert!(asked["presented"].to_string().contains(&asked["foreign"][0].to_string()));

        let refused = bound(Bind { foreign: Unbound::Refuse, ..WRAP });
        let (status, said, saw) = refused.brings("b", case, &seal).await;
        assert_eq!((status, saw), (400, None), "{said}");
        assert!(said.contains("Invalid signature: thinking blocks"), "{said}");
        let end = refused.last_end();
        assert_eq!((&end["ending"], &end["status"]), (&json!("refused"), &json!(400)));
        assert_eq!(names(&end["completion"]["shaped"]), ["unbound"]);

        let stripped = bound(Bind { foreign: Unbound::Strip, ..WRAP });
        stripped.plan(Plan::Answer(answer(&case.issues.replace("SEAL", SEAL))));
        let request = of("b", case.path, &case.brings.replace("SEAL", &seal));
        let (status, headers, said) = stripped.ask(request).await;
        assert_eq!(status, 200, "{said}");
        assert_eq!(headers["stillguard-shaped"], "unsealed");
        let saw: Value = serde_json::from_slice(&stripped.last_forwarded().1).unwrap();
        assert!(!saw.to_string().contains("sgb1") && !saw.to_string().contains(SEAL), "{saw}");
        let whole: Value = serde_json::from_str(case.brings).unwrap();
        assert_ne!(saw, whole);
        assert_eq!(names(&stripped.last_end()["completion"]["shaped"]), ["unsealed"]);
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_are_worded_as_each_api_words_a_bad_signature() {
    let [messages, responses, gemini, converse, _] = &CASES;
    for (case, code) in [
        (messages, "invalid_request_error"),
        (responses, "invalid_encrypted_content"),
        (gemini, "INVALID_THOUGHT_SIGNATURE"),
        (converse, "Invalid signature"),
    ] {
        let scene = bound(REFUSE);
        let (status, said, _) = scene.brings("own", case, SEAL).await;
        assert!(status == 400 && said.contains(code), "{said}");
        assert_eq!(scene.count("stillguard_refusals_total{reason=\"unbound\"}"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn in_shadow_seals_are_wrapped_and_unwrapped_and_nobody_is_stopped() {
    for foreign in [Unbound::Refuse, Unbound::Strip] {
        let case = &CASES[0];
        let scene = Scene::with(
            |tenant| {
                tenant.mode = Some(Mode::Shadow);
                tenant.bind = Some(Bind { foreign, ..REFUSE });
            },
            |_| {},
        );
        let (_, seal) = scene.issues("a", case).await;
        assert!(seal.starts_with("sgb1"));
        let (status, _, saw) = scene.brings("b", case, &seal).await;
        assert_eq!((status, saw.unwrap()), (200, case.brings.replace("SEAL", SEAL).into()));
        let deed = if foreign == Unbound::Refuse { "unbound" } else { "unsealed" };
        let end = scene.last_end()["completion"].clone();
        assert_eq!(names(&end["would_shape"]), [deed]);
        assert_eq!(end["shaped"], Value::Null);
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_never_acted_on_is_not_refused() {
    let scene = bound(REFUSE);
    let verdict = Verdict { exempt: true, ..Verdict::default() };
    scene.fault(Fault::Judges(Box::new(verdict)));
    let (status, _, _) = scene.brings("own", &CASES[0], SEAL).await;
    assert_eq!(status, 200);
    assert_eq!(names(&scene.last_end()["completion"]["would_shape"]), ["unbound"]);
}
