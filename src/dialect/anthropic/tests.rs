use proptest::prelude::*;

use super::*;
use crate::dialect::tests::{Streamed, streamed};
use crate::dialect::{Finish, Link, Reason, Scarce, Usage, json};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../tests/fixtures/dialect/anthropic/", $name))
    };
}

fn request(body: &str) -> Request<'_> {
    json::vet(body.as_bytes()).expect("one meaning");
    Messages.read_request(body.as_bytes()).expect("a request")
}

fn refused(body: &str) -> String {
    Messages.read_request(body.as_bytes()).expect_err("malformed").to_string()
}

#[test]
fn an_agents_request_is_read_whole() {
    let request = request(fixture!("agent.json"));
    assert_eq!(request.model, "grove-large");
    assert!(request.stream);
    let expected = Params {
        temperature: Some(1.0),
        top_p: Some(0.5),
        max_tokens: Some(2048),
        effort: Some(Effort::Max),
        thinking: true,
        ..Params::default()
    };
    assert_eq!(request.params, expected);
    assert_eq!(request.end_user.as_deref(), Some("grove-user-5"));
    assert_eq!(request.schema, ["reasoning", "answer", "score"]);
    let presented =
        ["file_leaf01", "sig-leaf-01", "opaque-01", "toolu_leaf01", "toolu_leaf01", "toolu_leaf02"];
    assert_eq!(request.presented, presented);
    let tools: Vec<_> = request.tools.iter().map(|t| (&*t.name, t.params.len())).collect();
    assert_eq!(tools, [("look_up", 2), ("web_search", 0)]);
    assert_eq!(request.tools[0].params[0], ("Name".into(), "string".into()));
}

#[test]
fn parts_keep_their_turn_role_and_kind() {
    let request = request(fixture!("agent.json"));
    let parts: Vec<_> = request.parts.iter().map(|p| (p.turn, p.role, p.kind, &*p.text)).collect();
    let expected = [
        (0, Role::System, Kind::Text, "You run a nursery."),
        (0, Role::System, Kind::Text, "Be brief."),
        (1, Role::User, Kind::Text, "Which of these is a quince?"),
        (1, Role::User, Kind::Image, ""),
        (1, Role::User, Kind::Document, ""),
        (1, Role::User, Kind::Document, "Quinces have downy leaves."),
        (1, Role::User, Kind::Document, ""),
        (2, Role::Assistant, Kind::Thinking, "Look at the leaf."),
        (2, Role::Assistant, Kind::Thinking, ""),
        (2, Role::Assistant, Kind::Text, "Let me check."),
        (2, Role::Assistant, Kind::ToolCall, "look_up"),
        (2, Role::Assistant, Kind::ToolCall, "{\"Name\": \"quince\", \"limit\": 1}"),
        (3, Role::Tool, Kind::ToolResult, "Cydonia"),
        (3, Role::Tool, Kind::ToolResult, "Nothing else"),
        (3, Role::User, Kind::Text, "So?"),
    ];
    assert_eq!(parts, expected);
}

#[test]
fn without_a_system_prompt_messages_count_from_zero() {
    let request = request(
        r#"{"model":"m","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}],
            "output_format":{"type":"json_schema","schema":{"properties":{"q":{}}}}}"#,
    );
    let turns: Vec<_> = request.parts.iter().map(|part| (part.turn, part.role)).collect();
    assert_eq!(turns, [(0, Role::User), (1, Role::Assistant)]);
    assert_eq!(request.schema, ["q"]);
}

#[test]
fn ids_of_what_the_endpoint_keeps_are_presented() {
    let kept = r#""thread":{"type":"continue","previous_message_id":"msg_1"}"#;
    let body = format!(r#"{{"model":"m","messages":[],"container":"container_1",{kept}}}"#);
    assert_eq!(request(&body).presented, ["container_1", "msg_1"]);
    let body = r#"{"model":"m","messages":[],"container":{"id":"container_2","skills":[]}}"#;
    assert_eq!(request(body).presented, ["container_2"]);
}

#[test]
fn a_malformed_body_is_told_by_field_and_never_by_value() {
    let model = "`model` is required and must be a string";
    assert_eq!(refused(r#"{"model":7,"messages":[]}"#), model);
    let messages = "`messages` is required and must be an array";
    assert_eq!(refused(r#"{"model":"m","messages":"secret"}"#), messages);
    let element = "every element of `messages` must be an object";
    assert_eq!(refused(r#"{"model":"m","messages":[["secret"]]}"#), element);
}

#[test]
fn blocks_nobody_knows_are_noted_and_their_text_is_read() {
    let request = request(
        r#"{"model":"m","system":null,"messages":[{"role":"user","content":
            [{"type":"novel","text":"seen"},{},7,{"type":"mcp_tool_result","content":{"type":"e"}}]}]}"#,
    );
    let parts: Vec<_> = request.parts.iter().map(|part| (part.kind, &*part.text)).collect();
    assert_eq!(parts, [(Kind::Other, ""), (Kind::Text, "seen")]);
}

#[test]
fn the_deepest_vetted_nesting_does_not_exhaust_the_stack() {
    let mut content = "\"x\"".to_owned();
    while content.matches('[').count() < 60 {
        content = format!("[{{\"type\":\"tool_result\",\"content\":{content}}}]");
    }
    let body = format!(r#"{{"model":"m","messages":[{{"content":{content}}}]}}"#);
    assert_eq!(request(&body).parts[0].text, "x");
}

#[test]
fn a_whole_answer_gives_away_text_ids_and_usage() {
    let delta = Messages.read_answer(fixture!("answer.json").as_bytes()).expect("an answer");
    let pieces: Vec<_> = delta.pieces.iter().map(|(kind, text)| (*kind, &**text)).collect();
    let expected = [
        (Kind::Thinking, "Downy leaf."),
        (Kind::Text, "The left one."),
        (Kind::ToolCall, "plant"),
        (Kind::ToolCall, "{}"),
    ];
    assert_eq!(pieces, expected);
    assert_eq!(delta.issued, ["msg_grove01", "sig-leaf-02", "toolu_plant01"]);
    let usage = Usage { input: Some(330), output: Some(44), cached: Some(300), reasoning: None };
    assert_eq!((delta.usage, delta.finish), (Some(usage), Some(Finish::Tool)));
    assert!(!delta.error && !delta.last);
}

#[test]
fn a_stream_gives_away_what_the_whole_answer_would() {
    let Streamed { pieces, issued, usage, end } = streamed(&Messages, fixture!("stream.sse"));
    let expected = [
        (Kind::Thinking, "Downy leaf.".to_owned()),
        (Kind::Text, "The left one.".to_owned()),
        (Kind::ToolCall, "plant{\"row\": 4}".to_owned()),
    ];
    assert_eq!(pieces, expected);
    assert_eq!(issued, ["msg_grove02", "sig-leaf-03", "toolu_plant02"]);
    let known = Usage { input: Some(310), output: Some(44), cached: Some(300), reasoning: None };
    assert_eq!((usage, end.finish), (known, Some(Finish::Tool)));
    assert!(end.last && !end.error);
}

#[test]
fn a_count_of_zero_does_not_replace_a_known_one() {
    let event = r#"{"type":"message_delta","usage":{"input_tokens":0,"output_tokens":5}}"#;
    let delta = Messages.read_event(sse::Event { name: None, data: event }).expect("an event");
    let usage = Usage { output: Some(5), ..Usage::default() };
    assert_eq!(delta.usage, Some(usage));
}

#[test]
fn the_providers_own_error_is_noticed() {
    assert!(streamed(&Messages, fixture!("failed.sse")).end.error);
    let body = br#"{"type":"error","error":{"type":"api_error","message":"m"}}"#;
    assert!(Messages.read_answer(body).expect("an answer").error);
}

#[test]
fn only_posts_to_messages_are_spoken() {
    let speaks = |method, path| Messages.speaks(&method, path, &HeaderMap::new());
    assert!(speaks(Method::POST, "/anthropic/v1/%6dessages/"));
    assert!(!speaks(Method::GET, "/v1/messages"));
    assert!(!speaks(Method::POST, "/v1/messages/count_tokens"));
    assert!(!speaks(Method::POST, "/v1/messages/batches"));
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
fn a_challenge_is_anthropics_error_with_its_url() {
    let worded = Messages.refuse(&CHALLENGE);
    let expected = concat!(
        r#"{"type":"error","error":{"type":"permission_error","#,
        r#""message":"Verify this account to continue.","details":{"#,
        r#""error_code":"verification_required","verification_url":"https://sg.example/c/x"}},"#,
        r#""request_id":"sg_7f3a9c21d0b4e655"}"#,
    );
    assert_eq!(worded.body, expected);
    let headers: HeaderMap = worded.headers.into_iter().collect();
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["request-id"], "sg_7f3a9c21d0b4e655");
}

#[test]
fn a_broken_stream_ends_in_an_error_this_dialect_reads_as_one() {
    let wording = Wording { reason: Reason::Throttled, link: None, message: "Slow.", ..CHALLENGE };
    let frame = Messages.break_stream(&wording);
    let frame = std::str::from_utf8(&frame).expect("text");
    assert!(frame.starts_with(
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\""
    ));
    assert!(frame.ends_with("}\n\n") && streamed(&Messages, frame).end.error);
}

proptest! {
    #[test]
    fn no_value_in_a_field_without_words_fails_a_request(
        field in prop::sample::select(vec![
            "stream", "tools", "thinking", "output_config", "output_format", "metadata",
            "max_tokens", "temperature", "container", "thread",
        ]),
        value in prop::sample::select(vec![
            "null", "true", "-1.5e3", "\"x\"", "[]", "{}", "[[{}],null,7]", "{\"type\":{}}",
            "{\"schema\":{\"properties\":[]},\"format\":7}", "[{\"source\":[],\"input\":null}]",
        ]),
    ) {
        let body = format!("{{\"model\":\"m\",\"messages\":[],\"{field}\":{value}}}");
        prop_assert!(Messages.read_request(body.as_bytes()).is_ok(), "{}", body);
    }

    #[test]
    fn no_event_panics(data in "[\\[\\]{}\":,a-z0-9]{0,64}") {
        let _ = Messages.read_event(sse::Event { name: None, data: &data });
        let _ = Messages.read_answer(data.as_bytes());
    }
}
