//! What shaping does to messages. Thinking is emptied; its signature, and what came encrypted, stay
//! for the caller to send back.

use crate::dialect::shape::Rule::{Blank, Budget, Each, Object, Tokens};
use crate::dialect::shape::{Member, Rule, Shapes, at};

pub(in crate::dialect) static MESSAGES: Shapes =
    Shapes { request: Object(REQUEST), answer: Object(MESSAGE), event: Object(EVENT) };

pub(super) static BATCHES: Shapes = Shapes {
    request: Object(&[at("requests", Each(&Object(&[at("params", Object(REQUEST))])))]),
    answer: Rule::Nothing,
    event: Rule::Nothing,
};

/// How many tokens an answer may have is always said.
const REQUEST: &[Member] = &[at("max_tokens", Tokens), at("thinking", Budget)];

const MESSAGE: &[Member] = &[at("content", BLOCKS)];

pub(in crate::dialect) const BLOCKS: Rule = Each(&BLOCK);

pub(in crate::dialect) const BLOCK: Rule = Object(&[at("thinking", Blank)]);

const EVENT: &[Member] =
    &[at("message", Object(MESSAGE)), at("content_block", BLOCK), at("delta", BLOCK)];
