//! S2: the account turns to a new model within a day of its release, in step with its group.

use rapidhash::v3::rapidhash_v3;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::crowd::{Crowds, Facet, divergence, most};
use super::exchange::Model;
use super::index::Index;
use super::registry::{Asked, Ended, Family, Signal, Spec};
use super::shelf::{Kept, Shelf, Shelved};
use crate::identity::Tag;
use crate::time::{Timestamp, days};

pub(super) struct Pivoting;

/// A model that is new now: named by the operator, or noticed from traffic.
#[derive(Clone, Debug, PartialEq)]
pub struct New {
    pub model: Model,
    pub at: Timestamp,
    /// Share of the fleet's exchanges since, 0 to 1.
    pub share: f32,
}

/// Where one account stands in the newest release. Names of models are told apart by 32 bits.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct Stand {
    /// The model it asked last.
    last: u32,
    /// The release that the rest is about.
    release: u32,
    /// It is counted among those who asked since, and among those who have moved.
    asked: bool,
    moved: bool,
}

/// How many of each group asked since the newest release, and how many have moved to it.
#[derive(Debug)]
pub(super) struct Groups(Index<Moves>);

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
struct Moves {
    release: u32,
    asked: u32,
    moved: u32,
}

/// Groups counted at once, some 40 bytes each.
const CAPACITY: usize = 1 << 18;

/// The key of the fleet as a whole: no hash of a group's is likely to be it.
const FLEET: Tag = Tag(u64::MAX);

/// Exchanges before which an account has no group yet.
const NEWCOMER: u32 = 5;

/// What is taken for granted of a release: one account in fifty moves.
const PRIOR: [f32; 2] = [1.0, 50.0];

/// Members that must have moved before they are a group's.
const FEWEST: u32 = 3;

impl Kept for Stand {}
impl Kept for Moves {}

impl Shelved for Groups {
    fn shelf(&self) -> Option<&dyn Shelf> {
        Some(&self.0)
    }
}

impl Default for Groups {
    fn default() -> Self {
        Self(Index::new(CAPACITY))
    }
}

impl Signal for Pivoting {
    const SPEC: Spec = Spec {
        id: "S2",
        name: "pivot",
        family: Family::S,
        says: "turned to a new model on its first day, along with those who share its template or card",
        lookalike: "release-day adopters: evaluation harnesses, products that change their default",
        weight: 2.0,
        half_life: 48.0,
        // Nats over the fleet's own hazard. Guessed: products that change their default on the day
        // of a release do move at once, so the tail stays fat.
        tail: &[(0.5, 0.1), (1.5, 0.05), (3.0, 0.02), (6.0, 0.01)],
    };

    type Params = Params;
    type Account = Stand;
    type Fleet = Groups;

    fn ask(params: &Params, asked: &Asked<'_>, account: &Stand, fleet: &Groups) -> Option<f32> {
        let new = newest(asked.news)?;
        let model = &asked.ask.prompt.model;
        let moves = *model == new.model && account.last != 0 && account.last != short(model);
        if !moves {
            return None;
        }
        fleet.in_step(params, short(model), (asked.habits.keys(), asked.crowds))
    }

    fn learn(
        params: &Params,
        ended: &Ended<'_>,
        account: &mut Stand,
        fleet: &Groups,
    ) -> Option<f32> {
        let model = &ended.exchange.ask.prompt.model;
        let before = std::mem::replace(&mut account.last, short(model));
        let new = newest(ended.news)?;
        let release = short(&new.model);
        if account.release != release {
            *account = Stand { release, asked: false, moved: false, ..*account };
        }
        if ended.habits.exchanges < NEWCOMER {
            return None;
        }
        let switches = *model == new.model && before != 0 && before != release;
        let (asks, moves) = (!account.asked, switches && !account.moved);
        (account.asked, account.moved) = (true, account.moved || moves);
        if asks || moves {
            let keys = groups(ended.habits.keys()).map(|(_, key)| key);
            keys.chain([FLEET]).for_each(|key| fleet.count(key, release, (asks, moves)));
        }
        if !account.moved {
            return None;
        }
        fleet.in_step(params, release, (ended.habits.keys(), ended.crowds))
    }

    fn tick(_: &Params, fleet: &Groups, now: Timestamp) {
        fleet.0.tick(now, days(4));
    }
}

impl Groups {
    fn count(&self, key: Tag, release: u32, (asks, moves): (bool, bool)) {
        self.0.update(key, |group| {
            if group.release != release {
                *group = Moves { release, ..Moves::default() };
            }
            group.asked += u32::from(asks);
            group.moved += u32::from(moves);
        });
    }

    fn of(&self, key: Tag, release: u32) -> Moves {
        self.0.get(key).filter(|moves| moves.release == release).unwrap_or_default()
    }

    /// Nats of the group that moved most against the rest of the fleet.
    fn in_step(
        &self,
        params: &Params,
        release: u32,
        (keys, crowds): (impl Iterator<Item = (Facet, Tag)>, &Crowds),
    ) -> Option<f32> {
        let fleet = self.of(FLEET, release);
        most(groups(keys).map(|(facet, key)| {
            let group = self.of(key, release);
            let aged = crowds.get(key).map_or(0.0, |crowd| crowd.aged_share());
            // Where established accounts are many it is a product, whose default changes.
            let young = (1.0 - aged / params.established.max(0.01)).max(0.0);
            (facet, excess(params, &group, &fleet) * young)
        }))
    }
}

/// Nats that the group's hazard exceeds the rest of the fleet's by: `n KL(k/n || p)`, over the
/// inflation that members of any group show.
fn excess(params: &Params, group: &Moves, fleet: &Moves) -> f32 {
    let rest = [fleet.moved.saturating_sub(group.moved), fleet.asked.saturating_sub(group.asked)];
    let hazard = (rest[0] as f32 + PRIOR[0]) / (rest[1] as f32 + PRIOR[1]);
    let n = group.asked.max(group.moved).max(1) as f32;
    let (share, p) = (group.moved as f32 / n, hazard.clamp(1e-4, 0.99));
    if group.moved < FEWEST {
        return 0.0;
    }
    let spread = 1.0 + (n - 1.0) * params.correlation;
    n * divergence(share, p) / spread
}

/// Keys of groups that may act as one: neighbours and those who signed up in one hour don't.
fn groups(keys: impl Iterator<Item = (Facet, Tag)>) -> impl Iterator<Item = (Facet, Tag)> {
    keys.filter(|(facet, _)| facet.family() == Family::T || *facet == Facet::Payment)
}

/// The release that is told about where there are several.
fn newest(news: &[New]) -> Option<&New> {
    news.iter().max_by_key(|new| new.at)
}

fn short(model: &Model) -> u32 {
    (rapidhash_v3(model.as_str().as_bytes()) >> 32) as u32 | 1
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "PivotParams")]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// How much more alike than chance the members of an innocent group are.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub correlation: f32,
    /// Share of established members from which a group is a product.
    #[schemars(range(min = 0.01, max = 1.0))]
    pub established: f32,
}

impl Default for Params {
    fn default() -> Self {
        Self { correlation: 0.02, established: 0.25 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::exchange::{Exchange, Prompt};
    use super::super::samples::{Around, at, exchange};
    use super::*;

    fn asks(account: u8, tools: u64, model: &str) -> Exchange {
        let prompt = Prompt { model: model.into(), tools: Tag(tools), ..Prompt::default() };
        exchange(account, 0, prompt)
    }

    /// A fleet on the day of a release.
    struct Day {
        around: Around,
        fleet: Groups,
    }

    impl Day {
        fn new() -> Self {
            let new = New { model: "large-2".into(), at: at(0), share: 0.0 };
            let around = Around { news: vec![new], ..Around::default() };
            Self { around, fleet: Groups::default() }
        }

        /// `stay` accounts with one tool set stay on the old model, then `moves` turn to the new one.
        /// What the last one shows.
        fn go(&mut self, tools: u64, (stay, moves): (u8, u8)) -> Option<f32> {
            let all = (0..stay).map(|_| false).chain((0..moves).map(|_| true));
            let says =
                all.enumerate().map(|(account, moves)| self.one(account as u8, tools, moves));
            says.last().flatten()
        }

        fn one(&mut self, account: u8, tools: u64, moves: bool) -> Option<f32> {
            let mut stand = Stand::default();
            self.around.habits = Default::default();
            for _ in 0..NEWCOMER {
                self.learn(&mut stand, &asks(account, tools, "large-1"));
            }
            let last = asks(account, tools, if moves { "large-2" } else { "large-1" });
            self.learn(&mut stand, &last)
        }

        fn learn(&mut self, stand: &mut Stand, exchange: &Exchange) -> Option<f32> {
            self.around.habits.take(exchange);
            Pivoting::learn(&Params::default(), &self.around.ended(exchange), stand, &self.fleet)
        }
    }

    #[test]
    fn a_group_that_moves_while_the_fleet_stays_is_seen() {
        let mut day = Day::new();
        (1..20).for_each(|product| assert_eq!(day.go(product, (10, 0)), None));
        assert_eq!(day.go(99, (20, 2)), None, "two are none");
        let moved = day.go(100, (20, 8));
        assert!(moved > Some(Pivoting::SPEC.tail[2].0), "{moved:?}");
    }

    #[test]
    fn adopters_spread_over_the_fleet_are_not() {
        let mut day = Day::new();
        for product in 1..20 {
            let moved = day.go(product, (10, 2));
            assert!(moved < Some(Pivoting::SPEC.tail[0].0), "{moved:?}");
        }
        let moved = day.go(100, (16, 4));
        assert!(moved < Some(Pivoting::SPEC.tail[0].0), "{moved:?}");
    }

    #[test]
    fn a_product_with_established_users_may_change_its_default() {
        let mut day = Day::new();
        (1..20).for_each(|product| assert_eq!(day.go(product, (10, 0)), None));
        let mut habits = super::super::Habits::default();
        habits.take(&asks(1, 100, "large-1"));
        day.around.join(&habits, 60, 30);
        assert_eq!(day.go(100, (20, 20)), None);
    }

    #[test]
    fn who_comes_for_the_new_model_has_not_switched() {
        let mut day = Day::new();
        let mut last = None;
        for account in 0..30 {
            let mut stand = Stand::default();
            day.around.habits = Default::default();
            for _ in 0..8 {
                last = day.learn(&mut stand, &asks(account, 7, "large-2"));
            }
        }
        assert_eq!(last, None);
    }

    #[test]
    fn nothing_is_counted_while_no_model_is_new() {
        let mut day = Day::new();
        day.around.news.clear();
        assert_eq!(day.go(7, (10, 30)), None);
        assert!(day.fleet.0.is_empty());
    }

    #[test]
    fn a_first_request_for_the_new_model_is_seen_before_it_is_forwarded() {
        let mut day = Day::new();
        (1..20).for_each(|product| assert_eq!(day.go(product, (10, 0)), None));
        day.go(100, (20, 8));
        let next = asks(77, 100, "large-2");
        let stand = Stand { last: short(&"large-1".into()), ..Stand::default() };
        let asked = day.around.asked(&next.ask);
        let says = |stand| Pivoting::ask(&Params::default(), &asked, &stand, &day.fleet);
        assert!(says(stand) > Some(Pivoting::SPEC.tail[0].0));
        assert_eq!(says(Stand::default()), None);
    }
}
