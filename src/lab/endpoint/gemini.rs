//! Gemini's `generateContent` and `streamGenerateContent`, as the API shapes them: a stream is an
//! array, or events where `alt=sse` asks for them.

use bytes::Bytes;
use http::Uri;
use serde_json::{Map, Value, json};

use super::answer::{Choice, Plan};
use super::seals::seal;

const WHOLE: &str = ":generateContent";
const STREAM: &str = ":streamGenerateContent";

pub(super) fn speaks(path: &str) -> bool {
    path.ends_with(WHOLE) || path.ends_with(STREAM)
}

/// Whether a stream is to be an array.
pub(super) fn wants_array(uri: &Uri) -> bool {
    let events = uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "alt=sse"));
    uri.path().ends_with(STREAM) && !events
}

/// The request as messages.
pub(super) fn read(uri: &Uri, body: &Value) -> Value {
    let (path, stream) = (uri.path(), uri.path().ends_with(STREAM));
    let last = path.rsplit('/').next().and_then(|last| last.split_once(':'));
    let model = last.map(|(model, _)| model);
    let config = &body["generationConfig"];
    let forced = body["toolConfig"]["functionCallingConfig"]["mode"] == "ANY";
    let thinks = config["thinkingConfig"]["includeThoughts"] == true;
    json!({
        "logprobs": config["responseLogprobs"],
        "thinking": {"type": if thinks { "enabled" } else { "disabled" }},
        "model": model, "stream": stream, "messages": messages(&body["contents"]),
        "system": body["systemInstruction"], "tools": tools(&body["tools"]),
        "tool_choice": {"type": if forced { "any" } else { "auto" }},
        "max_tokens": config["maxOutputTokens"], "n": config["candidateCount"],
    })
}

/// The answer that is not streamed.
pub(super) fn whole(plan: &Plan) -> Value {
    let candidates = plan.choices.iter().enumerate().map(|(index, choice)| {
        let text = json!({"text": choice.text.concat()});
        let parts = thoughts(choice).into_iter().chain([text]).chain(calls(choice));
        let parts = sealed(plan, choice, parts.collect());
        let mut candidate = candidate(index, parts.into(), Some(finish(choice)));
        if plan.logprobs {
            tell_logprobs(&mut candidate, choice);
        }
        candidate
    });
    response(plan, candidates.collect(), plan.output())
}

/// The events of a streamed answer.
pub(super) fn frames(plan: &Plan) -> Vec<Bytes> {
    responses(plan).iter().map(event).collect()
}

/// The same as the elements of an array. Which one is the last is known only after it.
pub(super) fn elements(plan: &Plan) -> Vec<Bytes> {
    let responses = responses(plan);
    let element = |(at, response): (usize, &Value)| {
        let before = if at == 0 { "[" } else { ",\r\n" };
        Bytes::from(format!("{before}{response}"))
    };
    responses.iter().enumerate().map(element).chain([Bytes::from_static(b"\n]")]).collect()
}

/// Each counts the tokens up to it.
fn responses(plan: &Plan) -> Vec<Value> {
    let mut frames = Vec::with_capacity(plan.output() + 1);
    let mut said = 0;
    for (index, choice) in plan.choices.iter().enumerate() {
        for piece in &choice.thinking {
            said += 1;
            let candidate = candidate(index, json!([{"text": piece, "thought": true}]), None);
            frames.push(response(plan, json!([candidate]), said));
        }
        for piece in &choice.text {
            said += 1;
            let candidate = candidate(index, json!([{"text": piece}]), None);
            frames.push(response(plan, json!([candidate]), said));
        }
        said += choice.tokens() - choice.text.len() - choice.thinking.len();
        let mut parts: Vec<Value> = calls(choice).collect();
        if parts.is_empty() {
            parts.push(json!({"text": ""}));
        }
        let parts = sealed(plan, choice, parts);
        let mut candidate = candidate(index, parts.into(), Some(finish(choice)));
        if plan.logprobs {
            tell_logprobs(&mut candidate, choice);
        }
        frames.push(response(plan, json!([candidate]), said));
    }
    frames
}

/// An error's body.
pub(super) fn error(status: u16, message: &str) -> Value {
    let name = match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        500.. => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    };
    json!({"error": {"code": status, "message": message, "status": name}})
}

/// The event that ends a stream with an error.
pub(super) fn error_frame() -> Bytes {
    event(&error(503, "The answer broke off on our side."))
}

/// The element that ends an array with an error.
pub(super) fn error_element() -> Bytes {
    format!(",\r\n{}\n]", error(503, "The answer broke off on our side.")).into()
}

fn event(data: &Value) -> Bytes {
    format!("data: {data}\r\n\r\n").into()
}

fn messages(contents: &Value) -> Value {
    let Some(contents) = contents.as_array() else { return Value::Null };
    let message = |content: &Value| {
        let role = if content["role"] == "model" { "assistant" } else { "user" };
        let answers = content["parts"][0]["functionResponse"].is_object();
        let mut parts = content["parts"].clone();
        if answers {
            parts[0]["type"] = json!("tool_result");
        }
        json!({"role": role, "content": parts})
    };
    contents.iter().map(message).collect()
}

fn tools(groups: &Value) -> Value {
    let groups = groups.as_array().into_iter().flatten();
    let offered = groups.filter_map(|group| group["functionDeclarations"].as_array()).flatten();
    let tool = |offered: &Value| {
        let json_schema = &offered["parametersJsonSchema"];
        let schema = if json_schema.is_object() { json_schema } else { &offered["parameters"] };
        json!({"name": offered["name"], "input_schema": schema})
    };
    offered.map(tool).collect()
}

fn thoughts(choice: &Choice) -> Option<Value> {
    let thoughts = choice.thinking.concat();
    (!thoughts.is_empty()).then(|| json!({"text": thoughts, "thought": true}))
}

fn tell_logprobs(candidate: &mut Value, choice: &Choice) {
    let told = choice.text.iter().map(|token| {
        json!({"token": token, "tokenId": token.len(), "logProbability": Plan::logprob(token)})
    });
    candidate["logprobsResult"] = json!({"chosenCandidates": told.collect::<Value>()});
    candidate["avgLogprobs"] = json!(-0.5);
}

fn calls(choice: &Choice) -> impl Iterator<Item = Value> {
    choice.calls.iter().map(|call| {
        let arguments: Map<String, Value> =
            serde_json::from_str(&call.arguments.concat()).unwrap_or_default();
        json!({"functionCall": {"name": call.name, "args": arguments}})
    })
}

/// Thinking is sealed in the first call it leads to, or else in the last part.
fn sealed(plan: &Plan, choice: &Choice, mut parts: Vec<Value>) -> Vec<Value> {
    let last = parts.len().saturating_sub(1);
    let at = parts.iter().position(|part| part["functionCall"].is_object()).unwrap_or(last);
    if let Some(part) = parts.get_mut(at).filter(|_| !choice.thinking.is_empty()) {
        part["thoughtSignature"] = json!(seal(plan, "CiUB", false));
    }
    parts
}

fn candidate(index: usize, parts: Value, finish: Option<&str>) -> Value {
    let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": index});
    if let Some(finish) = finish {
        candidate["finishReason"] = json!(finish);
    }
    candidate
}

fn response(plan: &Plan, candidates: Value, output: usize) -> Value {
    let thoughts = plan.reasoning().min(output);
    json!({"candidates": candidates, "modelVersion": plan.model, "responseId": plan.id("", 0),
        "usageMetadata": {"promptTokenCount": plan.input,
            "candidatesTokenCount": output - thoughts, "thoughtsTokenCount": thoughts,
            "totalTokenCount": plan.input + output}})
}

fn finish(choice: &Choice) -> &'static str {
    if choice.cut { "MAX_TOKENS" } else { "STOP" }
}
