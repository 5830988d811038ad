//! What Bedrock's bodies hold that comes back: seals of reasoning, whole where it is encrypted, and ids
//! of calls.

use crate::dialect::anthropic::bind::{BLOCK, BLOCKS, SEAL};
use crate::dialect::openai::bind::CHOICES;
use crate::dialect::shape::Rule::{self, Coded, Each, Issued, Object};
use crate::dialect::shape::{Member, Shapes, Spot, at, when};

pub(super) static CONVERSE: Shapes =
    Shapes { request: Object(&[at("messages", Each(&MESSAGE))]), answer: ANSWER, event: EVENT };

const ANSWER: Rule = Object(&[OUTPUT]);

const OUTPUT: Member = at("output", Object(&[at("message", MESSAGE)]));

const MESSAGE: Rule = Object(&[at("content", Each(&Object(&[THOUGHT, USED, GIVEN])))]);

const THOUGHT: Member = at("reasoningContent", REASONING);
const USED: Member = at("toolUse", CALL);
const GIVEN: Member = at("toolResult", CALL);

/// In a stream, its signature lies bare.
const REASONING: Rule = Object(&[
    at("reasoningText", Object(&[at("signature", SEAL)])),
    at("signature", SEAL),
    at("redactedContent", SEAL),
]);

const CALL: Rule = Object(&[at("toolUseId", Issued(Spot::Call))]);

const EVENT: Rule = Object(&[START, DELTA]);

const START: Member = at("start", Object(&[at("toolUse", CALL)]));

const DELTA: Member = at("delta", Object(&[at("reasoningContent", REASONING)]));

/// In the words of whichever model it is.
pub(super) static INVOKE: Shapes = Shapes {
    request: Object(&[at("messages", Each(&SENT))]),
    answer: MODELS,
    event: Object(&[at("bytes", Coded(&MODELS))]),
};

/// Messages of Anthropic's models, of Nova and of those that take OpenAI's: their names don't clash.
const SENT: Rule = Object(&[
    at("content", Each(&Object(SENT_BLOCK))),
    at("tool_calls", Each(&Object(&[at("id", Issued(Spot::Call))]))),
    at("tool_call_id", Issued(Spot::Call)),
]);

/// One rule for a list: what goes must go once.
const SENT_BLOCK: &[Member] = &[
    at("signature", SEAL),
    when(("type", &["redacted_thinking"]), "data", SEAL),
    at("id", Issued(Spot::Call)),
    at("tool_use_id", Issued(Spot::Call)),
    THOUGHT,
    USED,
    GIVEN,
];

/// Answers and events of them.
const MODELS: Rule = Object(&[
    at("choices", CHOICES),
    at("content", BLOCKS),
    at("content_block", BLOCK),
    OUTPUT,
    at("contentBlockStart", Object(&[START])),
    at("contentBlockDelta", Object(&[DELTA])),
    at("delta", BLOCK),
    at("message", Object(&[at("content", BLOCKS)])),
]);
