//! What the engine asks of campaigns, and tells of them.

use super::state::Review;
use super::{About, Bucket, Campaign, CampaignId, Sighting, State, Tally};
use crate::engine::account::Account;
use crate::engine::fleet::NEWCOMER;
use crate::engine::order::{Disobeyed, Order, Ordered};
use crate::engine::{Engine, Rules, Verdict, lock};
use crate::identity::AccountId;
use crate::policy::{Action, Policy};
use crate::signal::{Ask, Exchange};
use crate::time::Timestamp;

impl Engine {
    /// Leaves word for the next tick of an account that holds keys of hot crowds or campaigns.
    pub(in crate::engine) fn sight(
        &self,
        rules: &Rules,
        exchange: &Exchange,
        (account, known): (&mut Account, bool),
    ) {
        // An account that has just begun was judged before it had keys of its own.
        if known && !account.watched && account.habits.exchanges >= NEWCOMER {
            return;
        }
        let around = self.fleet.around(&exchange.ask, account, &rules.settings.group);
        if around.heat <= 0.0 && around.matches.is_empty() {
            return;
        }
        let Ask { caller, .. } = &exchange.ask;
        let counted = account.campaign;
        let proven = around.matches.proven(account.fired).next();
        account.campaign = proven.filter(|_| !account.established).or(counted);
        self.campaigns.sight(Sighting {
            account: known.then_some(caller.account),
            tenant: caller.tenant.clone(),
            at: exchange.ended,
            first: account.first,
            established: account.established,
            counted,
            fired: account.fired,
            keys: self.fleet.followed(account),
            matches: around.matches,
            tally: Tally::of(exchange),
        });
    }

    /// What the members of a contained campaign share, and `account`'s own part in it.
    pub fn bucket(&self, campaign: CampaignId, account: AccountId) -> Option<Bucket> {
        let mut bucket = self.campaigns.bucket(campaign)?;
        if let Some(account) = self.find(account) {
            bucket.own = lock(&account).share.get_or_insert_default().clone();
        }
        Some(bucket)
    }

    /// Lets an operator's word on a campaign take effect, as of `now`.
    pub(in crate::engine) fn order_campaign(
        &self,
        order: &Order,
        now: Timestamp,
    ) -> Result<(), Disobeyed> {
        let Some(ordered) = Ordered::made(order, now) else { return Ok(()) };
        let rules = self.rules();
        let (settings, policies) = (&rules.settings, &*rules.policies);
        let accounts = self.accounts.len();
        self.campaigns
            .obey(ordered, &Review { now, policies, settings, fleet: &self.fleet, accounts })
    }

    /// Every campaign at a glance, largest first.
    pub fn campaigns(&self) -> Vec<About> {
        self.campaigns.all()
    }

    /// One campaign, with its members and keys.
    pub fn campaign(&self, id: CampaignId) -> Option<Campaign> {
        self.campaigns.one(id)
    }

    /// Campaigns by state, in the order of [`State::ALL`].
    pub fn campaigns_by_state(&self) -> [usize; State::ALL.len()] {
        self.campaigns.count()
    }
}

/// Makes the action on a member of a contained campaign a throttle, where it is milder, or where it is
/// not carried out while containment is. Returns whether the action is carried out.
pub(in crate::engine) fn raise(policy: &Policy, account: AccountId, verdict: &mut Verdict) -> bool {
    let ladder = policy.enforces_on(verdict.action, account);
    let contains = verdict.ordered || policy.contains_on(account);
    let raised = verdict.contained
        && match verdict.action {
            Action::Allow => true,
            // In shadow, containment must not take the place of a rung that is carried out.
            Action::Shape => contains || !ladder,
            // Nor must whoever is suspected most pass its campaign by.
            Action::Throttle | Action::Challenge | Action::Drop => contains && !ladder,
        };
    if !raised {
        return ladder;
    }
    verdict.action = Action::Throttle;
    contains
}
