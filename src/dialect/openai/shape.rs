//! What shaping does to chat completions and to plain ones.

use crate::dialect::shape::Rule::{Blank, Choices, Each, Limited, Null, Object, Off, Tokens};
use crate::dialect::shape::{Deed, Member, Rule, Shapes, at};

/// Where no limit is given, OpenAI's newer name of it is: its older models know both.
pub(in crate::dialect) static CHAT: Shapes = Shapes {
    request: Limited {
        members: CHAT_REQUEST,
        names: &["max_completion_tokens", "max_tokens"],
        before: "\"max_completion_tokens\":",
        after: "",
    },
    answer: Object(ANSWER),
    event: Object(ANSWER),
};

/// Plain completions are short where no limit is given: none is added.
pub(in crate::dialect) static COMPLETIONS: Shapes =
    Shapes { request: Object(PLAIN_REQUEST), answer: Object(ANSWER), event: Object(ANSWER) };

pub(in crate::dialect) const CHAT_REQUEST: &[Member] = &[
    at("logprobs", Off(Deed::Logprobs)),
    at("top_logprobs", Off(Deed::Logprobs)),
    at("prompt_logprobs", Off(Deed::Logprobs)),
    at("include_reasoning", Off(Deed::Reasoning)),
    at("n", Choices),
    at("max_completion_tokens", Tokens),
    at("max_tokens", Tokens),
];

const PLAIN_REQUEST: &[Member] = &[
    at("logprobs", Off(Deed::Logprobs)),
    at("prompt_logprobs", Off(Deed::Logprobs)),
    at("n", Choices),
    at("max_tokens", Tokens),
];

/// An answer and a chunk of one.
pub(in crate::dialect) const ANSWER: &[Member] =
    &[at("choices", CHOICES), at("prompt_logprobs", Null)];

pub(in crate::dialect) const CHOICES: Rule = Each(&Object(&[
    at("logprobs", Null),
    at("prompt_logprobs", Null),
    at("message", MESSAGE),
    at("delta", MESSAGE),
]));

/// Reasoning as servers other than OpenAI's tell it. Details may hold seals, which stay.
const MESSAGE: Rule = Object(&[
    at("reasoning_content", Blank),
    at("reasoning", Blank),
    at("reasoning_details", Each(&Object(&[at("text", Blank), at("summary", Blank)]))),
    at("content", Each(&Object(&[at("thinking", Blank)]))),
]);
