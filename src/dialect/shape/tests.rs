use http::{HeaderMap, Method};
use proptest::prelude::*;

use super::*;
use crate::dialect::{self, base64};

const ALL: Shaping =
    Shaping { logprobs: true, reasoning: true, most_choices: Some(2), most_tokens: Some(4000) };

const CHAT: &str = "/v1/chat/completions";
const PLAIN: &str = "/v1/completions";
const RESPONSES: &str = "/v1/responses";
const MESSAGES: &str = "/v1/messages";
const BATCHES: &str = "/v1/messages/batches";
const VERTEX: &str = "/v1/publishers/anthropic/models/m:rawPredict";
const AZURE: &str = "/openai/deployments/d/chat/completions";
const GEMINI: &str = "/v1beta/models/m:generateContent";
const CONVERSE: &str = "/model/m/converse";
const INVOKE: &str = "/model/m/invoke";

/// Bodies in which `<a|b>` stands for `a` before shaping and `b` after; the rest must not change.
const REQUESTS: &[(&str, &str, &str)] = &[
    (
        CHAT,
        r#"{ "model":"m", "logprobs" : <true|false>,"top_logprobs":<5|null>, "n": <"8"|2>,
           "max_tokens":<9000|4000>,"messages":[{"content":"\u0041 n:8, logprobs"}],"x":1e2 }"#,
        "logprobs choices output-tokens",
    ),
    (AZURE, r#"{<|"max_completion_tokens":4000,>"messages":[]}"#, "output-tokens"),
    (CHAT, r#"{"max_completion_tokens":<null|4000>,"max_tokens":null}"#, "output-tokens"),
    (
        CHAT,
        r#"{"n":<8|2>,"max_tokens":<null|4000>,"logprobs":<true|false>}"#,
        "logprobs choices output-tokens",
    ),
    (CHAT, r#"{"logprobs":false,"top_logprobs":null,"n":2,"max_tokens":4000}"#, ""),
    (CHAT, r#"{"max_tokens":1,"include_reasoning":<true|false>}"#, "reasoning"),
    (PLAIN, r#"{"prompt":"x","logprobs":<0|null>,"n":<3|2>}"#, "logprobs choices"),
    (
        RESPONSES,
        r#"{<|"max_output_tokens":4000,>"input":"x","top_logprobs":<3|null>,"reasoning":{"effort":"high","summary":<"auto"|null>},
           "include":<["reasoning.encrypted_content", "message.output_text.logprobs"]|["reasoning.encrypted_content"]>}"#,
        "logprobs output-tokens reasoning",
    ),
    (
        MESSAGES,
        r#"{"max_tokens":<32000|4000>,"thinking":{"type":"enabled","budget_tokens":<16000|2000>}}"#,
        "output-tokens",
    ),
    (VERTEX, r#"{"max_tokens":<32000|4000>,"thinking":{"type":"adaptive"}}"#, "output-tokens"),
    (
        BATCHES,
        r#"{"requests":[{"params":{"max_tokens":9}},{"params":{"max_tokens":<8000|4000>}}]}"#,
        "output-tokens",
    ),
    (
        GEMINI,
        r#"{"contents":[],"generation_config":{"response_logprobs":<true|false>,"logprobs":<4|null>,"candidateCount":<6|2>,
           "maxOutputTokens":<5000|4000>,"thinking_config":{"includeThoughts":<true|false>,"thinkingBudget":-1}}}"#,
        "logprobs choices output-tokens reasoning",
    ),
    (GEMINI, r#"{<|"generationConfig":{"maxOutputTokens":4000},>"contents":[]}"#, "output-tokens"),
    (
        GEMINI,
        r#"{"generationConfig":{<|"maxOutputTokens":4000,>"temperature":1}}"#,
        "output-tokens",
    ),
    (GEMINI, r#"{"generationConfig":{<|"maxOutputTokens":4000>}}"#, "output-tokens"),
    (
        CONVERSE,
        r#"{"inferenceConfig":{"maxTokens":<4001|4000>},"additionalModelRequestFields":{"thinking":{"budget_tokens":<4000|2000>}}}"#,
        "output-tokens",
    ),
    (INVOKE, r#"{"prompt":"x","max_gen_len":<8192|4000>}"#, "output-tokens"),
];

const ANSWERS: &[(&str, &str, &str)] = &[
    (
        CHAT,
        r#"{"choices":[{"logprobs":<{"content":[{"token":"a","logprob":-1}]}|null>,"message":{"content":"reasoning",
           "reasoning_content":<"Let\u0020me \"see\""|"">,"reasoning_details":[{"text":<"hm"|"">,"signature":"s"}]}}],"usage":{"completion_tokens":9}}"#,
        "logprobs reasoning",
    ),
    (
        CHAT,
        r#"{"choices":[{"message":{"content":[{"type":"thinking","thinking":[{"type":"text","text":<"hm"|"">}]},{"type":"text","text":"a"}]}}]}"#,
        "reasoning",
    ),
    (AZURE, r#"{"choices":[{"logprobs":null,"message":{"reasoning":null}}]}"#, ""),
    (PLAIN, r#"{"choices":[{"text":"a","logprobs":<{"tokens":[]}|null>}]}"#, "logprobs"),
    (
        RESPONSES,
        r#"{"output":[{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":<"hm"|"">}],"encrypted_content":"gA"},
           {"content":[{"text":<"raw"|"">,"type":"reasoning_text"}],"type":"reasoning"},
           {"type":"message","content":[{"type":"output_text","text":"hi","logprobs":<[{"token":"hi"}]|[]>}]}]}"#,
        "logprobs reasoning",
    ),
    (
        MESSAGES,
        r#"{"content":[{"type":"thinking","thinking":<"hm"|"">,"signature":"Er"},{"type":"redacted_thinking","data":"Em"},
           {"type":"tool_use","input":{"thinking":"kept"}},{"type":"text","text":"a"}]}"#,
        "reasoning",
    ),
    (
        GEMINI,
        r#"{"candidates":[{"avgLogprobs":<-0.25|null>,"logprobsResult":<{"chosenCandidates":[]}|null>,"content":{"parts":[
           {"text":<"hm"|"">,"thought":true},{"text":"a","thoughtSignature":"Cg"},{"thought":false,"text":"b"}]}}]}"#,
        "logprobs reasoning",
    ),
    (
        CONVERSE,
        r#"{"output":{"message":{"content":[{"reasoningContent":{"reasoningText":{"text":<"hm"|"">,"signature":"s"}}},
           {"reasoningContent":{"redactedContent":"ZQ=="}},{"text":"a"}]}},"additionalModelResponseFields":{"content":[{"thinking":<"hm"|"">}]},"usage":{"outputTokens":5}}"#,
        "reasoning",
    ),
    (
        INVOKE,
        r#"{"content":[{"type":"thinking","thinking":<"hm"|"">,"signature":"Er"}]}"#,
        "reasoning",
    ),
    (INVOKE, r#"{"choices":[{"message":{"reasoning_content":<"hm"|"">}}]}"#, "reasoning"),
];

const EVENTS: &[(&str, &str, &str)] = &[
    (
        CHAT,
        r#"{"choices":[{"delta":{"reasoning_content":<"h"|"">},"logprobs":null}]}"#,
        "reasoning",
    ),
    (
        CHAT,
        r#"{"choices":[{"delta":{"content":"h"},"logprobs":<{"content":[]}|null>}]}"#,
        "logprobs",
    ),
    (
        RESPONSES,
        r#"{"delta":<"h"|"">,"type":"response.reasoning_summary_text.delta"}"#,
        "reasoning",
    ),
    (RESPONSES, r#"{"type":"response.reasoning_text.done","text":<"h"|"">}"#, "reasoning"),
    (
        RESPONSES,
        r#"{"type":"response.reasoning_summary_part.done","part":{"type":"summary_text","text":<"h"|"">}}"#,
        "reasoning",
    ),
    (
        RESPONSES,
        r#"{"type":"response.output_text.delta","delta":"h","logprobs":<[{"token":"h"}]|[]>}"#,
        "logprobs",
    ),
    (RESPONSES, r#"{"type":"response.output_text.done","text":"h","logprobs":[ ]}"#, ""),
    (
        RESPONSES,
        r#"{"type":"response.completed","response":{"output":[{"summary":[{"type":"summary_text","text":<"h"|"">}]}]}}"#,
        "reasoning",
    ),
    (MESSAGES, r#"{"type":"content_block_delta","delta":{"thinking":<"h"|"">}}"#, "reasoning"),
    (
        MESSAGES,
        r#"{"type":"content_block_start","content_block":{"thinking":<"h"|"">}}"#,
        "reasoning",
    ),
    (MESSAGES, r#"{"type":"content_block_delta","delta":{"signature":"Er"}}"#, ""),
    (
        GEMINI,
        r#"{"candidates":[{"content":{"parts":[{"thought":true,"text":<"h"|"">}]}}]}"#,
        "reasoning",
    ),
    (CONVERSE, r#"{"delta":{"reasoningContent":{"text":<"h"|"">}},"p":"ab"}"#, "reasoning"),
    (CONVERSE, r#"{"delta":{"reasoningContent":{"signature":"s"}}}"#, ""),
];

fn shapes(path: &str) -> &'static Shapes {
    dialect::of(&Method::POST, path, &HeaderMap::new()).expect("a dialect").shapes()
}

/// The text before and after.
fn both(marked: &str) -> (String, String) {
    let (mut before, mut after) = (String::new(), String::new());
    for (index, piece) in marked.split(['<', '>']).enumerate() {
        let (old, new) =
            if index % 2 == 1 { piece.split_once('|').unwrap() } else { (piece, piece) };
        before += old;
        after += new;
    }
    (before, after)
}

fn names(deeds: Deeds) -> String {
    deeds.iter().map(Deed::name).collect::<Vec<_>>().join(" ")
}

fn check(rule: &Rule, marked: &str, deeds: &str) {
    let (before, after) = both(marked);
    let shaped = rule.apply(before.as_bytes(), &ALL).unwrap();
    assert_eq!(names(shaped.deeds), deeds, "{marked}");
    assert_eq!(shaped.body.is_some(), before != after, "{marked}");
    let now = shaped.body.map_or(before, |body| String::from_utf8(body).unwrap());
    assert_eq!(now, after);
    // Once is enough.
    let again = rule.apply(now.as_bytes(), &ALL).unwrap();
    assert_eq!((again.body, again.deeds), (None, Deeds::default()), "{marked}");
    let none = rule.apply(now.as_bytes(), &Shaping::default()).unwrap();
    assert_eq!(none.body, None, "{marked}");
}

#[test]
fn requests_change_where_they_ask_for_too_much_and_nowhere_else() {
    for (path, marked, deeds) in REQUESTS {
        check(&shapes(path).request, marked, deeds);
    }
}

#[test]
fn answers_change_where_they_tell_too_much_and_nowhere_else() {
    for (path, marked, deeds) in ANSWERS {
        check(&shapes(path).answer, marked, deeds);
    }
}

#[test]
fn so_do_the_events_of_streams() {
    for (path, marked, deeds) in EVENTS {
        check(&shapes(path).event, marked, deeds);
    }
}

#[test]
fn events_of_models_change_inside_their_base64() {
    for marked in [
        r#"{"type":"content_block_delta","delta":{"thinking":<"hm"|"">}}"#,
        r#"{"contentBlockDelta":{"delta":{"reasoningContent":{"text":<"hm"|"">}}}}"#,
        r#"{"choices":[{"delta":{"reasoning_content":<"hm"|"">}}]}"#,
    ] {
        let (before, after) = both(marked);
        let coded = |text: &str| {
            format!(r#"{{"bytes": "{}","p":"abc"}}"#, base64::encoded(text.as_bytes()))
        };
        let shaped = shapes(INVOKE).event.apply(coded(&before).as_bytes(), &ALL).unwrap();
        assert_eq!(shaped.body.unwrap(), coded(&after).into_bytes());
        assert_eq!((names(shaped.deeds), shaped.withheld), ("reasoning".into(), "hm".into()));
    }
}

#[test]
fn withheld_text_is_handed_over_to_be_counted() {
    let answer = both(ANSWERS[0].1).0;
    let shaped = shapes(CHAT).answer.apply(answer.as_bytes(), &ALL).unwrap();
    assert_eq!(shaped.withheld, "Let me \"see\"hm");
}

#[test]
fn what_policy_leaves_alone_stays() {
    let answer = both(ANSWERS[0].1).0;
    let only =
        |shaping| names(shapes(CHAT).answer.apply(answer.as_bytes(), &shaping).unwrap().deeds);
    assert_eq!(only(Shaping { logprobs: true, ..Shaping::default() }), "logprobs");
    assert_eq!(only(Shaping { reasoning: true, ..Shaping::default() }), "reasoning");
}

#[test]
fn thinking_ends_where_no_budget_fits() {
    let most = Shaping { most_tokens: Some(900), ..Shaping::default() };
    let body = br#"{"max_tokens":9000,"thinking":{"type":"enabled","budget_tokens":1024}}"#;
    let shaped = shapes(MESSAGES).request.apply(body, &most).unwrap();
    let now = br#"{"max_tokens":900,"thinking":{"type":"disabled"}}"#;
    assert_eq!(shaped.body.as_deref(), Some(&now[..]));
}

#[test]
fn how_many_answers_are_asked_for_is_told_without_a_cap() {
    for (path, body, choices) in [
        (CHAT, r#"{"n":64}"#, 64),
        (CHAT, r#"{"messages":[]}"#, 0),
        (GEMINI, r#"{"generationConfig":{"candidateCount":8}}"#, 8),
    ] {
        let shaped = shapes(path).request.apply(body.as_bytes(), &Shaping::default()).unwrap();
        assert_eq!((shaped.choices, shaped.body), (choices, None), "{body}");
    }
}

#[test]
fn odd_types_and_odd_texts_are_left_alone() {
    for body in ["[]", "7", "null", "\"x\"", "{\"choices\":3}", "{\"choices\":{\"logprobs\":[]}}"] {
        for (path, ..) in ANSWERS {
            let shapes = shapes(path);
            for rule in [&shapes.request, &shapes.answer, &shapes.event] {
                assert!(rule.apply(body.as_bytes(), &ALL).is_ok(), "{path} {body}");
            }
        }
    }
    assert!(shapes(CHAT).answer.apply(b"{\"choices\":[", &ALL).is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_shaping_panic_and_what_comes_out_is_json(
        cut in 0..400_usize,
        byte in any::<u8>(),
        index in 0..ANSWERS.len() + REQUESTS.len(),
        deep in 0..3000_usize,
    ) {
        let (path, marked, _) = *ANSWERS.iter().chain(REQUESTS).nth(index).unwrap();
        let mut body = both(marked).0.into_bytes();
        let at = cut % body.len();
        body[at] = byte;
        let deep = format!("{{\"choices\":{}", "[".repeat(deep));
        for body in [&body[..], &body[..at], deep.as_bytes()] {
            let shapes = shapes(path);
            for rule in [&shapes.request, &shapes.answer, &shapes.event] {
                let Ok(shaped) = rule.apply(body, &ALL) else { continue };
                if let Some(now) = shaped.body {
                    prop_assert!(serde_json::from_slice::<&RawValue>(&now).is_ok());
                }
            }
        }
    }
}
