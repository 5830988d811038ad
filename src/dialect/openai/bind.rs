//! What chat messages hold that comes back: ids of calls.

use crate::dialect::shape::Rule::{self, Each, Issued, Object};
use crate::dialect::shape::{Shapes, Spot, at};

pub(in crate::dialect) static CHAT: Shapes = Shapes {
    request: Object(&[at("messages", Each(&MESSAGE))]),
    answer: Object(&[at("choices", CHOICES)]),
    event: Object(&[at("choices", CHOICES)]),
};

pub(in crate::dialect) const CHOICES: Rule =
    Each(&Object(&[at("message", MESSAGE), at("delta", MESSAGE)]));

const MESSAGE: Rule = Object(&[
    at("tool_calls", Each(&Object(&[at("id", Issued(Spot::Call))]))),
    at("tool_call_id", Issued(Spot::Call)),
]);
