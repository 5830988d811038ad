use proptest::prelude::*;

use super::*;
use crate::dialect::tests::streamed;
use crate::dialect::{Finish, Reason, Scarce, Usage, json};

#[test]
fn items_are_read_and_one_answer_is_one_turn() {
    let body = r#"{"model":"m","instructions":"Be brief.","previous_response_id":"resp_1",
        "conversation":{"id":"conv_1"},"max_output_tokens":5,"reasoning":{"effort":"low"},
        "text":{"format":{"type":"json_schema","schema":{"properties":{"answer":{}}}}},
        "tools":[{"type":"function","name":"pick"},{"type":"web_search"}],"input":[
        {"role":"user","content":"Ripe?"},
        {"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"seal"},
        {"type":"function_call","call_id":"call_1","name":"pick","arguments":"{}"},
        {"type":"function_call_output","call_id":"call_1","output":"yes"},
        {"type":"item_reference","id":"msg_1"}]}"#;
    json::vet(body.as_bytes()).expect("one meaning");
    let request = Responses.read_request(body.as_bytes()).expect("a request");
    let parts: Vec<_> = request.parts.iter().map(|p| (p.turn, p.role, p.kind, &*p.text)).collect();
    let expected = [
        (0, Role::System, Kind::Text, "Be brief."),
        (1, Role::User, Kind::Text, "Ripe?"),
        (2, Role::Assistant, Kind::Thinking, ""),
        (2, Role::Assistant, Kind::ToolCall, "pick"),
        (2, Role::Assistant, Kind::ToolCall, "{}"),
        (3, Role::Tool, Kind::ToolResult, "yes"),
    ];
    assert_eq!(parts, expected);
    let presented = ["resp_1", "conv_1", "rs_1", "seal", "call_1", "call_1", "msg_1"];
    assert_eq!(request.presented, presented);
    assert_eq!((request.schema.len(), request.tools.len()), (1, 2));
    assert_eq!((request.params.max_tokens, request.params.effort), (Some(5), Some(Effort::Low)));
}

#[test]
fn a_streams_text_counts_once() {
    let stream = include_str!("../../../tests/fixtures/dialect/responses/stream.sse");
    let told = streamed(&Responses, stream);
    let expected = [
        (Kind::Thinking, "Taste it.".to_owned()),
        (Kind::Text, "Ripe.".to_owned()),
        (Kind::ToolCall, "pick{}".to_owned()),
    ];
    assert_eq!(told.pieces, expected);
    let usage = Usage { input: Some(9), output: Some(7), cached: Some(4), reasoning: Some(3) };
    assert_eq!((told.usage, told.end.finish), (usage, Some(Finish::Tool)));
    assert!(told.end.last && !told.end.error);
}

#[test]
fn a_broken_stream_ends_in_an_error_of_both_shapes() {
    let (message, reference) = ("Slow.", "sg_1");
    let wording = Wording {
        status: 429,
        reason: Reason::Throttled,
        scarce: Scarce::Tokens,
        message,
        reference,
        link: None,
        retry_after: None,
    };
    let expected = concat!(
        "event: error\ndata: ",
        r#"{"type":"error","sequence_number":0,"code":"rate_limit_exceeded","message":"Slow.","#,
        r#""param":null,"error":{"message":"Slow.","type":"tokens","param":null,"#,
        r#""code":"rate_limit_exceeded"}}"#,
        "\n\n",
    );
    assert_eq!(Responses.break_stream(&wording), expected);
    assert!(streamed(&Responses, expected).end.error);
}

fn request(body: &str) -> Request<'_> {
    json::vet(body.as_bytes()).expect("one meaning");
    Responses.read_request(body.as_bytes()).expect("a request")
}

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../tests/fixtures/dialect/responses/", $name))
    };
}

#[test]
fn an_agents_request_is_read_whole() {
    let request = request(fixture!("agent.json"));
    assert!(request.stream && request.model == "harbor-large");
    let expected = Params {
        temperature: Some(0.5),
        max_tokens: Some(700),
        effort: Some(Effort::Low),
        thinking: true,
        ..Params::default()
    };
    assert_eq!(request.params, expected);
    assert_eq!(request.end_user.as_deref(), Some("pilot-9"));
    assert_eq!(request.schema, ["reasoning", "ships"]);
    let kept = ["resp_tide01", "conv_tide01", "pmpt_watch01", "file-chart01", "file-list01"];
    let items = ["rs_tide01", "sealed-tide-01", "rs_tide02", "sealed-tide-02", "msg_tide01"];
    let calls = ["fc_tide01", "call_tide01", "call_tide01", "msg_tide02"];
    assert_eq!(request.presented, [&kept[..], &items[..], &calls[..]].concat());
}

#[test]
fn a_whole_answer_gives_away_text_ids_and_usage() {
    let delta = Responses.read_answer(fixture!("answer.json").as_bytes()).expect("an answer");
    let pieces: Vec<_> = delta.pieces.iter().map(|(kind, text)| (*kind, &**text)).collect();
    let expected = [
        (Kind::Thinking, "One list."),
        (Kind::Text, "The Heron."),
        (Kind::Text, "No cargo."),
        (Kind::ToolCall, "moor"),
        (Kind::ToolCall, "{\"quay\":2}"),
    ];
    assert_eq!(pieces, expected);
    let reasoning = ["resp_tide11", "conv_tide11", "rs_tide11", "sealed-tide-11"];
    let said = ["msg_tide11", "fc_tide11", "call_tide11"];
    assert_eq!(delta.issued, [&reasoning[..], &said[..]].concat());
    let usage =
        Usage { input: Some(210), output: Some(33), cached: Some(128), reasoning: Some(20) };
    assert_eq!((delta.usage, delta.finish), (Some(usage), Some(Finish::Tool)));
}

#[test]
fn a_stream_that_fails_keeps_what_it_said() {
    let told = streamed(&Responses, fixture!("failed.sse"));
    assert_eq!(told.pieces, [(Kind::Text, "The".to_owned())]);
    assert!(told.end.error && !told.end.last);
}

#[test]
fn what_fills_a_kept_prompt_comes_between_system_and_items() {
    let request = request(
        r#"{"instructions":"s","prompt":{"id":"pmpt_1","variables":{"Quay":"north",
            "chart":{"type":"input_image","file_id":"file_1"}}},"input":"Which ships?"}"#,
    );
    let parts: Vec<_> = request.parts.iter().map(|p| (p.turn, p.kind, &*p.text)).collect();
    let [text, image] = [Kind::Text, Kind::Image];
    assert_eq!(
        parts,
        [(0, text, "s"), (1, text, "north"), (1, image, ""), (2, text, "Which ships?")]
    );
    assert_eq!(request.presented, ["pmpt_1", "file_1"]);
}

#[test]
fn input_that_is_text_is_the_callers_and_is_borrowed() {
    let request = request(r#"{"input":"plain","conversation":"conv_1","user":"u"}"#);
    assert!(matches!(request.parts[0].text, Cow::Borrowed("plain")));
    assert_eq!((request.parts[0].turn, request.parts[0].role), (0, Role::User));
    assert_eq!((&*request.presented[0], request.end_user.as_deref()), ("conv_1", Some("u")));
}

#[test]
fn an_answer_ends_as_its_status_says() {
    let finish = |body: &'static str| Responses.read_answer(body.as_bytes()).expect("one").finish;
    assert_eq!(finish(r#"{"status":"completed","output":[]}"#), Some(Finish::Stop));
    let cut = r#"{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}"#;
    assert_eq!(finish(cut), Some(Finish::Length));
    let held = r#"{"status":"incomplete","incomplete_details":{"reason":"content_filter"}}"#;
    assert_eq!(finish(held), Some(Finish::Filter));
    assert_eq!(finish(r#"{"status":"cancelled"}"#), Some(Finish::Other));
    assert_eq!(finish(r#"{"status":"queued","usage":null}"#), None);
}

#[test]
fn the_providers_own_error_is_noticed_in_every_shape() {
    for data in [
        r#"{"type":"response.failed","response":{"status":"failed","error":{"message":"m"}}}"#,
        r#"{"type":"error","code":null,"message":"m"}"#,
        r#"{"error":{"message":"m"}}"#,
    ] {
        let end = streamed(&Responses, &format!("data: {data}\n\n")).end;
        assert!(end.error && !end.last, "{data}");
    }
}

proptest! {
    #[test]
    fn no_value_in_a_field_without_words_fails_a_request(
        field in prop::sample::select(vec![
            "prompt", "stream", "tools", "text", "reasoning", "user",
            "conversation", "previous_response_id", "max_output_tokens", "top_logprobs",
        ]),
        value in prop::sample::select(vec![
            "null", "true", "-1.5e3", "\"x\"", "[]", "{}", "[[{}],null,7]", "{\"id\":{}}",
            "{\"format\":{\"schema\":{\"properties\":{\"a\":[],\"b\":{\"items\":7}}}}}",
            "{\"variables\":{\"a\":[],\"b\":{\"text\":7}}}", "{\"variables\":[7]}",
            "[{\"type\":\"message\",\"role\":7,\"content\":[{\"type\":[]}]},{\"output\":{}}]",
        ]),
    ) {
        let body = format!("{{\"model\":\"m\",\"{field}\":{value}}}");
        prop_assert!(Responses.read_request(body.as_bytes()).is_ok(), "{}", body);
    }

    #[test]
    fn turns_never_go_back_and_each_is_one_roles(
        items in prop::collection::vec(prop::sample::select(vec![
            r#"{"role":"user","content":"u"}"#, r#"{"role":"assistant","content":"a"}"#,
            r#"{"type":"reasoning","encrypted_content":"e"}"#, r#""text""#, "null",
            r#"{"type":"function_call","name":"f"}"#, r#"{"type":"item_reference","id":"i"}"#,
            r#"{"type":"function_call_output","output":[]}"#,
        ]), 0..12),
    ) {
        let body = format!("{{\"instructions\":\"s\",\"input\":[{}]}}", items.join(","));
        let request = request(&body);
        prop_assert!(request.parts.is_sorted_by_key(|part| part.turn));
        for pair in request.parts.windows(2).filter(|pair| pair[0].turn == pair[1].turn) {
            prop_assert_eq!(pair[0].role, pair[1].role);
        }
    }

    #[test]
    fn nothing_panics(data in "[\\[\\]{}\":,a-z0-9]{0,64}") {
        let _ = Responses.read_request(data.as_bytes());
        let _ = Responses.read_answer(data.as_bytes());
        let _ = Responses.read_event(sse::Event { name: None, data: &data });
    }
}
