//! What is known of one account, why, and what would change it: for operators and for appeals.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::account::Account;
use super::campaign::{self, About, CampaignId};
use super::cohort::Cohort;
use super::fleet::Fleet;
use super::order::Ruling;
use super::score;
use super::settings::Settings;
use super::{Clearance, Engine, lock};
use crate::identity::{AccountId, TenantName};
use crate::policy::{Action, Policy};
use crate::signal::{self, CATALOGUE, Facet, Family};
use crate::time::Timestamp;

/// Everything that bears on an account now. Features only: no text, no key.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    pub account: AccountId,
    /// Whether anything is remembered of it. If not, all there is to say is what was ruled.
    pub known: bool,
    pub first: Timestamp,
    pub last: Timestamp,
    pub exchanges: u32,
    pub established: bool,
    /// Log-odds, in nats, as of now, and where they start from.
    pub score: f32,
    pub prior: f32,
    pub rung: Action,
    pub rung_since: Timestamp,
    /// Whether policy carries the rung out.
    pub enforced: bool,
    /// When it rises to the rung its score has called for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rises: Option<Timestamp>,
    /// Strongest first.
    pub evidence: Vec<Finding>,
    /// What the families add, each within its cap.
    pub families: BTreeMap<Family, f32>,
    pub crowds: Vec<Company>,
    /// The campaign it is counted in, and whether its members share one pace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub campaign: Option<CampaignId>,
    pub contained: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_campaign: Option<Membership>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clearance: Option<Clearance>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ruling: Option<Ruling>,
    /// The score below which the account goes a rung down, and the time from which it may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relief: Option<Relief>,
}

/// One signal's word on the account.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    pub signal: &'static str,
    pub id: &'static str,
    pub family: Family,
    /// What it says when it speaks, for words.
    #[serde(skip)]
    pub says: &'static str,
    pub nats: f32,
    /// When it was last this strong.
    pub at: Timestamp,
    /// Hours after which it has halved, or 50 of the account's own exchanges, whichever is later.
    pub half_life_hours: f32,
}

/// A crowd the account is counted in.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Company {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facet: Option<Facet>,
    pub members: u32,
    /// Established accounts among them.
    pub established: u32,
    /// What being in it adds, in nats.
    pub nats: f32,
}

/// The campaign an account is counted in, and what lets that go.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Membership {
    pub about: About,
    /// Nats below which the campaign has to stay, and minutes for which it has to.
    pub below: f32,
    pub minutes: u32,
}

/// What lets an account go a rung down.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Relief {
    pub below: f32,
    pub from: Timestamp,
    /// The fewest signals without which the score would be there, strongest first.
    pub without: Vec<&'static str>,
    /// Whether losing those signals is enough, or a crowd holds it there as well.
    pub suffices: bool,
}

impl Engine {
    /// Explains an account under its tenant's policy. None where nothing is known of it, nor ruled.
    pub fn explain(
        &self,
        (tenant, account): (&TenantName, AccountId),
        now: Timestamp,
    ) -> Option<Explanation> {
        let rules = self.rules();
        let policy = rules.policies.of(tenant);
        let (found, ruling) = (self.find(account), self.rulings.of(account));
        let known = found.is_some();
        if !known && ruling.is_none() {
            return None;
        }
        let stranger = || Account::new(Cohort::default(), now);
        let held = found.map_or_else(stranger, |found| lock(&found).clone());
        let told = Told { rules: (&rules.settings, policy), fleet: &self.fleet, now };
        let campaign = held.campaign.filter(|_| !held.established);
        let contained = campaign.is_some_and(|id| self.campaigns.containment(id).is_some());
        let found = campaign.and_then(|id| self.campaigns.one(id));
        let in_campaign = found.map(|campaign| {
            let policy = campaign::policy_of(&campaign, &rules.policies);
            let (below, minutes) = (policy.score - policy.hysteresis, policy.dwell_minutes);
            Membership { about: campaign.about, below, minutes }
        });
        let explained = told.explain(account, &held);
        Some(Explanation { known, ruling, campaign, contained, in_campaign, ..explained })
    }
}

/// What an account is explained by.
struct Told<'a> {
    rules: (&'a Settings, &'a Policy),
    fleet: &'a Fleet,
    now: Timestamp,
}

impl Told<'_> {
    fn explain(&self, id: AccountId, account: &Account) -> Explanation {
        let Self { rules: (settings, policy), fleet, now } = *self;
        let strengths = account.strengths(now, &[None; signal::COUNT], &fleet.cohorts);
        let sum = score::sum(&strengths, &settings.signals, &settings.caps, policy);
        let crowds = companies(account, fleet);
        let heat = crowds.iter().map(|crowd| crowd.nats).fold(0.0, f32::max);
        let prior =
            if account.established { settings.prior_established } else { settings.prior_new };
        let score = prior + sum.families.iter().sum::<f32>() + heat;
        let evidence: Vec<Finding> = sum
            .evidence
            .iter()
            .filter_map(|told| finding(account, &told.signal, told.nats))
            .collect();
        let relief = relief(account, policy, score, &evidence);
        let families = Family::ALL.into_iter().zip(sum.families).filter(|(_, nats)| *nats != 0.0);
        Explanation {
            account: id,
            known: true,
            first: account.first,
            last: account.last,
            exchanges: account.habits.exchanges,
            established: account.established,
            score,
            prior,
            rung: account.held.rung,
            rung_since: account.held.since,
            enforced: policy.enforces_on(account.held.rung, id),
            rises: account.rises,
            evidence,
            families: families.collect(),
            crowds,
            clearance: account.clearance.map(|granted| granted.clearance),
            campaign: None,
            contained: false,
            in_campaign: None,
            ruling: None,
            relief,
        }
    }
}

fn finding(account: &Account, signal: &str, nats: f32) -> Option<Finding> {
    let place = CATALOGUE.iter().position(|spec| spec.name == signal)?;
    let spec = &CATALOGUE[place];
    Some(Finding {
        signal: spec.name,
        id: spec.id,
        family: spec.family,
        says: spec.says,
        nats,
        at: account.shown_at(place),
        half_life_hours: spec.half_life,
    })
}

/// The crowds around an account, hottest first.
fn companies(account: &Account, fleet: &Fleet) -> Vec<Company> {
    let crowds = account.keys.as_slice().iter().filter_map(|&key| fleet.crowds.get(key));
    let mut crowds: Vec<Company> = crowds
        .filter(|crowd| crowd.members > 1)
        .map(|crowd| Company {
            facet: crowd.facet,
            members: crowd.members,
            established: crowd.aged,
            nats: crowd.heat,
        })
        .collect();
    crowds.sort_by(|a, b| b.nats.total_cmp(&a.nats).then(b.members.cmp(&a.members)));
    crowds
}

fn relief(account: &Account, policy: &Policy, score: f32, told: &[Finding]) -> Option<Relief> {
    let ladder = &policy.ladder;
    if account.held.rung == Action::Allow {
        return None;
    }
    let below = ladder.threshold(account.held.rung) - ladder.hysteresis;
    let from = account.held.since + std::time::Duration::from_secs(ladder.dwell_seconds.into());
    let (mut left, mut without) = (score, Vec::new());
    for finding in told.iter().filter(|finding| finding.nats > 0.0) {
        if left < below {
            break;
        }
        left -= finding.nats;
        without.push(finding.signal);
    }
    Some(Relief { below, from, without, suffices: left < below })
}

impl Explanation {
    /// As a person would say it, for operators: it names signals, so it is never shown to callers.
    pub fn in_words(&self) -> String {
        if !self.known {
            let mut words = format!(
                "Nothing is known of account {}: no exchange of it was accepted, or none for long.",
                self.account
            );
            self.say_outlook(&mut words);
            return words;
        }
        let rung = self.rung.name();
        let mut words = format!("Account {} is held at {rung}", self.account);
        if self.rung > Action::Allow {
            let _ = write!(words, " since {}", at(self.rung_since));
            words += if self.enforced {
                ""
            } else {
                ", in shadow or outside the rung's share: nothing is done to it"
            };
        }
        let standing = if self.established { "established" } else { "new" };
        let _ = write!(
            words,
            ".\nKnown since {}, last seen {}, {} exchanges, {standing}.",
            at(self.first),
            at(self.last),
            self.exchanges
        );
        let _ = write!(words, "\nScore {:+.1} nats; it starts at {:+.1}", self.score, self.prior);
        for (family, nats) in &self.families {
            let _ = write!(words, ", {family:?} {nats:+.1}");
        }
        words += ".";
        for Finding { signal, id, says, nats, at: when, half_life_hours, .. } in &self.evidence {
            let when = at(*when);
            let _ = write!(
                words,
                "\n  {nats:+.1}  {id} {signal}: this account {says} (last on {when}; halves in \
                 {half_life_hours} h and 50 exchanges)."
            );
        }
        for crowd in &self.crowds {
            let _ = write!(
                words,
                "\n  {:+.1}  {} accounts share its {}, {} of them established.",
                crowd.nats,
                crowd.members,
                crowd.facet.map_or("key", Facet::in_words),
                crowd.established
            );
        }
        self.say_campaign(&mut words);
        self.say_outlook(&mut words);
        words
    }

    fn say_campaign(&self, words: &mut String) {
        let Some(campaign) = self.campaign else { return };
        let Some(Membership { about, below, minutes }) = &self.in_campaign else {
            // Forgotten, or part of another by now.
            let _ = write!(words, "\nIt was in campaign {campaign}.");
            return;
        };
        let (members, standing) = (about.members, about.standing());
        let _ = write!(
            words,
            "\nIt is in campaign {campaign}, of {members} accounts, {:+.1} nats ({}), since {}: {standing}.",
            about.score,
            about.evidence_in_words(),
            at(about.first_seen)
        );
        if self.contained {
            let _ = write!(
                words,
                " Its pace is its own again if the campaign stays below {below:+.1} nats for {minutes} \
                 minutes, or once the account is established."
            );
        }
    }

    fn say_outlook(&self, words: &mut String) {
        if let Some(ruling) = &self.ruling {
            let _ = write!(
                words,
                "\nRuled: {} until {}, by {}: {}",
                ruling.action.name(),
                at(ruling.expires),
                ruling.owner.as_str(),
                ruling.reason.as_str()
            );
        }
        if let Some(clearance) = self.clearance {
            let (until, left) = (at(clearance.until), clearance.requests);
            let _ = write!(words, "\nIt solved a challenge: {left} requests until {until}.");
        }
        if let Some(rises) = self.rises {
            let _ = write!(words, "\nIt rises as its score calls for at {}.", at(rises));
        }
        let Some(relief) = &self.relief else { return };
        let _ = write!(
            words,
            "\nIt goes a rung down once its score is below {:+.1}, at the earliest {}",
            relief.below,
            at(relief.from)
        );
        let without = relief.without.join(", ");
        *words += &match (without.is_empty(), relief.suffices) {
            (true, true) => ".".to_owned(),
            (false, true) => format!(": allowed if {without} did not speak against it."),
            (true, false) => "; it is its company alone that holds it there.".to_owned(),
            (false, false) => {
                format!("; without {without} too, its company would hold it there.")
            }
        };
        *words += " An operator may allow or clear it at once.";
    }
}

pub(super) fn at(when: Timestamp) -> String {
    let known = i64::try_from(when.as_millis()).ok();
    let known = known.and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    known.map_or_else(|| "an unknown time".to_owned(), |at| format!("{at:.0}"))
}
