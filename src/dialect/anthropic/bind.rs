//! What messages hold that comes back: seals of thinking, whole where it is encrypted, and ids of
//! calls. Other ids are left alone: those of messages, files and containers are parts of paths, too.

use crate::dialect::shape::Rule::{self, Each, Issued, Object};
use crate::dialect::shape::{Alphabet, Member, Shapes, Spot, at, when};

pub(super) static MESSAGES: Shapes =
    Shapes { request: Object(REQUEST), answer: Object(MESSAGE), event: Object(EVENT) };

/// Answers are fetched from elsewhere, unread.
pub(super) static BATCHES: Shapes = Shapes {
    request: Object(&[at("requests", Each(&Object(&[at("params", Object(REQUEST))])))]),
    answer: Rule::Nothing,
    event: Rule::Nothing,
};

/// Of requests whose answer holds nothing of the model's.
pub(super) static COUNTS: Shapes =
    Shapes { request: Object(REQUEST), answer: Rule::Nothing, event: Rule::Nothing };

const REQUEST: &[Member] = &[at("messages", Each(&Object(MESSAGE)))];

const MESSAGE: &[Member] = &[at("content", BLOCKS)];

pub(in crate::dialect) const BLOCKS: Rule = Each(&BLOCK);

/// Also a change to one, where it says how it is sealed.
pub(in crate::dialect) const BLOCK: Rule = Object(&[
    at("signature", SEAL),
    when(("type", &["redacted_thinking"]), "data", SEAL),
    at("id", Issued(Spot::Call)),
    at("tool_use_id", Issued(Spot::Call)),
]);

pub(in crate::dialect) const SEAL: Rule = Issued(Spot::Signature(Alphabet::Standard));

const EVENT: &[Member] =
    &[at("message", Object(MESSAGE)), at("content_block", BLOCK), at("delta", BLOCK)];
