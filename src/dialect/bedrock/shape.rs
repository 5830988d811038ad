//! What shaping does to Bedrock's bodies, its own and those of models. Signatures and what came
//! encrypted stay.

use crate::dialect::anthropic::shape::{BLOCK, BLOCKS};
use crate::dialect::openai::shape::CHOICES;
use crate::dialect::shape::Rule::{
    Blank, Budget, Choices, Coded, Each, Limited, Object, Off, Tokens,
};
use crate::dialect::shape::{Deed, Member, Rule, Shapes, at};

pub(super) static CONVERSE: Shapes = Shapes {
    request: Limited {
        members: &[
            at("inferenceConfig", CONFIG),
            at(
                "additionalModelRequestFields",
                Object(&[at("thinking", Budget), at("reasoning_config", Budget)]),
            ),
        ],
        names: &["inferenceConfig"],
        before: "\"inferenceConfig\":{\"maxTokens\":",
        after: "}",
    },
    answer: Object(&[at("output", OUTPUT), MORE]),
    event: Object(&[DELTA, MORE]),
};

const CONFIG: Rule = Limited {
    members: &[at("maxTokens", Tokens), at("max_new_tokens", Tokens)],
    names: &["maxTokens", "max_new_tokens"],
    before: "\"maxTokens\":",
    after: "",
};

const OUTPUT: Rule = Object(&[at(
    "message",
    Object(&[at("content", Each(&Object(&[at("reasoningContent", REASONING)])))]),
)]);

const DELTA: Member = at("delta", Object(&[at("reasoningContent", REASONING)]));

/// What callers have picked out of the model's own answer.
const MORE: Member = at("additionalModelResponseFields", MODELS);

/// In a stream, its text lies bare.
const REASONING: Rule =
    Object(&[at("reasoningText", Object(&[at("text", Blank)])), at("text", Blank)]);

/// In the words of whichever model it is. How they limit tokens, none is added.
pub(super) static INVOKE: Shapes = Shapes {
    request: Object(&[
        at("logprobs", Off(Deed::Logprobs)),
        at("top_logprobs", Off(Deed::Logprobs)),
        at("n", Choices),
        at("thinking", Budget),
        at("max_tokens", Tokens),
        at("max_completion_tokens", Tokens),
        at("max_gen_len", Tokens),
        at("inferenceConfig", Object(&[at("maxTokens", Tokens), at("max_new_tokens", Tokens)])),
        at("textGenerationConfig", Object(&[at("maxTokenCount", Tokens)])),
    ]),
    answer: MODELS,
    event: Object(&[at("bytes", Coded(&MODELS))]),
};

/// Answers and events of them: their names don't clash.
const MODELS: Rule = Object(&[
    at("choices", CHOICES),
    at("content", BLOCKS),
    at("content_block", BLOCK),
    at("output", OUTPUT),
    at("contentBlockDelta", Object(&[DELTA])),
    at("delta", BLOCK),
]);
