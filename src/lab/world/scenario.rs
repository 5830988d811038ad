//! A scenario file: who takes part, how much they do, and what attackers try so as not to be seen.

use serde::Deserialize;

use super::evasion::Evasion;
use crate::lab::material::{Cohort, Harvest, Wording};

/// A world, at scale 1. Times are days from its start.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    pub name: String,
    /// Seconds since the epoch.
    pub start: u64,
    pub days: f64,
    /// Whether anything is known of how accounts came to be.
    pub provisioning: bool,
    /// The model that most use, and the one released during the run.
    pub model: String,
    pub release: Option<Release>,
    pub honest: Vec<Honest>,
    pub campaigns: Vec<Plan>,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Release {
    pub model: String,
    pub day: f64,
}

/// One class of honest accounts.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Honest {
    /// Its name in reports.
    pub class: String,
    /// What it asks: one of these for each account.
    pub asks: Vec<Cohort>,
    pub accounts: usize,
    /// Sessions a day of the middle account, and the spread of accounts around it, in nats.
    pub per_day: f64,
    pub spread: f64,
    /// Conversations in a session, on average.
    pub session: f64,
    /// Seconds between two requests of a session; log-normal around it.
    pub pause: f64,
    /// Share of accounts that open during the run. The others are up to two years old.
    pub fresh: f64,
    /// Accounts that belong together (a class, an organisation, a campus), and what they share.
    pub group: usize,
    pub shares: Vec<Shared>,
    /// Groups meet at an hour of their own on this many days, and nobody works between.
    pub meetings: u32,
    /// Works by the clock round, not by day and night.
    pub machine: bool,
    /// End users behind each account; zero where it is one party.
    pub end_users: u32,
    /// Says so to the operator.
    pub declared: bool,
    /// Runs at once when a model is released.
    pub on_release: bool,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Shared {
    Network,
    Signup,
    Organisation,
    Payment,
}

/// One campaign.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    pub name: String,
    pub harvest: Vec<Harvest>,
    /// Accounts that can be had at all, replacements included, and how many work at once.
    pub accounts: usize,
    pub at_once: usize,
    /// Exchanges it is after.
    pub exchanges: u64,
    /// Requests of one account a day.
    pub per_day: f64,
    pub start_day: f64,
    /// /24 networks it leaves through.
    pub networks: usize,
    /// Accounts to one means of payment.
    pub per_card: usize,
    /// Accounts signed up in one hour.
    pub per_signup: usize,
    pub pathways: Vec<String>,
    /// What its software calls itself.
    pub agents: Vec<String>,
    /// Share of requests that are those of unrelated customers.
    pub unrelated: f64,
    /// Share that moves to a new model within a day.
    pub pivot: f64,
    /// Hours until a banned account is replaced.
    pub replacement: f64,
    pub wording: Wording,
    /// Distinct wordings where they rotate; zero gives every account its own.
    pub wordings: usize,
    /// All turns of a task on one account.
    pub affinity: bool,
    /// Refused requests are tried on another account.
    pub failover: bool,
    /// Requests by day and night, at irregular times.
    pub day_night: bool,
    /// Accounts differ in load as honest ones do.
    pub uneven: bool,
    /// Nothing of an earlier answer is sent back.
    pub stripped: bool,
    /// A payment card and a residential address for each account.
    pub unique: bool,
    /// One client's headers on everything.
    pub pinned: bool,
    /// Old accounts with paid invoices, in quiet use from the first day.
    pub aged: bool,
    pub evasions: Vec<Evasion>,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            name: "unnamed".into(),
            start: 1_790_000_000,
            days: 10.0,
            provisioning: true,
            model: "large-1".into(),
            release: None,
            honest: Vec::new(),
            campaigns: Vec::new(),
        }
    }
}

impl Default for Honest {
    fn default() -> Self {
        Self {
            class: "chat".into(),
            asks: vec![Cohort::Chat],
            accounts: 0,
            per_day: 0.3,
            spread: 1.2,
            session: 1.5,
            pause: 40.0,
            fresh: 0.15,
            group: 0,
            shares: Vec::new(),
            meetings: 0,
            machine: false,
            end_users: 0,
            declared: false,
            on_release: false,
        }
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            name: "campaign".into(),
            harvest: vec![Harvest::Reasoning],
            accounts: 100,
            at_once: 90,
            exchanges: 60_000,
            per_day: 25.0,
            start_day: 8.0,
            networks: 6,
            per_card: 10,
            per_signup: 30,
            pathways: vec!["card".into()],
            agents: vec!["OpenAI/Python 2.54.0".into()],
            unrelated: 0.0,
            pivot: 0.0,
            replacement: 1.0,
            wording: Wording::Fixed,
            wordings: 0,
            affinity: false,
            failover: true,
            day_night: false,
            uneven: false,
            stripped: false,
            unique: false,
            pinned: false,
            aged: false,
            evasions: Vec::new(),
        }
    }
}

/// Fewest accounts of a campaign or class that a scale leaves, unless there are fewer at scale 1:
/// four accounts of a campaign of four hundred would be another campaign.
const FEWEST: usize = 24;

impl Scenario {
    /// The same world with `scale` times the accounts. What one account does stays the same.
    pub fn scaled(&self, scale: f64) -> Self {
        let mut scaled = self.clone();
        let less = |all: usize, fewest: usize| {
            ((all as f64 * scale).round() as usize).max(fewest.min(all))
        };
        for honest in &mut scaled.honest {
            honest.accounts = less(honest.accounts, FEWEST.max(honest.group));
        }
        for plan in &mut scaled.campaigns {
            let accounts = less(plan.accounts, FEWEST);
            let share = accounts as f64 / plan.accounts.max(1) as f64;
            plan.exchanges = (plan.exchanges as f64 * share) as u64;
            plan.at_once = ((plan.at_once as f64 * share) as usize).clamp(1, accounts);
            plan.networks = less(plan.networks, 3);
            plan.accounts = accounts;
        }
        scaled
    }

    /// Every campaign with what its evasions change.
    pub fn evading(mut self) -> Self {
        for plan in &mut self.campaigns {
            for evasion in plan.evasions.clone() {
                evasion.apply(plan);
            }
        }
        self
    }

    /// The length of the run in milliseconds.
    pub fn length(&self) -> u64 {
        days(self.days)
    }
}

/// Days in milliseconds.
pub(super) fn days(days: f64) -> u64 {
    (days.max(0.0) * 86_400_000.0) as u64
}
