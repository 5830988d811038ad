//! What Gemini's bodies hold that comes back: thought signatures, and ids of calls. A part may stay
//! without its signature. Ids of answers and files are left alone: they are parts of paths, too.

use crate::dialect::shape::Rule::{self, Each, Issued, Object};
use crate::dialect::shape::{Alphabet, Member, Shapes, Spot, at};

pub(super) static GENERATE: Shapes =
    Shapes { request: Object(REQUEST), answer: Object(ANSWER), event: Object(ANSWER) };

/// Of requests whose answer holds nothing of the model's.
pub(super) static COUNTS: Shapes = Shapes {
    request: Object(&[
        at("contents", CONTENTS),
        at("generateContentRequest", Object(REQUEST)),
        at("generate_content_request", Object(REQUEST)),
    ]),
    answer: Rule::Nothing,
    event: Rule::Nothing,
};

const REQUEST: &[Member] = &[at("contents", CONTENTS)];

const ANSWER: &[Member] = &[at("candidates", Each(&Object(&[at("content", CONTENT)])))];

const CONTENTS: Rule = Each(&CONTENT);

const CONTENT: Rule = Object(&[at("parts", Each(&PART))]);

const PART: Rule = Object(&[
    at("thoughtSignature", SEAL),
    at("thought_signature", SEAL),
    at("functionCall", CALL),
    at("function_call", CALL),
    at("functionResponse", CALL),
    at("function_response", CALL),
]);

const SEAL: Rule = Issued(Spot::Loose(Alphabet::Standard));

const CALL: Rule = Object(&[at("id", Issued(Spot::Call))]);
