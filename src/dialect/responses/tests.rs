use proptest::prelude::*;

use super::*;
use crate::dialect::testing::streamed;
use crate::dialect::{Finish, Reason, Usage, json};

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
    let wording =
        Wording { status: 429, reason: Reason::Throttled, message, reference, link: None };
    let expected = concat!(
        "event: error\ndata: ",
        r#"{"type":"error","sequence_number":0,"code":"rate_limit_exceeded","message":"Slow.","#,
        r#""param":null,"error":{"message":"Slow.","type":"requests","param":null,"#,
        r#""code":"rate_limit_exceeded"}}"#,
        "\n\n",
    );
    assert_eq!(Responses.break_stream(&wording), expected);
    assert!(streamed(&Responses, expected).end.error);
}

proptest! {
    #[test]
    fn nothing_panics(data in "[\\[\\]{}\":,a-z0-9]{0,64}") {
        let _ = Responses.read_request(data.as_bytes());
        let _ = Responses.read_answer(data.as_bytes());
        let _ = Responses.read_event(sse::Event { name: None, data: &data });
    }
}
