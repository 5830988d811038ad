//! N5: requests come from where the service is not offered. Where that is, the tenant's policy says;
//! no country weighs anything without its word.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::registry::{Asked, Ended, Family, Signal, Spec};

pub(super) struct Unserved;

impl Signal for Unserved {
    const SPEC: Spec = Spec {
        id: "N5",
        name: "unserved",
        family: Family::N,
        says: "asks from a region that is not served",
        lookalike: "travellers; VPNs; networks that a database places wrongly",
        weight: 0.7,
        half_life: 168.0,
        // Guessed: travel and misplaced networks bring one honest account in thirty there.
        tail: &[(1.0, 0.03)],
    };

    type Params = Params;
    type Account = ();
    type Fleet = ();

    fn ask(_: &Params, asked: &Asked<'_>, _: &(), _: &()) -> Option<f32> {
        asked.unserved.then_some(1.0)
    }

    fn learn(_: &Params, ended: &Ended<'_>, _: &mut (), _: &()) -> Option<f32> {
        ended.unserved.then_some(1.0)
    }
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "UnservedParams")]
#[serde(default, deny_unknown_fields)]
pub struct Params {}

#[cfg(test)]
mod tests {
    use super::super::exchange::Prompt;
    use super::super::samples::{Around, exchange};
    use super::*;

    #[test]
    fn only_what_policy_does_not_serve_counts() {
        let ended = exchange(1, 0, Prompt::default());
        for (unserved, says) in [(true, Some(1.0)), (false, None)] {
            let around = Around { unserved, ..Around::default() };
            assert_eq!(Unserved::ask(&Params {}, &around.asked(&ended.ask), &(), &()), says);
            assert_eq!(Unserved::learn(&Params {}, &around.ended(&ended), &mut (), &()), says);
        }
    }
}
