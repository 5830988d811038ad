//! What responses hold that comes back: encrypted reasoning, and ids of calls. Other ids are left
//! alone: those of responses and conversations are parts of paths, too, those of items are repeated in
//! every event.

use crate::dialect::shape::Rule::{self, Each, Issued, Object};
use crate::dialect::shape::{Alphabet, Shapes, Spot, at};

pub(super) static RESPONSES: Shapes = Shapes {
    request: Object(&[at("input", Each(&ITEM))]),
    answer: RESPONSE,
    event: Object(&[at("response", RESPONSE), at("item", ITEM)]),
};

const RESPONSE: Rule = Object(&[at("output", Each(&ITEM))]);

const ITEM: Rule = Object(&[
    at("encrypted_content", Issued(Spot::Signature(Alphabet::Url))),
    at("call_id", Issued(Spot::Call)),
]);
