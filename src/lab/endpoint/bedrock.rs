//! Bedrock's `converse` and `converse-stream`, as the API shapes them.

use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::{Choice, Plan, ToolCall};
use super::seals::seal;
use crate::dialect::eventstream::frame;

const WHOLE: &str = "/converse";
const STREAM: &str = "/converse-stream";

pub(super) fn speaks(path: &str) -> bool {
    path.contains("/model/") && (path.ends_with(WHOLE) || path.ends_with(STREAM))
}

/// The request as messages.
pub(super) fn read(path: &str, body: &Value) -> Value {
    let model = path.split_once("/model/").and_then(|(_, rest)| rest.rsplit_once('/'));
    let config = &body["toolConfig"];
    let forced = ["any", "tool"].iter().any(|kind| config["toolChoice"][kind].is_object());
    json!({
        "thinking": body["additionalModelRequestFields"]["thinking"],
        "model": model.map(|(model, _)| model), "stream": path.ends_with(STREAM),
        "messages": messages(&body["messages"]), "system": body["system"],
        "tools": tools(&config["tools"]), "max_tokens": body["inferenceConfig"]["maxTokens"],
        "tool_choice": {"type": if forced { "any" } else { "auto" }},
    })
}

/// The answer that is not streamed.
pub(super) fn whole(plan: &Plan) -> Value {
    let choice = &plan.choices[0];
    let calls = choice.calls.iter().enumerate().map(|(at, used)| {
        let input: Value = serde_json::from_str(&used.arguments.concat()).unwrap_or_default();
        let mut call = call(plan, at, used);
        call["toolUse"]["input"] = input;
        call
    });
    let thought = (!choice.thinking.is_empty()).then(|| {
        if plan.redacts {
            return json!({"reasoningContent": {"redactedContent": seal(plan, "ErUB", false)}});
        }
        let text =
            json!({"text": choice.thinking.concat(), "signature": seal(plan, "ErUB", false)});
        json!({"reasoningContent": {"reasoningText": text}})
    });
    let text = json!({"text": choice.text.concat()});
    let content: Value = thought.into_iter().chain([text]).chain(calls).collect();
    let mut answer = metadata(plan);
    answer["output"] = json!({"message": {"role": "assistant", "content": content}});
    answer["stopReason"] = json!(stop_reason(choice));
    answer
}

/// The frames of a streamed answer, from `messageStart` to `metadata`.
pub(super) fn frames(plan: &Plan) -> Vec<Bytes> {
    let choice = &plan.choices[0];
    let mut frames = Vec::with_capacity(choice.tokens() + 8);
    let mut push = |kind: &str, data: Value| frames.push(event(kind, &data));
    push("messageStart", json!({"role": "assistant"}));
    // Blocks of reasoning and of text have no start.
    let kind = if plan.redacts { "redactedContent" } else { "signature" };
    let sealed = json!({kind: seal(plan, "ErUB", false)});
    let thoughts = choice.thinking.iter().filter(|_| !plan.redacts);
    let thoughts = thoughts.map(|piece| json!({"text": piece}));
    for thought in thoughts.chain([sealed]).filter(|_| !choice.thinking.is_empty()) {
        let delta = json!({"reasoningContent": thought});
        push("contentBlockDelta", json!({"contentBlockIndex": 0, "delta": delta}));
    }
    let first = usize::from(!choice.thinking.is_empty());
    if first > 0 {
        push("contentBlockStop", json!({"contentBlockIndex": 0}));
    }
    for piece in &choice.text {
        push("contentBlockDelta", json!({"contentBlockIndex": first, "delta": {"text": piece}}));
    }
    push("contentBlockStop", json!({"contentBlockIndex": first}));
    for (at, used) in choice.calls.iter().enumerate() {
        let index = first + at + 1;
        let start = call(plan, at, used);
        push("contentBlockStart", json!({"contentBlockIndex": index, "start": start}));
        for piece in &used.arguments {
            let delta = json!({"toolUse": {"input": piece}});
            push("contentBlockDelta", json!({"contentBlockIndex": index, "delta": delta}));
        }
        push("contentBlockStop", json!({"contentBlockIndex": index}));
    }
    push("messageStop", json!({"stopReason": stop_reason(choice)}));
    push("metadata", metadata(plan));
    frames
}

/// An error's body; its type is in a header.
pub(super) fn error(message: &str) -> Value {
    json!({"message": message})
}

pub(super) fn error_type(status: u16) -> &'static str {
    match status {
        401 | 403 => "AccessDeniedException",
        404 => "ResourceNotFoundException",
        408 => "ModelTimeoutException",
        424 => "ModelErrorException",
        429 => "ThrottlingException",
        503 => "ServiceUnavailableException",
        500.. => "InternalServerException",
        _ => "ValidationException",
    }
}

/// The frame that ends a stream with an error.
pub(super) fn error_frame() -> Bytes {
    let headers = [
        (":exception-type", "modelStreamErrorException"),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    ];
    let data = error("The answer broke off on our side.");
    frame(&headers, data.to_string().as_bytes()).into()
}

pub(super) fn event(kind: &str, data: &Value) -> Bytes {
    let headers =
        [(":event-type", kind), (":content-type", "application/json"), (":message-type", "event")];
    frame(&headers, data.to_string().as_bytes()).into()
}

fn messages(messages: &Value) -> Value {
    let Some(messages) = messages.as_array() else { return Value::Null };
    let message = |message: &Value| {
        let mut message = message.clone();
        if message["content"][0]["toolResult"].is_object() {
            message["content"][0]["type"] = json!("tool_result");
        }
        message
    };
    messages.iter().map(message).collect()
}

fn tools(offered: &Value) -> Value {
    let offered = offered.as_array().into_iter().flatten().map(|tool| &tool["toolSpec"]);
    let tool =
        |spec: &Value| json!({"name": spec["name"], "input_schema": spec["inputSchema"]["json"]});
    offered.map(tool).collect()
}

fn call(plan: &Plan, at: usize, used: &ToolCall) -> Value {
    json!({"toolUse": {"toolUseId": plan.id("tooluse_", 1 + at), "name": used.name}})
}

fn metadata(plan: &Plan) -> Value {
    let (input, output) = (plan.input, plan.output());
    json!({"metrics": {"latencyMs": 1}, "usage": {"inputTokens": input, "outputTokens": output,
        "totalTokens": input + output}})
}

fn stop_reason(choice: &Choice) -> &'static str {
    match choice {
        Choice { cut: true, .. } => "max_tokens",
        Choice { calls, .. } if !calls.is_empty() => "tool_use",
        _ => "end_turn",
    }
}
