use proptest::prelude::*;

use super::*;
use crate::dialect::tests::{Streamed, framed};
use crate::dialect::{Finish, Frames, Kind, Link, Reason, Role, Scarce, Usage, eventstream, json};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../tests/fixtures/dialect/bedrock/", $name))
    };
}

fn call<'a>(dialect: &dyn Dialect, path: &'a str, body: &'a str) -> Request<'a> {
    json::vet(body.as_bytes()).expect("one meaning");
    dialect.read_call(path, body.as_bytes()).expect("a request")
}

fn event(kind: &str, payload: &str) -> Vec<u8> {
    eventstream::frame(&[(":event-type", kind), (":message-type", "event")], payload.as_bytes())
}

fn read(dialect: &dyn Dialect, stream: &[u8]) -> Streamed {
    let frames = Frames::of(dialect.framing(""), "application/vnd.amazon.eventstream");
    framed(dialect, frames.expect("a stream"), stream)
}

#[test]
fn an_agents_request_is_read_whole() {
    let request =
        call(&Converse, "/model/mill.large-v1%3A0/converse-stream", fixture!("agent.json"));
    assert_eq!((&*request.model, request.stream), ("mill.large-v1:0", true));
    let expected = Params {
        temperature: Some(0.5),
        top_p: Some(0.25),
        max_tokens: Some(512),
        thinking: true,
        ..Params::default()
    };
    assert_eq!(request.params, expected);
    assert_eq!(request.presented, ["sig-mill01", "tooluse_mill01", "tooluse_mill01"]);
    assert_eq!(request.tools.len(), 1);
    assert_eq!(request.tools[0].params, [("sack".into(), "integer".into())]);
    let parts: Vec<_> = request.parts.iter().map(|p| (p.turn, p.role, p.kind, &*p.text)).collect();
    let expected = [
        (0, Role::System, Kind::Text, "You run a mill."),
        (0, Role::System, Kind::Text, "Be brief."),
        (1, Role::User, Kind::Text, "Is the flour fine?"),
        (1, Role::User, Kind::Image, ""),
        (1, Role::User, Kind::Document, ""),
        (1, Role::User, Kind::Document, "Ground twice."),
        (2, Role::Assistant, Kind::Thinking, "Weigh it."),
        (2, Role::Assistant, Kind::ToolCall, "weigh"),
        (2, Role::Assistant, Kind::ToolCall, "{\"sack\": 3}"),
        (3, Role::Tool, Kind::ToolResult, "{\"kg\": 25}"),
        (3, Role::Tool, Kind::ToolResult, "dry"),
        (3, Role::User, Kind::Text, "So?"),
    ];
    assert_eq!(parts, expected);
}

#[test]
fn a_malformed_body_is_told_by_field_and_never_by_value() {
    for (body, told) in [
        (r#"{"messages":"secret"}"#, "`messages` must be an array"),
        (r#"{"messages":["secret"]}"#, "every element of `messages` must be an object"),
    ] {
        assert_eq!(
            Converse.read_request(body.as_bytes()).expect_err("malformed").to_string(),
            told
        );
    }
}

#[test]
fn anthropics_bodies_are_known_by_their_version_or_the_paths_model() {
    let messages = r#""messages":[{"role":"user","content":"hi"}]"#;
    // To another model it would say nothing.
    let system = r#""system":"You run a mill.""#;
    let plain = format!("{{{messages},{system}}}");
    let versioned = format!(r#"{{"anthropic_version":"bedrock-2023-05-31",{messages},{system}}}"#);
    let read = |path, body| {
        let request = call(&Invoke, path, body);
        (request.model.into_owned(), request.stream, request.parts.len())
    };
    let profile = "/model/arn%3Aaws%3Abedrock%3Ax%3A1%3Aprofile%2Fp/invoke-with-response-stream";
    let arn = "arn:aws:bedrock:x:1:profile/p".to_owned();
    assert_eq!(read(profile, &versioned), (arn.clone(), true, 2));
    assert_eq!(read(profile, &plain), (arn, true, 1));
    let model = "us.anthropic.grove-v1:0".to_owned();
    assert_eq!(read("/model/us.anthropic.grove-v1:0/invoke", &plain), (model, false, 2));
}

#[test]
fn the_deepest_vetted_nesting_does_not_exhaust_the_stack() {
    let mut content = "[{\"text\":\"x\"}]".to_owned();
    while content.matches('[').count() < 40 {
        content = format!("[{{\"toolResult\":{{\"content\":{content}}}}}]");
    }
    let body = format!(r#"{{"messages":[{{"content":{content}}}]}}"#);
    assert_eq!(call(&Converse, "", &body).parts[0].text, "x");
}

#[test]
fn a_whole_answer_gives_away_text_ids_and_usage() {
    let delta = Converse.read_answer(fixture!("answer.json").as_bytes()).expect("an answer");
    let pieces: Vec<_> = delta.pieces.iter().map(|(kind, text)| (*kind, &**text)).collect();
    let expected = [
        (Kind::Thinking, "It is dry."),
        (Kind::Text, "Fine enough."),
        (Kind::ToolCall, "pack"),
        (Kind::ToolCall, "{\"sack\": 3}"),
    ];
    assert_eq!(pieces, expected);
    assert_eq!(delta.issued, ["sig-mill02", "tooluse_mill02"]);
    let usage = Usage { input: Some(130), output: Some(9), cached: Some(100), reasoning: None };
    assert_eq!((delta.usage, delta.finish), (Some(usage), Some(Finish::Tool)));
}

#[test]
fn a_stream_gives_away_what_the_whole_answer_would() {
    let lines = fixture!("stream.txt").lines().filter_map(|line| line.split_once(' '));
    let stream: Vec<_> = lines.map(|(kind, payload)| event(kind, payload)).collect();
    let Streamed { pieces, issued, usage, end } = read(&Converse, &stream.concat());
    let expected = [
        (Kind::Thinking, "It is dry.".to_owned()),
        (Kind::Text, "Fine enough.".to_owned()),
        (Kind::ToolCall, "pack{\"sack\":3}".to_owned()),
    ];
    assert_eq!(pieces, expected);
    assert_eq!(issued, ["sig-mill03", "tooluse_mill03"]);
    let known = Usage { input: Some(120), output: Some(9), cached: Some(100), reasoning: None };
    assert_eq!((usage, end.finish, end.last), (known, Some(Finish::Tool), true));
}

#[test]
fn chunks_of_an_invoked_model_are_decoded() {
    // {"type":"content_block_delta","delta":{"text":"flour"}}
    let text = "eyJ0eXBlIjoiY29udGVudF9ibG9ja19kZWx0YSIsImRlbHRhIjp7InRleHQiOiJmbG91ciJ9fQ==";
    // {"amazon-bedrock-invocationMetrics":{"inputTokenCount":7,"outputTokenCount":2}}
    let counts = concat!(
        "eyJhbWF6b24tYmVkcm9jay1pbnZvY2F0aW9uTWV0cmljcyI6eyJpbnB1dFRva2VuQ291bnQiOjcsIm91dHB1",
        "dFRva2VuQ291bnQiOjJ9fQ==",
    );
    let stream = [text, counts].map(|bytes| event("chunk", &format!("{{\"bytes\":\"{bytes}\"}}")));
    let Streamed { pieces, usage, end, .. } = read(&Invoke, &stream.concat());
    assert_eq!(pieces, [(Kind::Text, "flour".to_owned())]);
    assert_eq!((usage.input, usage.output, end.last), (Some(7), Some(2), true));
}

#[test]
fn routes_are_spoken_by_one_dialect_each() {
    let speaks = |path| {
        let headers = HeaderMap::new();
        let speak = |dialect: &dyn Dialect| dialect.speaks(&Method::POST, path, &headers);
        (speak(&Converse), speak(&Invoke))
    };
    assert_eq!(speaks("/tenant/model/m/converse"), (true, false));
    assert_eq!(speaks("/model/m/converse-stream/"), (true, false));
    assert_eq!(speaks("/model/m/invok%65"), (false, true));
    assert_eq!(speaks("/model/m/count-tokens"), (false, false));
    assert_eq!(speaks("/models/m/converse"), (false, false));
}

#[test]
fn unread_routes_are_refused_in_the_words_of_whoever_asks() {
    let nearest = |path: &str, header: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(header, http::HeaderValue::from_static("x"));
        crate::dialect::nearest(path, &headers).api()
    };
    assert_eq!(nearest("/model/m/invoke", "anthropic-version"), Api::BedrockInvoke);
    assert_eq!(nearest("/model/m/count-tokens", "x-amz-date"), Api::BedrockInvoke);
    assert_eq!(nearest("/v1beta/models/m:generateContent", "accept"), Api::GeminiGenerate);
    assert_eq!(nearest("/v1beta/files", "x-goog-api-key"), Api::GeminiGenerate);
    assert_eq!(nearest("/v1/files", "x-amz-cf-id"), Api::OpenaiChat);
}

const CHALLENGE: Wording<'_> = Wording {
    status: 403,
    reason: Reason::Challenged,
    scarce: Scarce::Requests,
    message: "Verify this account to continue.",
    reference: "sg_7f3a9c21d0b4e655",
    link: Some(Link { url: "https://sg.example/c/x", expires_at: 1_790_000_000 }),
    retry_after: None,
};

#[test]
fn a_challenge_is_a_denial_of_access_with_its_message() {
    let worded = Converse.refuse(&CHALLENGE);
    assert_eq!(worded.body, r#"{"message":"Verify this account to continue."}"#);
    let headers: HeaderMap = worded.headers.into_iter().collect();
    assert_eq!(headers["x-amzn-errortype"], "AccessDeniedException");
    assert_eq!(headers["x-amzn-requestid"], "sg_7f3a9c21d0b4e655");
}

#[test]
fn a_broken_stream_ends_in_an_exception() {
    for (reason, name) in [
        (Reason::Throttled, "throttlingException"),
        (Reason::UpstreamFailed, "serviceUnavailableException"),
    ] {
        let frame = Invoke.break_stream(&Wording { reason, ..CHALLENGE });
        let mut seen = Vec::new();
        eventstream::Splitter::default().push(&frame, |event| {
            seen.push((event.name.map(str::to_owned), event.data.to_owned()));
        });
        let message = r#"{"message":"Verify this account to continue."}"#.to_owned();
        assert_eq!(seen, [(Some(name.to_owned()), message)]);
        assert!(read(&Converse, &frame).end.error && read(&Invoke, &frame).end.error);
    }
}

proptest! {
    #[test]
    fn no_value_in_a_field_without_words_fails_a_request(
        field in prop::sample::select(vec![
            "inferenceConfig", "toolConfig", "additionalModelRequestFields",
        ]),
        value in prop::sample::select(vec![
            "null", "true", "-1.5e3", "\"x\"", "[]", "{}", "[[{}],null,7]", "{\"tools\":{}}",
            "{\"tools\":[7,{\"toolSpec\":[]}],\"thinking\":7}", "[{\"document\":{\"source\":[]}}]",
        ]),
    ) {
        let body = format!("{{\"messages\":[],\"{field}\":{value}}}");
        prop_assert!(Converse.read_request(body.as_bytes()).is_ok(), "{}", body);
    }

    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..64), text in "[\\[\\]{}\":,a-z0-9]{0,64}") {
        for dialect in [&Converse as &dyn Dialect, &Invoke] {
            let _ = dialect.read_call(&text, &body);
            let _ = dialect.read_answer(&body);
            let _ = dialect.read_event(sse::Event { name: None, data: &text });
            let _ = invoke::chunk(&format!("{{\"bytes\":\"{text}\"}}"));
        }
    }
}

/// A model's request, what must be read of it, its answer, and the chunks of the same streamed.
type Family = (&'static str, (&'static str, Option<u32>), &'static str, &'static [&'static str]);

const FAMILIES: [Family; 5] = [
    (
        r#"{"prompt":"Is it fine?","max_gen_len":64,"temperature":0.5}"#,
        ("Is it fine?", Some(64)),
        r#"{"generation":"Fine.","prompt_token_count":4,"generation_token_count":2,"stop_reason":"stop"}"#,
        &[
            r#"{"generation":"Fi","prompt_token_count":4,"generation_token_count":1,"stop_reason":null}"#,
            r#"{"generation":"ne.","prompt_token_count":null,"generation_token_count":2,"stop_reason":"stop"}"#,
        ],
    ),
    (
        r#"{"inputText":"Is it fine?","textGenerationConfig":{"maxTokenCount":64,"temperature":0.5}}"#,
        ("Is it fine?", Some(64)),
        r#"{"inputTextTokenCount":4,"results":[{"tokenCount":2,"outputText":"Fine.","completionReason":"FINISH"}]}"#,
        &[
            r#"{"outputText":"Fine.","index":0,"totalOutputTextTokenCount":2,"inputTextTokenCount":4,"completionReason":"FINISH"}"#,
        ],
    ),
    (
        r#"{"schemaVersion":"messages-v1","messages":[{"role":"user","content":[{"text":"Is it fine?"}]}],"inferenceConfig":{"max_new_tokens":64,"temperature":0.5}}"#,
        ("Is it fine?", Some(64)),
        r#"{"output":{"message":{"role":"assistant","content":[{"text":"Fine."}]}},"stopReason":"end_turn","usage":{"inputTokens":4,"outputTokens":2}}"#,
        &[
            r#"{"messageStart":{"role":"assistant"}}"#,
            r#"{"contentBlockDelta":{"delta":{"text":"Fine."},"contentBlockIndex":0}}"#,
            r#"{"messageStop":{"stopReason":"end_turn"}}"#,
            r#"{"metadata":{"usage":{"inputTokens":4,"outputTokens":2}}}"#,
        ],
    ),
    (
        r#"{"messages":[{"role":"user","content":"Is it fine?"}],"max_tokens":64,"temperature":0.5}"#,
        ("Is it fine?", Some(64)),
        r#"{"choices":[{"message":{"role":"assistant","content":"Fine."},"finish_reason":"stop"}],"usage":{"prompt_tokens":4,"completion_tokens":2}}"#,
        &[
            r#"{"choices":[{"delta":{"content":"Fine."}}]}"#,
            r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":4,"completion_tokens":2}}"#,
        ],
    ),
    (
        r#"{"prompt":"Is it fine?","max_tokens":64,"temperature":0.5}"#,
        ("Is it fine?", Some(64)),
        r#"{"outputs":[{"text":"Fine.","stop_reason":"stop"}]}"#,
        &[
            r#"{"outputs":[{"text":"Fine.","stop_reason":null}]}"#,
            r#"{"outputs":[{"text":"","stop_reason":"stop"}],"amazon-bedrock-invocationMetrics":{"inputTokenCount":4,"outputTokenCount":2}}"#,
        ],
    ),
];

#[test]
fn models_of_every_family_are_read_both_ways() {
    for (index, (body, (text, most), answer, chunks)) in FAMILIES.into_iter().enumerate() {
        let request = call(&Invoke, "/model/arn%3Ax%2Fp/invoke", body);
        assert_eq!((&*request.model, request.unread), ("arn:x/p", false), "{body}");
        assert_eq!((request.params.max_tokens, request.params.temperature), (most, Some(0.5)));
        let parts: Vec<_> = request.parts.iter().map(|part| (part.role, &*part.text)).collect();
        assert_eq!(parts, [(Role::User, text)], "{body}");
        let counted = Usage { input: Some(4), output: Some(2), ..Usage::default() };
        let delta = Invoke.read_answer(answer.as_bytes()).expect("an answer");
        assert_eq!(delta.pieces, [(Kind::Text, "Fine.".into())], "{answer}");
        assert_eq!(delta.finish, Some(Finish::Stop));
        // Mistral's own answers tell no counts: Bedrock adds them to the end of a stream.
        assert_eq!(delta.usage, Some(counted).filter(|_| index < 4), "{answer}");
        let stream: Vec<u8> = chunks.iter().flat_map(|chunk| coded(chunk)).collect();
        let streamed = read(&Invoke, &stream);
        assert_eq!(streamed.pieces, [(Kind::Text, "Fine.".to_owned())], "{body}");
        assert_eq!((streamed.usage, streamed.end.finish), (counted, Some(Finish::Stop)), "{body}");
    }
}

#[test]
fn shapes_nobody_knows_are_told_as_unread() {
    for body in [r#"{"taskType":"TEXT_IMAGE","textToImageParams":{"text":"x"}}"#, "{}"] {
        let request = call(&Invoke, "/model/m/invoke", body);
        assert!(request.unread && request.parts.is_empty(), "{body}");
    }
    let numbers = Invoke.read_answer(br#"{"embedding":[0.1],"inputTextTokenCount":4}"#);
    let free = Usage { input: Some(4), output: Some(0), ..Usage::default() };
    assert_eq!(numbers.expect("an answer").usage, Some(free));
}

/// A chunk of `invoke-with-response-stream`.
fn coded(text: &str) -> Vec<u8> {
    event("chunk", &format!("{{\"bytes\":\"{}\"}}", base64(text.as_bytes())))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |group: &[u8]| {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | usize::from(*group.get(at).unwrap_or(&0)));
        let digit = move |place: usize| char::from(DIGITS[bits >> (18 - 6 * place) & 63]);
        (0..=group.len()).map(digit).collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}
