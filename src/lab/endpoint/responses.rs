//! OpenAI responses, as the API shapes them.

use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::{Choice, Plan, ToolCall};
use super::seals::seal;

/// The request as messages.
pub(super) fn read(body: &Value) -> Value {
    let included = body["include"].as_array().into_iter().flatten();
    let logprobs = included.into_iter().any(|wish| wish == "message.output_text.logprobs");
    let thinks = body["reasoning"]["summary"].is_string();
    json!({
        "logprobs": logprobs, "thinking": {"type": if thinks { "enabled" } else { "disabled" }},
        "model": body["model"], "stream": body["stream"], "messages": messages(&body["input"]),
        "system": body["instructions"], "tools": tools(&body["tools"]),
        "tool_choice": body["tool_choice"], "max_tokens": body["max_output_tokens"],
    })
}

/// The answer that is not streamed.
pub(super) fn whole(plan: &Plan) -> Value {
    let choice = &plan.choices[0];
    let (status, why) = match choice.cut {
        true => ("incomplete", json!({"reason": "max_output_tokens"})),
        false => ("completed", Value::Null),
    };
    let output = items(plan, choice).into_iter().map(|item| item.whole);
    let mut response = response(plan, status, output.collect());
    response["incomplete_details"] = why;
    response["usage"] = usage(plan);
    response
}

/// The events of a streamed answer, from `response.created` to `response.completed`.
pub(super) fn frames(plan: &Plan) -> Vec<Bytes> {
    let choice = &plan.choices[0];
    let begun = response(plan, "in_progress", json!([]));
    let mut stream = Stream(Vec::with_capacity(choice.tokens() + 16));
    stream.push("response.created", json!({"response": begun}));
    stream.push("response.in_progress", json!({"response": begun}));
    for (index, item) in items(plan, choice).into_iter().enumerate() {
        let place = |mut event: Value| {
            event["output_index"] = json!(index);
            event
        };
        stream.push("response.output_item.added", place(json!({"item": item.start})));
        for (kind, event) in item.events {
            stream.push(kind, place(event));
        }
        stream.push("response.output_item.done", place(json!({"item": item.whole})));
    }
    let last = if choice.cut { "response.incomplete" } else { "response.completed" };
    stream.push(last, json!({"response": whole(plan)}));
    stream.0
}

/// The event that ends a stream with an error.
pub(super) fn error_frame() -> Bytes {
    let mut stream = Stream(Vec::new());
    let said = json!({"code": "server_error", "message": "The answer broke off on our side.",
        "param": null});
    stream.push("error", said);
    stream.0.concat().into()
}

/// Numbered events.
struct Stream(Vec<Bytes>);

impl Stream {
    fn push(&mut self, kind: &str, mut data: Value) {
        data["type"] = json!(kind);
        data["sequence_number"] = json!(self.0.len());
        self.0.push(format!("event: {kind}\ndata: {data}\n\n").into());
    }
}

/// One item of the output: whole, and as a stream gives it.
struct Item {
    whole: Value,
    start: Value,
    events: Vec<(&'static str, Value)>,
}

fn items(plan: &Plan, choice: &Choice) -> Vec<Item> {
    let calls = choice.calls.iter().enumerate().map(|(at, used)| call(plan, at, used));
    let thought = (!choice.thinking.is_empty()).then(|| reasoning(plan, choice));
    thought.into_iter().chain([message(plan, choice)]).chain(calls).collect()
}

fn reasoning(plan: &Plan, choice: &Choice) -> Item {
    let id = plan.id("rs_", 64);
    let text = choice.thinking.concat();
    let part = |text: &str| json!({"type": "summary_text", "text": text});
    let item = |summary: Value| {
        json!({"type": "reasoning", "id": id, "summary": summary,
            "encrypted_content": seal(plan, "gAAA", true)})
    };
    let place = |key: &str, value: Value| json!({"item_id": id, "summary_index": 0, key: value});
    let mut events = vec![("response.reasoning_summary_part.added", place("part", part("")))];
    let deltas = choice.thinking.iter();
    events.extend(
        deltas.map(|piece| ("response.reasoning_summary_text.delta", place("delta", json!(piece)))),
    );
    events.push(("response.reasoning_summary_text.done", place("text", json!(text))));
    events.push(("response.reasoning_summary_part.done", place("part", part(&text))));
    Item { whole: item(json!([part(&text)])), start: item(json!([])), events }
}

fn logprobs(plan: &Plan, tokens: &[String]) -> Value {
    let tokens = if plan.logprobs { tokens } else { &[] };
    let told = tokens.iter().map(|token| {
        json!({"token": token, "logprob": Plan::logprob(token), "bytes": token.as_bytes(),
            "top_logprobs": []})
    });
    told.collect()
}

fn message(plan: &Plan, choice: &Choice) -> Item {
    let id = plan.id("msg_", 1);
    let part = |text: &str| {
        let told = logprobs(plan, if text.is_empty() { &[] } else { &choice.text });
        json!({"type": "output_text", "text": text, "annotations": [], "logprobs": told})
    };
    let item = |status: &str, content: Value| {
        json!({"type": "message", "id": id, "status": status, "role": "assistant",
            "content": content})
    };
    let text = choice.text.concat();
    let place = |key: &str, value: Value| json!({"item_id": id, "content_index": 0, key: value});
    let mut events = vec![("response.content_part.added", place("part", part("")))];
    let deltas = choice.text.iter();
    let told = |mut event: Value, tokens: &[String]| {
        event["logprobs"] = logprobs(plan, tokens);
        event
    };
    events.extend(deltas.map(|piece| {
        let delta = place("delta", json!(piece));
        ("response.output_text.delta", told(delta, std::slice::from_ref(piece)))
    }));
    events.push(("response.output_text.done", told(place("text", json!(text)), &choice.text)));
    events.push(("response.content_part.done", place("part", part(&text))));
    let status = if choice.cut { "incomplete" } else { "completed" };
    Item {
        whole: item(status, json!([part(&text)])),
        start: item("in_progress", json!([])),
        events,
    }
}

fn call(plan: &Plan, at: usize, used: &ToolCall) -> Item {
    let (id, call_id) = (plan.id("fc_", 16 + at), plan.id("call_", 32 + at));
    let item = |status: &str, arguments: &str| {
        json!({"type": "function_call", "id": id, "call_id": call_id, "name": used.name,
            "status": status, "arguments": arguments})
    };
    let arguments = used.arguments.concat();
    let deltas = used.arguments.iter().map(|piece| {
        ("response.function_call_arguments.delta", json!({"item_id": id, "delta": piece}))
    });
    let done = json!({"item_id": id, "name": used.name, "arguments": arguments});
    Item {
        whole: item("completed", &arguments),
        start: item("in_progress", ""),
        events: deltas.chain([("response.function_call_arguments.done", done)]).collect(),
    }
}

fn messages(input: &Value) -> Value {
    if let Some(text) = input.as_str() {
        return json!([{"role": "user", "content": text}]);
    }
    let Some(items) = input.as_array() else { return Value::Null };
    let message = |item: &Value| match item["type"].as_str() {
        Some("function_call") => json!({"role": "assistant", "content": item}),
        Some("function_call_output") => {
            json!({"role": "user", "content": [{"type": "tool_result", "content": item}]})
        }
        _ => item.clone(),
    };
    items.iter().map(message).collect()
}

fn tools(offered: &Value) -> Value {
    let offered = offered.as_array().into_iter().flatten();
    offered.map(|tool| json!({"name": tool["name"], "input_schema": tool["parameters"]})).collect()
}

fn response(plan: &Plan, status: &str, output: Value) -> Value {
    json!({"id": plan.id("resp_", 0), "object": "response", "created_at": plan.created,
        "status": status, "error": null, "incomplete_details": null, "instructions": null,
        "metadata": {}, "model": plan.model, "output": output, "parallel_tool_calls": true,
        "previous_response_id": null, "tool_choice": "auto", "tools": [], "usage": null})
}

fn usage(plan: &Plan) -> Value {
    let (input, output) = (plan.input, plan.output());
    json!({"input_tokens": input, "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": output, "output_tokens_details": {"reasoning_tokens": plan.reasoning()},
        "total_tokens": input + output})
}
