//! L1: ids the endpoint issued to one account come back from another.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::exchange::Ask;
use super::index::Tiers;
use super::linkage::{CAPACITY, Distinct, Owner};
use super::registry::{Asked, Ended, Family, Signal, Spec};
use super::shelf::{Kept, Shelf, Shelved};
use crate::identity::Tag;
use crate::time::{Timestamp, days};

pub(super) struct IdCrossing;

/// To whom each id was issued.
#[derive(Debug)]
pub(super) struct Issued(Tiers<Entry>);

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct Entry {
    owner: Owner,
    /// Issued to several accounts: a counter or a constant of the endpoint, nobody's own.
    common: bool,
}

impl Kept for Entry {}

impl Shelved for Issued {
    fn shelf(&self) -> Option<&dyn Shelf> {
        Some(&self.0)
    }
}

impl Default for Issued {
    fn default() -> Self {
        Self(Tiers::new(CAPACITY))
    }
}

impl Signal for IdCrossing {
    const SPEC: Spec = Spec {
        id: "L1",
        name: "id_crossing",
        family: Family::L,
        says: "sends back ids that were issued to other accounts",
        lookalike: "one organisation with several accounts, where organisations are not known",
        weight: 7.0,
        half_life: 720.0,
        // Ids are random and pass from account to account only with the conversation they are in:
        // one may be pasted from a bug report, three make a habit. Guessed, and capped by the
        // unknown share of organisations that spread one conversation over several of their keys.
        tail: &[(1.0, 0.02), (2.0, 0.005), (3.0, 0.001)],
    };

    type Params = Params;
    type Account = Distinct;
    type Fleet = Issued;

    fn ask(_: &Params, asked: &Asked<'_>, account: &Distinct, fleet: &Issued) -> Option<f32> {
        if asked.ask.prompt.presented.is_empty() && asked.ask.prompt.foreign.is_empty() {
            return None;
        }
        fleet.shown(asked.ask, &mut account.clone())
    }

    fn learn(_: &Params, ended: &Ended<'_>, account: &mut Distinct, fleet: &Issued) -> Option<f32> {
        let (exchange, completion) = (ended.exchange, &ended.exchange.completion);
        let shown = fleet.shown(&exchange.ask, account);
        if exchange.served() && !completion.issued.is_empty() {
            let owner = Owner::of(&exchange.ask.caller);
            completion.issued.iter().for_each(|&id| fleet.issue(id, owner, ended.aged));
        }
        shown
    }

    fn tick(params: &Params, fleet: &Issued, now: Timestamp) {
        fleet.0.tick(now, days(params.days));
    }
}

impl Issued {
    /// Different foreign ids the account has shown, if this request shows a new one.
    fn shown(&self, ask: &Ask, account: &mut Distinct) -> Option<f32> {
        let caller = Owner::of(&ask.caller);
        let foreign = |id: &Tag| {
            let known = self.0.get(*id).filter(|entry| !entry.common);
            known.is_some_and(|entry| entry.owner.is_foreign_to(&caller))
        };
        let known = ask.prompt.presented.iter().copied().filter(foreign);
        // What is bound says itself that it is another's, also when that is long forgotten here.
        let crossing = known.chain(ask.prompt.foreign.iter().copied());
        crossing.filter_map(|id| account.insert(id, ask.at)).last()
    }

    fn issue(&self, id: Tag, to: Owner, aged: bool) {
        self.0.update(id, aged, |entry| entry.common |= entry.owner.claim(to));
    }
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "IdCrossingParams")]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Days after which an issued id is forgotten at the latest; sooner when memory is full.
    #[schemars(range(min = 1))]
    pub days: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self { days: 14 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::exchange::{Ending, Exchange, Prompt};
    use super::super::samples::{Around, exchange};
    use super::*;

    fn issues(account: u8, ids: &[u64]) -> Exchange {
        let mut issuing = exchange(account, 0, Prompt::default());
        issuing.completion.issued = ids.iter().copied().map(Tag).collect();
        issuing
    }

    fn presents(account: u8, ids: &[u64]) -> Exchange {
        let presented = ids.iter().copied().map(Tag).collect();
        exchange(account, 10, Prompt { presented, ..Prompt::default() })
    }

    fn learn(fleet: &Issued, account: &mut Distinct, exchange: &Exchange) -> Option<f32> {
        IdCrossing::learn(&Params::default(), &Around::default().ended(exchange), account, fleet)
    }

    fn issued(exchanges: &[Exchange]) -> Issued {
        let fleet = Issued::default();
        for exchange in exchanges {
            assert_eq!(learn(&fleet, &mut Distinct::default(), exchange), None);
        }
        fleet
    }

    #[test]
    fn foreign_ids_are_counted_once_each() {
        let fleet = issued(&[issues(1, &[11, 12]), issues(2, &[13])]);
        let mut account = Distinct::default();
        assert_eq!(learn(&fleet, &mut account, &presents(3, &[11, 12, 99])), Some(2.0));
        assert_eq!(learn(&fleet, &mut account, &presents(3, &[11, 12])), None);
        let ask = presents(3, &[13]).ask;
        let around = Around::default();
        let asked = || IdCrossing::ask(&Params::default(), &around.asked(&ask), &account, &fleet);
        assert_eq!((asked(), asked()), (Some(3.0), Some(3.0)), "asking changes nothing");
    }

    #[test]
    fn ones_own_ids_and_those_of_ones_organisation_are_not_foreign() {
        let in_org = |mut exchange: Exchange| {
            exchange.ask.caller.org = Some(Tag(7));
            exchange
        };
        let fleet = issued(&[issues(1, &[11]), in_org(issues(2, &[12]))]);
        let learns = |exchange: &Exchange| learn(&fleet, &mut Distinct::default(), exchange);
        assert_eq!(learns(&presents(1, &[11])), None);
        assert_eq!(learns(&in_org(presents(3, &[12]))), None);
        assert_eq!(learns(&presents(3, &[12])), Some(1.0));
        let mut elsewhere = presents(3, &[11]);
        elsewhere.ask.caller.tenant = "another".into();
        assert_eq!(learns(&elsewhere), None);
    }

    #[test]
    fn what_is_issued_to_several_is_nobodys() {
        let fleet = issued(&[issues(1, &[11]), issues(2, &[11])]);
        assert_eq!(learn(&fleet, &mut Distinct::default(), &presents(3, &[11])), None);
    }

    #[test]
    fn a_refusal_issues_nothing() {
        let mut refused = issues(1, &[11]);
        refused.ending = Ending::Refused;
        let fleet = issued(&[refused]);
        assert_eq!(learn(&fleet, &mut Distinct::default(), &presents(3, &[11])), None);
    }

    #[test]
    fn what_says_itself_that_it_is_anothers_counts_once_whether_it_is_remembered_or_not() {
        let fleet = issued(&[issues(1, &[11])]);
        let mut bound = presents(3, &[11, 12]);
        bound.ask.prompt.foreign = vec![Tag(11), Tag(12)];
        let mut account = Distinct::default();
        assert_eq!(learn(&fleet, &mut account, &bound), Some(2.0));
        assert_eq!(learn(&fleet, &mut account, &bound), None);
        assert_eq!(learn(&fleet, &mut Distinct::default(), &presents(1, &[11, 12])), None);
    }

    #[test]
    fn the_issuer_is_never_bound() {
        let fleet = issued(&[issues(1, &[11, 12, 13])]);
        learn(&fleet, &mut Distinct::default(), &presents(3, &[11, 12, 13]));
        assert_eq!(learn(&fleet, &mut Distinct::default(), &presents(1, &[11, 12, 13])), None);
    }
}
