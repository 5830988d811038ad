//! Honest traffic: accounts with people or programs behind them, one after the other in time.
//!
//! Nothing honest reacts to a verdict, so this stream is the same whatever the engine does. Each
//! account is a few dozen bytes: what it says next is computed from its seed when it is due.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::card::{self, Card};
use super::scenario::{Honest, Scenario, days};
use super::sizes::{self, AGENT_OUT, CHAT_IN, CHAT_OUT, CODE_IN, CODE_OUT};
use super::{Sent, Truth, Turned};
use crate::lab::material::{Call, Cohort, Corpus, Persona};
use crate::lab::rng::Rng;

/// All honest accounts, and when each is due.
#[derive(Debug)]
pub struct Crowd {
    scenario: Arc<Scenario>,
    corpus: Option<Arc<Corpus>>,
    seats: Vec<Seat>,
    due: BinaryHeap<Reverse<(u64, u32)>>,
    root: Rng,
    length: u64,
}

#[derive(Clone, Copy, Debug)]
struct Seat {
    class: u16,
    turn: u8,
    number: u32,
    conversation: u32,
    /// Conversations left in this session.
    left: u16,
    released: bool,
    /// When it first works; the group's for a group.
    first: u64,
    per_day: f32,
}

impl Crowd {
    pub fn new(scenario: &Arc<Scenario>, seed: u64, corpus: Option<Arc<Corpus>>) -> Self {
        let (scenario, length) = (Arc::clone(scenario), scenario.length());
        let root = Rng::new(seed).split(0x40e5);
        let (seats, due) = (Vec::new(), BinaryHeap::new());
        let mut crowd = Self { scenario, corpus, seats, due, root, length };
        for class in 0..crowd.scenario.honest.len() {
            (0..crowd.scenario.honest[class].accounts).for_each(|number| crowd.open(class, number));
        }
        crowd
    }

    fn open(&mut self, at: usize, number: usize) {
        let class = &self.scenario.honest[at];
        let (own, group) = streams(&self.root, (at, number), class);
        let mut rng = own.split(2);
        let mut begins = if class.group > 0 { group.split(2) } else { rng.split(9) };
        // The card draws the same: who is fresh there starts late here.
        let fresh = own.split(1).chance(class.fresh) || class.meetings > 0;
        let first = if fresh { begins.unit() * 0.9 * self.length as f64 } else { 0.0 } as u64;
        let per_day = rng.log_normal(class.per_day, class.spread).min(2_000.0) as f32;
        let mut seat = Seat {
            class: at as u16,
            turn: 0,
            number: number as u32,
            conversation: 0,
            left: 0,
            released: false,
            first,
            per_day,
        };
        let id = self.seats.len() as u32;
        if let Some(at) = self.session(&mut seat, first, &mut rng) {
            self.due.push(Reverse((at, id)));
        }
        self.seats.push(seat);
    }

    /// When the next session begins, if there is one.
    fn session(&self, seat: &mut Seat, now: u64, rng: &mut Rng) -> Option<u64> {
        let class = &self.scenario.honest[usize::from(seat.class)];
        // Geometric around the mean.
        let more = 1.0 - 1.0 / class.session.max(1.0);
        seat.left = 0;
        while seat.left < 2_000 && rng.chance(more) {
            seat.left += 1;
        }
        let at = if class.meetings > 0 {
            meeting(class, seat.first, now, rng)?
        } else {
            let zone = (!class.machine).then(|| self.zone(seat));
            now + sizes::gap(now, f64::from(seat.per_day), zone, rng)
        };
        let release = self.scenario.release.as_ref().map(|release| days(release.day));
        let soon = release.map(|at| at + (rng.unit() * 6.0 * 3_600_000.0) as u64);
        match soon.filter(|soon| class.on_release && !seat.released && at > *soon && now < *soon) {
            Some(soon) => {
                seat.released = true;
                seat.left = seat.left.saturating_mul(3).max(60);
                Some(soon)
            }
            None => Some(at),
        }
    }

    fn zone(&self, seat: &Seat) -> u32 {
        (self.root.split(u64::from(seat.number) ^ 0x20e).draw() % 24) as u32
    }

    fn card(&self, seat: &Seat) -> Card {
        let class = &self.scenario.honest[usize::from(seat.class)];
        let number = seat.number as usize;
        let (own, group) = streams(&self.root, (usize::from(seat.class), number), class);
        let first = self.scenario.start as f64 + seat.first as f64 / 1000.0;
        let mut card = card::honest(class, (number, first), (&own, &group));
        card.attributes = card.attributes.filter(|_| self.scenario.provisioning);
        card
    }

    fn cohort(&self, seat: &Seat) -> Cohort {
        let class = &self.scenario.honest[usize::from(seat.class)];
        let asks = &class.asks;
        asks.get(seat.number as usize % asks.len().max(1)).copied().unwrap_or(Cohort::Chat)
    }

    /// Adoption of a new model: an eighth on the first day, half within a week.
    fn model(&self, at: u64, own: &Rng) -> &str {
        let mut rng = own.split(8);
        let adopts = rng.log_normal(6.0, 1.5);
        match &self.scenario.release {
            Some(release) if at >= days(release.day + adopts) => &release.model,
            _ if rng.chance(0.35) => "small-1",
            _ => &self.scenario.model,
        }
    }

    fn say(&self, seat: &Seat, at: u64) -> (Sent, bool) {
        let class = &self.scenario.honest[usize::from(seat.class)];
        let place = (usize::from(seat.class), seat.number as usize);
        let (own, _) = streams(&self.root, place, class);
        let cohort = self.cohort(seat);
        // Who shares a product's code asks from one seed: traits are the account's own.
        let persona = Persona::new(cohort, own.split(3)).reading(self.corpus.clone());
        let talk = persona.conversation_at(u64::from(seat.conversation));
        let mut turned = Turned::at(talk, own.split(u64::from(seat.conversation) + 77), seat.turn);
        turned.call.model = self.model(at, &own).to_owned();
        let mut rng = own.split(4).split(u64::from(seat.conversation) << 8 | u64::from(seat.turn));
        let (input, output) = tokens(cohort, &turned, &mut rng);
        taste(cohort, &mut turned.call, &own);
        let end_user =
            (class.end_users > 0).then(|| format!("user-{}", rng.zipf(class.end_users as usize)));
        let sent = Sent {
            at,
            id: rng.draw(),
            card: Arc::new(self.card(seat)),
            call: turned.call,
            reply: turned.reply,
            end_user,
            tokens: (input, output),
            truth: Truth { campaign: None, class: class.class.clone() },
        };
        (sent, turned.more)
    }
}

impl Iterator for Crowd {
    type Item = Sent;

    fn next(&mut self) -> Option<Sent> {
        let Reverse((at, id)) = self.due.pop().filter(|Reverse((at, _))| *at < self.length)?;
        let mut seat = self.seats[id as usize];
        let (sent, more) = self.say(&seat, at);
        let class = &self.scenario.honest[usize::from(seat.class)];
        let mut rng = Rng::new(sent.id);
        let pause = |rng: &mut Rng| rng.log_normal(class.pause, 0.9).max(0.3) * 1000.0;
        let busy = sent.latency();
        let next = if more {
            seat.turn += 1;
            // A tool's result comes back at once.
            let wait = if sent.reply.calls.is_empty() { pause(&mut rng) } else { 800.0 };
            Some(at + busy + wait as u64)
        } else {
            (seat.turn, seat.conversation) = (0, seat.conversation + 1);
            if seat.left > 0 {
                seat.left -= 1;
                Some(at + busy + pause(&mut rng) as u64)
            } else {
                self.session(&mut seat, at + busy, &mut rng)
            }
        };
        self.due.extend(next.map(|next| Reverse((next, id))));
        self.seats[id as usize] = seat;
        Some(sent)
    }
}

/// The streams of one account and of its group.
fn streams(root: &Rng, (class, number): (usize, usize), plan: &Honest) -> (Rng, Rng) {
    let class = root.split(class as u64 + 1);
    let group = number.checked_div(plan.group).map_or(0, |group| group + 1);
    (class.split(number as u64 + 1), class.split((group as u64) << 40))
}

/// The next meeting after `now`: at one hour of the day, some minutes apart.
fn meeting(class: &Honest, first: u64, now: u64, rng: &mut Rng) -> Option<u64> {
    let day = 86_400_000;
    let hour = 8 + first / 1000 % 9;
    let past = now.saturating_sub(first).div_ceil(day);
    let next = (past..u64::from(class.meetings)).find(|_| rng.chance(0.85))?;
    let begins = (first / day + next + 1) * day + hour * 3_600_000;
    Some(begins + (rng.unit() * 5_400_000.0) as u64)
}

/// Parameters that people's software leaves to them: campaigns set none that nobody else does.
fn taste(cohort: Cohort, call: &mut Call, own: &Rng) {
    use Cohort::{Agent, Chat, Coding, Pasting, Product, Tutor};
    if matches!(cohort, Agent | Chat | Coding | Pasting | Product | Tutor) {
        let mut rng = own.split(12);
        call.max_tokens = [512, 1024, 2048, 4096, 4096, 8192][rng.below(6)];
        call.temperature = [None, None, Some(1.0), Some(1.0), Some(0.7), Some(0.2)][rng.below(6)];
    }
}

fn tokens(cohort: Cohort, turned: &Turned, rng: &mut Rng) -> (u32, u32) {
    let text = turned.call.length() / 4 + 8;
    let (context, output) = match cohort {
        Cohort::Coding => (CODE_IN.draw(rng), CODE_OUT.draw(rng)),
        Cohort::Agent => (text, AGENT_OUT.draw(rng)),
        Cohort::Chat | Cohort::Product | Cohort::Rag | Cohort::Classroom | Cohort::Tutor => {
            (CHAT_IN.draw(rng), CHAT_OUT.draw(rng))
        }
        _ => (text, turned.reply.text.len() as u32 / 4),
    };
    // Attachments and history that the text stands for are counted, not written out.
    (text.max(context), output.min(turned.call.max_tokens).max(1))
}
