//! Bedrock's `invoke` and `invoke-with-response-stream` of Anthropic's models: their messages, in
//! Bedrock's frames.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::Plan;
use super::{anthropic, bedrock};

const WHOLE: &str = "/invoke";
const STREAM: &str = "/invoke-with-response-stream";

pub(super) fn speaks(path: &str) -> bool {
    path.contains("/model/") && (path.ends_with(WHOLE) || path.ends_with(STREAM))
}

/// The request as messages. A body that names no version is none of Anthropic's.
pub(super) fn read(path: &str, mut body: Value) -> Value {
    if !body["anthropic_version"].is_string() {
        return Value::Null;
    }
    let model = path.split_once("/model/").and_then(|(_, rest)| rest.rsplit_once('/'));
    body["model"] = json!(model.map(|(model, _)| model));
    body["stream"] = json!(path.ends_with(STREAM));
    body
}

/// The frames of a streamed answer: one for each of Anthropic's events, the last with Bedrock's own
/// count.
pub(super) fn frames(plan: &Plan) -> Vec<Bytes> {
    let events = anthropic::events(plan);
    let last = events.len().saturating_sub(1);
    let frame = |(at, (_, mut event)): (usize, (&str, Value))| {
        if at == last {
            event["amazon-bedrock-invocationMetrics"] = json!({"inputTokenCount": plan.input, "outputTokenCount": plan.output(),
                    "invocationLatency": 1, "firstByteLatency": 1});
        }
        bedrock::event("chunk", &json!({"bytes": STANDARD.encode(event.to_string())}))
    };
    events.into_iter().enumerate().map(frame).collect()
}
