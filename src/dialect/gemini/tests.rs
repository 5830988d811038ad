use proptest::prelude::*;

use super::*;
use crate::dialect::testing::{Streamed, framed, streamed};
use crate::dialect::{Effort, Finish, Frames, Kind, Link, Params, Reason, Usage, json};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../tests/fixtures/dialect/gemini/", $name))
    };
}

const PATH: &str = "/v1beta/models/orchard-pro:generateContent";

fn request(body: &str) -> Request<'_> {
    json::vet(body.as_bytes()).expect("one meaning");
    GENERATE.read_call(PATH, body.as_bytes()).expect("a request")
}

fn array() -> Frames {
    Frames::of(Framing::JsonArray, "application/json").expect("a stream")
}

#[test]
fn an_agents_request_is_read_whole() {
    let request = request(fixture!("agent.json"));
    assert_eq!((&*request.model, request.stream), ("orchard-pro", false));
    let expected = Params {
        temperature: Some(0.5),
        top_p: Some(0.25),
        max_tokens: Some(700),
        n: 2,
        logprobs: true,
        effort: Some(Effort::High),
        thinking: true,
    };
    assert_eq!(request.params, expected);
    assert_eq!(request.schema, ["reasoning", "answer"]);
    let presented = [
        "cachedContents/orchard-1",
        "https://files.example/v1beta/files/bark-7",
        "sig-bark-01",
        "call-bark-01",
        "sig-bark-02",
        "call-bark-01",
    ];
    assert_eq!(request.presented, presented);
    let tools: Vec<_> = request.tools.iter().map(|tool| (&*tool.name, &tool.params[..])).collect();
    let look_up = [("tree".into(), "string".into()), ("rows".into(), "integer".into())];
    let prune = [("branch".into(), "string".into())];
    assert_eq!(tools, [("look_up", &look_up[..]), ("prune", &prune[..])]);
}

#[test]
fn parts_keep_their_turn_role_and_kind() {
    let request = request(fixture!("agent.json"));
    let parts: Vec<_> = request.parts.iter().map(|p| (p.turn, p.role, p.kind, &*p.text)).collect();
    let expected = [
        (0, Role::System, Kind::Text, "You keep an orchard."),
        (1, Role::User, Kind::Text, "What ails this tree?"),
        (1, Role::User, Kind::Image, ""),
        (1, Role::User, Kind::Document, ""),
        (1, Role::User, Kind::Document, ""),
        (2, Role::Assistant, Kind::Thinking, "Spots mean scab."),
        (2, Role::Assistant, Kind::ToolCall, "look_up"),
        (2, Role::Assistant, Kind::ToolCall, r#"{"tree": "pear"}"#),
        (3, Role::Tool, Kind::ToolResult, r#"{"ill": true}"#),
        (3, Role::User, Kind::Text, "Well?"),
    ];
    assert_eq!(parts, expected);
}

#[test]
fn names_in_snake_case_and_lone_elements_are_read_as_protobuf_reads_them() {
    let request = request(
        r#"{"system_instruction":{"parts":{"text":"s"}},"cached_content":"c",
            "contents":{"parts":{"text":"u","thought_signature":"t"}},
            "generation_config":{"max_output_tokens":"9","thinking_config":{"thinking_budget":0}},
            "tools":{"function_declarations":{"name":"f"}}}"#,
    );
    let parts: Vec<_> = request.parts.iter().map(|part| (part.turn, &*part.text)).collect();
    assert_eq!(parts, [(0, "s"), (1, "u")]);
    assert_eq!(request.presented, ["c", "t"]);
    assert_eq!((request.params.max_tokens, request.params.effort), (Some(9), Some(Effort::None)));
    assert_eq!(request.tools[0].name, "f");
}

#[test]
fn one_field_in_two_spellings_is_malformed() {
    let body = br#"{"contents":[],"cachedContent":"a","cached_content":"b"}"#;
    assert!(GENERATE.read_request(body).is_err());
}

#[test]
fn a_malformed_body_is_told_by_field_and_never_by_value() {
    let refused = |body: &[u8]| GENERATE.read_request(body).expect_err("malformed").to_string();
    let contents = "`contents` is required and must be an array";
    assert_eq!(refused(br#"{"contents":"secret"}"#), contents);
    let element = "every element of `contents` must be an object";
    assert_eq!(refused(br#"{"contents":["secret"]}"#), element);
}

#[test]
fn the_path_names_model_and_method() {
    let body = br#"{"contents":[]}"#;
    for (path, model, stream) in [
        (PATH, "orchard-pro", false),
        ("/v1/models/m-2.5:streamGenerateContent?alt=sse", "m-2.5", true),
        ("/v1/projects/p/locations/l/publishers/google/models/m:generateContent", "m", false),
        ("/t/v1beta//models/m%3AstreamGenerateContent", "m", true),
    ] {
        assert!(GENERATE.speaks(&Method::POST, path, &HeaderMap::new()), "{path}");
        let request = GENERATE.read_call(path, body).expect("a request");
        assert_eq!((&*request.model, request.stream), (model, stream), "{path}");
    }
    assert!(!GENERATE.speaks(&Method::GET, PATH, &HeaderMap::new()));
    assert!(!GENERATE.speaks(&Method::POST, "/v1/models/m:countTokens", &HeaderMap::new()));
    assert!(!GENERATE.speaks(&Method::POST, "/v1/models/generateContent", &HeaderMap::new()));
    assert!(owns("/v1/models/m:batchEmbedContents") && !owns("/v1/models/m:predict"));
}

#[test]
fn a_stream_is_an_array_unless_events_are_asked_for() {
    let stream = "/v1/models/m:streamGenerateContent";
    assert_eq!(GENERATE.framing(stream), Framing::JsonArray);
    assert_eq!(GENERATE.framing(&format!("{stream}?key=k&alt=sse")), Framing::Sse);
    assert_eq!(GENERATE.framing(&format!("{stream}?alt=json")), Framing::JsonArray);
    assert_eq!(GENERATE.framing(PATH), Framing::Sse);
}

#[test]
fn every_text_to_embed_is_a_turn_and_counts() {
    let one = EMBED.read_request(br#"{"content":{"parts":[{"text":"a"}]}}"#).expect("a request");
    assert_eq!((one.params.n, one.parts.len()), (1, 1));
    let body = br#"{"requests":[{"content":{"parts":[{"text":"a"}]}},{"content":{"parts":[{"text":"b"}]}}]}"#;
    let batch = EMBED.read_request(body).expect("a request");
    let parts: Vec<_> = batch.parts.iter().map(|part| (part.turn, &*part.text)).collect();
    assert_eq!((batch.params.n, parts), (2, vec![(0, "a"), (1, "b")]));
}

#[test]
fn what_is_to_be_counted_is_read_in_both_shapes() {
    for body in [
        r#"{"contents":[{"parts":[{"text":"a"}]}]}"#,
        r#"{"generateContentRequest":{"model":"models/m","contents":[{"parts":[{"text":"a"}]}]}}"#,
    ] {
        let path = "/v1/models/m:countTokens";
        let request = COUNT.read_call(path, body.as_bytes()).expect("a request");
        assert_eq!((&*request.model, &*request.parts[0].text), ("m", "a"));
    }
}

#[test]
fn a_whole_answer_gives_away_text_ids_and_usage() {
    let delta = GENERATE.read_answer(fixture!("answer.json").as_bytes()).expect("an answer");
    let pieces: Vec<_> = delta.pieces.iter().map(|(kind, text)| (*kind, &**text)).collect();
    let expected = [
        (Kind::Thinking, "Brown rings."),
        (Kind::Text, "It is canker."),
        (Kind::ToolCall, "prune"),
        (Kind::ToolCall, r#"{"branch": "low"}"#),
    ];
    assert_eq!(pieces, expected);
    assert_eq!(delta.issued, ["resp-bark-01", "sig-bark-03", "call-bark-02"]);
    let usage =
        Usage { input: Some(215), output: Some(42), cached: Some(120), reasoning: Some(12) };
    assert_eq!((delta.usage, delta.finish), (Some(usage), Some(Finish::Stop)));
    assert!(!delta.error);
}

#[test]
fn both_framings_of_a_stream_give_away_the_same() {
    let events = streamed(&GENERATE, fixture!("stream.sse"));
    let elements = framed(&GENERATE, array(), fixture!("stream.json").as_bytes());
    for Streamed { pieces, issued, usage, end } in [events, elements] {
        let thinking = (Kind::Thinking, "Brown rings.".to_owned());
        assert_eq!(pieces, [thinking, (Kind::Text, "It is canker.".to_owned())]);
        assert_eq!(issued, ["resp-bark-02", "sig-bark-04"]);
        let known = Usage { input: Some(210), output: Some(42), cached: None, reasoning: Some(12) };
        assert_eq!((usage, end.finish), (known, Some(Finish::Length)));
        assert!(end.last && !end.error);
    }
}

#[test]
fn a_prompt_that_was_blocked_ends_as_filtered() {
    let body = br#"{"promptFeedback":{"blockReason":"SAFETY"}}"#;
    assert_eq!(GENERATE.read_answer(body).expect("an answer").finish, Some(Finish::Filter));
}

const CHALLENGE: Wording<'_> = Wording {
    status: 403,
    reason: Reason::Challenged,
    message: "Verify this account to continue.",
    reference: "sg_7f3a9c21d0b4e655",
    link: Some(Link { url: "https://sg.example/c/x", expires_at: 1_790_000_000 }),
};

#[test]
fn a_challenge_is_googles_error_with_reason_and_help() {
    let worded = GENERATE.refuse(&CHALLENGE);
    let expected = concat!(
        r#"{"error":{"code":403,"message":"Verify this account to continue.","#,
        r#""status":"PERMISSION_DENIED","details":[{"#,
        r#""@type":"type.googleapis.com/google.rpc.ErrorInfo","#,
        r#""reason":"VERIFICATION_REQUIRED","domain":"stillguard","#,
        r#""metadata":{"reference":"sg_7f3a9c21d0b4e655","expires_at":"1790000000"}},"#,
        r#"{"@type":"type.googleapis.com/google.rpc.Help","links":[{"#,
        r#""description":"Verify this account","url":"https://sg.example/c/x"}]}]}}"#,
    );
    assert_eq!(worded.body, expected);
}

#[test]
fn a_broken_stream_ends_in_an_error_in_either_framing() {
    let events = GENERATE.break_framed(Framing::Sse, &CHALLENGE);
    assert_eq!(events, GENERATE.break_stream(&CHALLENGE));
    let events = std::str::from_utf8(&events).expect("text");
    assert!(events.starts_with("data: {\"error\":{\"code\":403") && events.ends_with("}\n\n"));
    assert!(streamed(&GENERATE, events).end.error);
    let last = GENERATE.break_framed(Framing::JsonArray, &CHALLENGE);
    let stream = [b"[{\"candidates\":[]}\n", &last[..]].concat();
    assert!(framed(&GENERATE, array(), &stream).end.error);
    let elements: Vec<serde_json::Value> = serde_json::from_slice(&stream).expect("an array");
    assert_eq!(elements.len(), 2);
}

proptest! {
    #[test]
    fn no_value_in_any_field_fails_a_request(
        field in prop::sample::select(vec![
            "systemInstruction", "tools", "generationConfig", "cachedContent", "safetySettings",
        ]),
        value in prop::sample::select(vec![
            "null", "true", "-1.5e3", "\"x\"", "[]", "{}", "[[{}],null,7]", "{\"parts\":7}",
            "{\"thinkingConfig\":[],\"responseSchema\":{\"properties\":[]}}",
            "[{\"functionDeclarations\":[7,{\"name\":{}}]}]",
        ]),
    ) {
        let body = format!("{{\"contents\":[{{\"parts\":{value}}}],\"{field}\":{value}}}");
        prop_assert!(GENERATE.read_request(body.as_bytes()).is_ok(), "{}", body);
    }

    #[test]
    fn nothing_panics(data in prop::collection::vec(any::<u8>(), 0..64), path in "\\PC{0,40}") {
        let text = String::from_utf8_lossy(&data);
        for family in [GENERATE, EMBED, COUNT] {
            let _ = family.read_call(&path, &data);
            let _ = family.read_answer(&data);
            let _ = family.read_event(sse::Event { name: None, data: &text });
            family.framing(&path);
        }
    }

    #[test]
    fn no_body_like_json_panics(data in "[\\[\\]{}\":,a-z0-9]{0,64}") {
        for family in [GENERATE, EMBED, COUNT] {
            let _ = family.read_request(data.as_bytes());
            let _ = family.read_answer(data.as_bytes());
        }
    }
}
