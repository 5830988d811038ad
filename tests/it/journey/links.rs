//! Turns whose history the endpoint keeps are linked by its ids, and callers by their end users.

use super::scene::{Plan, Scene, answer, post};

/// What one key is given, and another goes on with by its id alone.
const KEPT: [(&str, &str, &str, &str); 3] = [
    (
        "/v1/responses",
        r#"{"model":"m","input":"a"}"#,
        r#"{"id":"resp_0123456789","output":[],"status":"completed"}"#,
        r#"{"model":"m","input":"b","previous_response_id":"resp_0123456789","safety_identifier":"u-1"}"#,
    ),
    (
        "/v1/responses",
        r#"{"model":"m","input":"a"}"#,
        r#"{"id":"resp_x","conversation":{"id":"conv_0123456789"},"output":[],"status":"completed"}"#,
        r#"{"model":"m","input":"b","conversation":"conv_0123456789","safety_identifier":"u-1"}"#,
    ),
    (
        "/v1/messages",
        r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"a"}]}"#,
        r#"{"id":"msg_0123456789","type":"message","content":[],"stop_reason":"end_turn"}"#,
        r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"b"}],
            "thread":{"type":"continue","previous_message_id":"msg_0123456789"},
            "metadata":{"user_id":"u-1"}}"#,
    ),
];

#[tokio::test(start_paused = true)]
async fn a_conversation_the_endpoint_keeps_is_recognised_by_its_id_on_any_account() {
    for (path, begun, given, gone_on) in KEPT {
        let scene = Scene::new();
        scene.plan(Plan::Answer(answer(given)));
        scene.ask(post(path, &[("authorization", "Bearer a")], begun)).await;
        let issued = scene.last_end()["completion"]["issued"].clone();
        scene.plan(Plan::Answer(answer(given)));
        scene.ask(post(path, &[("authorization", "Bearer b")], gone_on)).await;
        let ask = scene.lines("ask").pop().unwrap()["ask"].clone();
        let presented = &ask["prompt"]["presented"][0];
        assert!(presented.is_string() && issued.as_array().unwrap().contains(presented), "{path}");
        assert!(ask["caller"]["end_user"].is_string(), "{path}");
    }
}
