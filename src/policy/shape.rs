//! What an account at the shape rung, or above it, is still given.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dialect::shape::Shaping;

/// Minimises what an exchange gives away; nothing is made up and usage stays what it is.
///
/// The defaults are mild: what few programs ask for is withheld, what people read is not.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shape {
    /// Log probabilities are neither asked of the endpoint nor passed on.
    pub withhold_logprobs: bool,
    /// Thinking and reasoning text is emptied, or not asked for where the API has a word for that.
    /// What seals it stays, so that a caller can go on with tools.
    pub withhold_reasoning: bool,
    /// Answers to one prompt (`n`, `candidateCount`); requests for more are lowered to it.
    pub most_choices: NonZeroU32,
    /// Requests for more answers to one prompt than this are refused: they sample a distribution.
    pub refuse_choices_above: NonZeroU32,
    /// Output tokens of one answer; requests for more, or without a limit, are lowered to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most_output_tokens: Option<NonZeroU32>,
    /// Name what is shaped in the answer's header `stillguard-shaped`.
    pub announce: bool,
}

impl Default for Shape {
    fn default() -> Self {
        let positive = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Self {
            withhold_logprobs: true,
            withhold_reasoning: false,
            most_choices: positive(4),
            refuse_choices_above: positive(16),
            most_output_tokens: None,
            announce: true,
        }
    }
}

impl From<&Shape> for Shaping {
    fn from(shape: &Shape) -> Self {
        Self {
            logprobs: shape.withhold_logprobs,
            reasoning: shape.withhold_reasoning,
            most_choices: Some(shape.most_choices.get()),
            most_tokens: shape.most_output_tokens.map(NonZeroU32::get),
        }
    }
}
