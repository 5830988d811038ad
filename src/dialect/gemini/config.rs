//! How the model is to answer, and the tools it is offered.

use std::borrow::Cow;

use serde::Deserialize;

use crate::dialect::given::{Given, Many, Take, many};
use crate::dialect::schema::Schema;
use crate::dialect::{Effort, Params, Tool};

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub(super) struct Config<'a> {
    temperature: Given<'a>,
    #[serde(alias = "top_p")]
    top_p: Given<'a>,
    #[serde(alias = "max_output_tokens")]
    max_output_tokens: Given<'a>,
    #[serde(alias = "candidate_count")]
    candidate_count: Given<'a>,
    #[serde(alias = "response_logprobs")]
    response_logprobs: Given<'a>,
    #[serde(alias = "thinking_config")]
    thinking_config: Given<'a, Thinking<'a>>,
    #[serde(alias = "response_schema")]
    response_schema: Given<'a, Schema<'a>>,
    #[serde(alias = "response_json_schema", alias = "_responseJsonSchema")]
    response_json_schema: Given<'a, Schema<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Thinking<'a> {
    #[serde(alias = "include_thoughts")]
    include_thoughts: Given<'a>,
    #[serde(alias = "thinking_budget")]
    thinking_budget: Given<'a>,
    #[serde(alias = "thinking_level")]
    thinking_level: Given<'a>,
}

impl<'a> Config<'a> {
    /// The parameters, and the names of a demanded schema.
    pub(super) fn into_params(self) -> (Params, Vec<Cow<'a, str>>) {
        let thinking = self.thinking_config.object().unwrap_or_default();
        let params = Params {
            temperature: self.temperature.float(),
            top_p: self.top_p.float(),
            max_tokens: self.max_output_tokens.count(),
            n: self.candidate_count.count().unwrap_or_default(),
            logprobs: self.response_logprobs.is_true(),
            thinking: thinking.include_thoughts.is_true(),
            effort: thinking.effort(),
        };
        let schemas = [self.response_schema, self.response_json_schema].into_iter();
        (params, schemas.filter_map(Given::object).flat_map(Schema::names).collect())
    }
}

impl Thinking<'_> {
    fn effort(self) -> Option<Effort> {
        let named = self.thinking_level.text().map(|level| level.to_ascii_lowercase());
        let none = (self.thinking_budget.count() == Some(0)).then_some(Effort::None);
        named.and_then(|level| Effort::named(&level)).or(none)
    }
}

/// Tools offered. Those that Google runs itself have no declaration.
#[derive(Debug, Default)]
pub(super) struct Tools<'a>(pub(super) Vec<Tool<'a>>);

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub(super) struct Offered<'a> {
    #[serde(alias = "function_declarations")]
    function_declarations: Many<'a, Function<'a>, Functions<'a>>,
}

impl<'de: 'a, 'a> Take<'de> for Tools<'a> {
    type Item = Given<'a, Offered<'a>>;

    fn take(&mut self, item: Self::Item) {
        let offered = item.object().unwrap_or_default();
        self.0.extend(many(offered.function_declarations).0);
    }
}

#[derive(Debug, Default)]
struct Functions<'a>(Vec<Tool<'a>>);

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Function<'a> {
    name: Given<'a>,
    parameters: Given<'a, Schema<'a>>,
    #[serde(alias = "parameters_json_schema")]
    parameters_json_schema: Given<'a, Schema<'a>>,
}

impl<'de: 'a, 'a> Take<'de> for Functions<'a> {
    type Item = Given<'a, Function<'a>>;

    fn take(&mut self, item: Self::Item) {
        let Some(function) = item.object() else { return };
        let schema =
            function.parameters.object().or_else(|| function.parameters_json_schema.object());
        if let Some(name) = function.name.text() {
            let params = schema.unwrap_or_default().params();
            self.0.push(Tool { name, params: params.into_iter().map(small).collect() });
        }
    }
}

/// A parameter whose type is named in small letters, as every other dialect names it.
fn small<'a>((name, kind): (Cow<'a, str>, Cow<'a, str>)) -> (Cow<'a, str>, Cow<'a, str>) {
    let capitals = kind.bytes().any(|byte| byte.is_ascii_uppercase());
    (name, if capitals { kind.to_ascii_lowercase().into() } else { kind })
}
