//! Campaigns: crowds that are hot for one reason, seen as one thing.
//!
//! A crowd is the accounts behind one key; a harvest has many keys, and loses some when its accounts
//! are replaced. So hot crowds whose members are the same become one campaign, which keeps its id,
//! its members and what they took while single keys come and go.
//!
//! Nothing here runs while a request waits: `learn` leaves sightings of accounts that hold hot keys,
//! `tick` makes campaigns of them and marks their keys in the crowds, and `assess` finds the marks
//! where it looks anyway.

mod count;
mod desk;
mod form;
mod harvest;
mod kept;
mod membership;
mod record;
mod release;
mod state;
mod words;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

pub(super) use self::desk::raise;
use self::form::Ledger;
pub(super) use self::form::is_followed;
use self::harvest::Tally;
pub use self::harvest::{Capability, Harvest, Pivot, Taken};
use self::kept::Told;
pub(super) use self::kept::{TABLES, is_theirs};
pub(super) use self::membership::{Matches, is_place};
pub use self::record::{About, Campaign, CampaignId, Member, NotACampaignId, State};
pub use self::release::Release;
use self::release::Releases;
pub(super) use self::state::policy_of;
use super::fleet::Fleet;
use super::order::{Disobeyed, Ordered};
use super::pace::Pace;
use super::settings::Settings;
use crate::identity::{AccountId, Tag, TenantName};
use crate::policy::Policies;
use crate::signal::{Exchange, Facet, New};
use crate::time::Timestamp;

/// An account that holds hot keys, or keys of a campaign, as `learn` saw it.
#[derive(Clone, Debug)]
pub(super) struct Sighting {
    /// None for an account the endpoint has not accepted: only what it was refused counts.
    pub(super) account: Option<AccountId>,
    pub(super) tenant: TenantName,
    pub(super) at: Timestamp,
    /// The account's first exchange.
    pub(super) first: Timestamp,
    pub(super) established: bool,
    /// The campaign it was counted in before.
    pub(super) counted: Option<CampaignId>,
    /// Families that speak for the account, as bits.
    pub(super) fired: u8,
    /// Hot keys it is counted under.
    pub(super) keys: Vec<(Facet, Tag)>,
    pub(super) matches: Matches,
    pub(super) tally: Tally,
}

/// Sightings between two ticks; further ones are lost, which only makes campaigns look smaller.
const SIGHTINGS: usize = 1 << 16;

/// Every campaign.
#[derive(Debug, Default)]
pub(super) struct Campaigns {
    sightings: Mutex<Vec<Sighting>>,
    ledger: Mutex<Ledger>,
    /// What requests need to know of contained campaigns.
    contained: RwLock<BTreeMap<CampaignId, Bucket>>,
    releases: Releases,
    told: Mutex<Told>,
    /// The models that are new, as of the last tick.
    news: RwLock<Arc<[New]>>,
}

/// What the members of a contained campaign share.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// Of all members together.
    pub whole: Arc<Pace>,
    /// Of one member, so that none can take what the others need; accounts not yet known count as
    /// one member.
    pub own: Arc<Pace>,
    /// How many times slower than the policy's pace the campaign goes, in requests and in tokens.
    pub slower: [f64; 2],
    /// Members who lately asked.
    pub members: u32,
    /// An operator has ordered it.
    pub ordered: bool,
}

impl Bucket {
    /// How many times slower than the policy's pace one member goes. Twice its fair share: not all
    /// members ask at once.
    pub fn own_slower(&self) -> f64 {
        (self.slower[0] * f64::from(self.members) / 2.0).max(self.slower[0])
    }
}

impl Campaigns {
    pub(super) fn sight(&self, sighting: Sighting) {
        let mut sightings = self.sightings.lock().unwrap_or_else(PoisonError::into_inner);
        if sightings.len() < SIGHTINGS {
            sightings.push(sighting);
        }
    }

    /// Notes which model answered, whoever asked.
    pub(super) fn answered(&self, exchange: &Exchange) {
        if exchange.served() {
            self.releases.take(exchange);
        }
    }

    /// The models that are new now.
    pub(super) fn news(&self) -> Arc<[New]> {
        self.news.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a campaign is contained, and if so, whether by an operator's order. One look-up.
    pub(super) fn containment(&self, id: CampaignId) -> Option<bool> {
        let contained = self.contained.read().unwrap_or_else(PoisonError::into_inner);
        contained.get(&id).map(|bucket| bucket.ordered)
    }

    /// What the members of a contained campaign share.
    pub(super) fn bucket(&self, id: CampaignId) -> Option<Bucket> {
        self.contained.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Takes in what was seen, and now and then reviews every campaign.
    pub(super) fn tick(
        &self,
        now: Timestamp,
        fleet: &Fleet,
        (settings, policies): (&Settings, &Policies),
        accounts: usize,
    ) {
        let seen =
            std::mem::take(&mut *self.sightings.lock().unwrap_or_else(PoisonError::into_inner));
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let releases = self.releases.tick(now, &settings.campaign.releases);
        for sighting in seen {
            ledger.take(sighting, &releases);
        }
        *self.news.write().unwrap_or_else(PoisonError::into_inner) = releases.into();
        if ledger.due(now) {
            ledger.review(now, fleet, settings);
            let review = state::Review { now, policies, settings, fleet, accounts };
            let mut contained = self.contained.write().unwrap_or_else(PoisonError::into_inner);
            review.all(&mut ledger, &mut contained);
        }
    }

    /// Lets an order on a campaign take effect at once.
    fn obey(
        &self,
        (id, ordered): (CampaignId, Ordered),
        review: &state::Review<'_>,
    ) -> Result<(), Disobeyed> {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |one: &&mut Campaign| one.about.id == id || one.about.merged.contains(&id);
        let found = ledger.campaigns.values_mut().find(is_it).ok_or(Disobeyed::NoCampaign)?;
        found.about.order = Some(ordered);
        let mut contained = self.contained.write().unwrap_or_else(PoisonError::into_inner);
        review.settle(found, &mut contained);
        Ok(())
    }

    /// What is known of every campaign, largest first.
    pub(super) fn all(&self) -> Vec<About> {
        let ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = ledger.campaigns.values().map(|one| one.about.clone()).collect();
        all.sort_by(|a, b| b.members.cmp(&a.members).then(a.id.cmp(&b.id)));
        all
    }

    pub(super) fn one(&self, id: CampaignId) -> Option<Campaign> {
        let ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.campaigns.get(&id).cloned()
    }

    /// Campaigns by state, in the order of [`State::ALL`].
    pub(super) fn count(&self) -> [usize; State::ALL.len()] {
        let ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        State::ALL
            .map(|state| ledger.campaigns.values().filter(|one| one.about.state == state).count())
    }
}
