//! The protocol: a generated fleet against the very engine, on a virtual clock, with what it does
//! fed back to the attackers.
//!
//! Texts are made and turned into features on other threads, in an order of their own; verdicts are
//! given on one, in the order of time. So a seed has one outcome, however many cores there are.

mod feed;
mod features;
mod figures;
mod suite;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use serde::Serialize;

use self::features::{Text, ask, caller, name, text, time, whole};
use self::feed::Feed;
pub use self::figures::{Figures, Target};
pub use self::suite::{Part, Suite, Tried};
pub use self::table::told;
use super::baseline::{Baseline, Baselines, Meta};
use super::history::{Counted, Known, Report, Stage};
use super::material::Corpus;
use super::world::{Card, Crowd, Dispatch, Fate, Hydra, Kind, Queue, Scenario};
use crate::engine::{self, Engine};
use crate::identity::{Caller, Keyring};
use crate::policy::{Action, Policies};
use crate::signal::{Ask, Completion, Ending, Exchange};

/// One run.
#[derive(Clone, Debug)]
pub struct Trial {
    /// As it is played: scaled, its evasions applied.
    pub scenario: Arc<Scenario>,
    pub seed: u64,
    pub corpus: Option<Arc<Corpus>>,
    pub engine: engine::Settings,
    pub policies: Policies,
    pub baselines: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Outcome {
    pub scenario: String,
    pub seed: u64,
    pub report: Report,
    pub campaigns: BTreeMap<String, Spent>,
    pub baselines: Vec<Baseline>,
    pub exchanges: u64,
    /// Accounts the engine remembers at the end.
    pub remembered: usize,
    /// Hours from the release to the first evidence of a pivot, by campaign that pivots.
    pub pivots: BTreeMap<String, Option<f64>>,
    /// A hash over every outcome in order.
    pub digest: String,
}

/// What a campaign had planned and paid.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Spent {
    pub planned: u64,
    /// Accounts taken into use, and those lost to enforcement.
    pub opened: u32,
    pub lost: u32,
}

/// Turns of one task.
const TURNS: u8 = 12;

/// Tasks under way whose texts are kept; older ones are made again.
const KEPT: usize = 20_000;

struct Honest {
    ask: Ask,
    text: Text,
    latency: u64,
    class: String,
    card: Arc<Card>,
}

/// Texts of a campaign's tasks, as another thread makes them.
struct Texts {
    queue: Queue,
    kind: Kind,
    made: Feed<Vec<Text>>,
    next: u64,
    kept: BTreeMap<u64, Vec<Text>>,
}

struct Director<'a> {
    stage: Stage<'a>,
    keyring: Keyring,
    outcome: Outcome,
    baselines: Option<Baselines>,
    hash: blake3::Hasher,
    start: u64,
}

impl Trial {
    /// Plays the scenario to its end.
    pub fn run(&self) -> Outcome {
        let engine = Engine::new(self.engine.clone(), self.policies.clone());
        let mut outcome = thread::scope(|scope| self.play(scope, &engine));
        outcome.remembered = engine.accounts();
        outcome
    }

    fn play<'s>(&'s self, scope: &'s thread::Scope<'s, '_>, engine: &Engine) -> Outcome {
        // Nothing of the tags is kept, so any secret will do; a fixed one keeps runs equal.
        let (keyring, start) = (Keyring::new([0; 32]), self.scenario.start);
        let crowd = Crowd::new(&self.scenario, self.seed, self.corpus.clone());
        let ring = keyring.clone();
        let mut honest = Feed::of(
            scope,
            crowd.map(move |sent| {
                let (ask, text) = whole(&sent, start, &ring);
                let latency = sent.latency();
                Honest { ask, text, latency, class: sent.truth.class, card: sent.card }
            }),
        );
        let mut campaigns: Vec<_> = (0..self.scenario.campaigns.len())
            .map(|number| {
                let (hydra, queue) =
                    Hydra::new(&self.scenario, number, (self.seed, self.corpus.clone()));
                let texts = |kind| Texts::new(scope, queue.clone(), (kind, keyring.clone()));
                (hydra, [texts(Kind::Harvest), texts(Kind::Unrelated)], BTreeMap::new())
            })
            .collect();
        let mut director = Director {
            stage: Stage::new(engine),
            keyring: keyring.clone(),
            outcome: Outcome {
                scenario: self.scenario.name.clone(),
                seed: self.seed,
                ..Outcome::default()
            },
            baselines: self.baselines.then(Baselines::default),
            hash: blake3::Hasher::new(),
            start,
        };
        loop {
            let due = campaigns
                .iter()
                .enumerate()
                .filter_map(|(number, one)| Some((one.0.due()?, number)))
                .min();
            let next = honest.peek().map(|honest| honest.ask.at);
            match due {
                Some((at, number)) if next.is_none_or(|next| time(start, at) < next) => {
                    let (hydra, texts, callers) = &mut campaigns[number];
                    if let Some(dispatch) = hydra.send() {
                        director.campaign(
                            hydra,
                            (&mut texts[dispatch.kind as usize], callers),
                            &dispatch,
                        );
                    }
                }
                _ => match honest.next() {
                    Some(honest) => director.honest(honest),
                    None => break,
                },
            }
        }
        director.finish(&self.scenario, campaigns.into_iter().map(|(hydra, ..)| hydra))
    }
}

impl Texts {
    fn new<'s>(
        scope: &'s thread::Scope<'s, '_>,
        queue: Queue,
        (kind, keyring): (Kind, Keyring),
    ) -> Self {
        let maker = queue.clone();
        let tasks = (0..).map(move |task| {
            let mut texts = Vec::new();
            for turn in 0..TURNS {
                let one = make(&maker, (kind, task, turn), &keyring);
                let more = one.more;
                texts.push(one);
                if !more {
                    break;
                }
            }
            texts
        });
        Self { queue, kind, made: Feed::of(scope, tasks), next: 0, kept: BTreeMap::new() }
    }

    fn get(&mut self, task: u64, turn: u8, keyring: &Keyring) -> Text {
        while self.next <= task {
            let texts = self.made.next().unwrap_or_default();
            self.kept.insert(self.next, texts);
            self.next += 1;
            if self.kept.len() > KEPT {
                self.kept.pop_first();
            }
        }
        let kept = self.kept.get(&task).and_then(|texts| texts.get(usize::from(turn)).cloned());
        kept.unwrap_or_else(|| make(&self.queue, (self.kind, task, turn), keyring))
    }
}

fn make(queue: &Queue, (kind, task, turn): (Kind, u64, u8), keyring: &Keyring) -> Text {
    let turned = queue.turn(kind, task, turn);
    let tokens = queue.tokens(kind, task, &turned);
    text(&turned, tokens, keyring)
}

impl Director<'_> {
    fn honest(&mut self, honest: Honest) {
        let Honest { ask, text, latency, class, card } = honest;
        let known = Known {
            label: "benign",
            class: Some(&class),
            account: &card.name,
            counted: Counted::Once,
        };
        self.exchange(ask, (text.completion, latency), (&known, &card));
    }

    fn campaign(
        &mut self,
        hydra: &mut Hydra,
        (texts, callers): (&mut Texts, &mut BTreeMap<u32, Caller>),
        dispatch: &Dispatch,
    ) {
        let text = texts.get(dispatch.task, dispatch.turn, &self.keyring);
        let card = hydra.card(dispatch);
        let keyring = &self.keyring;
        let caller =
            callers.entry(dispatch.account).or_insert_with(|| caller(&card, None, keyring)).clone();
        let id = name(hydra.id(dispatch), keyring);
        let call = (hydra.model_at(dispatch), card.style);
        let ask = ask(&text, caller, (id, time(self.start, dispatch.at)), call);
        let counted = match (dispatch.kind, dispatch.is_first()) {
            (Kind::Unrelated, _) => Counted::Unrelated,
            (Kind::Harvest, true) => Counted::Once,
            (Kind::Harvest, false) => Counted::Again,
        };
        let label = format!("campaign:{}", hydra.plan.name);
        let known = Known { label: &label, class: None, account: &card.name, counted };
        let latency = 400 + u64::from(text.output) * 1000 / 80;
        let action = self.exchange(ask, (text.completion, latency), (&known, &card));
        let fate = match action {
            Action::Allow | Action::Shape => Fate::Served,
            Action::Throttle => Fate::Slowed,
            Action::Challenge => Fate::Challenged,
            Action::Drop => Fate::Banned,
        };
        hydra.met(dispatch, fate, (text.more, text.output));
    }

    fn exchange(
        &mut self,
        ask: Ask,
        (completion, latency): (Completion, u64),
        (known, card): (&Known<'_>, &Card),
    ) -> Action {
        let (action, verdict) = self.stage.meet(&ask);
        self.hash.update(&ask.id.0.0.to_le_bytes()).update(&[action.index() as u8]);
        self.hash.update(&verdict.score.to_bits().to_le_bytes());
        self.outcome.exchanges += 1;
        self.outcome.report.take(known, &ask, (action, &verdict));
        let attack = known.label != "benign";
        if let Some(baselines) = &mut self.baselines {
            baselines.take(&ask, Meta { attack, counted: known.counted, country: card.country });
        }
        let baselines = &mut self.baselines;
        self.stage.end(ask, action, |ask| {
            let ended = ask.at + std::time::Duration::from_millis(latency);
            let exchange =
                Exchange { ask, ended, ending: Ending::Complete, status: 200, completion };
            if let Some(baselines) = baselines {
                baselines.ended(&exchange);
            }
            exchange
        });
        action
    }

    fn finish(self, scenario: &Scenario, campaigns: impl Iterator<Item = Hydra>) -> Outcome {
        let mut outcome = self.outcome;
        for hydra in campaigns {
            let (opened, lost) = hydra.accounts();
            let (plan, name) = (&hydra.plan, hydra.plan.name.clone());
            let side = outcome.report.sides.get(&format!("campaign:{name}"));
            if let (Some(release), true) = (&scenario.release, plan.pivot > 0.0) {
                let release = time(self.start, (release.day * 86_400_000.0) as u64);
                let lag =
                    side.and_then(|side| side.pivot).map(|at| f64::from(at.hours_since(release)));
                outcome.pivots.insert(name.clone(), lag);
            }
            outcome.campaigns.insert(name, Spent { planned: plan.exchanges, opened, lost });
        }
        outcome.baselines = self.baselines.map(|baselines| baselines.told()).unwrap_or_default();
        outcome.report.close();
        outcome.digest = self.hash.finalize().to_string();
        outcome
    }
}
