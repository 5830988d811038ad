//! Crowds: the accounts that share one key, be it a template, a tool set or an egress network.
//!
//! A crowd is only counted here. What it means is for the engine: in this traffic a template *is*
//! a product, and a plain "many accounts share it" would flag a quarter of all customers.

use serde::{Deserialize, Serialize};

use super::index::Index;
use super::registry::Family;
use super::shelf::{Entries, Kept, Shelf};
use crate::identity::Tag;
use crate::time::{Shift, Timestamp, days};

/// What kind of key formed a crowd.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Facet {
    System,
    User,
    Tools,
    Egress,
    Payment,
    Signup,
}

impl Facet {
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::System => "system prompt",
            Self::User => "prompt template",
            Self::Tools => "tool set",
            Self::Egress => "network",
            Self::Payment => "means of payment",
            Self::Signup => "hour and kind of sign-up",
        }
    }

    /// The family whose evidence this key already is: it can't amplify itself.
    pub const fn family(self) -> Family {
        match self {
            Self::System | Self::User | Self::Tools => Family::T,
            Self::Egress => Family::N,
            Self::Payment | Self::Signup => Family::P,
        }
    }

    /// The key of `part` under this facet: equal parts of different facets never meet.
    pub const fn key(self, part: u64) -> Tag {
        let facet = self as u64 + 1;
        Tag(part ^ facet.wrapping_mul(0xd6e8_feb8_6659_fd93))
    }
}

/// The accounts behind one key.
///
/// What can be counted is not written down but counted anew: its members may have been written at
/// other times than it.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Crowd {
    pub facet: Option<Facet>,
    #[serde(skip)]
    pub members: u32,
    /// Members older than the age at which an account counts as established.
    #[serde(skip)]
    pub aged: u32,
    /// Members for whom a family of evidence speaks, by [`Family::index`].
    #[serde(skip)]
    pub fired: [u32; Family::ALL.len()],
    /// Members held at each rung of the ladder, allow first.
    #[serde(skip)]
    pub rungs: [u32; 5],
    /// Members by the octave of their exchanges, as [`octave`] counts them.
    #[serde(skip)]
    pub loads: [u32; OCTAVES],
    /// When the first member came, and the members who came in the last day (decayed).
    pub since: Timestamp,
    pub recent: f32,
    pub recent_at: Timestamp,
    /// The group term in nats, as the engine last computed it.
    pub heat: f32,
    /// The campaign most of the members are in, as the engine last found. Zero is none.
    pub campaign: Tag,
    /// Hardly anyone but that campaign uses the key.
    pub condemns: bool,
}

/// Octaves of exchanges that are told apart: 8 to 15, 16 to 31, and so on; the last is open.
pub const OCTAVES: usize = 8;

/// The octave of an account's exchanges. None below eight: where everybody has asked two or three
/// times, everybody has asked equally often.
pub fn octave(exchanges: u32) -> Option<usize> {
    let octave = exchanges.checked_ilog2()?.checked_sub(3)?;
    Some((octave as usize).min(OCTAVES - 1))
}

/// Keys of a user turn are pairs of slots, and one pair is easily shared by chance: at a Jaccard
/// index of .2 half of all texts share one of sixteen, one in forty shares three.
const PAIRS: usize = 3;

/// Every crowd, bounded.
#[derive(Debug)]
pub struct Crowds(Index<Crowd>);

impl Default for Crowds {
    fn default() -> Self {
        Self(Index::new(1 << 20))
    }
}

impl Crowds {
    pub fn get(&self, key: Tag) -> Option<Crowd> {
        self.0.get(key)
    }

    /// The freshness of the crowd around one mark, where there is any. A mark of zero is none.
    pub fn freshness(&self, facet: Facet, mark: Tag, now: Timestamp) -> Option<f32> {
        let known = Some(mark).filter(|mark| *mark != Tag::default())?;
        Some(self.get(facet.key(known.0))?.freshness(now)).filter(|fresh| *fresh > 0.0)
    }

    /// The most that `reading` makes of a crowd among the keys, where those of user turns must agree
    /// in three.
    pub fn most(
        &self,
        keys: impl Iterator<Item = (Facet, Tag)>,
        reading: impl Fn(&Crowd) -> f32,
    ) -> Option<f32> {
        most(keys.map(|(facet, key)| (facet, self.get(key).map_or(0.0, |crowd| reading(&crowd)))))
    }

    /// One account joins. `change` also sees what it brings. False when the index is full.
    pub fn join(
        &self,
        facet: Facet,
        key: Tag,
        now: Timestamp,
        change: impl FnOnce(&mut Crowd),
    ) -> bool {
        let joined = self.0.update(key, |crowd| {
            if crowd.members == 0 {
                *crowd = Crowd { since: now, recent_at: now, ..Crowd::default() };
            }
            crowd.facet = Some(facet);
            crowd.members += 1;
            crowd.recent = crowd.recent_at(now) + 1.0;
            crowd.recent_at = now;
            change(crowd);
        });
        joined.is_some()
    }

    /// Changes a crowd that exists. False when there is none.
    pub fn amend(&self, key: Tag, change: impl FnOnce(&mut Crowd)) -> bool {
        self.0.amend(key, change).is_some()
    }

    /// Says whose a crowd's key is, and whether hardly anyone else uses it. Tag zero: nobody's.
    pub fn mark(&self, key: Tag, campaign: Tag, condemns: bool) {
        let changed = self.0.amend(key, |crowd| {
            let before = (crowd.campaign, crowd.condemns);
            (crowd.campaign, crowd.condemns) = (campaign, condemns);
            before != (campaign, condemns)
        });
        if changed == Some(true) {
            self.0.note(key);
        }
    }

    /// Weighs one crowd anew.
    pub fn heat(&self, key: Tag, weigh: impl FnOnce(&Crowd) -> f32) {
        self.0.amend(key, |crowd| self.weighed(key, crowd, weigh));
    }

    /// Weighs every crowd anew.
    pub fn reheat(&self, weigh: impl Fn(&Crowd) -> f32) {
        self.0.each(|key, crowd| self.weighed(key, crowd, &weigh));
    }

    fn weighed(&self, key: Tag, crowd: &mut Crowd, weigh: impl FnOnce(&Crowd) -> f32) {
        let heat = weigh(crowd);
        if heat != std::mem::replace(&mut crowd.heat, heat) {
            self.0.note(key);
        }
    }

    pub fn shelf(&self) -> &dyn Shelf {
        &self.0
    }

    /// One crowd as its shelf would give it.
    pub fn entry(&self, key: Tag, out: &mut Entries<'_>) {
        self.0.entry(key.0, out);
    }

    /// Keeps a crowd from being forgotten: its member is active. False when it is forgotten
    /// already, and the member has to join anew to be counted.
    pub fn touch(&self, key: Tag) -> bool {
        self.0.touch(key)
    }

    pub fn each(&self, visit: impl FnMut(Tag, &mut Crowd)) {
        self.0.each(visit);
    }

    pub fn tick(&self, now: Timestamp) {
        self.0.tick(now, days(14));
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The most of the readings of keys, where those of user turns must agree in three.
pub fn most(readings: impl Iterator<Item = (Facet, f32)>) -> Option<f32> {
    let (mut whole, mut pairs) = (0.0_f32, [0.0_f32; PAIRS]);
    for (facet, read) in readings {
        if facet != Facet::User {
            whole = whole.max(read);
        } else if read > pairs[0] {
            pairs[0] = read;
            pairs.sort_by(f32::total_cmp);
        }
    }
    Some(whole.max(pairs[0])).filter(|most| *most > 0.0)
}

/// Nats for each member of a crowd of whom a `share` shows what a share `p` of all would by chance:
/// `KL(share || p)` of the two outcomes, the exponent of Chernoff's bound. Zero up to `p`.
pub fn divergence(share: f32, p: f32) -> f32 {
    if share <= p {
        return 0.0;
    }
    let rest = if share < 1.0 { (1.0 - share) * ((1.0 - share) / (1.0 - p)).ln() } else { 0.0 };
    share * (share / p).ln() + rest
}

impl Kept for Crowd {
    fn shift(&mut self, by: Shift) {
        self.since = self.since.shifted(by);
        self.recent_at = self.recent_at.shifted(by);
    }
}

impl Crowd {
    /// Members who came within about a day before `now`.
    pub fn recent_at(&self, now: Timestamp) -> f32 {
        self.recent * (-now.hours_since(self.recent_at) / 24.0).exp()
    }

    /// Members with exchanges enough to compare, and the variance of the octave of their exchanges.
    pub fn spread(&self) -> (u32, f32) {
        let (mut n, mut sum, mut squares) = (0, 0.0, 0.0);
        for (octave, &members) in self.loads.iter().enumerate() {
            n += members;
            sum += octave as f32 * members as f32;
            squares += (octave * octave) as f32 * members as f32;
        }
        let all = n.max(2) as f32;
        (n, ((squares - sum * sum / all) / (all - 1.0)).max(0.0))
    }

    /// Share of members who are established.
    pub fn aged_share(&self) -> f32 {
        if self.members == 0 { 0.0 } else { self.aged as f32 / self.members as f32 }
    }

    /// Odds of new members to established ones, today's arrivals counting double.
    ///
    /// A product's key is shared by many, but by many established accounts too: its odds stay low
    /// however popular it is. Zero below three members.
    pub fn freshness(&self, now: Timestamp) -> f32 {
        if self.members < 3 {
            return 0.0;
        }
        let unaged = self.members.saturating_sub(self.aged) as f32;
        let recent = self.recent_at(now).min(unaged);
        (unaged + recent) / 2.0 / (1.0 + self.aged as f32)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn crowd(new: u32, aged: u32) -> (Crowds, Tag, Timestamp) {
        let (crowds, key, now) = (Crowds::default(), Tag(9), Timestamp::from_millis(1_000_000));
        for member in 0..new + aged {
            let old = u32::from(member < aged);
            crowds.join(Facet::System, key, now, |crowd| crowd.aged += old);
        }
        (crowds, key, now)
    }

    #[test]
    fn equal_parts_of_different_facets_never_meet() {
        let facets = [
            Facet::System,
            Facet::User,
            Facet::Tools,
            Facet::Egress,
            Facet::Payment,
            Facet::Signup,
        ];
        let keys = facets.map(|facet| facet.key(5));
        assert!((0..facets.len()).all(|a| (0..a).all(|b| keys[a] != keys[b])));
    }

    #[test]
    fn a_product_is_not_new_however_popular() {
        let odds = |new, aged| {
            let (crowds, key, now) = crowd(new, aged);
            crowds.get(key).map(|crowd| crowd.freshness(now))
        };
        assert_eq!(odds(20, 0), Some(20.0));
        assert!(odds(5000, 2500) < Some(2.1));
        assert_eq!(odds(2, 0), Some(0.0));
        assert_eq!(odds(0, 50), Some(0.0));
    }

    #[test]
    fn arrivals_fade_within_days() {
        let (crowds, key, now) = crowd(40, 0);
        let crowd = crowds.get(key).expect("known");
        assert!(crowd.recent_at(now) > 39.0 && crowd.recent_at(now + DAY * 5) < 0.5);
        assert!(crowd.freshness(now + DAY * 5) < 21.0);
    }

    #[test]
    fn a_forgotten_crowd_is_not_made_again_by_a_touch() {
        let (crowds, key, now) = crowd(3, 0);
        assert!(crowds.touch(key));
        for day in 0..30 {
            crowds.tick(now + DAY * day);
        }
        assert!(!crowds.touch(key) && crowds.is_empty());
    }
}
