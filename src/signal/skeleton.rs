//! T2: the account's requests have the shape of those of many new accounts and few established ones.
//!
//! The shape is roles, kinds of blocks, log2 lengths and parameters: no paraphrase changes it. But
//! software shapes requests, and much of it is everybody's, so it counts little, and what
//! established accounts send counts hardly at all. It forms no crowd.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::index::Index;
use super::registry::{Ended, Family, Signal, Spec};
use super::shelf::{Kept, Shelf, Shelved};
use crate::identity::Tag;
use crate::time::{Timestamp, days};

pub(super) struct Skeleton;

/// The shape that most of the account's requests have, a running majority vote (Boyer and Moore
/// 1981).
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct Usual {
    /// Its tag in 32 bits; zero is none.
    shape: u32,
    votes: u8,
    /// It is counted among those of its shape, as an established account.
    counted: bool,
    aged: bool,
}

/// Votes beyond this are not counted, so that a new shape replaces an old one within as many requests.
const SURE: u8 = 8;

/// How many accounts have each shape.
#[derive(Debug)]
pub(super) struct Shapes(Index<Shape>);

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct Shape {
    new: u32,
    aged: u32,
}

/// Shapes told apart, some 30 bytes each.
const CAPACITY: usize = 1 << 18;

impl Kept for Usual {}
impl Kept for Shape {}

impl Shelved for Shapes {
    fn shelf(&self) -> Option<&dyn Shelf> {
        Some(&self.0)
    }
}

impl Default for Shapes {
    fn default() -> Self {
        Self(Index::new(CAPACITY))
    }
}

impl Signal for Skeleton {
    const SPEC: Spec = Spec {
        id: "T2",
        name: "skeleton",
        family: Family::T,
        says: "sends requests of a shape that only new accounts send",
        lookalike: "client software just released; classes that work with one notebook",
        weight: 0.6,
        half_life: 168.0,
        // Fatter than T1's: two products of one library have one shape, and short questions fall
        // into few octaves.
        tail: &[(5.0, 0.2), (15.0, 0.1), (50.0, 0.05), (200.0, 0.03), (1000.0, 0.02)],
    };

    type Params = Params;
    type Account = Usual;
    type Fleet = Shapes;

    fn learn(
        params: &Params,
        ended: &Ended<'_>,
        account: &mut Usual,
        fleet: &Shapes,
    ) -> Option<f32> {
        let shape =
            Some(ended.exchange.ask.prompt.skeleton).filter(|tag| *tag != Tag::default())?;
        let shape = short(shape);
        account.vote(shape, fleet);
        if account.shape != shape || account.votes < params.votes {
            return None;
        }
        account.count(ended.aged, fleet);
        let known = fleet.0.get(key(shape))?;
        Some(known.new.saturating_sub(1) as f32 / (1.0 + known.aged as f32))
    }

    fn tick(_: &Params, fleet: &Shapes, now: Timestamp) {
        fleet.0.tick(now, days(14));
    }
}

impl Usual {
    fn vote(&mut self, shape: u32, fleet: &Shapes) {
        if self.shape == shape {
            self.votes = (self.votes + 1).min(SURE);
        } else if self.votes > 0 {
            self.votes -= 1;
        } else {
            self.leave(fleet);
            *self = Self { shape, votes: 1, ..Self::default() };
        }
    }

    fn count(&mut self, aged: bool, fleet: &Shapes) {
        if self.counted && self.aged == aged {
            // Keeps the shape from being forgotten.
            fleet.0.touch(key(self.shape));
            return;
        }
        self.leave(fleet);
        (self.counted, self.aged) = (true, aged);
        fleet.0.update(key(self.shape), |known| {
            let count = if aged { &mut known.aged } else { &mut known.new };
            *count += 1;
        });
    }

    fn leave(&mut self, fleet: &Shapes) {
        if std::mem::take(&mut self.counted) {
            fleet.0.amend(key(self.shape), |known| {
                let count = if self.aged { &mut known.aged } else { &mut known.new };
                *count = count.saturating_sub(1);
            });
            fleet.0.note(key(self.shape));
        }
    }
}

fn short(shape: Tag) -> u32 {
    (shape.0 >> 32) as u32 | 1
}

fn key(shape: u32) -> Tag {
    Tag(u64::from(shape))
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "SkeletonParams")]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Requests of one shape, on balance, that make it the account's.
    #[schemars(range(min = 1, max = 8))]
    pub votes: u8,
}

impl Default for Params {
    fn default() -> Self {
        Self { votes: 4 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::exchange::Prompt;
    use super::super::samples::{Around, exchange};
    use super::*;

    fn asks(fleet: &Shapes, aged: bool, account: &mut Usual, shapes: &[u64]) -> Option<f32> {
        let around = Around { aged, ..Around::default() };
        shapes.iter().fold(None, |_, &shape| {
            let ended = exchange(1, 0, Prompt { skeleton: Tag(shape << 33), ..Prompt::default() });
            Skeleton::learn(&Params::default(), &around.ended(&ended), account, fleet)
        })
    }

    fn crowd(fleet: &Shapes, (new, aged): (u32, u32), shape: u64) -> Option<f32> {
        (0..aged).for_each(|_| {
            asks(fleet, true, &mut Usual::default(), &[shape; 5]);
        });
        (0..new).fold(None, |_, _| asks(fleet, false, &mut Usual::default(), &[shape; 5]))
    }

    #[test]
    fn a_shape_of_new_accounts_alone_is_seen() {
        assert!(crowd(&Shapes::default(), (60, 0), 7) > Some(Skeleton::SPEC.tail[2].0));
    }

    #[test]
    fn a_librarys_shape_is_not_however_many_new_accounts_have_it() {
        let said = crowd(&Shapes::default(), (300, 100), 7);
        assert!(said < Some(Skeleton::SPEC.tail[0].0), "{said:?}");
    }

    #[test]
    fn who_has_no_usual_shape_has_none() {
        let fleet = Shapes::default();
        crowd(&fleet, (60, 0), 7);
        let mixed: Vec<u64> = (0..40).map(|n| if n % 3 == 0 { 7 } else { 100 + n }).collect();
        assert_eq!(asks(&fleet, false, &mut Usual::default(), &mixed), None);
    }

    #[test]
    fn who_ripens_or_changes_is_counted_once() {
        let (fleet, mut account) = (Shapes::default(), Usual::default());
        asks(&fleet, false, &mut account, &[7; 9]);
        asks(&fleet, true, &mut account, &[7; 9]);
        let of = |shape: u64| {
            fleet.0.get(key(short(Tag(shape << 33)))).map(|known| (known.new, known.aged))
        };
        assert_eq!(of(7), Some((0, 1)));
        asks(&fleet, true, &mut account, &[8; 20]);
        assert_eq!((of(7), of(8)), (Some((0, 0)), Some((0, 1))));
    }
}
