//! The account pool of one campaign: whose turn it is, who rests, who is gone, who takes the place.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::scenario::Plan;
use crate::lab::rng::Rng;

/// Round robin over slots. A slot is a place in the relay's list; accounts come and go in it.
#[derive(Debug)]
pub(super) struct Pool {
    slots: Vec<Slot>,
    /// In line, with the slot's epoch at that time: an entry of an earlier one is void.
    ready: VecDeque<(u32, u32)>,
    /// Slots that may not be used before a time.
    resting: BinaryHeap<Reverse<(u64, u32, u32)>>,
    /// Accounts taken into use so far, and those there are.
    minted: u32,
    accounts: u32,
    lost: u32,
    /// Accounts that could be used now.
    working: u32,
    life: f64,
    replacement: u64,
    uneven: bool,
    rng: Rng,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) account: u32,
    /// When the account was taken into use, in milliseconds.
    pub(super) born: u64,
    used: u32,
    life: u32,
    /// Share of turns it takes when they are its.
    weight: f32,
    queued: bool,
    epoch: u32,
    strikes: u8,
}

/// Cool-down of relay software after a 429, in milliseconds.
const COOL_DOWN: u64 = 5 * 60_000;

/// Challenges after which a relay takes an account for lost.
const STRIKES: u8 = 2;

/// Slots looked at for one that wants its turn.
const LOOKS: usize = 64;

impl Pool {
    /// `ramp` is how long it takes until all of the first accounts work.
    pub(super) fn new(plan: &Plan, (start, ramp): (u64, u64), rng: Rng) -> Self {
        let life = plan.exchanges as f64 / (1.0 - plan.unrelated).max(0.05);
        let mut pool = Self {
            slots: Vec::with_capacity(plan.at_once),
            ready: VecDeque::new(),
            resting: BinaryHeap::new(),
            minted: 0,
            accounts: plan.accounts as u32,
            lost: 0,
            working: 0,
            life: life / plan.accounts.max(1) as f64 * 1.1,
            replacement: (plan.replacement * 3_600_000.0) as u64,
            uneven: plan.uneven,
            rng,
        };
        for slot in 0..plan.at_once as u32 {
            let from = start + (pool.rng.unit() * ramp as f64) as u64;
            if let Some(fresh) = pool.mint(from) {
                pool.slots.push(fresh);
                pool.resting.push(Reverse((from, slot, 0)));
            }
        }
        pool
    }

    fn mint(&mut self, born: u64) -> Option<Slot> {
        let account = self.minted;
        self.minted += u32::from(account < self.accounts);
        let weight = if self.uneven { self.rng.log_normal(0.15, 1.0).min(1.0) } else { 1.0 } as f32;
        let life = (self.life * (0.8 + 0.4 * self.rng.unit())).max(4.0) as u32;
        let fresh =
            Slot { account, born, used: 0, life, weight, queued: false, epoch: 0, strikes: 0 };
        (account < self.accounts).then_some(fresh)
    }

    pub(super) fn slot(&self, slot: u32) -> &Slot {
        &self.slots[slot as usize]
    }

    /// The slot whose turn it is; `wanted` before all others if it can be used.
    pub(super) fn pick(&mut self, now: u64, wanted: Option<u32>) -> Option<u32> {
        self.wake(now);
        let wanted = wanted.filter(|slot| self.slots[*slot as usize].queued);
        if let Some(slot) = wanted {
            self.take(slot);
            return Some(slot);
        }
        let mut looks = 0;
        while let Some((slot, epoch)) = self.ready.pop_front() {
            let place = &self.slots[slot as usize];
            if place.epoch != epoch {
                continue;
            }
            let weight = f64::from(place.weight);
            self.ready.push_back((slot, epoch));
            looks += 1;
            if looks == LOOKS || self.rng.chance(weight) {
                self.take(slot);
                return Some(slot);
            }
        }
        None
    }

    fn wake(&mut self, now: u64) {
        while let Some(&Reverse((at, slot, epoch))) = self.resting.peek()
            && at <= now
        {
            self.resting.pop();
            let place = &mut self.slots[slot as usize];
            if place.epoch == epoch {
                place.queued = true;
                self.working += 1;
                self.ready.push_back((slot, epoch));
            }
        }
    }

    fn take(&mut self, slot: u32) {
        self.slots[slot as usize].used += 1;
    }

    /// An answer came: an account whose life is over makes room.
    pub(super) fn served(&mut self, slot: u32, now: u64) {
        let Slot { used, life, .. } = self.slots[slot as usize];
        self.slots[slot as usize].strikes = 0;
        if used >= life && self.minted < self.accounts {
            self.replace(slot, now + 60_000);
        }
    }

    pub(super) fn rest(&mut self, slot: u32, now: u64) {
        let epoch = self.leave(slot);
        self.resting.push(Reverse((now + COOL_DOWN, slot, epoch)));
    }

    /// Takes a slot out of the line, wherever it stands.
    fn leave(&mut self, slot: u32) -> u32 {
        let place = &mut self.slots[slot as usize];
        self.working -= u32::from(place.queued);
        place.queued = false;
        place.epoch += 1;
        place.epoch
    }

    pub(super) fn strike(&mut self, slot: u32, now: u64) {
        let place = &mut self.slots[slot as usize];
        place.strikes += 1;
        if place.strikes >= STRIKES {
            self.ban(slot, now);
        } else {
            self.rest(slot, now);
        }
    }

    pub(super) fn ban(&mut self, slot: u32, now: u64) {
        self.lost += 1;
        self.replace(slot, now + self.replacement);
    }

    fn replace(&mut self, slot: u32, from: u64) {
        let epoch = self.leave(slot);
        if let Some(fresh) = self.mint(from) {
            self.slots[slot as usize] = Slot { epoch, ..fresh };
            self.resting.push(Reverse((from, slot, epoch)));
        }
    }

    /// Accounts that could be used now: the relay spreads its load over these.
    pub(super) const fn working(&self) -> u32 {
        self.working
    }

    pub(super) const fn opened(&self) -> u32 {
        self.minted
    }

    pub(super) const fn lost(&self) -> u32 {
        self.lost
    }

    /// Nobody is left, now or later.
    pub(super) fn is_spent(&self) -> bool {
        self.ready.is_empty() && self.resting.is_empty()
    }
}
