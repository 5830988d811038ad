//! Exchanges for the tests of this room.

use super::crowd::Crowds;
use super::exchange::{Ask, Completion, Ending, Exchange, ExchangeId, Phrases, Prompt};
use super::habits::Habits;
use super::registry::{Asked, Ended, Signal};
use super::share::{Params, Phrased, Share};
use super::sketch::Sketch;
use crate::identity::{AccountId, Caller, Client, Keyring, Tag};
use crate::time::Timestamp;

pub(super) fn keyring() -> Keyring {
    Keyring::new([7; 32])
}

pub(super) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_750_000_000_000 + seconds * 1000)
}

pub(super) fn caller(account: u8) -> Caller {
    Caller {
        tenant: "acme".into(),
        account: AccountId([account; 16]),
        org: None,
        end_user: None,
        egress: Tag(u64::from(account)),
        client: Client::Other,
        attributes: Default::default(),
    }
}

pub(super) fn exchange(account: u8, seconds: u64, prompt: Prompt) -> Exchange {
    let ask = Ask { id: ExchangeId(Tag(1)), at: at(seconds), caller: caller(account), prompt };
    let (ended, completion) = (at(seconds + 1), Completion::default());
    Exchange { ask, ended, ending: Ending::Complete, status: 200, completion }
}

/// A prompt whose last user turn is `text`.
pub(super) fn user(text: &str) -> Prompt {
    let keyring = keyring();
    Prompt {
        user: Sketch::of(text, &keyring),
        last: keyring.tag("last", text.as_bytes()),
        phrases: super::lexicon::find(text),
        ..Prompt::default()
    }
}

pub(super) fn saying(phrases: Phrases) -> Prompt {
    Prompt { phrases, ..Prompt::default() }
}

/// What twenty such requests in a row come to.
pub(super) fn habit_of<S: Phrased>(prompt: Prompt) -> Option<f32> {
    let (around, mut account) = (Around::default(), Share::default());
    let ended = exchange(1, 0, prompt);
    let ended = around.ended(&ended);
    (0..20).fold(None, |_, _| S::learn(&Params::default(), &ended, &mut account, &()))
}

/// What the engine hands to signals, with memory of the test's own.
#[derive(Default)]
pub(super) struct Around {
    pub(super) habits: Habits,
    pub(super) crowds: Crowds,
    pub(super) aged: bool,
}

impl Around {
    pub(super) fn asked<'a>(&'a self, ask: &'a Ask) -> Asked<'a> {
        Asked { ask, aged: self.aged, habits: &self.habits, crowds: &self.crowds }
    }

    pub(super) fn ended<'a>(&'a self, exchange: &'a Exchange) -> Ended<'a> {
        Ended { exchange, aged: self.aged, habits: &self.habits, crowds: &self.crowds }
    }

    /// `count` new accounts, `aged` of them established, join every key of `habits`.
    pub(super) fn join(&self, habits: &Habits, count: u32, aged: u32) {
        for (facet, key) in habits.keys() {
            for member in 0..count {
                let old = u32::from(member < aged);
                self.crowds.join(facet, key, at(0), |crowd| crowd.aged += old);
            }
        }
    }
}

/// One template, ten things to fill in: the shape of a harvest.
pub(super) const SUBJECTS: [&str; 10] = [
    "a falling cat rotates without external torque",
    "antibodies recognise foreign proteins",
    "interest rates influence housing markets",
    "glaciers carve valleys over millennia",
    "compilers allocate registers for loops",
    "sourdough rises in cold kitchens",
    "medieval guilds regulated apprenticeships",
    "satellites keep geostationary orbits",
    "bees communicate distances by dancing",
    "lithium batteries lose capacity",
];

pub(super) fn filled(subject: &str) -> String {
    format!(
        "Act as a senior domain expert. Explain thoroughly how {subject}. First enumerate relevant \
         principles, derive intermediate conclusions carefully, examine alternative hypotheses, \
         reject weak arguments explicitly, then state a confident verdict with supporting evidence."
    )
}

/// What one person asks in an afternoon.
pub(super) const CHAT: [&str; 10] = [
    "Can you recommend a good recipe for lentil soup with carrots and cumin?",
    "My laptop fan spins loudly after the latest update, what might cause that?",
    "Translate the sentence 'the ferry leaves at dawn' into Portuguese and Greek.",
    "Draft a birthday message for a colleague who loves hiking and photography.",
    "What documents do I need to register a used car bought from a neighbour?",
    "Summarise the plot of Moby Dick for a ten year old in three sentences.",
    "Which houseplants survive in a dark bathroom with high humidity?",
    "Fix this SQL query: the join returns duplicate customers per order line.",
    "How long should a beginner train before running a half marathon?",
    "Compare renting and buying an apartment when interest rates rise quickly.",
];
