//! Memory, score and verdict. No I/O, no async, no clock: the same calls give the same answers.
//!
//! Three verbs: [`Engine::assess`] before forwarding, [`Engine::learn`] after the answer's body has
//! ended, [`Engine::tick`] once a second of event time, the only place where memory expires. Besides,
//! [`Engine::tried`] takes in the steps of challenges.
//!
//! Locks: an account's own lock is taken first, index shards inside it; indexes never reach back
//! into accounts, so the order can't be inverted.

mod account;
mod campaign;
mod cohort;
mod end_users;
mod explanation;
mod fleet;
mod group;
mod learning;
mod log;
pub mod memory;
mod order;
mod pace;
mod provisions;
mod rulings;
mod score;
mod settings;
mod verdict;
mod view;

use std::hash::BuildHasherDefault;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use dashmap::DashMap;

use self::account::{Account, Granted};
use self::campaign::Campaigns;
pub use self::campaign::{
    About, Bucket, Campaign, CampaignId, Capability, Harvest, Member, NotACampaignId, Pivot,
    Release, State, Taken,
};
use self::cohort::Cohort;
use self::end_users::EndUsers;
pub use self::explanation::{Company, Explanation, Finding, Membership, Relief};
use self::fleet::Fleet;
use self::learning::Learning;
pub use self::log::{End, Line};
use self::memory::{Unwritten, Urgency};
pub use self::order::{Disobeyed, NotWords, Order, Ordered, Ruling, Verb, Words};
use self::pace::Pools;
pub use self::pace::{Pace, Window};
use self::provisions::Provisions;
use self::rulings::Rulings;
pub use self::settings::{Campaigns as CampaignSettings, Caps, Group, Settings};
pub use self::verdict::{Evidence, Verdict};
use crate::identity::AccountId;
use crate::policy::{Action, Policies, Policy};
pub use crate::signal::Clearance;
use crate::signal::{self, Ask, Asked, Ending, Exchange, Rates, Step, Trial};
use crate::time::Timestamp;

/// Account ids are keyed hashes, so a fixed seed gives attackers nothing and replays one order.
type KeyHash = BuildHasherDefault<rapidhash::fast::RapidHasher<'static>>;

#[derive(Debug)]
pub struct Engine {
    rules: RwLock<Arc<Rules>>,
    accounts: DashMap<AccountId, Arc<Mutex<Account>>, KeyHash>,
    fleet: Fleet,
    campaigns: Campaigns,
    strangers: Arc<Pace>,
    pools: Pools,
    end_users: EndUsers,
    rates: Arc<Rates>,
    swept: Mutex<Timestamp>,
    rulings: Rulings,
    provisions: Provisions,
    learning: Learning,
    unwritten: Unwritten,
}

/// Everything a reload replaces.
#[derive(Debug)]
struct Rules {
    settings: Settings,
    policies: Arc<Policies>,
}

/// What an ask amounts to before policy has its say.
struct Weighed {
    verdict: Verdict,
    /// The mildest rung that a condemned crowd allows.
    floor: Action,
    /// Keys of it were hot, or a campaign's.
    watched: bool,
}

impl Engine {
    pub fn new(settings: Settings, policies: Policies) -> Self {
        let policies = Arc::new(policies);
        Self {
            rules: RwLock::new(Arc::new(Rules { settings, policies })),
            accounts: DashMap::default(),
            fleet: Fleet::default(),
            campaigns: Campaigns::default(),
            strangers: Arc::default(),
            pools: Pools::default(),
            end_users: EndUsers::default(),
            rates: Arc::default(),
            swept: Mutex::default(),
            rulings: Rulings::default(),
            provisions: Provisions::default(),
            learning: Learning::default(),
            unwritten: Unwritten::default(),
        }
    }

    /// Judges a request before it is forwarded. Microseconds; takes the account's lock only.
    pub fn assess(&self, ask: &Ask) -> Verdict {
        let rules = self.rules();
        let policy = rules.policies.of(&ask.caller.tenant);
        let Some(account) = self.find(ask.caller.account) else {
            let mut stranger = Account::new(cohort_of(ask), ask.at);
            let days = rules.settings.established_after_days;
            let standing = ask.caller.attributes.standing(ask.at, days);
            stranger.established = standing.unwrap_or_default();
            let weighed = self.weigh(&rules, policy, ask, &stranger);
            let rung = policy.ladder.rung(weighed.verdict.score).max(weighed.floor);
            let rung = self.learning.cap(rung, Action::Allow, ask.at);
            return self.decide(policy, ask, Verdict { action: rung, ..weighed.verdict });
        };
        let mut account = lock(&account);
        let weighed = self.weigh(&rules, policy, ask, &account);
        let mut verdict = weighed.verdict;
        verdict.known = true;
        account.score = verdict.score;
        account.watched = weighed.watched;
        let before = account.held;
        self.hold(policy, ask, &mut account, weighed.floor);
        self.fleet.recount(&mut account);
        verdict.action = account.held.rung;
        let mut verdict = self.decide(policy, ask, verdict);
        verdict.cleared =
            verdict.action == Action::Challenge && account.pass(ask.at, verdict.score);
        verdict.enforced &= !verdict.cleared;
        let moved = account.held != before;
        if verdict.cleared || moved && account.held.rung.max(before.rung) >= Action::Throttle {
            self.note(ask.caller.account, &mut account, Urgency::Decision);
        }
        verdict
    }

    /// Lets operators and policy have their say on a weighed ask.
    fn decide(&self, policy: &Policy, ask: &Ask, mut verdict: Verdict) -> Verdict {
        let ruling = self.rulings.on(ask);
        if let Some(action) = ruling.filter(|action| *action != Action::Allow) {
            verdict.action = action;
            verdict.ruled = true;
        }
        verdict.exempt = ruling == Some(Action::Allow)
            || !verdict.ruled && policy.allowance(ask.caller.account, ask.at).is_some();
        let account = ask.caller.account;
        let carried_out = verdict.ruled || campaign::raise(policy, account, &mut verdict);
        verdict.enforced = !verdict.exempt && carried_out;
        verdict.outside = !carried_out && policy.spares(verdict.action, account);
        verdict
    }

    fn weigh(&self, rules: &Rules, policy: &Policy, ask: &Ask, account: &Account) -> Weighed {
        let Rules { settings, .. } = rules;
        let (crowds, aged) = (&self.fleet.crowds, account.established);
        let unserved = policy.regions.leave_out(ask.caller.trace.country);
        let news = &self.campaigns.news();
        let asked = Asked { ask, habits: &account.habits, crowds, aged, unserved, news };
        let memory = &self.fleet.memory;
        let statistics = signal::ask(&settings.signals, &asked, &account.memory, memory);
        let strengths = account.strengths(ask.at, &statistics, &self.fleet.cohorts);
        let sum = score::sum(&strengths, &settings.signals, &settings.caps, policy);
        let crowd = self.fleet.around(ask, account, &settings.group);
        let campaign = if account.established || crowd.matches.is_empty() {
            None
        } else {
            let fired = account.fired | account.families(&strengths, &settings.signals);
            crowd.matches.best(fired)
        };
        let prior =
            if account.established { settings.prior_established } else { settings.prior_new };
        let score = prior + sum.families.iter().sum::<f32>() + crowd.heat;
        let contained = campaign.and_then(|found| self.campaigns.containment(found.campaign));
        let verdict = Verdict {
            score,
            prior,
            evidence: sum.evidence,
            group: crowd.heat,
            facet: crowd.facet,
            campaign: campaign.map(|found| found.campaign),
            contained: contained.is_some(),
            ordered: contained == Some(true),
            ..Verdict::default()
        };
        let watched = crowd.heat > 0.0 || !crowd.matches.is_empty();
        Weighed { verdict, floor: crowd.floor, watched }
    }

    /// Takes in an exchange that has ended, was cut short or was refused.
    ///
    /// Memory of an account begins only with an exchange the endpoint has accepted: made-up keys
    /// leave nothing behind but, where stillguard itself refused them, what was refused.
    pub fn learn(&self, exchange: &Exchange) {
        let rules = self.rules();
        self.campaigns.answered(exchange);
        let id = exchange.ask.caller.account;
        let known = self.find(id);
        let begins = known.is_none()
            && exchange.accepted()
            && self.accounts.len() < rules.settings.max_accounts;
        let account = if begins { Some(self.begin(&exchange.ask)) } else { known };
        if let Some(account) = account {
            let mut account = lock(&account);
            self.take_in(&rules, exchange, &mut account);
            self.note(id, &mut account, Urgency::Evidence);
        } else if exchange.ending == Ending::Refused {
            let mut stranger = Account::new(cohort_of(&exchange.ask), exchange.ask.at);
            self.teach(&rules, exchange, &mut stranger);
            self.sight(&rules, exchange, (&mut stranger, false));
        }
    }

    /// Begins memory of a caller whose exchange the endpoint has accepted but not ended: from here
    /// on limits hold. What the exchange teaches is learnt at its end.
    pub fn accept(&self, ask: &Ask) {
        if self.accounts.len() < self.rules().settings.max_accounts {
            let account = self.begin(ask);
            self.note(ask.caller.account, &mut lock(&account), Urgency::Evidence);
        }
    }

    fn begin(&self, ask: &Ask) -> Arc<Mutex<Account>> {
        let fresh = || Arc::new(Mutex::new(Account::new(cohort_of(ask), ask.at)));
        self.accounts.entry(ask.caller.account).or_insert_with(fresh).clone()
    }

    fn take_in(&self, rules: &Rules, exchange: &Exchange, account: &mut Account) {
        let settings = &rules.settings;
        let now = exchange.ended;
        let learning = self.learning.goes_on(now);
        if account.settle(exchange, settings.established_after_days, learning) {
            self.fleet.settled(account);
        }
        let seen = account.has_seen(exchange);
        if !seen {
            account.habits.take(exchange);
            account.habits.share(&exchange.ask, &self.fleet.askers);
        }
        self.fleet.reload(account);
        self.fleet.regroup(account, now, &settings.group);
        self.fleet.keep(account, now);
        let learnt = self.teach(rules, exchange, account);
        if !seen {
            account.show(now, &learnt, &self.fleet.cohorts);
        }
        let strengths = account.strengths(now, &[None; signal::COUNT], &self.fleet.cohorts);
        let fired = account.families(&strengths, &settings.signals);
        self.fleet.speak(account, fired, &settings.group);
        self.sight(rules, exchange, (account, true));
    }

    /// Forgets what has expired and weighs crowds anew. Call once a second of event time.
    pub fn tick(&self, now: Timestamp) {
        let rules = self.rules();
        signal::tick(&rules.settings.signals, &self.fleet.memory, now);
        self.fleet.tick(now, &rules.settings.group);
        self.rulings.expire(now);
        let (settings, policies) = (&rules.settings, &*rules.policies);
        self.campaigns.tick(now, &self.fleet, (settings, policies), self.accounts.len());
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        if now.since(*swept) >= SWEEP {
            *swept = now;
            self.sweep(&rules.settings, now);
        }
    }

    /// Forgets idle accounts; when the table is nearly full, unsuspected new ones sooner. What is
    /// established or held at a rung is never pushed out by a flood.
    fn sweep(&self, settings: &Settings, now: Timestamp) {
        self.end_users.sweep(now, settings.max_end_users);
        let full = settings.max_accounts / 10 * 9;
        let life = f32::from(settings.forget_after_days) * 24.0;
        for (round, hours) in [life, 24.0 * 7.0, 24.0, 1.0].into_iter().enumerate() {
            if round > 0 && self.accounts.len() <= full {
                break;
            }
            self.accounts.retain(|id, account| {
                let account = lock(account);
                let spared =
                    round > 0 && (account.established || account.held.rung > Action::Allow);
                let keep = spared || now.hours_since(account.last) < hours;
                if !keep {
                    self.fleet.forget(&account);
                    self.unwritten.forgotten(*id);
                }
                keep
            });
        }
    }

    /// Takes over new settings and policies. Memory, rungs and paces stay as they are.
    pub fn reload(&self, settings: Settings, policies: Policies) {
        let rules = Arc::new(Rules { settings, policies: Arc::new(policies) });
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
    }

    /// The policies in force.
    pub fn policies(&self) -> Arc<Policies> {
        self.rules().policies.clone()
    }

    /// How models' answers are cut into tokens.
    pub fn rates(&self) -> &Arc<Rates> {
        &self.rates
    }

    /// Takes in a step of an account's challenge: what it earns, what it takes away, what it says.
    /// False when the account is not known.
    pub fn tried(&self, trial: &Trial) -> bool {
        let Some(account) = self.find(trial.account) else { return false };
        let (rules, mut account) = (self.rules(), lock(&account));
        if let Some(clearance) = trial.clearance {
            account.clearance = Some(Granted { clearance, score: account.score });
        } else if trial.step == Step::Denied {
            account.clearance = None;
        }
        let settings = &rules.settings.signals;
        let learnt = signal::tried(settings, trial, &mut account.memory, &self.fleet.memory);
        account.show(trial.at, &learnt, &self.fleet.cohorts);
        let decided = trial.clearance.is_some() || trial.step == Step::Denied;
        let urgency = if decided { Urgency::Decision } else { Urgency::Evidence };
        self.note(trial.account, &mut account, urgency);
        true
    }

    /// Accounts remembered now.
    pub fn accounts(&self) -> usize {
        self.accounts.len()
    }

    /// End users remembered now.
    pub fn end_users(&self) -> usize {
        self.end_users.len()
    }

    /// Crowds remembered now.
    pub fn crowds(&self) -> usize {
        self.fleet.crowds.len()
    }

    fn find(&self, id: AccountId) -> Option<Arc<Mutex<Account>>> {
        self.accounts.get(&id).map(|account| account.clone())
    }

    fn rules(&self) -> Arc<Rules> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// How often idle accounts are looked for, in event time.
const SWEEP: std::time::Duration = std::time::Duration::from_secs(60);

/// A panic under the lock leaves an account whose numbers are at worst one exchange off.
fn lock(account: &Mutex<Account>) -> MutexGuard<'_, Account> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}

fn cohort_of(ask: &Ask) -> Cohort {
    Cohort(ask.caller.client, ask.prompt.api)
}

#[cfg(test)]
mod tests;
