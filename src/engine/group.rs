//! When a crowd speaks against its members: cross-family amplification.
//!
//! A crowd formed by a key of family F counts only evidence of *other* families, against the rate
//! at which honest accounts show it, corrected for the fact that users of one product are alike,
//! for the number of crowds looked at, and for how many established accounts use the same key.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use super::settings::Group;
use crate::policy::Action;
use crate::signal::crowd::divergence;
use crate::signal::{Crowd, Facet, Family};

const FAMILIES: usize = Family::ALL.len();

/// Share of honest accounts for whom each family speaks, before the deployment's own are counted:
/// C B P N T L S X. Behaviour is common among the innocent; linkage is not.
const PRIOR_RATES: [f32; FAMILIES] = [0.10, 0.15, 0.05, 0.10, 0.15, 0.01, 0.05, 0.01];

/// The prior counts as this many accounts.
const PRIOR_ACCOUNTS: f32 = 500.0;

/// Most nats one family can contribute to a crowd.
const FAMILY_CAP: f32 = 6.0;

/// How often each family speaks among established accounts, and how many crowds are tested.
#[derive(Debug, Default)]
pub(super) struct Rates {
    pub(super) established: AtomicU32,
    pub(super) fired: [AtomicU32; FAMILIES],
    pub(super) crowds: AtomicU32,
}

impl Rates {
    fn of(&self, family: Family) -> f32 {
        let (prior, all) = (PRIOR_RATES[family.index()], self.established.load(Relaxed) as f32);
        let fired = self.fired[family.index()].load(Relaxed) as f32;
        (prior * PRIOR_ACCOUNTS + fired) / (PRIOR_ACCOUNTS + all)
    }
}

/// What membership in this crowd adds to a score, 0 to `group.cap` nats.
///
/// Needs the minimum of members, and two families that contribute, or linkage. For each family the
/// contribution is `n KL(K/n || p) / (1 + (n-1) rho) - ln m`: the Chernoff exponent of K of n
/// members firing at honest rate p. It equals the usual z^2/2 for large crowds and stays exact for
/// small ones, where the normal approximation overstates rare families by orders of magnitude.
pub(super) fn heat(crowd: &Crowd, rates: &Rates, group: &Group) -> f32 {
    let nats = families(crowd, rates, group);
    let contribute = nats.iter().filter(|nats| **nats > 0.0).count();
    if contribute < 2 && nats[Family::L.index()] <= 0.0 {
        return 0.0;
    }
    nats.iter().sum::<f32>().clamp(0.0, group.cap)
}

/// What each family contributes, at most [`FAMILY_CAP`] each, discounted by the key's popularity.
pub(super) fn families(crowd: &Crowd, rates: &Rates, group: &Group) -> [f32; FAMILIES] {
    let Some(own) = crowd.facet.map(|facet| facet.family()) else { return [0.0; FAMILIES] };
    if crowd.members < group.min_members || tripped(crowd, rates, group) {
        return [0.0; FAMILIES];
    }
    let tested = (rates.crowds.load(Relaxed).max(1) as f32).ln();
    let spread = 1.0 + (crowd.members - 1) as f32 * group.correlation;
    let rarity = rarity(crowd.aged, rates.established.load(Relaxed));
    Family::ALL.map(|family| {
        if family == own || comes_with(crowd.facet).contains(&family) {
            return 0.0;
        }
        let exponent = chernoff(crowd.fired[family.index()], crowd.members, rates.of(family));
        (exponent / spread - tested).clamp(0.0, FAMILY_CAP) * rarity
    })
}

/// What members of an innocent crowd of this kind have in common as a rule, so that it tells nothing
/// more: who shares a classroom, an office or an hour of sign-up works with the same templates on the
/// same tasks, and who shares a template at a school or a firm shares its network.
const fn comes_with(facet: Option<Facet>) -> &'static [Family] {
    match facet {
        Some(Facet::System | Facet::User | Facet::Tools) => &[Family::N],
        Some(Facet::Egress) => &[Family::T, Family::S],
        Some(Facet::Signup) => &[Family::T, Family::N, Family::S],
        Some(Facet::Payment) | None => &[],
    }
}

/// The key's own family and those that come with it, as bits.
pub(super) fn company(facet: Facet) -> u8 {
    let with = comes_with(Some(facet)).iter();
    with.fold(facet.family().bit(), |bits, family| bits | family.bit())
}

/// `n KL(k/n || p)` for k above expectation, else zero.
fn chernoff(k: u32, n: u32, p: f32) -> f32 {
    let (n, share) = (n as f32, (k as f32 / n as f32).min(1.0));
    n * divergence(share, p.clamp(1e-6, 1.0 - 1e-6))
}

/// 1 for a key no established account uses, 0 for one that all of them use.
fn rarity(aged: u32, established: u32) -> f32 {
    if aged <= 1 || established <= 1 {
        return 1.0;
    }
    (1.0 - (aged as f32).ln() / (established as f32).ln()).clamp(0.0, 1.0)
}

/// The circuit breaker: too many established accounts share the key for it to be a campaign.
pub(super) fn tripped(crowd: &Crowd, rates: &Rates, group: &Group) -> bool {
    crowd.aged as f32 > breaker(rates, group)
}

/// Most established accounts that may share what is acted on.
pub(super) fn breaker(rates: &Rates, group: &Group) -> f32 {
    (rates.established.load(Relaxed) as f32 * group.breaker_share).max(2.0)
}

/// The rung at which a new account that matches a condemned crowd starts: where at least half of
/// the members are held, challenge at most, so that whoever is there by mistake has a way back. A
/// crowd that is barely warm condemns nobody: it is not halfway to the most it could say.
pub(super) fn floor(crowd: &Crowd, group: &Group) -> Action {
    if crowd.heat < group.cap / 2.0 || crowd.members < group.min_members {
        return Action::Allow;
    }
    let half = crowd.members.div_ceil(2);
    let at_least = |action: &Action| crowd.rungs[action.index()..].iter().sum::<u32>() >= half;
    [Action::Challenge, Action::Throttle].into_iter().find(at_least).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd(members: u32, aged: u32, fired: &[(Family, u32)]) -> Crowd {
        let mut crowd = Crowd { facet: Some(Facet::System), members, aged, ..Crowd::default() };
        for (family, count) in fired {
            crowd.fired[family.index()] = *count;
        }
        crowd
    }

    fn deployment(established: u32) -> Rates {
        let rates = Rates::default();
        rates.established.store(established, Relaxed);
        rates.crowds.store(1000, Relaxed);
        for family in Family::ALL {
            let share = PRIOR_RATES[family.index()] * established as f32;
            rates.fired[family.index()].store(share as u32, Relaxed);
        }
        rates
    }

    #[test]
    fn a_product_with_many_customers_is_no_campaign() {
        let product = crowd(5000, 0, &[(Family::C, 260), (Family::B, 800)]);
        assert_eq!(heat(&product, &deployment(10_000), &Group::default()), 0.0);
    }

    #[test]
    fn twenty_accounts_that_show_two_other_families_heat_up() {
        let campaign = crowd(20, 0, &[(Family::C, 19), (Family::B, 18)]);
        assert!(heat(&campaign, &deployment(10_000), &Group::default()) > 4.0);
    }

    #[test]
    fn one_family_alone_never_heats_a_crowd_unless_it_is_linkage() {
        let group = Group::default();
        let alike = crowd(200, 0, &[(Family::C, 200)]);
        assert_eq!(heat(&alike, &deployment(10_000), &group), 0.0);
        let linked = crowd(20, 0, &[(Family::L, 6)]);
        assert!(heat(&linked, &deployment(10_000), &group) > 0.0);
    }

    #[test]
    fn a_family_does_not_amplify_its_own_key() {
        let echo = crowd(200, 0, &[(Family::T, 200), (Family::C, 200)]);
        assert_eq!(heat(&echo, &deployment(10_000), &Group::default()), 0.0);
    }

    #[test]
    fn neighbours_with_one_template_are_a_class() {
        let fired = [(Family::T, 30), (Family::N, 30), (Family::S, 30), (Family::B, 30)];
        let group = Group::default();
        let heat_of = |facet, fired: &[(Family, u32)]| {
            let class = Crowd { facet: Some(facet), ..crowd(30, 0, fired) };
            heat(&class, &deployment(10_000), &group)
        };
        assert_eq!(heat_of(Facet::Egress, &fired), 0.0);
        assert_eq!(heat_of(Facet::Signup, &fired), 0.0);
        assert_eq!(heat_of(Facet::User, &[(Family::N, 30), (Family::B, 30)]), 0.0);
        assert!(heat_of(Facet::Payment, &fired) > 0.0, "one card is no classroom");
    }

    #[test]
    fn the_breaker_spares_a_key_that_established_accounts_share() {
        let mixed = crowd(600, 40, &[(Family::C, 560), (Family::B, 560)]);
        assert_eq!(heat(&mixed, &deployment(10_000), &Group::default()), 0.0);
    }

    #[test]
    fn newcomers_start_where_half_of_a_condemned_crowd_is_held() {
        let mut condemned = crowd(10, 0, &[]);
        condemned.heat = 5.0;
        condemned.rungs = [2, 0, 4, 1, 3];
        assert_eq!(floor(&condemned, &Group::default()), Action::Throttle);
        condemned.rungs = [1, 0, 1, 0, 8];
        assert_eq!(floor(&condemned, &Group::default()), Action::Challenge);
        condemned.heat = 0.0;
        assert_eq!(floor(&condemned, &Group::default()), Action::Allow);
    }
}
