//! B7: one scaffold, and something new in it every time.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::changes::{Changed, Changes};
use super::exchange::Ask;
use super::registry::{Ended, Family, Signal, Spec};
use super::shelf::{Entries, Kept, Shelf, Shelved};
use crate::time::Shift;

pub(super) struct Scaffold;

impl Signal for Scaffold {
    const SPEC: Spec = Spec {
        id: "B7",
        name: "scaffold",
        family: Family::B,
        says: "fills one template with something new in every request",
        lookalike: "retrieval apps, whose questions repeat; batches of classification and ETL",
        weight: 0.8,
        half_life: 24.0,
        // Public traces: a fifth to a third of API clients send input of near-constant length, and
        // all requests of one product may share their first 512 tokens. Those who never repeat a
        // question, nor one that others ask, are fewer; taken as a third of them for a loose template, a
        // tenth for a tight one.
        tail: &[(0.4, 0.1), (0.6, 0.07), (0.8, 0.05), (0.95, 0.03)],
    };

    type Params = Params;
    type Account = Common;
    type Fleet = Askers;

    /// The share of the user turns that is template; nothing to say where turns repeat, be it on
    /// this account or over the fleet: who deals out work does not pay twice for one answer, while
    /// classes, evaluations and the users of one product do ask the same.
    fn learn(
        params: &Params,
        ended: &Ended<'_>,
        account: &mut Common,
        fleet: &Askers,
    ) -> Option<f32> {
        let common = account.take(fleet.asked_elsewhere(&ended.exchange.ask));
        let novelty = ended.habits.novelty(params.at_least)?;
        let scaffold = ended.habits.scaffold()?;
        let new = novelty >= params.novelty && common <= params.common;
        Some(if new { scaffold } else { 0.0 })
    }
}

/// The share of an account's turns that other accounts have asked too; forgets as it goes.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(super) struct Common(f32);

impl Common {
    /// Turns the share reaches back.
    const MEMORY: f32 = 32.0;

    fn take(&mut self, asked_elsewhere: bool) -> f32 {
        self.0 += (f32::from(u8::from(asked_elsewhere)) - self.0) / Self::MEMORY;
        self.0
    }
}

impl Kept for Common {}

/// Who asked each turn last: a table in which a turn replaces whatever has its place. What is lost
/// by that only makes a repeated turn look new.
#[derive(Debug)]
pub(super) struct Askers {
    turns: Box<[AtomicU64]>,
    changes: Changes<u32>,
}

/// Turns remembered, 8 bytes each: some minutes of a busy fleet, days of a small one.
const TURNS: usize = 1 << 20;

impl Default for Askers {
    fn default() -> Self {
        let turns = (0..TURNS).map(|_| AtomicU64::new(0)).collect();
        Self { turns, changes: Changes::new(TURNS) }
    }
}

impl Askers {
    /// Whether another account asked this turn last; from now on this one did.
    fn asked_elsewhere(&self, ask: &Ask) -> bool {
        let last = ask.prompt.last.0;
        if last == 0 {
            return false;
        }
        // Half of each word tells the turn, half the asker.
        let turn = last & 0xffff_ffff_0000_0000;
        let asker = ask.caller.account.0.iter().take(4).fold(0, |id, &b| id << 8 | u64::from(b));
        let place = last as usize % TURNS;
        let before = self.turns[place].swap(turn | asker, Relaxed);
        self.changes.note(place as u32, last);
        before & 0xffff_ffff_0000_0000 == turn && before != turn | asker
    }
}

impl Shelved for Askers {
    fn shelf(&self) -> Option<&dyn Shelf> {
        Some(self)
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

impl Askers {
    fn tell(&self, place: u32, out: &mut Entries<'_>) {
        let turn = self.turns[place as usize].load(Relaxed);
        if turn != 0 {
            out(&place.to_le_bytes(), &turn.to_le_bytes());
        }
    }
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "ScaffoldParams")]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Requests before the account's habits mean anything.
    pub at_least: u32,
    /// Share of turns that must not have been seen before.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub novelty: f32,
    /// Share of turns that other accounts may have asked too.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub common: f32,
}

impl Default for Params {
    fn default() -> Self {
        Self { at_least: 8, novelty: 0.98, common: 0.1 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{Around, CHAT, SUBJECTS, exchange, filled, user};
    use super::*;

    fn says(texts: impl IntoIterator<Item = String>) -> Option<f32> {
        asks(&Askers::default(), 1, texts)
    }

    fn asks(fleet: &Askers, who: u8, texts: impl IntoIterator<Item = String>) -> Option<f32> {
        let (mut around, mut last, mut common) = (Around::default(), None, Common::default());
        for text in texts {
            let ended = exchange(who, 0, user(&text));
            around.habits.take(&ended);
            last = Scaffold::learn(&Params::default(), &around.ended(&ended), &mut common, fleet);
        }
        last
    }

    #[test]
    fn a_template_with_new_fillings_is_seen() {
        assert!(says(SUBJECTS.map(filled)) > Some(0.6));
        assert_eq!(says(SUBJECTS[..5].iter().map(|subject| filled(subject))), None);
    }

    #[test]
    fn a_template_filled_with_what_everybody_asks_is_not() {
        let fleet = Askers::default();
        assert!(asks(&fleet, 1, SUBJECTS.map(filled)) > Some(0.6), "the first to ask");
        assert_eq!(asks(&fleet, 2, SUBJECTS.map(filled)), Some(0.0));
        assert_eq!(asks(&fleet, 3, SUBJECTS.map(filled)), Some(0.0));
    }

    #[test]
    fn repeated_questions_and_plain_chat_are_not() {
        let repeating = (0..20).map(|n| filled(SUBJECTS[n % 7]));
        assert_eq!(says(repeating), Some(0.0));
        assert!(says(CHAT.map(str::to_owned)) < Some(0.1));
    }
}
