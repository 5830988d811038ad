use std::borrow::Cow;

use proptest::prelude::*;

use super::*;
use crate::dialect::tests::{Streamed, streamed};
use crate::dialect::{Finish, Kind, Link, Reason, Role, Scarce, Usage, json};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../tests/fixtures/dialect/openai/", $name))
    };
}

fn request(body: &str) -> Request<'_> {
    json::vet(body.as_bytes()).expect("one meaning");
    Chat.read_request(body.as_bytes()).expect("a request")
}

fn refused(body: &str) -> String {
    Chat.read_request(body.as_bytes()).expect_err("malformed").to_string()
}

#[test]
fn an_agents_request_is_read_whole() {
    let request = request(fixture!("agent.json"));
    assert_eq!(request.model, "orchard-large");
    assert!(request.stream);
    let expected = Params {
        temperature: Some(0.25),
        top_p: Some(0.5),
        max_tokens: Some(900),
        n: 2,
        logprobs: true,
        effort: Some(Effort::High),
        thinking: false,
    };
    assert_eq!(request.params, expected);
    assert_eq!(request.end_user.as_deref(), Some("shop-user-17"));
    assert_eq!(request.presented, ["file-ledger01", "call_count01", "call_count01"]);
    assert_eq!(request.schema, ["reasoning", "answer", "crates"]);
}

#[test]
fn parts_keep_their_turn_role_and_kind() {
    let request = request(fixture!("agent.json"));
    let parts: Vec<_> = request.parts.iter().map(|p| (p.turn, p.role, p.kind, &*p.text)).collect();
    let expected = [
        (0, Role::System, Kind::Text, "You keep the books of an orchard."),
        (1, Role::User, Kind::Text, "How many \"pears\" are in the photo?"),
        (1, Role::User, Kind::Image, ""),
        (1, Role::User, Kind::Document, ""),
        (2, Role::Assistant, Kind::Thinking, "The photo has to be counted first."),
        (2, Role::Assistant, Kind::ToolCall, "count_fruit"),
        (2, Role::Assistant, Kind::ToolCall, "{\"kind\":\"pear\"}"),
        (3, Role::Tool, Kind::ToolResult, "{\"pears\": 41}"),
        (4, Role::User, Kind::Text, "And in crates?"),
    ];
    assert_eq!(parts, expected);
}

#[test]
fn tools_have_names_and_typed_parameters() {
    let tools = request(fixture!("agent.json")).tools;
    assert_eq!(tools[0].name, "count_fruit");
    let expected = [("kind", "string"), ("Name", "string"), ("box", "object"), ("free", "")];
    let params: Vec<_> = tools[0].params.iter().map(|(name, kind)| (&**name, &**kind)).collect();
    assert_eq!(params, expected);
    assert_eq!((&*tools[1].name, tools[1].params.len()), ("ledger", 0));
}

#[test]
fn additions_of_other_servers_are_read_or_passed_over() {
    let request = request(fixture!("self_hosted.json"));
    assert!(request.stream && request.params.thinking);
    assert_eq!((request.params.temperature, request.params.n), (Some(0.5), 3));
    let parts: Vec<_> = request.parts.iter().map(|p| (p.role, p.kind, &*p.text)).collect();
    let expected = [
        (Role::User, Kind::Text, "Plums ripen late."),
        (Role::User, Kind::Other, ""),
        (Role::Assistant, Kind::Thinking, "It is August."),
    ];
    assert_eq!(parts, expected);
    assert_eq!(request.tools[0].name, "old_style");
    assert_eq!(request.schema, ["verdict", "why"]);
    assert_eq!(request.end_user.as_deref(), Some("tenant-user-3"));
}

#[test]
fn plain_text_is_borrowed_from_the_body() {
    let request = request(r#"{"model":"m","messages":[{"role":"user","content":"plain"}]}"#);
    assert!(matches!(request.parts[0].text, Cow::Borrowed("plain")));
}

#[test]
fn spoken_output_is_read_by_its_transcript_and_known_by_its_id() {
    let body = br#"{"choices":[{"message":{"audio":{"id":"audio_1","transcript":"Plum."}}}]}"#;
    let delta = Chat.read_answer(body).expect("an answer");
    assert_eq!(delta.pieces, [(Kind::Text, "Plum.".into())]);
    assert_eq!(delta.issued, ["audio_1"]);
    let back = r#"{"model":"m","messages":[{"role":"assistant","audio":{"id":"audio_1"}}]}"#;
    assert_eq!(request(back).presented, ["audio_1"]);
}

#[test]
fn a_malformed_body_is_told_by_field_and_never_by_value() {
    let model = "`model` must be a string";
    assert_eq!(refused(r#"{"model":["secret"],"messages":[]}"#), model);
    let messages = "`messages` is required and must be an array";
    assert_eq!(refused(r#"{"model":"m"}"#), messages);
    assert_eq!(refused(r#"{"model":"m","messages":{"secret":1}}"#), messages);
    let element = "every element of `messages` must be an object";
    assert_eq!(refused(r#"{"model":"m","messages":[{},"secret"]}"#), element);
    assert_eq!(refused(r#"["secret"]"#), "the body must be a JSON object");
    let broken = "the body can't be read as JSON (line 1, column 10)";
    assert_eq!(refused(r#"{"model":x"secret"}"#), broken);
}

#[test]
fn what_only_the_endpoint_can_judge_passes() {
    assert!(request(r#"{"model":"","messages":[]}"#).parts.is_empty());
    assert_eq!(request(r#"{"messages":[]}"#).model, "");
    assert_eq!(request(r#"{"model":null,"messages":[]}"#).model, "");
    assert!(
        request(r#"{"model":"m","messages":[{},{"role":7,"content":null}],"tools":"x","n":-1}"#)
            .parts
            .is_empty()
    );
}

#[test]
fn a_whole_answer_gives_away_text_ids_and_usage() {
    let delta = Chat.read_answer(fixture!("answer.json").as_bytes()).expect("an answer");
    let pieces: Vec<_> = delta.pieces.iter().map(|(kind, text)| (*kind, &**text)).collect();
    let expected = [
        (Kind::Thinking, "Two per row."),
        (Kind::Text, "Forty-one pears."),
        (Kind::ToolCall, "pack"),
        (Kind::ToolCall, "{\"crates\":3}"),
        (Kind::Text, "No."),
    ];
    assert_eq!(pieces, expected);
    assert_eq!(delta.issued, ["chatcmpl-orchard01", "call_pack01"]);
    let usage = Usage { input: Some(120), output: Some(45), cached: Some(64), reasoning: Some(12) };
    assert_eq!((delta.usage, delta.finish), (Some(usage), Some(Finish::Tool)));
    assert!(!delta.error && !delta.last);
}

#[test]
fn a_stream_gives_away_what_the_whole_answer_would() {
    let Streamed { pieces, issued, usage, end } = streamed(&Chat, fixture!("stream.sse"));
    let expected = [
        (Kind::Thinking, "Count rows.".to_owned()),
        (Kind::Text, "Forty-one \u{2713}".to_owned()),
        (Kind::ToolCall, "pack{\"crates\":3}".to_owned()),
    ];
    assert_eq!(pieces, expected);
    assert_eq!(issued, ["chatcmpl-orchard02", "call_pack02", "chatcmpl-orchard02"]);
    let known = Usage { input: Some(120), output: Some(9), ..Usage::default() };
    assert_eq!((usage, end.finish), (known, Some(Finish::Length)));
    assert!(end.last && !end.error);
}

#[test]
fn usage_that_is_null_is_not_known() {
    let delta = Chat.read_answer(br#"{"usage":null,"choices":null}"#).expect("an answer");
    assert_eq!(delta.usage, None);
}

#[test]
fn the_providers_own_error_is_noticed() {
    let Streamed { pieces, end, .. } = streamed(&Chat, fixture!("failed.sse"));
    assert_eq!(pieces, [(Kind::Text, "Fo".to_owned())]);
    assert!(end.error && !end.last);
    let answer = Chat.read_answer(br#"{"object":"error","message":"m","code":400}"#);
    assert!(answer.expect("an answer").error);
}

#[test]
fn only_posts_to_chat_completions_are_spoken() {
    let speaks = |method, path| Chat.speaks(&method, path, &HeaderMap::new());
    assert!(speaks(Method::POST, "/tenant/v1//chat%2Fcompletions/"));
    assert!(!speaks(Method::GET, "/v1/chat/completions"));
    assert!(!speaks(Method::POST, "/v1/completions"));
}

const CHALLENGE: Wording<'_> = Wording {
    status: 403,
    reason: Reason::Challenged,
    scarce: Scarce::Requests,
    message: "Verify this account to continue: https://sg.example/c/x (\"again\").",
    reference: "sg_7f3a9c21d0b4e655",
    link: Some(Link { url: "https://sg.example/c/x", expires_at: 1_790_000_000 }),
    retry_after: None,
};

#[test]
fn a_challenge_is_openais_error_with_its_verification() {
    let worded = Chat.refuse(&CHALLENGE);
    let expected = concat!(
        r#"{"error":{"message":"Verify this account to continue: https://sg.example/c/x "#,
        r#"(\"again\").","type":"permission_error","param":null,"code":"verification_required","#,
        r#""verification":{"url":"https://sg.example/c/x","reference":"sg_7f3a9c21d0b4e655","#,
        r#""expires_at":1790000000}}}"#,
    );
    assert_eq!(worded.body, expected);
    let headers: HeaderMap = worded.headers.into_iter().collect();
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["x-request-id"], "sg_7f3a9c21d0b4e655");
}

#[test]
fn a_broken_stream_ends_in_an_error_this_dialect_reads_as_one() {
    let wording = Wording { reason: Reason::Throttled, link: None, message: "Slow.", ..CHALLENGE };
    let frame = Chat.break_stream(&wording);
    let expected = concat!(
        r#"data: {"error":{"message":"Slow.","type":"requests","param":null,"#,
        r#""code":"rate_limit_exceeded"}}"#,
        "\n\n",
    );
    assert_eq!(frame, expected);
    assert!(streamed(&Chat, expected).end.error);
}

proptest! {
    #[test]
    fn no_value_in_any_field_fails_a_request(
        field in prop::sample::select(vec![
            "stream", "n", "tools", "functions", "response_format", "reasoning", "thinking", "user",
            "reasoning_effort", "logprobs", "max_tokens", "chat_template_kwargs", "guided_json",
        ]),
        value in prop::sample::select(vec![
            "null", "true", "-1.5e3", "\"x\"", "[]", "{}", "[[{}],null,7]", "{\"type\":{}}",
            "{\"json_schema\":{\"schema\":{\"properties\":{\"a\":[],\"b\":{\"items\":7}}}}}",
            "[{\"function\":{\"name\":\"f\",\"parameters\":{\"properties\":{\"a\":null}}}}]",
        ]),
    ) {
        let body = format!("{{\"model\":\"m\",\"messages\":[],\"{field}\":{value}}}");
        prop_assert!(Chat.read_request(body.as_bytes()).is_ok(), "{}", body);
    }

    #[test]
    fn no_answer_panics(data in "[\\[\\]{}\":,a-z0-9]{0,64}") {
        let _ = Chat.read_event(sse::Event { name: None, data: &data });
        let _ = Chat.read_answer(data.as_bytes());
        let _ = Chat.read_request(data.as_bytes());
    }
}

#[test]
fn a_cache_key_is_what_the_client_calls_its_session() {
    let chat = r#"{"model":"m","messages":[],"prompt_cache_key":"s-1"}"#;
    assert_eq!(request(chat).session.as_deref(), Some("s-1"));
    assert_eq!(request(&chat.replace("\"s-1\"", "7")).session, None);
}
