use proptest::prelude::*;

use super::*;
use crate::dialect::testing::{Streamed, framed};
use crate::dialect::{Finish, Frames, Kind, Link, Reason, Role, Usage, eventstream, json};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../tests/fixtures/dialect/bedrock/", $name))
    };
}

const PATH: &str = "/model/mill.large-v1%3A0/converse";

fn request(body: &str) -> Request<'_> {
    json::vet(body.as_bytes()).expect("one meaning");
    Converse.read_call(PATH, body.as_bytes()).expect("a request")
}

fn frames() -> Frames {
    let binary = "application/vnd.amazon.eventstream";
    Frames::of(Converse.framing(PATH), binary).expect("a stream")
}

fn frame(name: &str, payload: &str) -> Vec<u8> {
    let headers = [(":event-type", name), (":message-type", "event")];
    eventstream::frame(&headers, payload.as_bytes())
}

/// A chunk of a streamed `invoke`.
fn chunk(event: &str) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut coded = String::new();
    for group in event.as_bytes().chunks(3) {
        let byte = |at| u32::from(group.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..=group.len() {
            coded.push(char::from(DIGITS[(bits >> (18 - 6 * digit) & 63) as usize]));
        }
    }
    frame("chunk", &format!("{{\"bytes\":\"{coded}\",\"p\":\"abc\"}}"))
}

#[test]
fn an_agents_request_is_read_whole() {
    let request = request(fixture!("agent.json"));
    assert_eq!((&*request.model, request.stream), ("mill.large-v1:0", false));
    let expected = Params {
        temperature: Some(0.5),
        top_p: Some(0.25),
        max_tokens: Some(512),
        thinking: true,
        ..Params::default()
    };
    assert_eq!(request.params, expected);
    let presented = ["sig-mill-01", "b3BhcXVl", "tooluse_mill01", "tooluse_mill01"];
    assert_eq!(request.presented, presented);
    assert_eq!(request.tools.len(), 1);
    assert_eq!(request.tools[0].name, "sieve");
    assert_eq!(request.tools[0].params, [("mesh".into(), "integer".into())]);
}

#[test]
fn parts_keep_their_turn_role_and_kind() {
    let request = request(fixture!("agent.json"));
    let parts: Vec<_> = request.parts.iter().map(|p| (p.turn, p.role, p.kind, &*p.text)).collect();
    let expected = [
        (0, Role::System, Kind::Text, "You mill flour."),
        (1, Role::User, Kind::Text, "How fine is this?"),
        (1, Role::User, Kind::Image, ""),
        (1, Role::User, Kind::Document, ""),
        (1, Role::User, Kind::Document, "Stone two is worn."),
        (1, Role::User, Kind::Text, "Be honest."),
        (1, Role::User, Kind::Document, "Grit 40."),
        (2, Role::Assistant, Kind::Thinking, "Sieve first."),
        (2, Role::Assistant, Kind::Thinking, ""),
        (2, Role::Assistant, Kind::ToolCall, "sieve"),
        (2, Role::Assistant, Kind::ToolCall, r#"{"mesh": 40}"#),
        (3, Role::Tool, Kind::ToolResult, r#"{"pass": 0.9}"#),
        (3, Role::Tool, Kind::ToolResult, "coarse"),
        (3, Role::User, Kind::Text, "So?"),
    ];
    assert_eq!(parts, expected);
}

#[test]
fn a_kept_prompt_stands_in_for_messages_but_nothing_else_does() {
    assert!(Converse.read_request(b"{}").expect("a request").parts.is_empty());
    let refused = |body: &[u8]| Converse.read_request(body).expect_err("malformed").to_string();
    assert_eq!(refused(br#"{"messages":"secret"}"#), "`messages` must be an array");
    let element = "every element of `messages` must be an object";
    assert_eq!(refused(br#"{"messages":["secret"]}"#), element);
}

#[test]
fn the_path_names_model_and_method() {
    let arn = "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A12%3Ainference-profile%2Feu.mill/converse";
    for (path, model, stream) in [
        (PATH, "mill.large-v1:0", false),
        ("/t/model/m/converse-stream", "m", true),
        (arn, "arn:aws:bedrock:eu-west-1:12:inference-profile/eu.mill", false),
    ] {
        assert!(Converse.speaks(&Method::POST, path, &HeaderMap::new()), "{path}");
        let request = Converse.read_call(path, b"{}").expect("a request");
        assert_eq!((&*request.model, request.stream), (model, stream), "{path}");
    }
    assert!(!Converse.speaks(&Method::GET, PATH, &HeaderMap::new()));
    assert!(!Converse.speaks(&Method::POST, "/model/m/invoke", &HeaderMap::new()));
    assert!(Invoke.speaks(&Method::POST, "/model/m/invoke", &HeaderMap::new()));
    assert!(owns("/model/m/invoke-with-response-stream") && !owns("/model/converse"));
}

#[test]
fn a_whole_answer_gives_away_text_ids_and_usage() {
    let delta = Converse.read_answer(fixture!("answer.json").as_bytes()).expect("an answer");
    let pieces: Vec<_> = delta.pieces.iter().map(|(kind, text)| (*kind, &**text)).collect();
    let expected = [
        (Kind::Thinking, "Coarse."),
        (Kind::Text, "Grind again."),
        (Kind::ToolCall, "grind"),
        (Kind::ToolCall, r#"{"turns": 3}"#),
    ];
    assert_eq!(pieces, expected);
    assert_eq!(delta.issued, ["sig-mill-02", "tooluse_mill02"]);
    let usage = Usage { input: Some(125), output: Some(11), cached: Some(100), reasoning: None };
    assert_eq!((delta.usage, delta.finish), (Some(usage), Some(Finish::Tool)));
}

#[test]
fn a_stream_gives_away_what_the_whole_answer_would() {
    let events = fixture!("stream.txt").lines().filter_map(|line| line.split_once(' '));
    let stream = events.map(|(name, payload)| frame(name, payload)).collect::<Vec<_>>().concat();
    let Streamed { pieces, issued, usage, end } = framed(&Converse, frames(), &stream);
    let expected = [
        (Kind::Thinking, "Coarse.".to_owned()),
        (Kind::Text, "Grind again.".to_owned()),
        (Kind::ToolCall, "grind{\"turns\":3}".to_owned()),
    ];
    assert_eq!(pieces, expected);
    assert_eq!(issued, ["sig-mill-03", "tooluse_mill03"]);
    let known = Usage { input: Some(20), output: Some(11), ..Usage::default() };
    assert_eq!((usage, end.finish), (known, Some(Finish::Tool)));
    assert!(end.last && !end.error);
}

#[test]
fn an_invoked_models_messages_are_read_for_the_model_of_the_path() {
    let body = r#"{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,
        "messages":[{"role":"user","content":"Is it fine?"}]}"#;
    let path = "/model/mill.anthropic.stone/invoke-with-response-stream";
    let request = Invoke.read_call(path, body.as_bytes()).expect("a request");
    assert_eq!((&*request.model, request.stream), ("mill.anthropic.stone", true));
    assert_eq!((request.params.max_tokens, &*request.parts[0].text), (Some(9), "Is it fine?"));
}

#[test]
fn bodies_of_other_models_pass_by_name_alone() {
    let path = "/model/mill.text-v1/invoke";
    let request = Invoke.read_call(path, br#"{"inputText":"x"}"#).expect("a request");
    assert_eq!((&*request.model, request.parts.len()), ("mill.text-v1", 0));
    assert!(Invoke.read_answer(br#"{"results":[]}"#).expect("an answer").pieces.is_empty());
}

#[test]
fn the_chunks_of_an_invoked_stream_are_the_models_own_events() {
    let stream = [
        chunk(
            r#"{"type":"message_start","message":{"id":"msg_mill01","usage":{"input_tokens":7}}}"#,
        ),
        chunk(r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"Fine, é."}}"#),
        chunk(
            r#"{"type":"message_stop","amazon-bedrock-invocationMetrics":
                {"inputTokenCount":8,"outputTokenCount":3,"cacheReadInputTokenCount":2}}"#,
        ),
    ];
    let Streamed { pieces, issued, usage, end } = framed(&Invoke, frames(), &stream.concat());
    assert_eq!(pieces, [(Kind::Text, "Fine, é.".to_owned())]);
    assert_eq!(issued, ["msg_mill01"]);
    let known = Usage { input: Some(10), output: Some(3), cached: Some(2), reasoning: None };
    assert_eq!(usage, known);
    assert!(end.last && !end.error);
}

#[test]
fn bedrocks_own_count_is_known_for_any_model() {
    let metrics = r#"{"outputText":"x","amazon-bedrock-invocationMetrics":{"inputTokenCount":8}}"#;
    let Streamed { usage, end, .. } = framed(&Invoke, frames(), &chunk(metrics));
    assert_eq!((usage.input, end.last), (Some(8), true));
}

const CHALLENGE: Wording<'_> = Wording {
    status: 403,
    reason: Reason::Challenged,
    message: "Verify this account to continue: https://sg.example/c/x",
    reference: "sg_7f3a9c21d0b4e655",
    link: Some(Link { url: "https://sg.example/c/x", expires_at: 1_790_000_000 }),
};

#[test]
fn a_challenge_is_a_denial_of_access_that_names_its_link() {
    let worded = Converse.refuse(&CHALLENGE);
    let expected = r#"{"message":"Verify this account to continue: https://sg.example/c/x"}"#;
    assert_eq!(worded.body, expected);
    let headers: HeaderMap = worded.headers.into_iter().collect();
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["x-amzn-errortype"], "AccessDeniedException");
    assert_eq!(headers["x-amzn-requestid"], "sg_7f3a9c21d0b4e655");
}

#[test]
fn a_broken_stream_ends_in_an_exception_its_union_knows() {
    for (reason, name) in [
        (Reason::Dropped, "throttlingException"),
        (Reason::UpstreamFailed, "serviceUnavailableException"),
    ] {
        let wording = Wording { reason, ..CHALLENGE };
        for dialect in [&Converse as &dyn Dialect, &Invoke] {
            let mut seen = Vec::new();
            frames().push(&dialect.break_stream(&wording), |event| {
                seen.push((event.name.map(str::to_owned), event.data.to_owned()));
                assert!(dialect.read_event(event).expect("an event").error);
            });
            let body = format!("{{\"message\":\"{}\"}}", CHALLENGE.message);
            assert_eq!(seen, [(Some(name.to_owned()), body)]);
        }
    }
}

#[test]
fn the_providers_own_exception_is_noticed() {
    let exception =
        [(":exception-type", "modelStreamErrorException"), (":message-type", "exception")];
    let stream = eventstream::frame(&exception, b"not even JSON");
    assert!(framed(&Converse, frames(), &stream).end.error);
    assert!(framed(&Invoke, frames(), &stream).end.error);
}

proptest! {
    #[test]
    fn no_value_in_any_field_fails_a_request(
        field in prop::sample::select(vec![
            "system", "inferenceConfig", "toolConfig", "additionalModelRequestFields", "novel",
        ]),
        value in prop::sample::select(vec![
            "null", "true", "-1.5e3", "\"x\"", "[]", "{}", "[[{}],null,7]", "{\"tools\":[7,{}]}",
            "[{\"toolUse\":{\"input\":null}},{\"document\":{\"source\":[]}}]",
            "{\"tools\":[{\"toolSpec\":{\"name\":\"t\",\"inputSchema\":[]}}],\"thinking\":7}",
        ]),
    ) {
        let body = format!("{{\"messages\":[{{\"content\":{value}}}],\"{field}\":{value}}}");
        prop_assert!(Converse.read_request(body.as_bytes()).is_ok(), "{}", body);
    }

    #[test]
    fn nothing_panics(data in prop::collection::vec(any::<u8>(), 0..64), path in "\\PC{0,40}") {
        let text = String::from_utf8_lossy(&data);
        for dialect in [&Converse as &dyn Dialect, &Invoke] {
            let _ = dialect.read_call(&path, &data);
            let _ = dialect.read_answer(&data);
            let _ = dialect.read_event(sse::Event { name: None, data: &text });
            let coded = format!("{{\"bytes\":\"{}\"}}", text.escape_default());
            let _ = dialect.read_event(sse::Event { name: Some("chunk"), data: &coded });
        }
    }

    #[test]
    fn any_event_is_read_back_from_its_chunk(text in "\\PC{0,60}") {
        let value = serde_json::Value::from(text.clone());
        let event = format!("{{\"delta\":{{\"text\":{value}}}}}");
        let Streamed { pieces, .. } = framed(&Invoke, frames(), &chunk(&event));
        let got: String = pieces.into_iter().map(|(_, text)| text).collect();
        prop_assert_eq!(got, text);
    }
}
