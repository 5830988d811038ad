//! Demands on the shape of an answer, in the spellings of OpenAI and vLLM.

use std::borrow::Cow;

use serde::Deserialize;

use crate::dialect::given::Given;
use crate::dialect::schema::Schema;

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(in crate::dialect) struct Format<'a> {
    json_schema: Given<'a, NamedSchema<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(in crate::dialect) struct NamedSchema<'a> {
    pub(in crate::dialect) schema: Given<'a, Schema<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(in crate::dialect) struct StructuredOutputs<'a> {
    json: Given<'a, Schema<'a>>,
}

/// Property names of all demanded schemas.
pub(in crate::dialect) fn demanded<'a>(
    format: Given<'a, Format<'a>>,
    guided: Given<'a, Schema<'a>>,
    outputs: Given<'a, StructuredOutputs<'a>>,
) -> Vec<Cow<'a, str>> {
    let named = format.object().unwrap_or_default().json_schema.object().unwrap_or_default();
    let outputs = outputs.object().unwrap_or_default();
    let schemas = [named.schema, guided, outputs.json].into_iter();
    schemas.filter_map(Given::object).flat_map(Schema::names).collect()
}
