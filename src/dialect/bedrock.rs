//! AWS Bedrock: `converse` in its own words, `invoke` in those of the model.

mod answer;
mod bind;
mod block;
mod invoke;
mod refusal;
mod shape;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde::Deserialize;
use serde::de::IgnoredAny;

use self::answer::{Answer, Event};
use self::block::{Blocks, Turns};
use super::found::object;
use super::given::{Each, Given, Take};
use super::schema::Schema;
use super::shape::Shapes;
use super::{Api, Delta, Dialect, Framing, Malformed, Params, Request, Tool, Worded, Wording};
use super::{route, sse};

#[derive(Debug)]
pub(super) struct Converse;

/// The body is the model's own. Those that make text are read; others are opaque, but counted.
#[derive(Debug)]
pub(super) struct Invoke;

/// Whether only this API has such a path.
pub(super) fn owns(path: &str) -> bool {
    Converse::target(path).is_some() || Invoke::target(path).is_some()
}

/// The model of a path that ends in one of two methods, and whether it is the streamed one.
fn target<'a>(path: &'a str, methods: [&str; 2]) -> Option<(Cow<'a, str>, bool)> {
    route::named(path, |path| {
        let (_, rest) = path.split_once("/model/")?;
        let (model, asked) = rest.rsplit_once('/')?;
        let method = methods.iter().position(|method| *method == asked)?;
        Some((model, method == 1))
    })
}

impl Converse {
    fn target(path: &str) -> Option<(Cow<'_, str>, bool)> {
        target(path, ["converse", "converse-stream"])
    }
}

impl Invoke {
    fn target(path: &str) -> Option<(Cow<'_, str>, bool)> {
        target(path, ["invoke", "invoke-with-response-stream"])
    }
}

impl Dialect for Converse {
    fn api(&self) -> Api {
        Api::BedrockConverse
    }

    fn speaks(&self, method: &Method, path: &str, _: &HeaderMap) -> bool {
        method == Method::POST && Self::target(path).is_some()
    }

    fn read_request<'a>(&self, body: &'a [u8]) -> Result<Request<'a>, Malformed> {
        object::<Body<'a>>(body)?.into_request()
    }

    fn read_call<'a>(&self, path: &'a str, body: &'a [u8]) -> Result<Request<'a>, Malformed> {
        let (model, stream) = Self::target(path).unwrap_or_default();
        Ok(Request { model, stream, ..self.read_request(body)? })
    }

    fn framing(&self, _: &str) -> Framing {
        Framing::EventStream
    }

    fn read_answer<'a>(&self, body: &'a [u8]) -> Result<Delta<'a>, Malformed> {
        Ok(object::<Answer<'a>>(body)?.into_delta())
    }

    fn read_event<'a>(&self, event: sse::Event<'a>) -> Result<Delta<'a>, Malformed> {
        if is_exception(event) {
            return Ok(Delta { error: true, ..Delta::default() });
        }
        let delta = object::<Event<'a>>(event.data.as_bytes())?.into_delta();
        Ok(Delta { last: matches!(event.name, Some("messageStop" | "metadata")), ..delta })
    }

    fn shapes(&self) -> &'static Shapes {
        &shape::CONVERSE
    }

    fn binds(&self) -> &'static Shapes {
        &bind::CONVERSE
    }

    fn refuse(&self, wording: &Wording<'_>) -> Worded {
        refusal::refuse(wording)
    }

    fn break_stream(&self, wording: &Wording<'_>) -> Bytes {
        refusal::break_stream(wording)
    }
}

impl Dialect for Invoke {
    fn api(&self) -> Api {
        Api::BedrockInvoke
    }

    fn speaks(&self, method: &Method, path: &str, _: &HeaderMap) -> bool {
        method == Method::POST && Self::target(path).is_some()
    }

    fn read_request<'a>(&self, body: &'a [u8]) -> Result<Request<'a>, Malformed> {
        invoke::request(Cow::default(), body)
    }

    fn read_call<'a>(&self, path: &'a str, body: &'a [u8]) -> Result<Request<'a>, Malformed> {
        let (model, stream) = Self::target(path).unwrap_or_default();
        Ok(Request { stream, ..invoke::request(model, body)? })
    }

    fn framing(&self, _: &str) -> Framing {
        Framing::EventStream
    }

    fn read_answer<'a>(&self, body: &'a [u8]) -> Result<Delta<'a>, Malformed> {
        invoke::answer(body)
    }

    fn read_event<'a>(&self, event: sse::Event<'a>) -> Result<Delta<'a>, Malformed> {
        if is_exception(event) {
            return Ok(Delta { error: true, ..Delta::default() });
        }
        invoke::chunk(event.data)
    }

    fn shapes(&self) -> &'static Shapes {
        &shape::INVOKE
    }

    fn binds(&self) -> &'static Shapes {
        &bind::INVOKE
    }

    fn refuse(&self, wording: &Wording<'_>) -> Worded {
        refusal::refuse(wording)
    }

    fn break_stream(&self, wording: &Wording<'_>) -> Bytes {
        refusal::break_stream(wording)
    }
}

fn is_exception(event: sse::Event<'_>) -> bool {
    event.name.is_some_and(|name| name == "error" || name.ends_with("Exception"))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Body<'a> {
    messages: Given<'a, IgnoredAny, Each<Turns<'a>>>,
    system: Given<'a, IgnoredAny, Each<Blocks<'a>>>,
    inference_config: Given<'a, Config<'a>>,
    tool_config: Given<'a, ToolConfig<'a>>,
    additional_model_request_fields: Given<'a, Additional<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Config<'a> {
    temperature: Given<'a>,
    top_p: Given<'a>,
    max_tokens: Given<'a>,
    /// What Nova calls the same.
    #[serde(rename = "max_new_tokens")]
    max_new_tokens: Given<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct ToolConfig<'a> {
    tools: Given<'a, IgnoredAny, Each<Tools<'a>>>,
}

/// Fields that only some models know, under their own names.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Additional<'a> {
    thinking: Given<'a, Thinking<'a>>,
    reasoning_config: Given<'a, Thinking<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Thinking<'a> {
    r#type: Given<'a>,
}

impl<'a> Body<'a> {
    /// A prompt that the endpoint keeps stands in for messages.
    fn into_request(self) -> Result<Request<'a>, Malformed> {
        let config = self.inference_config.object().unwrap_or_default();
        let tools = self.tool_config.object().unwrap_or_default().tools;
        let mut request = Request {
            params: Params {
                temperature: config.temperature.float(),
                top_p: config.top_p.float(),
                max_tokens: config.max_tokens.count().or_else(|| config.max_new_tokens.count()),
                thinking: self.additional_model_request_fields.object().is_some_and(thinks),
                ..Params::default()
            },
            tools: tools.list().unwrap_or_default().0,
            ..Request::default()
        };
        match self.system {
            Given::List(Each(blocks)) => blocks.0.instruct(&mut request),
            Given::Null => {}
            _ => return Err(Malformed("`system` must be an array".to_owned())),
        }
        match self.messages {
            Given::List(Each(turns)) => turns.0.tell(&mut request)?,
            Given::Null => {}
            _ => return Err(Malformed("`messages` must be an array".to_owned())),
        }
        Ok(request)
    }
}

fn thinks(fields: Additional<'_>) -> bool {
    [fields.thinking, fields.reasoning_config]
        .into_iter()
        .filter_map(Given::object)
        .any(|asked| matches!(asked.r#type.text().as_deref(), Some("enabled" | "adaptive")))
}

#[derive(Debug, Default)]
struct Tools<'a>(Vec<Tool<'a>>);

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Offered<'a> {
    tool_spec: Given<'a, Spec<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Spec<'a> {
    name: Given<'a>,
    input_schema: Given<'a, InputSchema<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct InputSchema<'a> {
    json: Given<'a, Schema<'a>>,
}

impl<'de: 'a, 'a> Take<'de> for Tools<'a> {
    type Item = Given<'a, Offered<'a>>;

    fn take(&mut self, item: Self::Item) {
        let spec = item.object().unwrap_or_default().tool_spec.object().unwrap_or_default();
        if let Some(name) = spec.name.text() {
            let schema = spec.input_schema.object().unwrap_or_default().json;
            self.0.push(Tool { name, params: schema.object().unwrap_or_default().params() });
        }
    }
}
