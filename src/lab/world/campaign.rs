//! One campaign: a queue of tasks, a relay that spreads them over a pool, and its answer to refusals.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use super::card::{self, Card};
use super::pool::Pool;
use super::scenario::{Plan, Scenario, days};
use super::{Fate, Sent, Truth, Turned, latency, sizes};
use crate::lab::material::{Cohort, Corpus, Persona, Tasks, Wording};
use crate::lab::rng::Rng;

/// What a request of a campaign's account is for.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    Harvest,
    /// An unrelated customer's, resold.
    Unrelated,
}

/// The texts of a campaign: a function of kind, number and turn, whoever sends them.
#[derive(Clone, Debug)]
pub struct Queue {
    tasks: Tasks,
    corpus: Option<Arc<Corpus>>,
    wordings: u64,
    rng: Rng,
}

/// A request on its way: the `turn`th of a task, on an account.
#[derive(Clone, Copy, Debug)]
pub struct Dispatch {
    pub at: u64,
    pub kind: Kind,
    pub task: u64,
    pub turn: u8,
    pub account: u32,
    slot: u32,
    tries: u8,
    offered: bool,
    /// When the account was taken into use.
    born: u64,
}

impl Dispatch {
    /// The first attempt at this turn, not the same once more elsewhere.
    pub const fn is_first(&self) -> bool {
        !self.offered
    }
}

/// One campaign at work.
#[derive(Debug)]
pub struct Hydra {
    pub plan: Plan,
    pool: Pool,
    /// Turns and repeats that are due later.
    later: BinaryHeap<Reverse<(u64, u64, Later)>>,
    /// The next new task.
    fresh: u64,
    tasks: [u64; 2],
    sent: u64,
    order: u64,
    start: u64,
    length: u64,
    epoch: f64,
    provisioning: bool,
    release: Option<(u64, String)>,
    model: String,
    root: Rng,
    rng: Rng,
    cards: BTreeMap<u32, Arc<Card>>,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Later {
    kind: Kind,
    task: u64,
    turn: u8,
    tries: u8,
    /// It has been sent before, and was refused.
    offered: bool,
    /// The slot that had the turn before.
    slot: u32,
}

/// Attempts at one turn.
const TRIES: u8 = 4;

/// Cards kept at hand; they can be drawn anew.
const CARDS: usize = 40_000;

impl Queue {
    fn new(plan: &Plan, rng: &Rng, corpus: Option<Arc<Corpus>>) -> Self {
        let mut tasks =
            Tasks::new(&plan.harvest, plan.wording, rng.split(2)).reading(corpus.clone());
        tasks.stripped = plan.stripped;
        let wordings = if plan.wordings == 0 { plan.at_once } else { plan.wordings } as u64;
        Self { tasks, corpus, wordings: wordings.max(1), rng: rng.split(4) }
    }

    /// The `turn`th turn of task `number`.
    pub fn turn(&self, kind: Kind, number: u64, turn: u8) -> Turned {
        let talk = match kind {
            Kind::Harvest => self.tasks.conversation(number, number % self.wordings),
            Kind::Unrelated => {
                let mut rng = self.rng.split(number * 2 + 1);
                let cohort =
                    [Cohort::Chat, Cohort::Chat, Cohort::Coding, Cohort::Product][rng.below(4)];
                // Some hundred customers of a reseller, each with habits of its own.
                let customer = Persona::new(cohort, self.rng.split(rng.below(400) as u64 * 2));
                customer.reading(self.corpus.clone()).conversation_at(number)
            }
        };
        let stripped = kind == Kind::Harvest && self.tasks.stripped;
        let mut turned = Turned::at(talk, self.rng.split(number ^ (kind as u64) << 60), turn);
        turned.more &= !stripped;
        if kind == Kind::Harvest {
            // The pipeline's own taste, among those that anybody's software has.
            let mut taste = self.rng.split(0x7a57e);
            turned.call.max_tokens = [2048, 4096, 8192][taste.below(3)];
            turned.call.temperature = [None, Some(1.0), Some(0.7)][taste.below(3)];
        }
        turned
    }

    /// Input and output tokens of a turn: pipelines ask little and take much.
    pub fn tokens(&self, kind: Kind, number: u64, turned: &Turned) -> (u32, u32) {
        let mut rng = self.rng.split(number.wrapping_mul(7) + u64::from(turned.more) + 5);
        let text = turned.call.length() / 4 + 8;
        if kind == Kind::Unrelated || self.tasks.wording == Wording::Users {
            return (text.max(sizes::CHAT_IN.draw(&mut rng)), sizes::CHAT_OUT.draw(&mut rng));
        }
        let out = if turned.reply.calls.is_empty() { 700.0 } else { 120.0 };
        (text, rng.log_normal(out, 0.6).clamp(20.0, f64::from(turned.call.max_tokens)) as u32)
    }
}

impl Hydra {
    /// The campaign and the texts it sends.
    pub fn new(
        scenario: &Scenario,
        number: usize,
        (seed, corpus): (u64, Option<Arc<Corpus>>),
    ) -> (Self, Queue) {
        let plan = scenario.campaigns[number].clone();
        let root = Rng::new(seed).split(0xca3).split(number as u64 + 1);
        let start = days(plan.start_day);
        let begins = if plan.aged { 0 } else { start };
        let ramp = 12 * 3_600_000;
        let hydra = Self {
            pool: Pool::new(&plan, (begins, ramp), root.split(6)),
            later: BinaryHeap::new(),
            fresh: begins,
            tasks: [0; 2],
            sent: 0,
            order: 0,
            start,
            length: scenario.length(),
            epoch: scenario.start as f64,
            provisioning: scenario.provisioning,
            release: scenario.release.as_ref().map(|new| (days(new.day), new.model.clone())),
            model: scenario.model.clone(),
            rng: root.split(8),
            cards: BTreeMap::new(),
            plan,
            root,
        };
        let queue = Queue::new(&hydra.plan, &hydra.root, corpus);
        (hydra, queue)
    }

    /// When it sends next, if it goes on at all.
    pub fn due(&self) -> Option<u64> {
        let later = self.later.peek().map(|Reverse((at, ..))| *at);
        let fresh = (self.sent < self.plan.exchanges).then_some(self.fresh);
        let due = later.into_iter().chain(fresh).min()?;
        (due < self.length && !self.pool.is_spent()).then_some(due)
    }

    /// Sends what is due; none where no account can be had at that time.
    pub fn send(&mut self) -> Option<Dispatch> {
        let at = self.due()?;
        let turned = self.later.peek().is_some_and(|Reverse((later, ..))| *later <= at);
        let later =
            if turned { self.later.pop().map(|Reverse((_, _, later))| later) } else { None };
        let next = match later {
            Some(later) => later,
            None => self.task(at),
        };
        let wanted = self.wanted(&next);
        let Some(slot) = self.pool.pick(at, wanted) else {
            self.wait(at, next, turned);
            return None;
        };
        let Later { kind, task, turn, tries, offered, .. } = next;
        if !turned {
            self.tasks[kind as usize] += 1;
        }
        self.sent += u64::from(kind == Kind::Harvest && !offered);
        let place = self.pool.slot(slot);
        let (account, born) = (place.account, place.born);
        Some(Dispatch { at, kind, task, turn, account, slot, tries, offered, born })
    }

    fn task(&mut self, at: u64) -> Later {
        let early = at < self.start;
        let unrelated = early || self.rng.chance(self.plan.unrelated);
        let kind = if unrelated { Kind::Unrelated } else { Kind::Harvest };
        // In its quiet time an aged account is used once a day. Load goes with the accounts at work:
        // a relay that keeps its pace per account loses what refusals cost it.
        let working = f64::from(self.pool.working()).max(self.plan.at_once as f64 / 20.0).max(1.0);
        let per_day = if early { 1.0 } else { self.plan.per_day } * working;
        let gap = if self.plan.day_night || early {
            sizes::gap(at, per_day, Some(3), &mut self.rng)
        } else {
            // A worker's loop: as regular as the answers are long.
            (86_400_000.0 / per_day * (0.85 + 0.3 * self.rng.unit())) as u64
        };
        self.fresh = at + gap.max(1);
        Later {
            kind,
            task: self.tasks[kind as usize],
            turn: 0,
            tries: 0,
            offered: false,
            slot: u32::MAX,
        }
    }

    /// Rotating wordings belong to slots where every account has its own.
    fn wanted(&self, next: &Later) -> Option<u32> {
        let own = self.plan.wording == Wording::Rotated && self.plan.wordings == 0;
        let own = own && next.kind == Kind::Harvest && next.tries == 0;
        let kept = (self.plan.affinity && next.turn > 0).then_some(next.slot);
        let own = own.then(|| (next.task % self.plan.at_once.max(1) as u64) as u32);
        kept.or(own).filter(|slot| *slot != u32::MAX)
    }

    fn wait(&mut self, at: u64, next: Later, turned: bool) {
        if turned && next.tries + 1 < TRIES {
            self.put(at + 30_000, Later { tries: next.tries + 1, ..next });
        }
    }

    fn put(&mut self, at: u64, later: Later) {
        self.order += 1;
        self.later.push(Reverse((at, self.order, later)));
    }

    /// What became of a dispatch. `more`: its task has another turn; `output`: tokens of the answer.
    pub fn met(&mut self, sent: &Dispatch, fate: Fate, (more, output): (bool, u32)) {
        let Dispatch { at, kind, task, turn, slot, tries, .. } = *sent;
        let next = Later { kind, task, turn, tries: tries + 1, offered: true, slot };
        match fate {
            Fate::Served => {
                self.pool.served(slot, at);
                if more {
                    let think = 300 + self.rng.below(2_500) as u64;
                    self.put(
                        at + latency(output) + think,
                        Later { turn: turn + 1, tries: 0, offered: false, ..next },
                    );
                }
                return;
            }
            Fate::Slowed => self.pool.rest(slot, at),
            Fate::Challenged => self.pool.strike(slot, at),
            Fate::Banned => self.pool.ban(slot, at),
        }
        if self.plan.failover && next.tries < TRIES {
            let soon = at + 500 + self.rng.below(3_000) as u64;
            self.put(soon, next);
        }
    }

    /// The whole exchange of a dispatch, whose text is `turned`.
    pub fn sent(&mut self, dispatch: &Dispatch, turned: Turned, tokens: (u32, u32)) -> Sent {
        let mut call = turned.call;
        call.model = self.model_at(dispatch).to_owned();
        let class = match dispatch.kind {
            Kind::Harvest => "harvest",
            Kind::Unrelated => "unrelated",
        };
        Sent {
            at: dispatch.at,
            id: self.id(dispatch),
            card: self.card(dispatch),
            call,
            reply: turned.reply,
            end_user: None,
            tokens,
            truth: Truth { campaign: Some(self.plan.name.as_str().into()), class: class.into() },
        }
    }

    /// Names the exchange of a dispatch.
    pub fn id(&self, dispatch: &Dispatch) -> u64 {
        let turn = self.root.split(dispatch.task << 9 | u64::from(dispatch.turn));
        turn.split(u64::from(dispatch.tries) << 8 | dispatch.kind as u64).draw()
    }

    /// The model a dispatch asks for.
    pub fn model_at(&self, dispatch: &Dispatch) -> &str {
        let Some((release, new)) = &self.release else { return &self.model };
        let hours = dispatch.at.saturating_sub(*release) as f64 / 3_600_000.0;
        let moved = self.plan.pivot * (hours / 24.0).min(1.0);
        let mut rng = self.root.split(dispatch.task ^ 0x9170);
        if dispatch.at >= *release && rng.chance(moved) { new } else { &self.model }
    }

    pub fn card(&mut self, dispatch: &Dispatch) -> Arc<Card> {
        if let Some(card) = self.cards.get(&dispatch.account) {
            return Arc::clone(card);
        }
        let born = self.epoch + dispatch.born as f64 / 1000.0;
        let mut card = card::hired(&self.plan, (dispatch.account, born), &self.root);
        card.attributes = card.attributes.filter(|_| self.provisioning);
        if self.cards.len() >= CARDS {
            self.cards.clear();
        }
        let card = Arc::new(card);
        self.cards.insert(dispatch.account, Arc::clone(&card));
        card
    }

    /// Accounts taken into use, and those lost to enforcement.
    pub const fn accounts(&self) -> (u32, u32) {
        (self.pool.opened(), self.pool.lost())
    }
}
