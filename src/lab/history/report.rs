//! What enforcement would have done to whom. Labels are read here, and nowhere before.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::engine::{About, Campaign, Verdict};
use crate::identity::AccountId;
use crate::lab::baseline::Baseline;
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
    /// The first honest accounts that were throttled or worse, and why.
    pub harmed: Vec<Acted>,
    /// For each campaign, the verdict that was its first to be acted on.
    pub caught: Vec<Acted>,
    /// Every honest account that was throttled or worse, by the severest action it met.
    pub honest: BTreeMap<&'static str, Vec<String>>,
    /// What simpler detectors make of the same traffic, where asked for.
    pub baselines: Vec<Baseline>,
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

/// One account acted on, and the verdict in words.
#[derive(Clone, Debug, Serialize)]
pub struct Acted {
    pub account: String,
    pub label: String,
    pub class: String,
    pub action: Action,
    pub why: String,
}

/// What the report knows of an exchange and the engine does not.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    pub label: &'a str,
    pub class: Option<&'a str>,
    pub account: &'a str,
    pub counted: Counted,
}

/// What an exchange counts as.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Counted {
    Once,
    /// A refused one tried again elsewhere: it was offered before.
    Again,
    /// An unrelated customer's, passed through a campaign's account: no harvest.
    Unrelated,
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
    /// Of a campaign: unrelated customers' exchanges, and how many were served.
    pub unrelated: (u64, u64),
    /// Exchanges on which each signal gave evidence; `group` is what crowds added.
    pub signals: BTreeMap<String, u64>,
    /// The nats they gave, summed.
    pub nats: BTreeMap<String, f64>,
    /// Exchanges by score, rounded down to whole nats.
    pub scores: BTreeMap<i32, u64>,
    /// Offered and served by hours of the epoch.
    pub hours: BTreeMap<u64, [u64; 2]>,
    /// When a signal of pivots first spoke.
    pub pivot: Option<Timestamp>,
    /// Share of exchanges served at full fidelity, and of accounts throttled or worse, at the end.
    pub leakage: f64,
    pub recall: f64,
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
    /// Throttled or worse.
    pub acted: u64,
}

/// What one account has met, as bits by [`Action::index`].
#[derive(Clone, Copy, Debug, Default)]
struct Account(u8);

/// Harmed accounts told one by one.
const TOLD: usize = 40;

/// The signal that tells of pivots, where there is one.
const PIVOT: &str = "pivot";

impl Report {
    /// Counts one ask; true when its account had been dropped before.
    pub(in crate::lab) fn take(
        &mut self,
        known: &Known<'_>,
        ask: &Ask,
        (action, verdict): (Action, &Verdict),
    ) -> bool {
        let Known { label, class, account, counted } = *known;
        if !self.sides.contains_key(label) {
            self.sides.insert(label.to_owned(), Side { since: ask.at, ..Side::default() });
        }
        let Some(side) = self.sides.get_mut(label) else { return false };
        let acted = action > Action::Shape;
        let caught = acted && side.first_enforced.is_none();
        if caught {
            side.first_enforced = Some((side.offered, ask.at.hours_since(side.since)));
        }
        side.count(counted, (ask.at, action));
        side.weigh(verdict, ask.at);
        let before = side.account(account).meet(action);
        side.met.take(before, action);
        let honest = !label.starts_with("campaign");
        if let (true, Some(class)) = (honest, class) {
            self.classes.entry(class.to_owned()).or_default().take(before, action);
        }
        let told = || Acted {
            account: account.to_owned(),
            label: label.to_owned(),
            class: class.unwrap_or_default().to_owned(),
            action,
            why: verdict.in_words(),
        };
        if caught && !honest {
            self.caught.push(told());
        }
        if acted && honest && before & ACTED == 0 && self.harmed.len() < TOLD {
            self.harmed.push(told());
        }
        before & bit(Action::Drop) != 0
    }
}

impl Report {
    /// The severest action that each account met.
    pub fn severest(&self) -> BTreeMap<String, Action> {
        let accounts = self.sides.values().flat_map(|side| &side.accounts);
        accounts.map(|(name, met)| (name.clone(), met.severest())).collect()
    }

    /// Says of the whole what was counted one by one.
    pub(super) fn sum_up(&mut self) {
        for (label, side) in &mut self.sides {
            (side.leakage, side.recall) = (side.leakage(), side.recall());
            if label.starts_with("campaign") {
                continue;
            }
            for (name, met) in side.accounts.iter().filter(|(_, met)| met.0 & ACTED != 0) {
                let severest = met.severest().name();
                self.honest.entry(severest).or_default().push(name.clone());
            }
        }
    }

    /// Forgets single accounts; the counts stay.
    pub(in crate::lab) fn close(&mut self) {
        self.sides.values_mut().for_each(|side| side.accounts.clear());
    }
}

impl Side {
    fn count(&mut self, counted: Counted, (at, action): (Timestamp, Action)) {
        let served = u64::from(action == Action::Allow);
        if counted == Counted::Unrelated {
            self.unrelated.0 += 1;
            self.unrelated.1 += served;
            return;
        }
        let hour = self.hours.entry(at.as_millis() / 3_600_000).or_default();
        hour[0] += u64::from(counted == Counted::Once);
        hour[1] += served;
        self.offered += u64::from(counted == Counted::Once);
        let count = match action {
            Action::Allow => &mut self.served,
            Action::Shape => &mut self.shaped,
            Action::Throttle => &mut self.throttled,
            Action::Challenge => &mut self.challenged,
            Action::Drop => &mut self.dropped,
        };
        *count += 1;
    }

    fn weigh(&mut self, verdict: &Verdict, at: Timestamp) {
        *self.scores.entry(verdict.score.floor() as i32).or_default() += 1;
        let group = (verdict.group > 0.0).then_some(("group", verdict.group));
        let named = verdict.evidence.iter().filter(|evidence| evidence.nats > 0.0);
        for (name, nats) in named.map(|one| (&*one.signal, one.nats)).chain(group) {
            if name == PIVOT {
                self.pivot.get_or_insert(at);
            }
            if let (Some(count), Some(sum)) = (self.signals.get_mut(name), self.nats.get_mut(name))
            {
                *count += 1;
                *sum += f64::from(nats);
            } else {
                self.signals.insert(name.to_owned(), 1);
                self.nats.insert(name.to_owned(), f64::from(nats));
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

    /// Share of accounts that were throttled or worse.
    pub fn recall(&self) -> f64 {
        self.met.share(self.met.acted)
    }
}

impl Account {
    /// Notes an action; what the account had met before.
    fn meet(&mut self, action: Action) -> u8 {
        let before = self.0;
        self.0 |= bit(action);
        before
    }

    fn severest(self) -> Action {
        let met = |action: &Action| self.0 & bit(*action) != 0;
        Action::ALL.into_iter().rev().find(met).unwrap_or_default()
    }
}

impl Met {
    fn take(&mut self, before: u8, action: Action) {
        self.accounts += u64::from(before == 0);
        let first = u64::from(before & bit(action) == 0);
        self.acted += u64::from(before & ACTED == 0 && action > Action::Shape);
        match action {
            Action::Allow => {}
            Action::Shape => self.shaped += first,
            Action::Throttle => self.throttled += first,
            Action::Challenge => self.challenged += first,
            Action::Drop => self.dropped += first,
        }
    }

    /// `of` as a share of all accounts.
    pub fn share(&self, of: u64) -> f64 {
        if self.accounts == 0 { 0.0 } else { of as f64 / self.accounts as f64 }
    }
}

/// The bits of actions that are felt.
const ACTED: u8 = !(bit(Action::Allow) | bit(Action::Shape));

const fn bit(action: Action) -> u8 {
    1 << action.index()
}
