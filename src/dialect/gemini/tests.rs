use proptest::prelude::*;

use super::*;
use crate::dialect::tests::{Streamed, framed, streamed};
use crate::dialect::{Effort, Finish, Frames, Kind, Link, Params, Reason, Scarce, Usage, json};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../tests/fixtures/dialect/gemini/", $name))
    };
}

const PATH: &str = "/v1beta/models/hive-large:streamGenerateContent?alt=sse";

fn call<'a>(dialect: &Gemini, path: &'a str, body: &'a str) -> Request<'a> {
    json::vet(body.as_bytes()).expect("one meaning");
    dialect.read_call(path, body.as_bytes()).expect("a request")
}

#[test]
fn an_agents_request_is_read_whole() {
    let request = call(&GENERATE, PATH, fixture!("agent.json"));
    assert_eq!((&*request.model, request.stream), ("hive-large", true));
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
    assert_eq!(request.schema, ["answer", "hive"]);
    let file = "https://bees.example/v1beta/files/hive01";
    let presented = ["cachedContents/bees01", file, "call-hive01", "sig-hive01", "call-hive01"];
    assert_eq!(request.presented, presented);
    assert_eq!(request.tools.len(), 1);
    assert_eq!(request.tools[0].name, "find_hive");
    assert_eq!(request.tools[0].params, [("roof".into(), "string".into())]);
}

#[test]
fn parts_keep_their_turn_role_and_kind() {
    let request = call(&GENERATE, PATH, fixture!("agent.json"));
    let parts: Vec<_> = request.parts.iter().map(|p| (p.turn, p.role, p.kind, &*p.text)).collect();
    let expected = [
        (0, Role::System, Kind::Text, "You keep bees."),
        (1, Role::User, Kind::Text, "Which hive is this?"),
        (1, Role::User, Kind::Image, ""),
        (1, Role::User, Kind::Document, ""),
        (1, Role::User, Kind::Other, ""),
        (2, Role::Assistant, Kind::Thinking, "The roof is red."),
        (2, Role::Assistant, Kind::ToolCall, "find_hive"),
        (2, Role::Assistant, Kind::ToolCall, "{\"roof\": \"red\"}"),
        (3, Role::Tool, Kind::ToolResult, "{\"hive\": 7}"),
        (3, Role::User, Kind::Text, "So?"),
    ];
    assert_eq!(parts, expected);
}

#[test]
fn a_name_in_both_cases_is_malformed() {
    let body = br#"{"contents":[],"systemInstruction":{},"system_instruction":{}}"#;
    assert!(GENERATE.read_request(body).is_err());
}

#[test]
fn a_malformed_body_is_told_by_field_and_never_by_value() {
    for (body, told) in [
        (r#"{"contents":"secret"}"#, "`contents` is required and must be an array"),
        (
            r#"{"contents":["secret"]}"#,
            "every element of `contents` must be an object with an array of `parts`",
        ),
    ] {
        assert_eq!(
            GENERATE.read_request(body.as_bytes()).expect_err("malformed").to_string(),
            told
        );
    }
}

#[test]
fn every_text_of_a_batch_is_embedded_on_its_own() {
    let text =
        |text| format!(r#"{{"model":"models/e","content":{{"parts":[{{"text":"{text}"}}]}}}}"#);
    let body = format!(r#"{{"requests":[{},{}]}}"#, text("a"), text("b"));
    let request = call(&EMBED, "/v1beta/models/e:batchEmbedContents", &body);
    assert_eq!((&*request.model, request.params.n), ("e", 2));
    let parts: Vec<_> = request.parts.iter().map(|part| (part.turn, &*part.text)).collect();
    assert_eq!(parts, [(0, "a"), (1, "b")]);
    let one = text("c");
    assert_eq!(call(&EMBED, "/v1/models/e:embedContent", &one).parts[0].text, "c");
}

#[test]
fn what_is_counted_is_read_wrapped_or_bare() {
    let bare = r#"{"contents":{"parts":{"text":"x"}}}"#;
    let wrapped = format!(r#"{{"generateContentRequest":{bare}}}"#);
    for body in [bare, &wrapped] {
        assert_eq!(call(&COUNT, "/v1/models/m:countTokens", body).parts[0].text, "x");
    }
}

#[test]
fn a_whole_answer_gives_away_text_ids_and_usage() {
    let delta = GENERATE.read_answer(fixture!("answer.json").as_bytes()).expect("an answer");
    let pieces: Vec<_> = delta.pieces.iter().map(|(kind, text)| (*kind, &**text)).collect();
    let expected = [
        (Kind::Thinking, "Seven has a red roof."),
        (Kind::Text, "Hive seven."),
        (Kind::ToolCall, "open_hive"),
        (Kind::ToolCall, "{\"hive\": 7}"),
    ];
    assert_eq!(pieces, expected);
    assert_eq!(delta.issued, ["resp-hive01", "sig-hive02"]);
    let usage =
        Usage { input: Some(125), output: Some(40), cached: Some(100), reasoning: Some(30) };
    assert_eq!((delta.usage, delta.finish), (Some(usage), Some(Finish::Stop)));
}

#[test]
fn a_streamed_array_and_events_give_away_the_same() {
    let array = fixture!("stream.json");
    let mut events = String::new();
    let elements = array.trim().trim_start_matches('[').trim_end_matches(']').split("\n,\n");
    for element in elements {
        events.extend(["data: ", &element.replace('\n', " "), "\r\n\r\n"]);
    }
    let frames = Frames::of(Framing::JsonArray, "application/json").expect("a stream");
    for Streamed { pieces, issued, usage, end } in
        [framed(&GENERATE, frames, array.as_bytes()), streamed(&GENERATE, &events)]
    {
        let expected = [
            (Kind::Thinking, "Seven has a roof.".to_owned()),
            (Kind::Text, "Hive [seven].".to_owned()),
        ];
        assert_eq!(pieces, expected);
        assert_eq!(issued, ["resp-hive02", "sig-hive03"]);
        assert_eq!((usage.input, usage.output), (Some(120), Some(10)));
        assert_eq!((end.finish, end.last, end.error), (Some(Finish::Length), true, false));
    }
}

#[test]
fn a_blocked_prompt_is_a_filters_end() {
    let body = br#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{}}"#;
    assert_eq!(GENERATE.read_answer(body).expect("an answer").finish, Some(Finish::Filter));
}

#[test]
fn every_spelling_of_a_method_is_spoken_by_its_family_alone() {
    let headers = HeaderMap::new();
    for (path, family) in [
        ("/v1/models/m:generateContent", &GENERATE),
        ("/v1beta//models/m%3AgenerateContent/", &GENERATE),
        ("/tenant/v1beta/tunedModels/m:streamGenerateContent", &GENERATE),
        ("/v1/projects/p/locations/l/publishers/google/models/m:countTokens", &COUNT),
        ("/v1beta/models/m:embedContent", &EMBED),
    ] {
        for other in [&GENERATE, &EMBED, &COUNT] {
            let expected = other.api == family.api;
            assert_eq!(other.speaks(&Method::POST, path, &headers), expected, "{path}");
        }
        assert_eq!(family.target(path).expect("a method").0, "m");
    }
    assert!(!GENERATE.speaks(&Method::GET, "/v1/models/m:generateContent", &headers));
    assert!(!GENERATE.speaks(&Method::POST, "/v1/models/m", &headers));
}

#[test]
fn a_stream_is_an_array_unless_events_are_asked_for() {
    let framing = |path| GENERATE.framing(path);
    assert_eq!(framing(PATH), Framing::Sse);
    assert_eq!(framing("/v1/models/m:streamGenerateContent?key=k"), Framing::JsonArray);
    assert_eq!(framing("/v1/models/m:generateContent"), Framing::Sse);
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
fn a_challenge_is_googles_error_with_a_help_link() {
    let worded = GENERATE.refuse(&CHALLENGE);
    let expected = concat!(
        r#"{"error":{"code":403,"message":"Verify this account to continue.","#,
        r#""status":"PERMISSION_DENIED","details":["#,
        r#"{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"VERIFICATION_REQUIRED","#,
        r#""domain":"stillguard","metadata":{"reference":"sg_7f3a9c21d0b4e655","#,
        r#""expires_at":"1790000000"}},{"@type":"type.googleapis.com/google.rpc.Help","#,
        r#""links":[{"description":"Verify this account","url":"https://sg.example/c/x"}]}]}}"#,
    );
    assert_eq!(worded.body, expected);
}

#[test]
fn a_throttle_tells_when_to_come_back_in_googles_way() {
    let reason = Reason::Throttled;
    let wording = Wording { status: 429, reason, link: None, retry_after: Some(22), ..CHALLENGE };
    let body: serde_json::Value =
        serde_json::from_slice(&GENERATE.refuse(&wording).body).expect("JSON");
    let details = body["error"]["details"].as_array().expect("a list");
    assert_eq!(details.len(), 3);
    let quota = &details[1]["violations"][0]["description"];
    assert_eq!(quota, "Too many requests");
    let expected = r#"{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"22s"}"#;
    assert_eq!(details[2], serde_json::from_str::<serde_json::Value>(expected).expect("JSON"));
}

#[test]
fn a_broken_stream_ends_in_an_error_in_either_framing() {
    let wording = Wording { reason: Reason::Throttled, link: None, ..CHALLENGE };
    let events = GENERATE.break_framed(Framing::Sse, &wording);
    assert!(events.starts_with(b"data: {\"error\":{") && events.ends_with(b"}\n\n"));
    assert!(streamed(&GENERATE, std::str::from_utf8(&events).expect("text")).end.error);
    let array = [b"[{}", &GENERATE.break_framed(Framing::JsonArray, &wording)[..]].concat();
    let read: Vec<serde_json::Value> = serde_json::from_slice(&array).expect("an array");
    assert_eq!(read[1]["error"]["status"], "RESOURCE_EXHAUSTED");
}

proptest! {
    #[test]
    fn no_value_in_a_field_without_words_fails_a_request(
        field in prop::sample::select(vec![
            "generationConfig", "tools", "cachedContent", "generation_config", "cached_content",
        ]),
        value in prop::sample::select(vec![
            "null", "true", "-1.5e3", "\"x\"", "[]", "{}", "[[{}],null,7]", "{\"parts\":{}}",
            "{\"parts\":[7,{\"functionCall\":{\"args\":null}}],\"thinkingConfig\":[]}",
            "[{\"functionDeclarations\":{\"parameters\":7}}]",
        ]),
    ) {
        let body = format!("{{\"contents\":[],\"{field}\":{value}}}");
        prop_assert!(GENERATE.read_request(body.as_bytes()).is_ok(), "{}", body);
    }

    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..64), text in "[\\[\\]{}\":,a-z0-9]{0,64}") {
        for family in [&GENERATE, &EMBED, &COUNT] {
            let _ = family.read_call(&text, &body);
            let _ = family.read_answer(&body);
            let _ = family.read_event(sse::Event { name: None, data: &text });
        }
    }
}

#[test]
fn an_answer_may_be_asked_for_in_json_alone() {
    let ask = |query: &str| {
        let path = format!("/v1beta/models/m:generateContent{query}");
        GENERATE.read_call(&path, br#"{"contents":[]}"#).is_ok()
    };
    assert!(["", "?alt=json", "?$alt=sse", "?key=k&alt=sse", "?x=alt"].iter().all(|ok| ask(ok)));
    for odd in ["?alt=proto", "?%24alt=media", "?a=b&al%74=pro%74o", "?alt", "?alt=json&alt=proto"]
    {
        assert!(!ask(odd), "{odd}");
    }
}
