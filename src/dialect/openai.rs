//! OpenAI's chat completions, with the additions of vLLM and other servers that speak it.

pub(super) mod answer;
pub(super) mod bind;
pub(super) mod format;
pub(super) mod limits;
pub(super) mod message;
pub(super) mod refusal;
pub(super) mod shape;
pub(super) mod tool;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde::Deserialize;
use serde::de::IgnoredAny;

use self::answer::Answer;
use self::format::{Format, StructuredOutputs, demanded};
use self::message::Messages;
use self::tool::Tools;
use super::found::{self, object, required};
use super::given::{Each, Given};
use super::schema::Schema;
use super::shape::Shapes;
use super::{Api, Delta, Dialect, Effort, Malformed, Params, Request, Standings, Worded, Wording};
use super::{route, sse};
use crate::time::Timestamp;

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
        answer::read_event(event)
    }

    fn shapes(&self) -> &'static Shapes {
        &shape::CHAT
    }

    fn binds(&self) -> &'static Shapes {
        &bind::CHAT
    }

    fn refuse(&self, wording: &Wording<'_>) -> Worded {
        refusal::refuse(wording)
    }

    fn break_stream(&self, wording: &Wording<'_>) -> Bytes {
        refusal::break_stream(wording)
    }

    fn announce(&self, standings: &Standings, _: Timestamp, headers: &mut HeaderMap) {
        limits::announce(standings, headers);
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
    prompt_cache_key: Given<'a>,
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

impl<'a> Body<'a> {
    fn into_request(mut self) -> Result<Request<'a>, Malformed> {
        let mut request = Request {
            stream: self.stream.is_true(),
            params: self.params(),
            schema: demanded(
                self.response_format.take(),
                self.guided_json.take(),
                self.structured_outputs.take(),
            ),
            model: found::model(self.model)?,
            ..Request::default()
        };
        let messages = required(self.messages.list(), "messages", "an array")?;
        messages.0.tell(&mut request)?;
        for tools in [self.tools, self.functions] {
            request.tools.extend(tools.list().unwrap_or_default().0);
        }
        request.end_user = found::first([self.safety_identifier, self.user]);
        request.session = self.prompt_cache_key.text();
        Ok(request)
    }

    fn params(&mut self) -> Params {
        let asked = self.asks_for_thinking();
        let limits = [&self.max_completion_tokens, &self.max_tokens];
        let reasoning = self.reasoning.take().object().unwrap_or_default();
        let efforts = [self.reasoning_effort.take(), reasoning.effort];
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
        let arguments = self.chat_template_kwargs.take().object().unwrap_or_default();
        let thinking = self.thinking.take().object().unwrap_or_default();
        let flags = [
            &self.include_reasoning,
            &self.enable_thinking,
            &arguments.enable_thinking,
            &arguments.thinking,
        ];
        flags.into_iter().any(Given::is_true)
            || matches!(thinking.r#type.text().as_deref(), Some("enabled" | "adaptive"))
    }
}
