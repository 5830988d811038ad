//! Labelled traffic of a whole fleet, from a scenario file, in time order and bounded memory.
//!
//! Honest accounts ([`Crowd`]) send whatever happens; campaigns ([`Hydra`]) are told what became of
//! each request and answer by failing over, resting and replacing accounts. Nothing here knows an
//! engine: neither its signals nor its thresholds.

mod campaign;
mod card;
mod entry;
mod evasion;
mod honest;
mod pool;
mod scenario;
pub mod sizes;
mod whole;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::material::{Answer, Call, Conversation, Turn};
use super::rng::Rng;

pub use self::campaign::{Dispatch, Hydra, Kind, Queue};
pub use self::card::{Attributes, Card};
pub use self::entry::Entry;
pub use self::evasion::Evasion;
pub use self::honest::Crowd;
pub use self::scenario::{Honest, Plan, Release, Scenario, Shared};
pub use self::whole::World;

/// What became of a request, as the sender sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    Served,
    /// 429: come back later.
    Slowed,
    /// 403 with a way back, which costs a person's time.
    Challenged,
    /// 403 for good.
    Banned,
}

/// One exchange, text and truth included.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Milliseconds from the start.
    pub at: u64,
    pub id: u64,
    pub card: Arc<Card>,
    pub call: Call,
    pub reply: Answer,
    pub end_user: Option<String>,
    /// In and out.
    pub tokens: (u32, u32),
    pub truth: Truth,
}

/// What only the report may know.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Truth {
    /// The campaign by name; none for the honest.
    pub campaign: Option<Arc<str>>,
    pub class: String,
}

impl Truth {
    pub fn label(&self) -> String {
        self.campaign.as_ref().map_or_else(|| "benign".into(), |name| format!("campaign:{name}"))
    }
}

impl Sent {
    /// Milliseconds until the answer has ended: a first token, then 80 a second.
    pub fn latency(&self) -> u64 {
        latency(self.tokens.1)
    }
}

fn latency(output: u32) -> u64 {
    400 + u64::from(output) * 1000 / 80
}

/// One turn of a conversation, its answer, and whether the sender has more to say.
#[derive(Clone, Debug)]
pub struct Turned {
    pub call: Call,
    pub reply: Answer,
    pub more: bool,
}

impl Turned {
    /// Plays `talk` up to turn `turn`; the answers come from `rng`. A talk that is over earlier
    /// stays at its last turn.
    pub fn at(talk: Conversation, rng: Rng, turn: u8) -> Self {
        let mut talk = talk;
        for past in 0..turn {
            let reply = talk.call.reply(&mut rng.split(u64::from(past)));
            if !talk.go_on(reply) {
                break;
            }
        }
        let call = talk.call.clone();
        let reply = call.reply(&mut rng.split(u64::from(turn)));
        let more = talk.go_on(reply.clone());
        Self { call, reply, more }
    }
}

impl Call {
    /// Bytes of text.
    fn length(&self) -> u32 {
        let of = |turn: &Turn| match turn {
            Turn::User(text) | Turn::Result { text, .. } => text.len(),
            Turn::Assistant(answer) => answer.text.len(),
        };
        let turns: usize = self.turns.iter().map(of).sum();
        (turns + self.system.as_ref().map_or(0, String::len)) as u32
    }
}
