//! What shaping does to Gemini's bodies. Names come in both cases in requests. Thought signatures
//! stay.

use crate::dialect::shape::Rule::{Blank, Choices, Each, Limited, Null, Object, Off, Tokens};
use crate::dialect::shape::{Deed, Member, Rule, Shapes, at, when};

pub(super) static GENERATE: Shapes = Shapes {
    request: Limited {
        members: &[at("generationConfig", CONFIG), at("generation_config", CONFIG)],
        names: &["generationConfig", "generation_config"],
        before: "\"generationConfig\":{\"maxOutputTokens\":",
        after: "}",
    },
    answer: Object(ANSWER),
    event: Object(ANSWER),
};

const CONFIG: Rule = Limited {
    members: &[
        at("responseLogprobs", Off(Deed::Logprobs)),
        at("response_logprobs", Off(Deed::Logprobs)),
        at("logprobs", Off(Deed::Logprobs)),
        at("candidateCount", Choices),
        at("candidate_count", Choices),
        at("maxOutputTokens", Tokens),
        at("max_output_tokens", Tokens),
        at("thinkingConfig", THOUGHTS),
        at("thinking_config", THOUGHTS),
    ],
    names: &["maxOutputTokens", "max_output_tokens"],
    before: "\"maxOutputTokens\":",
    after: "",
};

const THOUGHTS: Rule = Object(&[
    at("includeThoughts", Off(Deed::Reasoning)),
    at("include_thoughts", Off(Deed::Reasoning)),
]);

const ANSWER: &[Member] = &[at(
    "candidates",
    Each(&Object(&[
        at("logprobsResult", Null),
        at("avgLogprobs", Null),
        at("content", Object(&[at("parts", Each(&PART))])),
    ])),
)];

const PART: Rule = Object(&[when(("thought", &["true"]), "text", Blank)]);
