//! What many accounts ask: the same homework, the same benchmark, the same popular question.
//!
//! Who deals out work does not pay many times for one answer.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use serde::{Deserialize, Serialize};

use crate::signal::changes::{Changed, Changes};
use crate::signal::exchange::Ask;
use crate::signal::shelf::{Entries, Shelf};
use crate::time::Shift;

/// Share of an account's tokens from which it counts as set a task, and exchanges up to which it
/// does. A campaign that wants to pass for a class has to pay for half as much again as it gets, and
/// gains forty exchanges by account.
pub(super) const SET: f32 = 1.0 / 3.0;
pub const TASK: u32 = 40;

/// The share of an account's tokens that went to popular turns; forgets as it goes.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct Common {
    pub(super) share: f32,
    /// Tokens, decayed, and those of popular turns.
    asked: f32,
    popular: f32,
}

/// Turns the share reaches back, and those of its own that every account is given to start with.
const MEMORY: f32 = 32.0;
const BENEFIT: f32 = 2.0;

impl Common {
    pub(super) fn take(&mut self, popular: bool, tokens: u32) {
        let (keep, tokens) = (1.0 - 1.0 / MEMORY, tokens.max(1) as f32);
        self.asked = self.asked * keep + tokens;
        self.popular = self.popular * keep + if popular { tokens } else { 0.0 };
        self.share = self.popular / (self.asked + BENEFIT * tokens);
    }
}

/// Who asked each turn last, and how often the asker changed: a table in which a turn replaces
/// whatever has its place. What is lost by that only makes a popular turn look new.
#[derive(Debug)]
pub struct Askers {
    turns: Box<[AtomicU64]>,
    changes: Changes<u32>,
}

/// Turns remembered, 8 bytes each: some minutes of a busy fleet, days of a small one.
const TURNS: usize = 1 << 20;

/// Changes of the asker from which a turn is popular. Who deals out work may well buy a few answers to
/// one question, to keep the best.
const POPULAR: u64 = 6;

/// Half of each word tells the turn, a quarter each the asker and how often it changed.
const TURN: u64 = 0xffff_ffff_0000_0000;
const ASKER: u64 = 0xffff_0000;
const CHANGES: u64 = 0xffff;

impl Default for Askers {
    fn default() -> Self {
        let turns = (0..TURNS).map(|_| AtomicU64::new(0)).collect();
        Self { turns, changes: Changes::new(TURNS) }
    }
}

impl Askers {
    /// Whether many accounts have asked this turn; from now on this one did, too.
    pub(super) fn is_popular(&self, ask: &Ask) -> bool {
        let last = ask.prompt.last.0;
        if last == 0 {
            return false;
        }
        let [high, low, ..] = ask.caller.account.0;
        let asker = u64::from(u16::from_be_bytes([high, low])) << 16;
        let number = last as usize % TURNS;
        let place = &self.turns[number];
        let before = place.load(Relaxed);
        let known = before & TURN == last & TURN;
        let changed = known && before & ASKER != asker;
        let changes = if known { (before & CHANGES) + u64::from(changed) } else { 0 };
        // Two who ask at once may be counted as one: that changes little.
        place.store(last & TURN | asker | changes.min(CHANGES), Relaxed);
        self.changes.note(number as u32, last);
        changes >= POPULAR
    }

    pub fn shelf(&self) -> &dyn Shelf {
        self
    }

    fn tell(&self, place: u32, out: &mut Entries<'_>) {
        let turn = self.turns[place as usize].load(Relaxed);
        if turn != 0 {
            out(&place.to_le_bytes(), &turn.to_le_bytes());
        }
    }
}

impl Shelf for Askers {
    fn watch(&self) {
        self.changes.watch();
    }

    fn changed(&self, out: &mut Entries<'_>) {
        let Changed::Keys(places) = self.changes.take() else { return self.all(out) };
        places.into_iter().for_each(|place| self.tell(place, out));
    }

    fn all(&self, out: &mut Entries<'_>) {
        (0..TURNS as u32).for_each(|place| self.tell(place, out));
    }

    fn recall(&self, place: &[u8], turn: &[u8], _: Shift) -> bool {
        let place = place.try_into().map(u32::from_le_bytes).map(|place| place as usize);
        let turn = turn.try_into().map(u64::from_le_bytes);
        let place = place.ok().and_then(|place| self.turns.get(place));
        let (Some(place), Ok(turn)) = (place, turn) else { return false };
        place.store(turn, Relaxed);
        true
    }

    fn waiting(&self) -> usize {
        self.changes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(turns: impl IntoIterator<Item = (bool, u32)>) -> f32 {
        let mut common = Common::default();
        turns.into_iter().for_each(|(popular, tokens)| common.take(popular, tokens));
        common.share
    }

    #[test]
    fn a_class_is_set_its_task_and_small_talk_is_no_task() {
        let class = (0..8).map(|n| (n % 4 > 0, 120));
        assert!(after(class) >= SET);
        let padded = (0..30).map(|n| if n % 2 == 0 { (true, 8) } else { (false, 400) });
        assert!(after(padded) < 0.05, "paid for in tokens, not in turns");
        assert!(after([(true, 100)]) <= SET, "one question in common is no task");
    }
}
