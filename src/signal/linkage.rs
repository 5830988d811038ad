//! What the linkage signals share: who owns a thing, and how many foreign things were shown.
//!
//! Linkage binds the account that *presents* what another was given, never the one it was given to:
//! nobody can be framed by having an id or a conversation of his stolen.

use rapidhash::v3::rapidhash_v3;
use serde::{Deserialize, Serialize};

use super::shelf::Kept;
use crate::identity::{AccountId, Caller, Tag};
use crate::time::{Shift, Timestamp};

/// Entries each tier of a linkage index holds, about 32 MB when full.
pub(super) const CAPACITY: usize = 1 << 19;

/// An account as the owner of something, in 24 bytes. Zero is "nobody".
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Owner {
    account: u64,
    tenant: u64,
    org: u64,
}

impl Owner {
    pub(super) fn of(caller: &Caller) -> Self {
        let account = account_tag(caller.account).0;
        // Names of tenants are the operator's: no caller can aim for a collision.
        let tenant = rapidhash_v3(caller.tenant.as_str().as_bytes());
        Self { account, tenant, org: caller.org.unwrap_or_default().0 }
    }

    pub(super) fn is_nobody(&self) -> bool {
        *self == Self::default()
    }

    /// 32 bits that tell few accounts apart.
    pub(super) fn fingerprint(&self) -> u32 {
        let mixed = (self.account ^ self.tenant).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 32) as u32
    }

    /// Makes what nobody owned `to`'s. Whether it is another account's.
    pub(super) fn claim(&mut self, to: Self) -> bool {
        if self.is_nobody() {
            *self = to;
        }
        !self.is_account(&to)
    }

    pub(super) fn is_account(&self, other: &Self) -> bool {
        (self.account, self.tenant) == (other.account, other.tenant)
    }

    /// Whether `other` has no business with what this owner was given: it is another account of the
    /// same tenant and, where organisations are known, of another organisation.
    pub(super) fn is_foreign_to(&self, other: &Self) -> bool {
        let one_org = self.org != 0 && self.org == other.org;
        !self.is_nobody()
            && self.tenant == other.tenant
            && self.account != other.account
            && !one_org
    }
}

/// Half of an account's id.
pub(super) fn account_tag(id: AccountId) -> Tag {
    Tag(id.0.iter().take(8).fold(0, |id, &b| id << 8 | u64::from(b)))
}

/// How many different accounts, by the bits their tags fall on (linear counting): 16 bytes that tell
/// a dozen from a hundred, whoever comes how often.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(super) struct Owners(u128);

/// How many different things have set bits, `free` of `all` of which are left (linear counting).
pub(super) fn counted(free: u32, all: u32) -> f32 {
    let all = all as f32;
    (all * (all / free.max(1) as f32).ln()).round()
}

impl Owners {
    pub(super) fn insert(&mut self, owner: Tag) {
        self.0 |= 1 << (owner.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 57);
    }

    pub(super) fn count(self) -> f32 {
        counted(self.0.count_zeros(), u128::BITS)
    }
}

/// Foreign things one account has shown, told apart by 32 bits of their tags. Counts to eight;
/// forgotten when nothing was added for a month, the half-life of linkage evidence.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Distinct {
    seen: [u32; 8],
    len: u8,
    last: Timestamp,
}

const FORGET_HOURS: f32 = 720.0;

impl Distinct {
    /// How many there are with this one. None when the account has shown it before.
    pub(super) fn insert(&mut self, tag: Tag, now: Timestamp) -> Option<f32> {
        if now.hours_since(self.last) > FORGET_HOURS {
            self.len = 0;
        }
        if self.known().contains(&fingerprint(tag)) {
            return None;
        }
        self.last = self.last.max(now);
        if let Some(place) = self.seen.get_mut(usize::from(self.len)) {
            *place = fingerprint(tag);
            self.len += 1;
        }
        Some(f32::from(self.len))
    }

    fn known(&self) -> &[u32] {
        &self.seen[..usize::from(self.len).min(self.seen.len())]
    }
}

impl Kept for Distinct {
    fn shift(&mut self, by: Shift) {
        self.last = self.last.shifted(by);
    }
}

fn fingerprint(tag: Tag) -> u32 {
    (tag.0 >> 32) as u32 ^ tag.0 as u32
}

#[cfg(test)]
mod tests {
    use super::super::samples::at;
    use super::*;

    #[test]
    fn foreign_is_another_account_of_the_same_tenant_and_another_organisation() {
        let with = |account, org, tenant: &str| {
            let caller = Caller { org, tenant: tenant.into(), ..Caller::sample(account) };
            Owner::of(&caller)
        };
        let a = with(1, None, "acme");
        assert!(a.is_foreign_to(&with(2, None, "acme")));
        assert!(a.is_foreign_to(&with(2, Some(Tag(3)), "acme")));
        assert!(!a.is_foreign_to(&a) && a.is_account(&a));
        assert!(!a.is_foreign_to(&with(2, None, "other")));
        assert!(!with(1, Some(Tag(3)), "acme").is_foreign_to(&with(2, Some(Tag(3)), "acme")));
        assert!(with(1, Some(Tag(4)), "acme").is_foreign_to(&with(2, Some(Tag(3)), "acme")));
        assert!(!Owner::default().is_foreign_to(&a));
    }

    #[test]
    fn only_different_things_count_and_old_ones_are_forgotten() {
        let mut shown = Distinct::default();
        assert_eq!(
            [1, 1, 2].map(|tag| shown.insert(Tag(tag), at(0))),
            [Some(1.0), None, Some(2.0)]
        );
        let last = (3..40).fold(None, |_, tag| shown.insert(Tag(tag), at(1)));
        assert_eq!(last, Some(8.0));
        assert_eq!(shown.insert(Tag(1), at(32 * 24 * 3600)), Some(1.0));
    }
}
