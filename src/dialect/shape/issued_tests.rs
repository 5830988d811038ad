//! Where each API holds what it has issued: `<a|b>` stands for `a` before and `b` after.

use http::{HeaderMap, Method};
use proptest::prelude::*;

use super::{Bind, Placed, Shapes, Spot};
use crate::dialect::{self, base64};

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";
const MESSAGES: &str = "/v1/messages";
const COUNT: &str = "/v1/messages/count_tokens";
const BATCHES: &str = "/v1/messages/batches";
const VERTEX: &str = "/v1/projects/p/locations/l/publishers/anthropic/models/m:rawPredict";
const GEMINI: &str = "/v1beta/models/m:generateContent";
const GEMINI_COUNT: &str = "/v1beta/models/m:countTokens";
const CONVERSE: &str = "/model/m/converse";
const INVOKE: &str = "/model/m/invoke";

/// Puts every text in brackets: a seal in square ones, an id in round ones.
struct Brackets;

impl Bind for Brackets {
    fn place(&mut self, spot: Spot, text: &str) -> Placed {
        Placed::Other(match spot {
            Spot::Call => format!("({text})"),
            _ => format!("[{text}]"),
        })
    }
}

/// Has every seal that ends in `!` go.
struct Strip;

impl Bind for Strip {
    fn place(&mut self, _: Spot, text: &str) -> Placed {
        if text.ends_with('!') { Placed::Gone } else { Placed::Same }
    }
}

fn binds(path: &str) -> &'static Shapes {
    dialect::of(&Method::POST, path, &HeaderMap::new()).expect("a dialect").binds()
}

fn both(marked: &str) -> [String; 2] {
    [0, 1].map(|side| {
        let pieces = marked.split(['<', '>']).enumerate().map(|(index, piece)| {
            let pair = piece.split_once('|').filter(|_| index % 2 == 1);
            pair.map_or(piece, |pair| if side == 0 { pair.0 } else { pair.1 })
        });
        pieces.collect()
    })
}

fn check(rule: &super::Rule, marked: &str, binder: &mut dyn Bind) {
    let [before, after] = both(marked);
    let now = rule.bind(before.as_bytes(), binder).unwrap();
    assert_eq!(now.is_some(), before != after, "{marked}");
    assert_eq!(now.map_or(before, |now| String::from_utf8(now).unwrap()), after);
}

const REQUESTS: &[(&str, &str)] = &[
    (
        MESSAGES,
        r#"{"model":"m", "messages":[{"role":"user","content":"signature"},{"role":"assistant","content":[
           {"type":"thinking","thinking":"h\u00e9","signature":<"Er+\/"|"[Er+/]">},{"type":"redacted_thinking", "data":<"Em"|"[Em]">},
           {"type":"text","text":"a","data":"kept"},{"type":"tool_use","id":<"toolu_1"|"(toolu_1)">,"input":{"signature":"kept","id":"kept"}}]},
           {"role":"user","content":[{"type":"tool_result","tool_use_id":<"toolu_1"|"(toolu_1)">,"content":"b"},{"type":"image","source":{"data":"kept"}}]}]}"#,
    ),
    (COUNT, r#"{"messages":[{"content":[{"type":"thinking","signature":<"Er"|"[Er]">}]}]}"#),
    (VERTEX, r#"{"messages":[{"content":[{"type":"thinking","signature":<"Er"|"[Er]">}]}]}"#),
    (
        BATCHES,
        r#"{"requests":[{"params":{"messages":[{"content":[{"signature":<"Er"|"[Er]">}]}]}}]}"#,
    ),
    (
        RESPONSES,
        r#"{"previous_response_id":"resp_1","input":[{"role":"user","content":"x"},{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":<"gA-_"|"[gA-_]">},
           {"type":"function_call","id":"fc_1","call_id":<"call_1"|"(call_1)">,"arguments":"{}"},{"type":"function_call_output","call_id":<"call_1"|"(call_1)">,"output":"y"}]}"#,
    ),
    (RESPONSES, r#"{"input":"encrypted_content"}"#),
    (
        CHAT,
        r#"{"messages":[{"role":"assistant","tool_calls":[{"id":<"call_1"|"(call_1)">,"function":{"name":"f"}}]},{"role":"tool","tool_call_id":<"call_1"|"(call_1)">,"content":"y"}]}"#,
    ),
    (
        GEMINI,
        r#"{"contents":[{"parts":[{"text":"x"}]},{"role":"model","parts":[{"functionCall":{"id":<"c"|"(c)">,"name":"f","args":{"id":"kept"}},"thoughtSignature":<"Ci"|"[Ci]">},
           {"text":"a","thought_signature":<"Cj"|"[Cj]">}]},{"parts":[{"function_response":{"id":<"c"|"(c)">,"response":{}}}]}]}"#,
    ),
    (GEMINI, r#"{"contents":{"parts":{"thoughtSignature":<"Ci"|"[Ci]">}}}"#),
    (
        GEMINI_COUNT,
        r#"{"generateContentRequest":{"contents":[{"parts":[{"thoughtSignature":<"Ci"|"[Ci]">}]}]}}"#,
    ),
    (
        CONVERSE,
        r#"{"messages":[{"role":"assistant","content":[{"reasoningContent":{"reasoningText":{"text":"h","signature":<"Er"|"[Er]">}}},
           {"reasoningContent":{"redactedContent":<"ZQ=="|"[ZQ==]">}},{"toolUse":{"toolUseId":<"t1"|"(t1)">,"name":"f","input":{"signature":"kept"}}}]},
           {"role":"user","content":[{"toolResult":{"toolUseId":<"t1"|"(t1)">,"content":[]}}]}]}"#,
    ),
    (
        INVOKE,
        r#"{"anthropic_version":"v","messages":[{"content":[{"type":"thinking","signature":<"Er"|"[Er]">},{"type":"redacted_thinking","data":<"Em"|"[Em]">}]}]}"#,
    ),
    (
        INVOKE,
        r#"{"messages":[{"content":[{"reasoningContent":{"reasoningText":{"signature":<"s"|"[s]">}}}]}]}"#,
    ),
];

const ANSWERS: &[(&str, &str)] = &[
    (
        MESSAGES,
        r#"{"id":"msg_1","content":[{"type":"thinking","thinking":"h","signature":<"Er"|"[Er]">},{"type":"redacted_thinking","data":<"Em"|"[Em]">},
           {"type":"tool_use","id":<"toolu_1"|"(toolu_1)">,"input":{}}],"usage":{"output_tokens":5}}"#,
    ),
    (
        RESPONSES,
        r#"{"id":"resp_1","output":[{"id":"rs_1","encrypted_content":<"gA"|"[gA]">},{"id":"fc_1","call_id":<"call_1"|"(call_1)">}],"usage":{}}"#,
    ),
    (
        CHAT,
        r#"{"id":"chatcmpl-1","choices":[{"message":{"tool_calls":[{"id":<"call_1"|"(call_1)">}]}}]}"#,
    ),
    (
        GEMINI,
        r#"{"responseId":"r","candidates":[{"content":{"parts":[{"text":"h","thought":true},{"functionCall":{"name":"f"},"thoughtSignature":<"Ci"|"[Ci]">}]}}]}"#,
    ),
    (
        CONVERSE,
        r#"{"output":{"message":{"content":[{"reasoningContent":{"reasoningText":{"text":"h","signature":<"s"|"[s]">}}},{"toolUse":{"toolUseId":<"t1"|"(t1)">}}]}}}"#,
    ),
    (INVOKE, r#"{"content":[{"type":"thinking","signature":<"Er"|"[Er]">}]}"#),
    (
        INVOKE,
        r#"{"output":{"message":{"content":[{"reasoningContent":{"redactedContent":<"s"|"[s]">}}]}}}"#,
    ),
];

const EVENTS: &[(&str, &str)] = &[
    (
        MESSAGES,
        r#"{"type":"content_block_delta","delta":{"type":"signature_delta","signature":<"Er"|"[Er]">}}"#,
    ),
    (
        MESSAGES,
        r#"{"type":"content_block_start","content_block":{"type":"redacted_thinking","data":<"Em"|"[Em]">}}"#,
    ),
    (MESSAGES, r#"{"type":"message_start","message":{"id":"msg_1","content":[]}}"#),
    (
        RESPONSES,
        r#"{"type":"response.output_item.done","item":{"id":"rs_1","encrypted_content":<"gA"|"[gA]">}}"#,
    ),
    (
        RESPONSES,
        r#"{"type":"response.completed","response":{"id":"resp_1","output":[{"encrypted_content":<"gA"|"[gA]">}]}}"#,
    ),
    (CHAT, r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":<"call_1"|"(call_1)">}]}}]}"#),
    (
        GEMINI,
        r#"{"candidates":[{"content":{"parts":[{"text":"","thoughtSignature":<"Ci"|"[Ci]">}]}}]}"#,
    ),
    (CONVERSE, r#"{"delta":{"reasoningContent":{"signature":<"s"|"[s]">}},"p":"ab"}"#),
    (CONVERSE, r#"{"delta":{"reasoningContent":{"redactedContent":<"s"|"[s]">}}}"#),
    (CONVERSE, r#"{"start":{"toolUse":{"toolUseId":<"t1"|"(t1)">,"name":"f"}}}"#),
];

#[test]
fn what_was_issued_is_found_in_requests_and_nothing_else_changes() {
    for (path, marked) in REQUESTS {
        check(&binds(path).request, marked, &mut Brackets);
    }
}

#[test]
fn what_is_issued_is_found_in_answers_and_nothing_else_changes() {
    for (path, marked) in ANSWERS {
        check(&binds(path).answer, marked, &mut Brackets);
    }
}

#[test]
fn so_is_it_in_the_events_of_streams() {
    for (path, marked) in EVENTS {
        check(&binds(path).event, marked, &mut Brackets);
    }
    for marked in [
        r#"{"type":"content_block_delta","delta":{"signature":<"Er"|"[Er]">}}"#,
        r#"{"contentBlockDelta":{"delta":{"reasoningContent":{"signature":<"s"|"[s]">}}}}"#,
    ] {
        let coded = both(marked).map(|text| base64::encoded(text.as_bytes()));
        let [before, after] = coded.map(|coded| format!(r#"{{"bytes": "{coded}","p":"abc"}}"#));
        let now = binds(INVOKE).event.bind(before.as_bytes(), &mut Brackets).unwrap();
        assert_eq!(now.unwrap(), after.into_bytes());
    }
}

/// Lists without, with one, and with all of what goes.
const STRIPPED: &[(&str, &str)] = &[
    (
        MESSAGES,
        r#"{"messages":[{"content":[ <{"type":"thinking","thinking":"h","signature":"Er!"} , |>{"type":"text","text":"a"} ]}]}"#,
    ),
    (
        MESSAGES,
        r#"{"messages":[{"content":[ <{"signature":"a!"}, {"type":"redacted_thinking","data":"b!"}|> ]}]}"#,
    ),
    (
        MESSAGES,
        r#"{"messages":[{"content":[<{"signature":"a!"},{"signature":"b!"},|>{"signature":"c"}<, {"signature":"d!"},{"signature":"e!"}|> ,{"text":"f"}<,{"signature":"g!"}|>]}]}"#,
    ),
    (
        RESPONSES,
        r#"{"input":[{"role":"user","content":"x"}<,{"type":"reasoning","encrypted_content":"a!"}|>,{"call_id":"id!"}]}"#,
    ),
    (
        CONVERSE,
        r#"{"messages":[{"content":[<{"reasoningContent":{"reasoningText":{"text":"h","signature":"a!"}}},|>{"text":"a"}]}]}"#,
    ),
    (
        GEMINI,
        r#"{"contents":[{"parts":[{"functionCall":{"name":"f"},"thoughtSignature":<"a!"|null>},{"text":"b"}]}]}"#,
    ),
];

#[test]
fn what_goes_goes_with_what_it_belongs_to_and_leaves_sound_json() {
    for (path, marked) in STRIPPED {
        check(&binds(path).request, marked, &mut Strip);
    }
}

proptest! {
    #[test]
    fn whatever_goes_what_stays_is_the_list_without_it(
        kept in prop::collection::vec(any::<bool>(), 0..8),
        space in " {0,2}",
    ) {
        let seal = |(at, kept): (usize, &bool)| {
            let mark = if *kept { "" } else { "!" };
            format!(r#"{{"signature":{space}"{at}{mark}"}}"#)
        };
        let list = |elements: Vec<String>| {
            format!(r#"{{"messages":[{{"content":[{}]}}]}}"#, elements.join(&format!("{space},{space}")))
        };
        let before = list(kept.iter().enumerate().map(seal).collect());
        let stay = |(_, kept): &(usize, &bool)| **kept;
        let after = list(kept.iter().enumerate().filter(stay).map(seal).collect());
        let now = binds(MESSAGES).request.bind(before.as_bytes(), &mut Strip).unwrap();
        let now = now.unwrap_or_else(|| before.into_bytes());
        let [now, after] = [&now[..], after.as_bytes()]
            .map(|text| serde_json::from_slice::<serde_json::Value>(text).unwrap());
        prop_assert_eq!(now, after);
    }

    #[test]
    fn no_body_makes_binding_panic(body in "[\\[\\]{}\":,a-z ]{0,40}", junk: Vec<u8>) {
        for path in [MESSAGES, RESPONSES, GEMINI, CONVERSE, INVOKE] {
            for rule in [&binds(path).request, &binds(path).answer, &binds(path).event] {
                let _ = rule.bind(body.as_bytes(), &mut Brackets);
                let _ = rule.bind(&junk, &mut Brackets);
            }
        }
    }
}
