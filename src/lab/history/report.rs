//! What enforcement would have done to whom. Labels are read here, and nowhere before.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::line::Line;
use crate::engine::{About, Campaign, Verdict};
use crate::identity::AccountId;
use crate::lab::replay::BadLine;
use crate::policy::Action;
use crate::signal::Ask;
use crate::time::Timestamp;

#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    pub lines: u64,
    pub bad: u64,
    pub bad_lines: Vec<BadLine>,
    /// By label as the log spells it; `unlabelled` where it has none.
    pub sides: BTreeMap<String, Side>,
    /// Honest accounts by `truth.class`: the worst cohort matters more than the average.
    pub classes: BTreeMap<String, Met>,
    /// Campaigns found, largest first.
    pub campaigns: Vec<Found>,
}

/// A campaign the engine found, and who its members are by the log's labels.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    pub about: About,
    /// Members by label, as far as they are known by name.
    pub labels: BTreeMap<String, u64>,
}

impl Found {
    pub(super) fn new(campaign: Campaign, known: &BTreeMap<AccountId, Arc<str>>) -> Self {
        let mut labels = BTreeMap::new();
        for account in campaign.members.keys() {
            let label = known.get(account).map_or("unlabelled", |label| label);
            *labels.entry(label.to_owned()).or_default() += 1;
        }
        Self { about: campaign.about, labels }
    }
}

/// All exchanges of one label.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Side {
    pub offered: u64,
    /// Served at full fidelity.
    pub served: u64,
    pub shaped: u64,
    pub throttled: u64,
    pub challenged: u64,
    pub dropped: u64,
    /// Exchanges before the first that was acted on, and hours from the side's first exchange to it.
    pub first_enforced: Option<(u64, f32)>,
    /// Accounts, and how many of them met each action at least once.
    pub met: Met,
    /// Exchanges on which each signal gave evidence; `group` is what crowds added.
    pub signals: BTreeMap<String, u64>,
    /// Exchanges by score, rounded down to whole nats.
    pub scores: BTreeMap<i32, u64>,
    #[serde(skip)]
    accounts: BTreeMap<String, Account>,
    #[serde(skip)]
    since: Timestamp,
}

/// How many accounts met each action at least once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Met {
    pub accounts: u64,
    pub shaped: u64,
    pub throttled: u64,
    pub challenged: u64,
    pub dropped: u64,
}

/// What one account has met, as bits by [`Action::index`].
#[derive(Clone, Copy, Debug, Default)]
struct Account(u8);

impl Report {
    /// Counts one ask; true when its account had been dropped before.
    pub(super) fn take(
        &mut self,
        line: &Line<'_>,
        ask: &Ask,
        (action, verdict): (Action, &Verdict),
    ) -> bool {
        let label = line.label.as_deref().unwrap_or("unlabelled");
        if !self.sides.contains_key(label) {
            self.sides.insert(label.to_owned(), Side { since: ask.at, ..Side::default() });
        }
        let Some(side) = self.sides.get_mut(label) else { return false };
        if action > Action::Shape && side.first_enforced.is_none() {
            side.first_enforced = Some((side.offered, ask.at.hours_since(side.since)));
        }
        side.offered += 1;
        side.weigh(verdict);
        *side.count(action) += 1;
        let (new, before) = side.account(&line.account).meet(action);
        let honest = !label.starts_with("campaign");
        let class = line.truth.as_ref().and_then(|truth| truth.class.as_deref());
        side.met.take(new, before, action);
        if let (true, Some(class)) = (honest, class) {
            self.classes.entry(class.to_owned()).or_default().take(new, before, action);
        }
        before & bit(Action::Drop) != 0
    }
}

impl Side {
    fn count(&mut self, action: Action) -> &mut u64 {
        match action {
            Action::Allow => &mut self.served,
            Action::Shape => &mut self.shaped,
            Action::Throttle => &mut self.throttled,
            Action::Challenge => &mut self.challenged,
            Action::Drop => &mut self.dropped,
        }
    }

    fn weigh(&mut self, verdict: &Verdict) {
        *self.scores.entry(verdict.score.floor() as i32).or_default() += 1;
        let group = (verdict.group > 0.0).then_some("group");
        let named = verdict.evidence.iter().filter(|evidence| evidence.nats > 0.0);
        for name in named.map(|evidence| &*evidence.signal).chain(group) {
            if let Some(count) = self.signals.get_mut(name) {
                *count += 1;
            } else {
                self.signals.insert(name.to_owned(), 1);
            }
        }
    }

    fn account(&mut self, name: &str) -> &mut Account {
        self.accounts.entry(name.to_owned()).or_default()
    }

    /// Share of offered exchanges that were served at full fidelity.
    pub fn leakage(&self) -> f64 {
        if self.offered == 0 { 0.0 } else { self.served as f64 / self.offered as f64 }
    }
}

impl Account {
    /// Notes an action; whether the account is new, and what it had met before.
    fn meet(&mut self, action: Action) -> (bool, u8) {
        let before = self.0;
        self.0 |= bit(action);
        (before == 0, before)
    }
}

impl Met {
    fn take(&mut self, new: bool, before: u8, action: Action) {
        self.accounts += u64::from(new);
        let first = u64::from(before & bit(action) == 0);
        match action {
            Action::Allow => {}
            Action::Shape => self.shaped += first,
            Action::Throttle => self.throttled += first,
            Action::Challenge => self.challenged += first,
            Action::Drop => self.dropped += first,
        }
    }
}

fn bit(action: Action) -> u8 {
    1 << action.index()
}
