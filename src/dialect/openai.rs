//! OpenAI's chat completions, with the additions of vLLM and other servers that speak it.

mod answer;
mod message;
mod refusal;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde::Deserialize;
use serde::de::IgnoredAny;

use self::answer::Answer;
use self::message::Messages;
use super::found::{object, required};
use super::given::{Each, Given, Take};
use super::schema::Schema;
use super::{Api, Delta, Dialect, Effort, Malformed, Params, Request, Tool, Worded, Wording};
use super::{route, sse};

#[derive(Debug)]
pub(super) struct Chat;

impl Dialect for Chat {
    fn api(&self) -> Api {
        Api::OpenaiChat
    }

    fn speaks(&self, method: &Method, path: &str, _: &HeaderMap) -> bool {
        method == Method::POST && route::leads_to(path, "/chat/completions")
    }

    fn read_request<'a>(&self, body: &'a [u8]) -> Result<Request<'a>, Malformed> {
        object::<Body<'a>>(body)?.into_request()
    }

    fn read_answer<'a>(&self, body: &'a [u8]) -> Result<Delta<'a>, Malformed> {
        Ok(object::<Answer<'a>>(body)?.into_delta())
    }

    fn read_event<'a>(&self, event: sse::Event<'a>) -> Result<Delta<'a>, Malformed> {
        if event.data.trim() == "[DONE]" {
            return Ok(Delta { last: true, ..Delta::default() });
        }
        let mut delta = object::<Answer<'a>>(event.data.as_bytes())?.into_delta();
        delta.error |= event.name == Some("error");
        Ok(delta)
    }

    fn refuse(&self, wording: &Wording<'_>) -> Worded {
        refusal::refuse(wording)
    }

    fn break_stream(&self, wording: &Wording<'_>) -> Bytes {
        refusal::break_stream(wording)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Body<'a> {
    model: Given<'a>,
    messages: Given<'a, IgnoredAny, Each<Messages<'a>>>,
    stream: Given<'a>,
    temperature: Given<'a>,
    top_p: Given<'a>,
    max_tokens: Given<'a>,
    max_completion_tokens: Given<'a>,
    n: Given<'a>,
    logprobs: Given<'a>,
    reasoning_effort: Given<'a>,
    tools: Given<'a, IgnoredAny, Each<Tools<'a>>>,
    functions: Given<'a, IgnoredAny, Each<Tools<'a>>>,
    response_format: Given<'a, Format<'a>>,
    safety_identifier: Given<'a>,
    user: Given<'a>,
    // What servers other than OpenAI's read.
    reasoning: Given<'a, Reasoning<'a>>,
    include_reasoning: Given<'a>,
    enable_thinking: Given<'a>,
    thinking: Given<'a, Thinking<'a>>,
    chat_template_kwargs: Given<'a, TemplateArguments<'a>>,
    guided_json: Given<'a, Schema<'a>>,
    structured_outputs: Given<'a, StructuredOutputs<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Reasoning<'a> {
    effort: Given<'a>,
    enabled: Given<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Thinking<'a> {
    r#type: Given<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct TemplateArguments<'a> {
    enable_thinking: Given<'a>,
    thinking: Given<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Format<'a> {
    json_schema: Given<'a, NamedSchema<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct NamedSchema<'a> {
    schema: Given<'a, Schema<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct StructuredOutputs<'a> {
    json: Given<'a, Schema<'a>>,
}

impl<'a> Body<'a> {
    fn into_request(mut self) -> Result<Request<'a>, Malformed> {
        let mut request = Request {
            stream: self.stream.is_true(),
            params: self.params(),
            schema: self.take_schema(),
            model: required(self.model.text(), "model", "a string")?,
            ..Request::default()
        };
        let messages = required(self.messages.list(), "messages", "an array")?;
        messages.0.tell(&mut request)?;
        for tools in [self.tools, self.functions] {
            request.tools.extend(tools.list().unwrap_or_default().0);
        }
        let users = [self.safety_identifier, self.user].into_iter();
        request.end_user = users.filter_map(Given::text).find(|user| !user.is_empty());
        Ok(request)
    }

    fn params(&mut self) -> Params {
        let asked = self.asks_for_thinking();
        let limits = [&self.max_completion_tokens, &self.max_tokens];
        let reasoning = std::mem::take(&mut self.reasoning).object().unwrap_or_default();
        let efforts = [std::mem::take(&mut self.reasoning_effort), reasoning.effort];
        Params {
            temperature: self.temperature.float(),
            top_p: self.top_p.float(),
            max_tokens: limits.into_iter().find_map(Given::count),
            n: self.n.count().unwrap_or_default(),
            logprobs: self.logprobs.is_true(),
            effort: efforts.into_iter().filter_map(Given::text).find_map(|it| Effort::named(&it)),
            thinking: reasoning.enabled.is_true() || asked,
        }
    }

    fn asks_for_thinking(&mut self) -> bool {
        let arguments = std::mem::take(&mut self.chat_template_kwargs).object().unwrap_or_default();
        let thinking = std::mem::take(&mut self.thinking).object().unwrap_or_default();
        let flags = [
            &self.include_reasoning,
            &self.enable_thinking,
            &arguments.enable_thinking,
            &arguments.thinking,
        ];
        flags.into_iter().any(Given::is_true)
            || matches!(thinking.r#type.text().as_deref(), Some("enabled" | "adaptive"))
    }

    fn take_schema(&mut self) -> Vec<Cow<'a, str>> {
        let format = std::mem::take(&mut self.response_format).object().unwrap_or_default();
        let outputs = std::mem::take(&mut self.structured_outputs).object().unwrap_or_default();
        let named = format.json_schema.object().unwrap_or_default().schema;
        let schemas = [named, std::mem::take(&mut self.guided_json), outputs.json].into_iter();
        schemas.filter_map(Given::object).flat_map(Schema::names).collect()
    }
}

#[derive(Debug, Default)]
struct Tools<'a>(Vec<Tool<'a>>);

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Offered<'a> {
    function: Given<'a, Function<'a>>,
    custom: Given<'a, Function<'a>>,
    // The older `functions` name theirs without a wrapper.
    name: Given<'a>,
    parameters: Given<'a, Schema<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Function<'a> {
    name: Given<'a>,
    parameters: Given<'a, Schema<'a>>,
}

impl<'de: 'a, 'a> Take<'de> for Tools<'a> {
    type Item = Given<'a, Offered<'a>>;

    fn take(&mut self, item: Self::Item) {
        let Some(offered) = item.object() else { return };
        let bare = Function { name: offered.name, parameters: offered.parameters };
        let function =
            offered.function.object().or_else(|| offered.custom.object()).unwrap_or(bare);
        if let Some(name) = function.name.text() {
            let schema = function.parameters.object().unwrap_or_default();
            self.0.push(Tool { name, params: schema.params() });
        }
    }
}
