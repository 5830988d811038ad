//! OpenAI chat completions, as the API shapes them.

use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::{Choice, Plan};

/// The answer that is not streamed.
pub(super) fn whole(plan: &Plan) -> Value {
    let choices = plan.choices.iter().enumerate().map(|(index, choice)| {
        let mut message = json!({"role": "assistant", "content": choice.text.concat(),
            "refusal": null, "annotations": []});
        if !choice.calls.is_empty() {
            let calls = (0..choice.calls.len()).map(|at| call(plan, index, at));
            message["tool_calls"] = calls.collect();
        }
        if !choice.thinking.is_empty() {
            message["reasoning_content"] = json!(choice.thinking.concat());
        }
        json!({"index": index, "message": message, "logprobs": logprobs(plan, &choice.text),
            "finish_reason": finish(choice)})
    });
    json!({"id": plan.id("chatcmpl-", 0), "object": "chat.completion", "created": plan.created,
        "model": plan.model, "choices": choices.collect::<Value>(), "usage": usage(plan),
        "service_tier": "default", "system_fingerprint": "fp_5711a6d2c0"})
}

/// The events of a streamed answer, `[DONE]` included. When usage is asked for, every chunk says
/// `"usage":null` and one more, without choices, carries the counts.
pub(super) fn frames(plan: &Plan) -> Vec<Bytes> {
    let mut frames = Vec::with_capacity(plan.output() + 4);
    let mut push = |choices: Value, counts: Option<Value>| {
        let mut chunk = json!({"id": plan.id("chatcmpl-", 0), "object": "chat.completion.chunk",
            "created": plan.created, "model": plan.model, "service_tier": "default",
            "system_fingerprint": "fp_5711a6d2c0", "choices": choices});
        if plan.include_usage {
            chunk["usage"] = counts.unwrap_or(Value::Null);
        }
        frames.push(event(&chunk));
    };
    for (index, choice) in plan.choices.iter().enumerate() {
        let mut delta = |delta: Value, finish: Value| {
            let told = delta["content"].as_str().filter(|piece| !piece.is_empty());
            let told = told.map_or(Value::Null, |piece| logprobs(plan, &[piece.to_owned()]));
            let choice = json!({"index": index, "delta": delta, "logprobs": told,
                "finish_reason": finish});
            push(json!([choice]), None);
        };
        delta(json!({"role": "assistant", "content": "", "refusal": null}), Value::Null);
        for piece in &choice.thinking {
            delta(json!({"reasoning_content": piece}), Value::Null);
        }
        for piece in &choice.text {
            delta(json!({"content": piece}), Value::Null);
        }
        for (at, used) in choice.calls.iter().enumerate() {
            let id = plan.id("call_", 1 + index * 16 + at);
            delta(
                json!({"tool_calls": [{"index": at, "id": id, "type": "function",
                "function": {"name": used.name, "arguments": ""}}]}),
                Value::Null,
            );
            for piece in &used.arguments {
                delta(
                    json!({"tool_calls": [{"index": at, "function": {"arguments": piece}}]}),
                    Value::Null,
                );
            }
        }
        delta(json!({}), json!(finish(choice)));
    }
    if plan.include_usage {
        push(json!([]), Some(usage(plan)));
    }
    frames.push(Bytes::from_static(b"data: [DONE]\n\n"));
    frames
}

/// An error's body.
pub(super) fn error(status: u16, message: &str) -> Value {
    let (kind, code) = match status {
        401 => ("invalid_request_error", json!("invalid_api_key")),
        403 => ("permission_error", json!("permission_denied")),
        404 => ("invalid_request_error", json!("model_not_found")),
        429 => ("requests", json!("rate_limit_exceeded")),
        500.. => ("server_error", Value::Null),
        _ => ("invalid_request_error", Value::Null),
    };
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

/// The event that ends a stream with an error.
pub(super) fn error_frame() -> Bytes {
    event(&error(500, "The answer broke off on our side."))
}

fn event(data: &Value) -> Bytes {
    format!("data: {data}\n\n").into()
}

fn logprobs(plan: &Plan, tokens: &[String]) -> Value {
    if !plan.logprobs {
        return Value::Null;
    }
    let told = tokens.iter().map(|token| {
        json!({"token": token, "logprob": Plan::logprob(token), "bytes": token.as_bytes(),
            "top_logprobs": []})
    });
    json!({"content": told.collect::<Value>(), "refusal": null})
}

fn call(plan: &Plan, index: usize, at: usize) -> Value {
    let used = &plan.choices[index].calls[at];
    json!({"id": plan.id("call_", 1 + index * 16 + at), "type": "function",
        "function": {"name": used.name, "arguments": used.arguments.concat()}})
}

fn finish(choice: &Choice) -> &'static str {
    match choice {
        Choice { cut: true, .. } => "length",
        Choice { calls, .. } if !calls.is_empty() => "tool_calls",
        _ => "stop",
    }
}

fn usage(plan: &Plan) -> Value {
    let (input, output) = (plan.input, plan.output());
    json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": plan.reasoning(), "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}})
}
