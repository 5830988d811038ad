//! A part of all accounts, the same ones every time.

use rapidhash::v3::rapidhash_v3;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Action;
use crate::identity::AccountId;

/// A share of accounts, 0 to 100 percent.
///
/// Every account has one place among all of them, whatever the rule. So whoever is in a share is in
/// every larger one, and raising it frees nobody. Ids are keyed hashes: nobody outside can tell who is
/// in.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "f32", into = "f32")]
pub struct Share(f32);

#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a share is a number from 0 to 100 percent, not {0}")]
pub struct NotAShare(f32);

impl Share {
    pub const ALL: Self = Self(100.0);

    pub fn holds(self, account: AccountId) -> bool {
        // Of 2^32 places all are below 100 %.
        f64::from(draw(account, 0) as u32) < f64::from(self.0) / 100.0 * 2_f64.powi(32)
    }
}

impl Default for Share {
    fn default() -> Self {
        Self::ALL
    }
}

impl TryFrom<f32> for Share {
    type Error = NotAShare;

    fn try_from(percent: f32) -> Result<Self, NotAShare> {
        if (0.0..=100.0).contains(&percent) { Ok(Self(percent)) } else { Err(NotAShare(percent)) }
    }
}

impl From<Share> for f32 {
    fn from(share: Share) -> Self {
        share.0
    }
}

/// What an account draws on its way up to a rung: the same every time.
pub(super) fn draw_for(account: AccountId, rung: Action) -> u64 {
    draw(account, 1 + rung as u8)
}

fn draw(account: AccountId, what: u8) -> u64 {
    let mut bytes = [what; 17];
    bytes[..16].copy_from_slice(&account.0);
    rapidhash_v3(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> impl Iterator<Item = AccountId> {
        (0..10_000_u32).map(|n| AccountId(std::array::from_fn(|i| n.to_le_bytes()[i % 4])))
    }

    fn share(percent: f32) -> Share {
        Share::try_from(percent).unwrap()
    }

    #[test]
    fn a_share_holds_about_so_many_and_a_larger_one_holds_them_all() {
        let mut before: Vec<AccountId> = Vec::new();
        for percent in [0.0, 1.0, 10.0, 50.0, 99.0, 100.0] {
            let now: Vec<_> = accounts().filter(|id| share(percent).holds(*id)).collect();
            let off = now.len() as f32 / 100.0 - percent;
            assert!(off.abs() < 1.5, "{percent}: {}", now.len());
            assert!(before.iter().all(|id| now.contains(id)), "freed by {percent}");
            before = now;
        }
        assert_eq!(before.len(), 10_000);
    }

    #[test]
    fn what_is_no_share_is_refused() {
        for percent in [-0.1, 100.1, f32::NAN, f32::INFINITY] {
            assert!(Share::try_from(percent).is_err(), "{percent}");
        }
    }
}
