//! Who is in a campaign.

use super::record::CampaignId;
use crate::identity::Tag;
use crate::policy::Action;
use crate::signal::{Crowd, Facet, Family};

/// Keys of user turns that must be a campaign's: one pair of slots can agree by chance.
const PAIRS: u8 = 2;

/// Campaigns one account is compared with at once.
const AT_ONCE: usize = 4;

/// The campaigns whose keys an account or a request holds.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::engine) struct Matches {
    found: [Found; AT_ONCE],
}

#[derive(Clone, Copy, Debug, Default)]
struct Found {
    campaign: Tag,
    /// Families of the keys held, as bits; and of those that many share by living in one place, or
    /// by signing up in one hour.
    families: u8,
    places: u8,
    /// Keys of user turns held, and those hardly anyone else holds.
    pairs: u8,
    condemning: u8,
    /// A key of another facet hardly anyone else holds.
    condemns: bool,
    floor: Action,
}

/// A campaign that an account is in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::engine) struct Match {
    pub(in crate::engine) campaign: CampaignId,
    /// By evidence, and not by a key alone.
    pub(in crate::engine) proven: bool,
    /// The mildest rung that its crowds allow.
    pub(in crate::engine) floor: Action,
}

impl Matches {
    /// Notes a key held, whose crowd allows no milder rung than `floor`. Keys must differ from call to
    /// call.
    pub(in crate::engine) fn add(&mut self, facet: Facet, crowd: &Crowd, floor: Action) {
        let campaign = crowd.campaign;
        if campaign == Tag::default() {
            return;
        }
        let place = self.found.iter_mut().find(|f| f.campaign == campaign || f.campaign == Tag(0));
        let Some(found) = place else { return };
        found.campaign = campaign;
        found.floor = found.floor.max(floor);
        if facet == Facet::User {
            found.pairs = found.pairs.saturating_add(1);
            found.condemning = found.condemning.saturating_add(u8::from(crowd.condemns));
        } else if is_place(facet) {
            found.places |= facet.family().bit();
        } else {
            found.families |= facet.family().bit();
            found.condemns |= crowd.condemns && facet != Facet::Tools;
        }
    }

    /// The campaigns the account is in, best match first: it holds a key of the campaign's, and either
    /// one of another family, too, or shows evidence of another family. A network or an hour of
    /// sign-up makes nobody a member by itself, unless linkage speaks: neighbours are no accomplices,
    /// and campaigns that live in one place are still two.
    /// `fired` are the families that speak for it.
    pub(in crate::engine) fn proven(&self, fired: u8) -> impl Iterator<Item = CampaignId> {
        let mut found = self.found;
        found.sort_by_key(|found| std::cmp::Reverse((found.keys().count_ones(), found.pairs)));
        let in_it = move |found: &Found| found.is_proven(fired);
        found.into_iter().filter(in_it).map(|found| CampaignId::from(found.campaign))
    }

    /// The campaign the account is in: one that is proven, or one whose key hardly anyone else holds.
    pub(in crate::engine) fn best(&self, fired: u8) -> Option<Match> {
        let proven = self.proven(fired).next();
        let of = |found: &&Found| match proven {
            Some(campaign) => CampaignId::from(found.campaign) == campaign,
            None => found.condemns || found.condemning >= PAIRS,
        };
        let found = self.found.iter().find(of)?;
        let (campaign, proven) = (found.campaign.into(), proven.is_some());
        Some(Match { campaign, proven, floor: found.floor })
    }

    pub(in crate::engine) fn is_empty(&self) -> bool {
        self.found[0].campaign == Tag::default()
    }
}

impl Found {
    fn keys(&self) -> u8 {
        let template = if self.pairs >= PAIRS { Family::T.bit() } else { 0 };
        self.families | template
    }

    fn is_proven(&self, fired: u8) -> bool {
        let keys = self.keys();
        // How equal the loads of a crowd are says nothing of one who is in it.
        let others = (fired & !Family::S.bit() | self.places) & !keys;
        let linked = self.places != 0 && fired & Family::L.bit() != 0;
        linked || keys.count_ones() >= 2 || keys != 0 && others != 0
    }
}

/// Whether people hold such a key for living, or signing up, where others do.
pub(in crate::engine) const fn is_place(facet: Facet) -> bool {
    matches!(facet, Facet::Egress | Facet::Signup)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd(campaign: u64, condemns: bool) -> Crowd {
        Crowd { campaign: Tag(campaign), condemns, ..Crowd::default() }
    }

    fn matched(keys: &[(Facet, u64, bool)], fired: &[Family]) -> Option<(u64, bool)> {
        let mut matches = Matches::default();
        keys.iter().for_each(|&(facet, id, condemns)| {
            matches.add(facet, &crowd(id, condemns), Action::Allow)
        });
        let fired = fired.iter().fold(0, |bits, family| bits | family.bit());
        matches.best(fired).map(|found| (Tag::from(found.campaign).0, found.proven))
    }

    #[test]
    fn one_key_is_company_and_needs_evidence_of_another_family() {
        let template = [(Facet::System, 7, false)];
        assert_eq!(matched(&template, &[]), None);
        assert_eq!(matched(&template, &[Family::T]), None, "the key itself");
        assert_eq!(matched(&template, &[Family::S]), None, "the crowd's doing");
        assert_eq!(matched(&template, &[Family::C]), Some((7, true)));
        let network = [(Facet::Egress, 7, false)];
        assert_eq!(matched(&network, &[Family::C]), None, "a neighbour");
        assert_eq!(
            matched(&network, &[Family::C, Family::T]),
            None,
            "a neighbour of another campaign"
        );
        assert_eq!(matched(&network, &[Family::L]), Some((7, true)));
        assert_eq!(matched(&[(Facet::Tools, 7, true)], &[]), None, "tools come in bundles");
        let signup = [(Facet::Signup, 7, true)];
        assert_eq!(matched(&signup, &[Family::C, Family::T, Family::S]), None);
    }

    #[test]
    fn keys_of_two_families_prove_each_other() {
        assert_eq!(
            matched(&[(Facet::Tools, 7, false), (Facet::Payment, 7, false)], &[]),
            Some((7, true))
        );
        let parts = [(Facet::System, 7, false), (Facet::Tools, 7, false)];
        assert_eq!(matched(&parts, &[]), None, "one product has both");
        let pair = [(Facet::User, 7, false), (Facet::Egress, 7, false)];
        assert_eq!(matched(&pair, &[]), None, "a pair of slots by chance");
        let pairs = [(Facet::User, 7, false), (Facet::User, 7, false), (Facet::Egress, 7, false)];
        assert_eq!(matched(&pairs, &[]), Some((7, true)));
    }

    #[test]
    fn a_key_of_hardly_anyone_else_condemns_at_sight_but_proves_nothing() {
        assert_eq!(matched(&[(Facet::System, 7, true)], &[]), Some((7, false)));
        assert_eq!(matched(&[(Facet::Egress, 7, true)], &[]), None);
        assert_eq!(matched(&[(Facet::User, 7, true)], &[]), None);
    }

    #[test]
    fn the_better_match_wins() {
        let keys =
            [(Facet::System, 7, false), (Facet::Tools, 8, false), (Facet::Payment, 8, false)];
        assert_eq!(matched(&keys, &[Family::C]), Some((8, true)));
    }
}
