//! S3: the accounts that share the account's template ask equally often.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::crowd::{Crowd, Crowds, Facet};
use super::registry::{Ended, Family, Signal, Spec};
use crate::identity::Tag;

pub(super) struct EqualLoads;

impl Signal for EqualLoads {
    const SPEC: Spec = Spec {
        id: "S3",
        name: "equal_loads",
        family: Family::S,
        says: "is one of many that share a template and ask equally often",
        lookalike: "classrooms, evaluation harnesses and batches of one size",
        weight: 1.5,
        half_life: 24.0,
        // Customers of one product differ by orders of magnitude in how much they ask: in public
        // traces the logarithm of a client's rate has a standard deviation well above one octave.
        // Groups that are given the same work to do are the exception, taken as one in ten for a
        // loose likeness and one in fifty for a tight one.
        tail: &[(2.5, 0.1), (4.0, 0.06), (6.0, 0.03), (9.0, 0.02)],
    };

    type Params = Params;
    type Account = ();
    type Fleet = ();

    fn learn(params: &Params, ended: &Ended<'_>, _: &mut (), _: &()) -> Option<f32> {
        most_equal(params, ended.habits.keys(), ended.crowds)
    }
}

/// Nats of the most equal crowd among the keys of templates.
fn most_equal(
    params: &Params,
    keys: impl Iterator<Item = (Facet, Tag)>,
    crowds: &Crowds,
) -> Option<f32> {
    let templates = keys.filter(|(facet, _)| facet.family() == Family::T);
    crowds.most(templates, |crowd| equality(params, crowd))
}

/// Evidence, in nats, that the members' loads are drawn from a narrower spread than customers' are.
///
/// The exponent of the chi-square tail of a sample variance `r` times the expected one,
/// `(n-1)/2 (r - 1 - ln r)`, over the same inflation as a crowd's: members of any crowd are alike,
/// so a thousand of them are no fifty times the evidence of twenty.
fn equality(params: &Params, crowd: &Crowd) -> f32 {
    let (members, variance) = crowd.spread();
    // What rounding to octaves adds to any variance, and all there is where all are in one.
    let ratio = (variance + 1.0 / 12.0) / params.variance.max(0.1);
    if members < params.at_least.max(2) || ratio >= 1.0 {
        return 0.0;
    }
    let free = (members - 1) as f32;
    free / 2.0 * (ratio - 1.0 - ratio.ln()) / (1.0 + free * params.correlation)
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "EqualLoadsParams")]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Members with at least eight exchanges before their loads are compared.
    pub at_least: u32,
    /// Variance of log2 of the exchanges that customers of one product show at least.
    #[schemars(range(min = 0.1))]
    pub variance: f32,
    /// How much more alike than chance the members of an innocent crowd are.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub correlation: f32,
}

impl Default for Params {
    fn default() -> Self {
        Self { at_least: 8, variance: 1.0, correlation: 0.05 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::crowd::OCTAVES;
    use super::*;

    fn nats(loads: [u32; OCTAVES]) -> f32 {
        equality(&Params::default(), &Crowd { loads, ..Crowd::default() })
    }

    #[test]
    fn a_pool_that_deals_out_its_work_is_equal() {
        let tail = EqualLoads::SPEC.tail;
        assert!(nats([20, 0, 0, 0, 0, 0, 0, 0]) > tail[2].0);
        assert!(nats([30, 30, 0, 0, 0, 0, 0, 0]) > tail[0].0);
        assert!(nats([0, 0, 40, 60, 0, 0, 0, 0]) > tail[0].0);
        assert!(nats([0, 0, 0, 0, 0, 0, 0, 7]) < 0.1, "too few to say");
    }

    #[test]
    fn customers_of_a_product_are_not_however_many() {
        assert!(nats([40, 20, 10, 5, 3, 2, 1, 1]) < 0.5);
        assert!(nats([4000, 2000, 1000, 500, 300, 200, 100, 100]) < 0.5);
        assert!(nats([10, 20, 40, 40, 20, 10, 5, 2]) < 0.5);
    }

    #[test]
    fn the_account_needs_more_than_one_pair_of_slots_in_common() {
        let crowds = Crowds::default();
        let keys = [1, 2, 3].map(|n| (Facet::User, Facet::User.key(n)));
        for (facet, key) in keys {
            let now = crate::time::Timestamp::default();
            crowds.join(facet, key, now, |crowd| crowd.loads[0] = 30);
        }
        let says =
            |keys: &[(Facet, Tag)]| most_equal(&Params::default(), keys.iter().copied(), &crowds);
        assert!(says(&keys) > Some(5.0));
        assert_eq!(says(&keys[..2]), None);
    }
}
