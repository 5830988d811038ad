//! Who sends what, when, from where: honest accounts with people behind them, and hydra campaigns
//! that spread one harvest over a pool of accounts.
//!
//! Nothing here runs. A [`Fleet`] is a script: the demo plays it over sockets, a simulation on a
//! virtual clock. Times are milliseconds from the start.

mod pool;

#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;
use std::sync::Arc;

use super::material::{Campaign, Cohort, Conversation, Corpus, Harvest, Persona};
use super::rng::Rng;

pub use self::pool::{Pool, PoolSettings};

/// The API style an account speaks.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Style {
    OpenaiChat,
    AnthropicMessages,
}

impl Style {
    pub const fn path(self) -> &'static str {
        match self {
            Self::OpenaiChat => "/v1/chat/completions",
            Self::AnthropicMessages => "/v1/messages",
        }
    }
}

/// One account as its owner knows it.
#[derive(Debug, Eq, PartialEq)]
pub struct Account {
    pub key: String,
    pub address: Ipv4Addr,
    pub user_agent: &'static str,
    pub style: Style,
}

/// How large a world to make. Times are in milliseconds.
#[derive(Clone, Debug)]
pub struct Settings {
    pub seed: u64,
    /// Honest accounts by cohort.
    pub honest: Vec<(Cohort, usize)>,
    pub campaigns: Vec<(Harvest, PoolSettings)>,
    /// Median pause before an honest person's next turn; log-normal around it.
    pub think: f64,
    /// Honest accounts start spread over this long.
    pub arrivals: f64,
    pub model: String,
    /// Prompts from outside for people who chat.
    pub corpus: Option<Arc<Corpus>>,
}

impl Default for Settings {
    fn default() -> Self {
        let honest = [
            (Cohort::Chat, 30),
            (Cohort::Coding, 20),
            (Cohort::Translation, 3),
            (Cohort::Rag, 3),
            (Cohort::Agent, 16),
            (Cohort::Evaluation, 2),
            (Cohort::Classroom, 20),
        ];
        Self {
            seed: 1,
            honest: honest.to_vec(),
            campaigns: vec![(Harvest::Reasoning, PoolSettings::default())],
            think: 20_000.0,
            arrivals: 60_000.0,
            model: "large-1".into(),
            corpus: None,
        }
    }
}

/// The whole cast.
#[derive(Debug)]
pub struct Fleet {
    pub honest: Vec<Seat>,
    pub campaigns: Vec<Hydra>,
}

/// One honest account and the person or program that uses it.
#[derive(Clone, Debug)]
pub struct Seat {
    pub cohort: Cohort,
    pub account: Arc<Account>,
    /// When it first sends.
    pub starts: u64,
    persona: Persona,
    think: f64,
    model: String,
    rng: Rng,
}

/// One campaign: a queue of tasks and a pool of accounts to run them on.
#[derive(Clone, Debug)]
pub struct Hydra {
    pub harvest: Harvest,
    pub pool: Pool,
    tasks: Campaign,
    model: String,
}

impl Fleet {
    /// The same settings make the same fleet.
    pub fn new(settings: &Settings) -> Self {
        let root = Rng::new(settings.seed);
        let mut honest = Vec::new();
        for (group, &(cohort, accounts)) in settings.honest.iter().enumerate() {
            let rng = root.split(group as u64 + 1);
            honest.extend((0..accounts).map(|number| seat(settings, cohort, number, &rng)));
        }
        let campaigns = settings.campaigns.iter().enumerate().map(|(number, (harvest, pool))| {
            let rng = root.split(1_000 + number as u64);
            Hydra {
                harvest: *harvest,
                pool: Pool::new(number, pool.clone(), rng.split(1)),
                tasks: Campaign::new(*harvest, rng.split(2)),
                model: settings.model.clone(),
            }
        });
        Self { honest, campaigns: campaigns.collect() }
    }
}

impl Seat {
    /// The next thing its owner wants. All of its turns stay on this account.
    pub fn conversation(&mut self) -> Conversation {
        let mut conversation = self.persona.conversation();
        conversation.call.model.clone_from(&self.model);
        conversation
    }

    /// Milliseconds before the owner's next turn.
    pub fn think(&mut self) -> u64 {
        let median = match self.cohort {
            // Programs wait for nothing but the answer; their pace is that of a queue.
            Cohort::Agent | Cohort::Evaluation | Cohort::Translation => self.think / 4.0,
            _ => self.think,
        };
        self.rng.log_normal(median, 0.8) as u64
    }
}

impl Hydra {
    /// The next task of the harvest. Each of its turns goes to whichever account the pool picks.
    pub fn conversation(&mut self) -> Conversation {
        let mut conversation = self.tasks.conversation();
        conversation.call.model.clone_from(&self.model);
        conversation
    }
}

fn seat(settings: &Settings, cohort: Cohort, number: usize, group: &Rng) -> Seat {
    let mut rng = group.split(number as u64 + 1);
    let style = if rng.chance(0.5) { Style::OpenaiChat } else { Style::AnthropicMessages };
    let account = Account {
        key: key("hon", &mut rng),
        address: address(cohort, group, &mut rng),
        user_agent: user_agent(style, &mut rng),
        style,
    };
    let starts = (rng.unit() * settings.arrivals) as u64;
    let persona = Persona::new(cohort, rng.split(3)).reading(settings.corpus.clone());
    let (think, model) = (settings.think, settings.model.clone());
    Seat { cohort, account: Arc::new(account), starts, persona, think, model, rng }
}

/// People sit behind networks of their own, a class behind its school's.
fn address(cohort: Cohort, group: &Rng, rng: &mut Rng) -> Ipv4Addr {
    let mut network = if cohort == Cohort::Classroom { group.clone() } else { rng.clone() };
    let [a, b] = [network.below(256) as u8, network.below(256) as u8];
    let host = 1 + rng.below(250) as u8;
    Ipv4Addr::new(if cohort == Cohort::Classroom { 91 } else { 81 }, a, b, host)
}

fn key(prefix: &str, rng: &mut Rng) -> String {
    format!("sk-{prefix}-{:016x}{:08x}", rng.draw(), rng.draw() as u32)
}

fn user_agent(style: Style, rng: &mut Rng) -> &'static str {
    match style {
        Style::OpenaiChat => rng.pick(&["OpenAI/Python 2.54.0", "OpenAI/JS 6.49.0"]),
        Style::AnthropicMessages => rng.pick(&["Anthropic/Python 2.12.0", "Anthropic/JS 1.12.0"]),
    }
}
