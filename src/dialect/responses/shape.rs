//! What shaping does to responses. Encrypted content stays: callers send it back.

use crate::dialect::shape::Rule::{Blank, Clear, Each, Limited, Object, Off, Tokens, Without};
use crate::dialect::shape::{Deed, Member, Rule, Shapes, at, when};

pub(super) static RESPONSES: Shapes = Shapes {
    request: Limited {
        members: &[
            at("top_logprobs", Off(Deed::Logprobs)),
            at("include", Without("message.output_text.logprobs")),
            at("reasoning", SUMMARIES),
            at("max_output_tokens", Tokens),
        ],
        names: &["max_output_tokens"],
        before: "\"max_output_tokens\":",
        after: "",
    },
    answer: Object(RESPONSE),
    event: Object(EVENT),
};

const SUMMARIES: Rule =
    Object(&[at("summary", Off(Deed::Reasoning)), at("generate_summary", Off(Deed::Reasoning))]);

const RESPONSE: &[Member] = &[at("output", Each(&ITEM))];

const ITEM: Rule = Object(&[at("summary", Blank), at("content", Each(&PART))]);

const PART: Rule = Object(&[
    at("logprobs", Clear),
    when(("type", &["reasoning_text", "summary_text"]), "text", Blank),
]);

/// Every text comes several times: as deltas, whole, in its part, its item and its response.
const EVENT: &[Member] = &[
    at("response", Object(RESPONSE)),
    at("item", ITEM),
    at("part", PART),
    at("logprobs", Clear),
    when(("type", DELTAS), "delta", Blank),
    when(("type", TEXTS), "text", Blank),
];

const DELTAS: &[&str] = &[
    "response.reasoning_text.delta",
    "response.reasoning_summary_text.delta",
    "response.reasoning.delta",
    "response.reasoning_summary.delta",
];

const TEXTS: &[&str] = &[
    "response.reasoning_text.done",
    "response.reasoning_summary_text.done",
    "response.reasoning.done",
    "response.reasoning_summary.done",
];
