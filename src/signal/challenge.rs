//! X3: what becomes of challenges: solved in bulk, answered wrongly, never answered.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::index::Index;
use super::linkage::{Owners, account_tag};
use super::registry::{Ended, Family, Signal, Spec};
use super::shelf::{Kept, Shelf, Shelved};
use super::trial::{Step, Trial};
use crate::identity::Tag;
use crate::time::{Shift, Timestamp};

pub(super) struct Challenge;

/// One account's challenges.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Trials {
    /// The network it was challenged on last, and its organisation.
    home: Tag,
    org: Option<Tag>,
    /// Hours since the epoch: the last one counted below.
    hour: u32,
    /// Different hours in which it was challenged since it last answered.
    unanswered: u16,
    /// Wrong answers from its own network, and the day they came on.
    failed: u16,
    day: u32,
}

/// Who answers from each network.
#[derive(Debug)]
pub(super) struct Desks(Index<Desk>);

/// Networks from which challenges are answered at once, some 70 bytes each.
const CAPACITY: usize = 1 << 15;

impl Default for Desks {
    fn default() -> Self {
        Self(Index::new(CAPACITY))
    }
}

/// The answers of one network since its window opened.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Desk {
    since: Timestamp,
    owners: Owners,
    answers: u32,
    /// Sums of the logarithm of the time that answers took, and of its square.
    sum: f32,
    squares: f32,
}

impl Kept for Trials {
    fn shift(&mut self, by: Shift) {
        let hours = i32::try_from(by.0 / 3_600_000).unwrap_or_default();
        if self.hour != 0 {
            self.hour = self.hour.saturating_add_signed(hours);
        }
        if self.day != 0 {
            self.day = self.day.saturating_add_signed(hours / 24);
        }
    }
}

impl Kept for Desk {
    fn shift(&mut self, by: Shift) {
        self.since = self.since.shifted(by);
    }
}

impl Shelved for Desks {
    fn shelf(&self) -> Option<&dyn Shelf> {
        Some(&self.0)
    }
}

/// The statistic of an account that leaves its challenges unanswered: the lowest there is.
const UNANSWERED: f32 = 1.0;
/// That of an account whose operator has said no.
const DENIED: f32 = 60.0;
/// Wrong answers that are a slip of the hand.
const SLIPS: u16 = 2;
/// How much more an answer in bulk says when all answers took equally long.
const UNIFORM: f32 = 2.5;

impl Signal for Challenge {
    const SPEC: Spec = Spec {
        id: "X3",
        name: "challenge",
        family: Family::X,
        says: "answers challenges in bulk or wrongly, or leaves them unanswered for days",
        lookalike: "slow administrators; one desk that looks after many accounts",
        weight: 1.5,
        half_life: 168.0,
        // Guessed: of accounts that are challenged at all, many are left alone for a day; few share
        // a desk with eight others, hardly any with twenty.
        tail: &[(1.0, 0.15), (8.0, 0.04), (20.0, 0.01), (60.0, 0.004)],
    };

    type Params = Params;
    type Account = Trials;
    type Fleet = Desks;

    fn learn(_: &Params, _: &Ended<'_>, _: &mut Trials, _: &Desks) -> Option<f32> {
        None
    }

    fn tried(params: &Params, trial: &Trial, account: &mut Trials, fleet: &Desks) -> Option<f32> {
        match trial.step {
            Step::Issued => account.issued(params, trial),
            Step::IssuedToCrowd => {
                account.meet(trial);
                None
            }
            Step::Solved => {
                account.unanswered = 0;
                fleet.answered(params, trial, account.org)
            }
            Step::Failed => account.failed(trial),
            Step::Verified => {
                *account = Trials::default();
                None
            }
            Step::Denied => Some(DENIED),
        }
    }

    fn tick(params: &Params, fleet: &Desks, now: Timestamp) {
        fleet.0.tick(now, params.window() * 2);
    }
}

impl Trials {
    fn meet(&mut self, trial: &Trial) {
        (self.home, self.org) = (trial.from, trial.org);
    }

    /// Counts the hours in which nobody cared. An hour counts once however often a program asks.
    fn issued(&mut self, params: &Params, trial: &Trial) -> Option<f32> {
        self.meet(trial);
        let hour = hours(trial.at);
        if self.unanswered == 0 || hour > self.hour {
            self.hour = hour;
            self.unanswered = self.unanswered.saturating_add(1);
        }
        (self.unanswered >= params.unanswered_hours).then_some(UNANSWERED)
    }

    /// Counts wrong answers from the network that is challenged: a stranger who has the link could
    /// send others, and must not speak for the account.
    fn failed(&mut self, trial: &Trial) -> Option<f32> {
        if trial.from != self.home || trial.from == Tag::default() {
            return None;
        }
        let day = hours(trial.at) / 24;
        if day != self.day {
            (self.day, self.failed) = (day, 0);
        }
        self.failed = self.failed.saturating_add(1);
        (self.failed > SLIPS).then_some(self.failed.into())
    }
}

impl Desks {
    /// The accounts that were cleared from this network within the window, an organisation's as one.
    fn answered(&self, params: &Params, trial: &Trial, org: Option<Tag>) -> Option<f32> {
        if trial.from == Tag::default() {
            return None;
        }
        let owner = org.unwrap_or_else(|| account_tag(trial.account));
        let took = (trial.took as f32 + 1.0).log2();
        self.0.update(trial.from, |desk| {
            if trial.at.since(desk.since) > params.window() {
                *desk = Desk { since: trial.at, ..Desk::default() };
            }
            desk.owners.insert(owner);
            desk.answers += 1;
            desk.sum += took;
            desk.squares += took * took;
            let owners = desk.owners.count();
            let uniform = if desk.spread() < params.variance { UNIFORM } else { 1.0 };
            (owners >= f32::from(params.at_least)).then_some(owners * uniform)
        })?
    }
}

impl Desk {
    /// Variance of log2 of the time that answers took.
    fn spread(&self) -> f32 {
        let mean = self.sum / self.answers as f32;
        self.squares / self.answers as f32 - mean * mean
    }
}

fn hours(at: Timestamp) -> u32 {
    u32::try_from(at.as_millis() / 3_600_000).unwrap_or(u32::MAX)
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "ChallengeParams")]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Accounts cleared from one network before that is bulk.
    #[schemars(range(min = 2))]
    pub at_least: u16,
    /// Hours within which they count together.
    #[schemars(range(min = 1))]
    pub hours: u16,
    /// Variance of log2 of the time answers take, below which they are too alike for people.
    pub variance: f32,
    /// Hours with unanswered challenges after which nobody seems to look after the account.
    #[schemars(range(min = 1))]
    pub unanswered_hours: u16,
}

impl Params {
    fn window(&self) -> Duration {
        Duration::from_secs(u64::from(self.hours) * 3600)
    }
}

impl Default for Params {
    fn default() -> Self {
        Self { at_least: 8, hours: 24, variance: 0.5, unanswered_hours: 24 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::at;
    use super::*;
    use crate::identity::AccountId;

    const HOUR: u64 = 3600;

    fn trial(account: u8, seconds: u64, step: Step) -> Trial {
        let account = AccountId([account.wrapping_mul(151).wrapping_add(7); 16]);
        let from = Tag(77);
        Trial { account, at: at(seconds), step, from, org: None, took: 0, clearance: None }
    }

    fn tried(account: &mut Trials, fleet: &Desks, trial: &Trial) -> Option<f32> {
        Challenge::tried(&Params::default(), trial, account, fleet)
    }

    /// What the last of `count` accounts shows when all are cleared from one network.
    fn cleared(count: u8, org: Option<Tag>, took: impl Fn(u8) -> u32) -> Option<f32> {
        let fleet = Desks::default();
        (0..count).fold(None, |_, n| {
            let mut account = Trials::default();
            let seconds = u64::from(n) * 60;
            tried(&mut account, &fleet, &Trial { org, ..trial(n, seconds, Step::Issued) });
            let solved = Trial { took: took(n), ..trial(n, seconds + 30, Step::Solved) };
            tried(&mut account, &fleet, &solved)
        })
    }

    fn as_people_do(n: u8) -> u32 {
        [12, 900, 45, 20_000, 8, 300, 4_000][usize::from(n) % 7]
    }

    #[test]
    fn many_accounts_cleared_from_one_network_count_and_a_few_do_not() {
        assert_eq!(cleared(4, None, as_people_do), None);
        let many = cleared(20, None, as_people_do).unwrap();
        assert!((16.0..=24.0).contains(&many), "{many}");
    }

    #[test]
    fn answers_that_all_take_equally_long_say_more() {
        let (people, machines) = (cleared(20, None, as_people_do), cleared(20, None, |_| 9));
        assert_eq!(machines.unwrap(), people.unwrap() * UNIFORM);
    }

    #[test]
    fn an_organisation_clears_as_many_accounts_as_it_has() {
        assert_eq!(cleared(40, Some(Tag(5)), |_| 9), None);
    }

    #[test]
    fn one_account_that_answers_often_is_no_bulk_and_another_day_begins_anew() {
        let (fleet, mut account) = (Desks::default(), Trials::default());
        for n in 0..50 {
            let solved = trial(1, n * HOUR / 4, Step::Solved);
            assert_eq!(tried(&mut account, &fleet, &solved), None);
        }
        for n in 0..50 {
            let solved = trial(n, u64::from(n) * 7 * HOUR, Step::Solved);
            assert_eq!(tried(&mut Trials::default(), &fleet, &solved), None, "{n}");
        }
    }

    #[test]
    fn a_challenge_left_for_a_day_counts_mildly_until_it_is_answered() {
        let (fleet, mut account) = (Desks::default(), Trials::default());
        let mut says = |hour, step| tried(&mut account, &fleet, &trial(1, hour * HOUR, step));
        for hour in 0..23 {
            for _ in 0..100 {
                assert_eq!(says(hour, Step::Issued), None, "{hour}");
            }
        }
        assert_eq!(says(23, Step::Issued), Some(UNANSWERED));
        assert_eq!(says(24, Step::Solved), None);
        assert_eq!(says(25, Step::Issued), None);
    }

    #[test]
    fn what_a_crowd_brings_on_its_members_is_not_their_own() {
        let (fleet, mut account) = (Desks::default(), Trials::default());
        for hour in 0..100 {
            let issued = trial(1, hour * HOUR, Step::IssuedToCrowd);
            assert_eq!(tried(&mut account, &fleet, &issued), None);
        }
    }

    #[test]
    fn wrong_answers_count_from_the_accounts_own_network_alone() {
        let (fleet, mut account) = (Desks::default(), Trials::default());
        tried(&mut account, &fleet, &trial(1, 0, Step::Issued));
        let abroad = Trial { from: Tag(78), ..trial(1, 1, Step::Failed) };
        assert!((0..50).all(|_| tried(&mut account, &fleet, &abroad).is_none()));
        let said = [(); 4].map(|()| tried(&mut account, &fleet, &trial(1, 2, Step::Failed)));
        assert_eq!(said, [None, None, Some(3.0), Some(4.0)]);
        assert_eq!(tried(&mut account, &fleet, &trial(1, 48 * HOUR, Step::Failed)), None);
    }

    #[test]
    fn an_operators_no_counts_and_a_yes_wipes_the_slate() {
        let (fleet, mut account) = (Desks::default(), Trials::default());
        for hour in 0..30 {
            tried(&mut account, &fleet, &trial(1, hour * HOUR, Step::Issued));
        }
        assert_eq!(tried(&mut account, &fleet, &trial(1, 0, Step::Denied)), Some(DENIED));
        assert_eq!(tried(&mut account, &fleet, &trial(1, 0, Step::Verified)), None);
        assert_eq!(tried(&mut account, &fleet, &trial(1, 31 * HOUR, Step::Issued)), None);
    }
}
