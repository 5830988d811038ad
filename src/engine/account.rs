//! What the engine remembers of one account.

mod kept;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub(super) use self::kept::Saved;
use super::Clearance;
use super::campaign::CampaignId;
use super::cohort::{Cohort, Cohorts, step};
use super::memory::Urgency;
use super::pace::Pace;
use super::score::{Shown, Strengths};
use crate::identity::Tag;
use crate::policy::{Action, Held};
use crate::signal::habits::{MAX_KEYS, TASK};
use crate::signal::{
    self, CATALOGUE, COUNT, Crowd, Ending, Exchange, Family, Habits, Mode, Statistics,
};
use crate::time::Timestamp;

/// One account's memory, under its own lock. At most 1 KiB and a half, pace included.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) cohort: Cohort,
    /// First and last accepted exchange.
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    pub(super) established: bool,
    /// When its crowds were last kept from being forgotten.
    pub(super) kept: Timestamp,
    pub(super) habits: Habits,
    pub(super) memory: signal::Account,
    shown: [Shown; COUNT],
    pub(super) steps: [u8; COUNT],
    /// The crowds it is counted in, and how it is counted there.
    pub(super) keys: Keys,
    pub(super) fired: u8,
    pub(super) counted: Action,
    /// The octave of its exchanges it is counted in.
    pub(super) load: Option<u8>,
    pub(super) held: Held,
    /// When it is to rise to the rung that its score has called for.
    pub(super) rises: Option<Timestamp>,
    pub(super) clearance: Option<Granted>,
    pub(super) score: f32,
    pub(super) pace: Arc<Pace>,
    /// Its part in what the members of a contained campaign share.
    pub(super) share: Option<Arc<Pace>>,
    /// The campaign it is counted in, and whether any of its keys was hot when it last asked.
    pub(super) campaign: Option<CampaignId>,
    pub(super) watched: bool,
    /// Bodies that stillguard refused last and that have not come again.
    refused: [Tag; REFUSED],
    /// What of it is not written down yet.
    pub(super) unwritten: Option<Urgency>,
}

/// Refused requests that may come again at once, unseen a second time.
const REFUSED: usize = 4;

/// A clearance, and the score it was granted at.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Granted {
    pub(super) clearance: Clearance,
    pub(super) score: f32,
}

/// The keys an account is counted under.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Keys {
    tags: [Tag; MAX_KEYS],
    len: u8,
}

impl Keys {
    pub(super) fn as_slice(&self) -> &[Tag] {
        &self.tags[..usize::from(self.len)]
    }

    pub(super) fn contains(&self, key: Tag) -> bool {
        self.as_slice().contains(&key)
    }

    pub(super) fn push(&mut self, key: Tag) {
        if let Some(place) = self.tags.get_mut(usize::from(self.len)) {
            *place = key;
            self.len += 1;
        }
    }
}

/// Strength from which a signal, and so its family, counts as speaking for an account: what at most
/// one honest account in ten shows, or one in a hundred where a single accident looks the same. A
/// share, not nats: a crowd is judged by how many of its members are unusual, whatever weight one
/// member's evidence has.
fn speaks_from(family: Family) -> f32 {
    if family == Family::L { 2.0 / 3.0 } else { 1.0 / 3.0 }
}

/// A score this much above the one it was granted at voids a clearance.
const CLEARANCE_STEP: f32 = 2.0;

impl Account {
    pub(super) fn new(cohort: Cohort, at: Timestamp) -> Self {
        Self {
            cohort,
            first: at,
            last: at,
            established: false,
            kept: at,
            habits: Habits::default(),
            memory: signal::Account::default(),
            shown: [Shown::default(); COUNT],
            steps: [0; COUNT],
            keys: Keys::default(),
            fired: 0,
            counted: Action::Allow,
            load: None,
            held: Held::default(),
            rises: None,
            clearance: None,
            score: f32::NEG_INFINITY,
            pace: Arc::default(),
            share: None,
            campaign: None,
            watched: false,
            refused: [Tag::default(); REFUSED],
            unwritten: None,
        }
    }

    /// Whether this is a client's own retry of what stillguard refused, and so was seen before. The
    /// client's word for it is believed once per refusal and for the very same body.
    pub(super) fn has_seen(&mut self, exchange: &Exchange) -> bool {
        let prompt = &exchange.ask.prompt;
        if prompt.body == Tag::default() {
            return false;
        }
        let place = self.refused.iter().position(|refused| *refused == prompt.body);
        let again = prompt.retry > 0 && place.is_some();
        if exchange.ending == Ending::Refused && place.is_none() {
            self.refused.rotate_right(1);
            self.refused[0] = prompt.body;
        } else if let Some(place) = place.filter(|_| again && exchange.ending != Ending::Refused) {
            self.refused[place] = Tag::default();
        }
        again
    }

    /// Strength of every signal now: what is left of past showings, or what this ask shows.
    pub(super) fn strengths(
        &self,
        now: Timestamp,
        asked: &Statistics,
        cohorts: &Cohorts,
    ) -> Strengths {
        std::array::from_fn(|i| {
            let left = self.shown[i].left(CATALOGUE[i].half_life, now, self.habits.exchanges);
            asked[i].map_or(left, |statistic| left.max(cohorts.strength(self.cohort, i, statistic)))
        })
    }

    /// Remembers what an exchange showed.
    pub(super) fn show(&mut self, now: Timestamp, learnt: &Statistics, cohorts: &Cohorts) {
        for (i, statistic) in learnt.iter().enumerate() {
            let Some(statistic) = *statistic else { continue };
            let strength = cohorts.strength(self.cohort, i, statistic);
            self.shown[i].show(strength, CATALOGUE[i].half_life, now, self.habits.exchanges);
            let step = step(i, statistic);
            if self.established {
                cohorts.shift(self.cohort, i, self.steps[i], step);
            }
            self.steps[i] = step;
        }
    }

    /// The families that speak for it with such strengths, as bits.
    pub(super) fn families(&self, strengths: &Strengths, signals: &signal::Settings) -> u8 {
        let fired = fired(strengths, signals);
        // A room full of new accounts that each pay for themselves, or not at all, is a class, an
        // office or a contest before it is anything else, as long as it asks no more than people do.
        let together = strengths[EGRESS] >= TOGETHER && fired & Family::P.bit() == 0;
        let few = self.habits.exchanges <= TASK;
        let set = few && (together || self.habits.is_set_task());
        if set { fired & OWN_DOING } else { fired }
    }

    /// When the signal at `place` last showed what is still counted of it.
    pub(super) fn shown_at(&self, place: usize) -> Timestamp {
        self.shown[place].at()
    }

    /// Forgets what it has shown and lets go of its rung; what it is and does stays known.
    pub(super) fn absolve(&mut self, now: Timestamp) {
        self.shown = [Shown::default(); COUNT];
        self.held = Held { rung: Action::Allow, since: now };
        self.rises = None;
        self.clearance = None;
        self.score = f32::NEG_INFINITY;
    }

    /// Becomes established: from now on it helps to say what is normal. True when it just did.
    pub(super) fn settle(&mut self, exchange: &Exchange, after_days: u16, learning: bool) -> bool {
        self.last = exchange.ended.max(self.last);
        // An account under suspicion does not ripen, nor does any while suspicions may be forgotten.
        let ripe = self.last.hours_since(self.first) >= f32::from(after_days) * 24.0
            && self.held.rung == Action::Allow
            && !learning;
        let standing = exchange.ask.caller.attributes.standing(self.last, after_days);
        if self.established || !standing.unwrap_or(ripe) {
            return false;
        }
        self.established = true;
        true
    }

    /// Counts an established account among those that say what is normal.
    pub(super) fn enter(&self, cohorts: &Cohorts) {
        cohorts.enter(self.cohort);
        for (i, step) in self.steps.iter().enumerate() {
            cohorts.shift(self.cohort, i, 0, *step);
        }
    }

    /// Enters its part, but for the one that [`Crowds::join`](signal::Crowds::join) enters, into a
    /// crowd it joins.
    pub(super) fn add_to(&self, crowd: &mut Crowd) {
        crowd.aged += u32::from(self.established);
        crowd.rungs[self.counted.index()] += 1;
        if let Some(octave) = self.load {
            crowd.loads[usize::from(octave)] += 1;
        }
        for family in speaking(self.fired) {
            crowd.fired[family.index()] += 1;
        }
    }

    /// Takes its part out of a crowd it leaves.
    pub(super) fn take_from(&self, crowd: &mut Crowd) {
        let less = |count: &mut u32, by: u32| *count = count.saturating_sub(by);
        less(&mut crowd.members, 1);
        less(&mut crowd.aged, u32::from(self.established));
        less(&mut crowd.rungs[self.counted.index()], 1);
        if let Some(octave) = self.load {
            less(&mut crowd.loads[usize::from(octave)], 1);
        }
        for family in speaking(self.fired) {
            less(&mut crowd.fired[family.index()], 1);
        }
    }

    /// Whether a standing clearance lets it past a challenge; uses up one request of it.
    pub(super) fn pass(&mut self, now: Timestamp, score: f32) -> bool {
        let Some(granted) = &mut self.clearance else { return false };
        let valid = granted.clearance.until > now
            && granted.clearance.requests > 0
            && score <= granted.score.max(0.0) + CLEARANCE_STEP;
        if valid {
            granted.clearance.requests -= 1;
        } else {
            self.clearance = None;
        }
        valid
    }
}

/// Weight below which a signal is too weak to speak for a member of a crowd, however rare what it
/// sees: what a template or a client's software says of all of its users.
const WEAK: f32 = 0.65;

/// The families of strengths that speak, as bits.
fn fired(strengths: &Strengths, signals: &signal::Settings) -> u8 {
    let heard = CATALOGUE.iter().zip(signals.knobs()).zip(strengths);
    let speaks = heard.filter(|((spec, (mode, _)), strength)| {
        *mode == Mode::On && spec.weight >= WEAK && **strength >= speaks_from(spec.family)
    });
    speaks.fold(0, |bits, ((spec, _), _)| bits | spec.family.bit())
}

/// The families that speak for an account though it was set a task along with others. What it asks,
/// how, how often and in which words is the task's then: it says nothing of the crowd.
const OWN_DOING: u8 = Family::P.bit() | Family::N.bit() | Family::L.bit() | Family::X.bit();

/// The place of N1.
const EGRESS: usize = {
    let mut place = 0;
    while !matches!(CATALOGUE[place].id.as_bytes(), b"N1") {
        place += 1;
    }
    place
};

/// Strength of N1 from which an account is in company: what one honest account in five shows.
const TOGETHER: f32 = 0.23;

/// The families of a set of bits.
pub(super) fn speaking(bits: u8) -> impl Iterator<Item = Family> {
    Family::ALL.into_iter().filter(move |family| bits & family.bit() != 0)
}
