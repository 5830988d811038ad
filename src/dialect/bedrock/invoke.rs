//! Bodies in the model's own shape, and the chunks that wrap them in a stream.

mod text;

use std::borrow::Cow;

use serde::Deserialize;

use super::{Converse, answer};
use crate::dialect::found::object;
use crate::dialect::given::Given;
use crate::dialect::openai::Chat;
use crate::dialect::{Delta, Dialect, Malformed, Request, Usage, anthropic, base64, sse};

/// What tells one model's body from another's: its path may name a profile alone.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Shape<'a> {
    anthropic_version: Given<'a>,
    #[serde(rename = "schemaVersion")]
    schema_version: Given<'a>,
    #[serde(rename = "inferenceConfig")]
    inference_config: Given<'a>,
    messages: Given<'a>,
    prompt: Given<'a>,
    #[serde(rename = "inputText")]
    input_text: Given<'a>,
}

/// Reads what Anthropic's models take; Nova, a body of `converse`; models that take OpenAI's
/// messages, as Mistral's; and those that take a text, as Llama and Titan.
pub(super) fn request<'a>(model: Cow<'a, str>, body: &'a [u8]) -> Result<Request<'a>, Malformed> {
    let shape = object::<Shape<'a>>(body)?;
    let is_text = !shape.prompt.is_null() || !shape.input_text.is_null();
    let is_anthropics = !shape.anthropic_version.is_null() || model.contains("anthropic.");
    if is_anthropics && !(shape.messages.is_null() && is_text) {
        return anthropic::read_for(model, body);
    }
    let is_novas = !shape.schema_version.is_null() || !shape.inference_config.is_null();
    let request = if is_novas || model.contains("amazon.nova") {
        Converse.read_request(body)?
    } else if let Given::List(_) = shape.messages {
        Chat.read_request(body)?
    } else if is_text {
        object::<text::Prompt<'a>>(body)?.into_request()?
    } else {
        Request { unread: true, ..Request::default() }
    };
    Ok(Request { model, ..request })
}

/// What tells one model's answer, or an event of it, from another's.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Answered<'a> {
    choices: Given<'a>,
    output: Given<'a>,
    content_block_start: Given<'a, answer::Event<'a>>,
    content_block_delta: Given<'a, answer::Event<'a>>,
    message_stop: Given<'a, answer::Event<'a>>,
    metadata: Given<'a, answer::Event<'a>>,
    r#type: Given<'a>,
    content: Given<'a>,
}

pub(super) fn answer(body: &[u8]) -> Result<Delta<'_>, Malformed> {
    let known = object::<Answered<'_>>(body)?;
    if !known.choices.is_null() {
        return Chat.read_answer(body);
    }
    if !known.output.is_null() {
        return Converse.read_answer(body);
    }
    let novas =
        [known.content_block_start, known.content_block_delta, known.message_stop, known.metadata];
    if let Some(event) = novas.into_iter().find_map(Given::object) {
        return Ok(event.into_delta());
    }
    if known.r#type.is_null() && known.content.is_null() {
        return Ok(object::<text::Answer<'_>>(body)?.into_delta());
    }
    anthropic::Messages.read_answer(body)
}

/// Events of Anthropic's models have a type; those of all others are answers in small.
fn event(text: &str) -> Result<Delta<'_>, Malformed> {
    if object::<Answered<'_>>(text.as_bytes())?.r#type.is_null() {
        return answer(text.as_bytes());
    }
    anthropic::Messages.read_event(sse::Event { name: None, data: text })
}

/// A streamed event of the model's own, coded.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Chunk<'a> {
    bytes: Given<'a>,
}

/// What Bedrock counts itself, in the last chunk of any model.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Counted<'a> {
    #[serde(rename = "amazon-bedrock-invocationMetrics")]
    metrics: Given<'a, Metrics<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Metrics<'a> {
    input_token_count: Given<'a>,
    output_token_count: Given<'a>,
    cache_read_input_token_count: Given<'a>,
    cache_write_input_token_count: Given<'a>,
}

pub(super) fn chunk(data: &str) -> Result<Delta<'static>, Malformed> {
    let coded = object::<Chunk<'_>>(data.as_bytes())?.bytes.text().unwrap_or_default();
    let bytes = base64::decoded(&coded).and_then(|bytes| String::from_utf8(bytes).ok());
    let text = bytes.ok_or_else(|| Malformed("a chunk is not text in base64".to_owned()))?;
    let mut delta = event(&text)?.into_owned();
    if let Given::Object(metrics) = object::<Counted<'_>>(text.as_bytes())?.metrics {
        delta.usage.get_or_insert_default().update(metrics.into_usage());
        delta.last = true;
    }
    Ok(delta)
}

impl Metrics<'_> {
    fn into_usage(self) -> Usage {
        let cached = self.cache_read_input_token_count.count();
        let written = self.cache_write_input_token_count.count().unwrap_or_default();
        let beside = cached.unwrap_or_default().saturating_add(written);
        Usage {
            input: self.input_token_count.count().map(|fresh| fresh.saturating_add(beside)),
            output: self.output_token_count.count(),
            cached,
            reasoning: None,
        }
    }
}
