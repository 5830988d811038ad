//! A call as the two dialects spell it.

use serde_json::{Map, Value, json};

use super::{Answer, Call, ToolSpec, Turn};

impl Call {
    /// The body of `POST /v1/chat/completions`.
    pub fn openai(&self) -> Value {
        let mut body = self.shared();
        let (messages, tools) = self.spoken();
        body.insert("messages".into(), messages);
        body.extend(tools.map(|tools| ("tools".to_owned(), tools)));
        if self.stream {
            body.insert("stream_options".into(), json!({"include_usage": true}));
        }
        Value::Object(body)
    }

    /// Messages and tools of a chat completion.
    pub fn spoken(&self) -> (Value, Option<Value>) {
        let system = self.system.iter().map(|text| json!({"role": "system", "content": text}));
        let turns = self.turns.iter().map(openai_turn);
        let tools = (!self.tools.is_empty()).then(|| self.tools.iter().map(openai_tool).collect());
        (system.chain(turns).collect(), tools)
    }

    /// The body of `POST /v1/messages`.
    pub fn anthropic(&self) -> Value {
        let mut body = self.shared();
        body.insert("messages".into(), anthropic_turns(&self.turns));
        if let Some(system) = &self.system {
            body.insert("system".into(), json!(system));
        }
        if !self.tools.is_empty() {
            body.insert("tools".into(), self.tools.iter().map(anthropic_tool).collect());
        }
        if self.thinking {
            body.insert("thinking".into(), json!({"type": "enabled", "budget_tokens": 1024}));
        }
        Value::Object(body)
    }

    fn shared(&self) -> Map<String, Value> {
        let mut body = Map::new();
        body.insert("model".into(), json!(self.model));
        body.insert("max_tokens".into(), json!(self.max_tokens.max(1)));
        if let Some(temperature) = self.temperature {
            body.insert("temperature".into(), json!(temperature));
        }
        if self.stream {
            body.insert("stream".into(), json!(true));
        }
        body
    }
}

fn openai_turn(turn: &Turn) -> Value {
    match turn {
        Turn::User(text) => json!({"role": "user", "content": text}),
        Turn::Result { id, text } => json!({"role": "tool", "tool_call_id": id, "content": text}),
        Turn::Assistant(answer) if answer.calls.is_empty() => {
            json!({"role": "assistant", "content": answer.text})
        }
        Turn::Assistant(answer) => {
            let calls = answer.calls.iter().map(|used| {
                json!({"id": used.id, "type": "function",
                    "function": {"name": used.name, "arguments": used.arguments}})
            });
            json!({"role": "assistant", "content": answer.text,
                "tool_calls": calls.collect::<Value>()})
        }
    }
}

/// Results that follow each other go into one user message, as that API asks.
fn anthropic_turns(turns: &[Turn]) -> Value {
    let mut messages: Vec<Value> = Vec::with_capacity(turns.len());
    let mut results: Vec<Value> = Vec::new();
    for turn in turns {
        if let Turn::Result { id, text } = turn {
            results.push(json!({"type": "tool_result", "tool_use_id": id, "content": text}));
            continue;
        }
        flush(&mut results, &mut messages);
        messages.push(match turn {
            Turn::Assistant(answer) => json!({"role": "assistant", "content": blocks(answer)}),
            Turn::User(text) | Turn::Result { text, .. } => {
                json!({"role": "user", "content": text})
            }
        });
    }
    flush(&mut results, &mut messages);
    Value::Array(messages)
}

fn flush(results: &mut Vec<Value>, messages: &mut Vec<Value>) {
    if !results.is_empty() {
        messages.push(json!({"role": "user", "content": std::mem::take(results)}));
    }
}

fn blocks(answer: &Answer) -> Value {
    let thinking = answer.thinking.iter().map(
        |(text, signature)| json!({"type": "thinking", "thinking": text, "signature": signature}),
    );
    let text = Some(&answer.text).filter(|text| !text.is_empty());
    let text = text.into_iter().map(|text| json!({"type": "text", "text": text}));
    let calls = answer.calls.iter().map(|used| {
        let input: Value = serde_json::from_str(&used.arguments).unwrap_or_else(|_| json!({}));
        json!({"type": "tool_use", "id": used.id, "name": used.name, "input": input})
    });
    thinking.chain(text).chain(calls).collect()
}

fn openai_tool(tool: &ToolSpec) -> Value {
    json!({"type": "function", "function":
        {"name": tool.name, "description": tool.says, "parameters": schema(tool)}})
}

fn anthropic_tool(tool: &ToolSpec) -> Value {
    json!({"name": tool.name, "description": tool.says, "input_schema": schema(tool)})
}

fn schema(tool: &ToolSpec) -> Value {
    let typed = |&(name, kind): &(&str, &str)| (name.to_owned(), json!({"type": kind}));
    let properties: Map<String, Value> = tool.params.iter().map(typed).collect();
    let required: Value = tool.params.iter().map(|&(name, _)| json!(name)).collect();
    json!({"type": "object", "properties": properties, "required": required})
}
