//! Anthropic messages, as the API shapes them.

use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::{Choice, Plan};
use super::seals::seal;

/// The answer that is not streamed.
pub(super) fn whole(plan: &Plan) -> Value {
    let choice = &plan.choices[0];
    let content = blocks(plan, choice).into_iter().map(|block| block.whole);
    message(plan, content.collect(), json!(stop_reason(choice)), choice.tokens())
}

/// A streamed answer, from `message_start` to `message_stop`.
pub(super) fn frames(plan: &Plan) -> Vec<Bytes> {
    events(plan).iter().map(|(name, data)| event(name, data)).collect()
}

/// Its events, by name.
pub(super) fn events(plan: &Plan) -> Vec<(&'static str, Value)> {
    let choice = &plan.choices[0];
    let mut events = Vec::with_capacity(choice.tokens() + 8);
    let mut push = |name: &'static str, mut data: Value| {
        data["type"] = json!(name);
        events.push((name, data));
    };
    // One token is counted before the rest is known, as the API does.
    let start = message(plan, json!([]), Value::Null, 1);
    push("message_start", json!({"message": start}));
    for (index, block) in blocks(plan, choice).into_iter().enumerate() {
        push("content_block_start", json!({"index": index, "content_block": block.start}));
        if index == 0 {
            push("ping", json!({}));
        }
        for delta in block.deltas {
            push("content_block_delta", json!({"index": index, "delta": delta}));
        }
        push("content_block_stop", json!({"index": index}));
    }
    let delta = json!({"stop_reason": stop_reason(choice), "stop_sequence": null});
    push("message_delta", json!({"delta": delta, "usage": {"output_tokens": choice.tokens()}}));
    push("message_stop", json!({}));
    events
}

/// An error's body.
pub(super) fn error(status: u16, message: &str, request_id: &str) -> Value {
    let kind = match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    };
    json!({"type": "error", "error": {"type": kind, "message": message},
        "request_id": request_id})
}

/// The event that ends a stream with an error.
pub(super) fn error_frame() -> Bytes {
    event(
        "error",
        &json!({"type": "error",
        "error": {"type": "overloaded_error", "message": "Too much to do at the moment."}}),
    )
}

fn event(name: &str, data: &Value) -> Bytes {
    format!("event: {name}\ndata: {data}\n\n").into()
}

/// One content block: whole, and as a stream gives it.
struct Block {
    whole: Value,
    start: Value,
    deltas: Vec<Value>,
}

fn blocks(plan: &Plan, choice: &Choice) -> Vec<Block> {
    let mut blocks = Vec::new();
    if !choice.thinking.is_empty() {
        blocks.push(thinking(plan, choice));
    }
    let deltas = choice.text.iter().map(|piece| json!({"type": "text_delta", "text": piece}));
    blocks.push(Block {
        whole: json!({"type": "text", "text": choice.text.concat()}),
        start: json!({"type": "text", "text": ""}),
        deltas: deltas.collect(),
    });
    for (at, used) in choice.calls.iter().enumerate() {
        let (id, json) = (plan.id("toolu_", 1 + at), used.arguments.concat());
        let input: Value = serde_json::from_str(&json).unwrap_or_default();
        let deltas = used
            .arguments
            .iter()
            .map(|piece| json!({"type": "input_json_delta", "partial_json": piece}));
        blocks.push(Block {
            whole: json!({"type": "tool_use", "id": id, "name": used.name, "input": input}),
            start: json!({"type": "tool_use", "id": id, "name": used.name, "input": {}}),
            deltas: deltas.collect(),
        });
    }
    blocks
}

fn thinking(plan: &Plan, choice: &Choice) -> Block {
    let signature = seal(plan, "ErUB", false);
    if plan.redacts {
        let whole = json!({"type": "redacted_thinking", "data": signature});
        return Block { start: whole.clone(), whole, deltas: Vec::new() };
    }
    let pieces = choice.thinking.iter();
    let deltas = pieces.map(|piece| json!({"type": "thinking_delta", "thinking": piece}));
    let signed = json!({"type": "signature_delta", "signature": signature});
    Block {
        whole: json!({"type": "thinking", "thinking": choice.thinking.concat(),
            "signature": signature}),
        start: json!({"type": "thinking", "thinking": "", "signature": ""}),
        deltas: deltas.chain([signed]).collect(),
    }
}

fn message(plan: &Plan, content: Value, stop_reason: Value, output: usize) -> Value {
    json!({"id": plan.id("msg_", 0), "type": "message", "role": "assistant", "model": plan.model,
        "content": content, "stop_reason": stop_reason, "stop_sequence": null,
        "usage": {"input_tokens": plan.input, "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0, "output_tokens": output, "service_tier": "standard"}})
}

fn stop_reason(choice: &Choice) -> &'static str {
    match choice {
        Choice { cut: true, .. } => "max_tokens",
        Choice { calls, .. } if !calls.is_empty() => "tool_use",
        _ => "end_turn",
    }
}
