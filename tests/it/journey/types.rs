//! Fields that hold words, given as something else: what isn't read is not forwarded.

use serde_json::{Value, json};
use stillguard::policy::{Bodies, TenantSettings};

use super::scene::{Scene, post};

/// What a field may be besides an array.
#[derive(Clone, Copy, Debug, PartialEq)]
enum May {
    OnlyArray,
    Text,
    Object,
}
use May::{Object, OnlyArray, Text};

/// A route, a body it takes, and the fields that hold words there, by JSON pointer.
type Route = (&'static str, Value, Vec<(&'static str, May)>);

fn routes() -> Vec<Route> {
    let said = json!([{"role": "user", "content": "What is a stanza?"}]);
    let parts = json!([{"role": "user", "parts": [{"text": "What is a stanza?"}]}]);
    let blocks = json!([{"role": "user", "content": [{"text": "What is a stanza?"}]}]);
    let chat = json!({"model": "m", "messages": said});
    let messages = json!({"model": "m", "max_tokens": 9, "system": "Be brief.", "messages": said});
    let mut on_bedrock = messages.clone();
    on_bedrock["anthropic_version"] = json!("bedrock-2023-05-31");
    let generate = json!({"contents": parts, "systemInstruction": {"parts": [{"text": "Hush."}]}});
    let converse = json!({"messages": blocks, "system": [{"text": "Be brief."}]});
    let of_messages = vec![("/messages", OnlyArray), ("/messages/0/content", Text)];
    let with_system = [of_messages.clone(), vec![("/system", Text)]].concat();
    vec![
        ("/v1/chat/completions", chat.clone(), of_messages.clone()),
        ("/openai/deployments/d/chat/completions", chat, of_messages),
        (
            "/v1/responses",
            json!({"model": "m", "input": said, "instructions": "Be brief."}),
            vec![("/input", Text), ("/instructions", Text), ("/input/0/content", Text)],
        ),
        (
            "/v1/completions",
            json!({"model": "m", "prompt": "A stanza is"}),
            vec![("/prompt", Text)],
        ),
        ("/v1/embeddings", json!({"model": "m", "input": "stanza"}), vec![("/input", Text)]),
        ("/v1/messages", messages.clone(), with_system.clone()),
        ("/v1/messages/count_tokens", messages.clone(), with_system.clone()),
        (
            "/v1/messages/batches",
            json!({"requests": [{"params": messages}]}),
            vec![("/requests", OnlyArray)],
        ),
        (
            "/v1beta/models/m:generateContent",
            generate,
            vec![
                ("/contents", Object),
                ("/contents/0/parts", Object),
                ("/systemInstruction", Object),
            ],
        ),
        ("/v1beta/models/m:embedContent", json!({"content": parts[0]}), vec![("/content", Object)]),
        (
            "/model/m/converse",
            converse,
            vec![
                ("/messages", OnlyArray),
                ("/system", OnlyArray),
                ("/messages/0/content", OnlyArray),
            ],
        ),
        ("/model/meta.llama/invoke", json!({"prompt": "A stanza is"}), vec![("/prompt", Text)]),
        ("/model/anthropic.claude/invoke", on_bedrock, with_system),
    ]
}

#[tokio::test(start_paused = true)]
async fn words_in_a_place_of_the_wrong_type_are_refused_in_the_callers_dialect() {
    let strict = Scene::new();
    let lenient = |tenant: &mut TenantSettings| tenant.bodies = Some(Bodies::Lenient);
    let lenient = Scene::with(lenient, |_| {});
    for (path, body, fields) in routes() {
        let asked = |body: &Value| post(path, &[("authorization", "Bearer k")], &body.to_string());
        assert_eq!(strict.ask(asked(&body)).await.0, 200, "{path}");
        for (field, may) in fields {
            for wrong in [json!(7), json!(true), json!("text"), json!({"words": "unread"})] {
                if (wrong.is_string() && may == Text) || (wrong.is_object() && may == Object) {
                    continue;
                }
                let mut bad = body.clone();
                *bad.pointer_mut(field).unwrap() = wrong;
                let forwarded = strict.forwarded();
                let (status, _, said) = strict.ask(asked(&bad)).await;
                assert_eq!((status, strict.forwarded()), (400, forwarded), "{path} {bad}");
                let said: Value = serde_json::from_str(&said).unwrap();
                let native = if path.starts_with("/model/") { &said } else { &said["error"] };
                let message = native["message"].as_str().unwrap();
                assert!(message.contains('`'), "it names what is wrong: {message}");
                assert_eq!(lenient.ask(asked(&bad)).await.0, 200, "{path} {bad}");
            }
        }
    }
}
