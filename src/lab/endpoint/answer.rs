//! What is answered, before a dialect spells it.

use serde_json::Value;

use super::{Fault, Settings, text};
use crate::lab::rng::Rng;

/// One answer.
#[derive(Debug)]
pub(super) struct Plan {
    /// Makes every id of this answer; no two answers share it.
    pub(super) serial: u64,
    pub(super) model: String,
    pub(super) stream: bool,
    /// Whether an OpenAI stream carries token counts.
    pub(super) include_usage: bool,
    pub(super) choices: Vec<Choice>,
    /// Whether the answer tells log probabilities.
    pub(super) logprobs: bool,
    /// Whether thinking comes encrypted.
    pub(super) redacts: bool,
    /// Tokens of the prompt: a quarter of its bytes.
    pub(super) input: usize,
    /// Seconds since the epoch.
    pub(super) created: u64,
}

/// One completion. Each piece is one token.
#[derive(Debug, Default)]
pub(super) struct Choice {
    pub(super) thinking: Vec<String>,
    pub(super) text: Vec<String>,
    pub(super) calls: Vec<ToolCall>,
    /// Cut at the request's own limit.
    pub(super) cut: bool,
}

#[derive(Debug)]
pub(super) struct ToolCall {
    pub(super) name: String,
    /// JSON, in pieces.
    pub(super) arguments: Vec<String>,
}

impl Choice {
    pub(super) fn tokens(&self) -> usize {
        let calls = self.calls.iter().map(|call| 1 + call.arguments.len());
        self.thinking.len() + self.text.len() + calls.sum::<usize>()
    }
}

impl Plan {
    pub(super) fn new(body: &Value, fault: Fault, serial: u64, settings: &Settings) -> Self {
        let prompt = prompt(body);
        let hash = text::hash(prompt.as_bytes());
        let count = body["n"].as_u64().unwrap_or(1).clamp(1, 16);
        let make = |number| choice(body, fault, hash ^ number, settings.tokens);
        Self {
            serial: text::hash(&[serial.to_le_bytes(), hash.to_le_bytes()].concat()),
            model: body["model"].as_str().unwrap_or_default().to_owned(),
            stream: body["stream"] == true,
            include_usage: body["stream_options"]["include_usage"] == true,
            choices: (0..count).map(make).collect(),
            logprobs: body["logprobs"] == true || fault == Fault::Talkative,
            redacts: fault == Fault::Redacted,
            input: prompt.len() / 4 + 1,
            created: 0,
        }
    }

    /// The log probability of a token: more likely ones are shorter.
    pub(super) fn logprob(token: &str) -> f64 {
        -(token.len() as f64) / 8.0
    }

    pub(super) fn output(&self) -> usize {
        self.choices.iter().map(Choice::tokens).sum()
    }

    pub(super) fn reasoning(&self) -> usize {
        self.choices.iter().map(|choice| choice.thinking.len()).sum()
    }

    /// An id as the provider makes them: a prefix and 24 letters and digits.
    pub(super) fn id(&self, prefix: &str, number: usize) -> String {
        const ALPHABET: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0123456789";
        let mut rng = Rng::new(self.serial).split(number as u64);
        let letter = |_| char::from(ALPHABET[rng.below(ALPHABET.len())]);
        prefix.chars().chain((0..24).map(letter)).collect()
    }
}

/// Tokens of a prompt, as the usage block would count them.
pub(super) fn input_tokens(body: &Value) -> usize {
    prompt(body).len() / 4 + 1
}

fn prompt(body: &Value) -> String {
    format!("{}{}{}", body["system"], body["messages"], body["tools"])
}

fn choice(body: &Value, fault: Fault, hash: u64, tokens: usize) -> Choice {
    let mut choice = Choice::default();
    let thinks = matches!(fault, Fault::Talkative | Fault::Redacted);
    if body["thinking"]["type"] == "enabled" || thinks {
        choice.thinking = text::answer(hash.rotate_left(17), tokens / 2);
    }
    if let Fault::Big(bytes) = fault {
        choice.text = text::big(hash, bytes);
        return choice;
    }
    choice.calls = tool_calls(body, hash);
    choice.text = text::answer(hash, if choice.calls.is_empty() { tokens } else { 1 });
    let limit = ["max_tokens", "max_completion_tokens"].iter().find_map(|key| body[key].as_u64());
    if let Some(limit) = limit.map(|limit| limit as usize)
        && choice.text.len() > limit
    {
        choice.text.truncate(limit);
        choice.cut = true;
    }
    choice
}

/// Rounds of tool use after which the model answers.
const MOST_ROUNDS: usize = 3;

/// Calls tools when some are offered and the prompt asks for it: by `tool_choice`, or by the word
/// "tool" in the last thing a person wrote. One or two at once, for one to three rounds.
fn tool_calls(body: &Value, hash: u64) -> Vec<ToolCall> {
    let offered = body["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names = offered.iter().filter_map(|tool| {
        tool["name"].as_str().or_else(|| tool["function"]["name"].as_str()).map(|name| (name, tool))
    });
    let names: Vec<_> = names.collect();
    let (rounds, asked) = history(&body["messages"]);
    let forced = matches!(body["tool_choice"].as_str(), Some("required"))
        || matches!(body["tool_choice"]["type"].as_str(), Some("any" | "tool" | "function"));
    let mut rng = Rng::new(hash).split(3);
    let enough = rounds >= MOST_ROUNDS || (rounds > 0 && rng.chance(0.3));
    if names.is_empty() || enough || !(asked || forced) {
        return Vec::new();
    }
    let count = 1 + rng.below(2);
    let call = |_| {
        let (name, tool) = names[rng.below(names.len())];
        ToolCall { name: name.to_owned(), arguments: arguments(tool, &mut rng) }
    };
    (0..count).map(call).collect()
}

/// Rounds of tool use since a person last wrote, and whether what they wrote names tools.
fn history(messages: &Value) -> (usize, bool) {
    let mut rounds = 0;
    for message in messages.as_array().map(Vec::as_slice).unwrap_or_default().iter().rev() {
        let results = message["content"][0]["type"] == "tool_result";
        match message["role"].as_str() {
            Some("user") if !results => {
                return (rounds, message["content"].to_string().to_lowercase().contains("tool"));
            }
            Some("assistant") => rounds += 1,
            _ => {}
        }
    }
    (rounds, false)
}

fn arguments(tool: &Value, rng: &mut Rng) -> Vec<String> {
    let schema = if tool["function"].is_object() {
        &tool["function"]["parameters"]
    } else {
        &tool["input_schema"]
    };
    let filled = schema["properties"].as_object().into_iter().flatten().map(|(name, kind)| {
        // Gemini's own schemas write types in capitals.
        let kind = kind["type"].as_str().unwrap_or_default().to_ascii_lowercase();
        let value = match kind.as_str() {
            "integer" | "number" => Value::from(rng.below(10)),
            "boolean" => Value::from(rng.chance(0.5)),
            _ => Value::from(text::answer(rng.draw(), 1).concat()),
        };
        (name.clone(), value)
    });
    let json = Value::Object(filled.collect()).to_string();
    // The grammar is ASCII; a name that is not may be cut only between characters.
    json.chars().collect::<Vec<_>>().chunks(24).map(|piece| piece.iter().collect()).collect()
}
