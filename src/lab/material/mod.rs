//! Prompt material: what honest people and campaigns write, made by grammars of our own.
//!
//! A [`Call`] is a request before it has a dialect; a [`Conversation`] is a call that grows with the
//! answers. Everything comes from a seed.

mod campaign;
mod corpus;
mod grammar;
mod honest;
mod lexicon;
mod reply;
mod tasks;
mod trades;
mod wire;
mod wordings;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

pub use self::campaign::{Campaign, Harvest};
pub use self::corpus::{Corpus, CorpusError, Opening};
pub use self::grammar::{Grammar, Rules};
pub use self::honest::{Cohort, Persona};
pub use self::tasks::{Tasks, Wording};
use super::rng::Rng;

/// A request, dialect aside.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Call {
    pub model: String,
    pub stream: bool,
    pub system: Option<String>,
    pub turns: Vec<Turn>,
    pub tools: &'static [ToolSpec],
    pub max_tokens: u32,
    pub temperature: Option<f32>,
    /// Ask for thinking, where the dialect can.
    pub thinking: bool,
}

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub enum Turn {
    User(String),
    Assistant(Answer),
    /// What a tool gave back, under the id the endpoint issued.
    Result {
        id: String,
        text: String,
    },
}

/// What the endpoint answered, as far as a client has to send it back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    pub text: String,
    pub calls: Vec<ToolUse>,
    /// Thinking and its signature.
    pub thinking: Option<(String, String)>,
}

/// A tool call the model made. `arguments` is JSON.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolUse {
    pub id: String,
    pub name: String,
    pub arguments: String,
}

/// A tool offered to the model: every parameter is a required string or integer.
#[derive(Debug, PartialEq)]
pub struct ToolSpec {
    pub name: &'static str,
    pub says: &'static str,
    pub params: &'static [(&'static str, &'static str)],
}

/// A call and how it goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct Conversation {
    pub call: Call,
    /// What the caller says next, once the answer to the last turn is there.
    follow_ups: VecDeque<String>,
    rng_seed: u64,
    tool_rounds: u8,
}

/// Tool rounds after which a client gives up on an answer.
const MOST_TOOL_ROUNDS: u8 = 4;

impl Conversation {
    pub fn new(call: Call, follow_ups: Vec<String>, rng: &mut Rng) -> Self {
        Self { call, follow_ups: follow_ups.into(), rng_seed: rng.draw(), tool_rounds: 0 }
    }

    /// Takes in the answer and says the next thing. False when there is nothing left to say.
    pub fn go_on(&mut self, answer: Answer) -> bool {
        let calls = answer.calls.clone();
        self.call.turns.push(Turn::Assistant(answer));
        if !calls.is_empty() {
            return self.run_tools(&calls);
        }
        let next = self.follow_ups.pop_front();
        self.call.turns.extend(next.clone().map(Turn::User));
        next.is_some()
    }

    fn run_tools(&mut self, calls: &[ToolUse]) -> bool {
        self.tool_rounds += 1;
        let mut rng = Rng::new(self.rng_seed ^ u64::from(self.tool_rounds));
        for used in calls {
            let text = honest::tool_result(&used.name, &mut rng);
            self.call.turns.push(Turn::Result { id: used.id.clone(), text });
        }
        self.tool_rounds <= MOST_TOOL_ROUNDS
    }

    /// The text of the first user turn.
    pub fn opening(&self) -> &str {
        self.call
            .turns
            .iter()
            .find_map(|turn| match turn {
                Turn::User(text) => Some(text.as_str()),
                _ => None,
            })
            .unwrap_or_default()
    }
}
