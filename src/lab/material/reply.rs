//! What the endpoint answers in a simulation: text of a plausible length, tool calls, ids.

use super::grammar::Grammar;
use super::lexicon::WORLD;
use super::{Answer, Call, ToolUse, Turn};
use crate::lab::rng::Rng;

const WORLD_ONLY: Grammar<'static> = Grammar(&[WORLD]);

const SENTENCES: &[&str] = &[
    "In short, {field} decides it: {place} has {n} {thing} and keeps {n} of them.",
    "First count the {thing}, which gives {N}, then take away the {quality} ones.",
    "{who} would say that {field} is {quality}, and for {place} that is right.",
    "So the value is {n}, or {N} if every one of the {thing} is taken in.",
    "Use a {structure} in {language} that {operation}; it needs about {n} lines.",
    "Note that this holds only while {place} stays {quality}.",
];

impl Call {
    /// The endpoint's answer to this call, the same for the same `rng`. A call with tools is
    /// answered by using one until two results are there, then mostly by words.
    pub fn reply(&self, rng: &mut Rng) -> Answer {
        let results = self.turns.iter().filter(|turn| matches!(turn, Turn::Result { .. })).count();
        let goes_on = results < 2 || (results < 4 && rng.chance(0.35));
        if !self.tools.is_empty() && goes_on {
            let tool = &self.tools[rng.below(self.tools.len())];
            let name = tool.name.to_owned();
            let arguments = WORLD_ONLY.fill("{\"q\": \"{thing} {n}\"}", rng);
            let id = format!("call_{:016x}{:08x}", rng.draw(), rng.draw() as u32);
            let text = WORLD_ONLY.fill("Let me look at the {thing} first.", rng);
            return Answer { text, calls: vec![ToolUse { id, name, arguments }], thinking: None };
        }
        let count = 2 + rng.below(4);
        let said: Vec<_> = (0..count).map(|_| WORLD_ONLY.fill(rng.pick(SENTENCES), rng)).collect();
        Answer { text: said.join(" "), ..Answer::default() }
    }
}
