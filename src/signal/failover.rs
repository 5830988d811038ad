//! L3: to be written.

use super::registry::{Ended, Family, Signal, Spec};

pub(super) struct Failover;

impl Signal for Failover {
    const SPEC: Spec = Spec {
        id: "L3",
        name: "failover",
        family: Family::L,
        says: "",
        lookalike: "",
        weight: 4.0,
        half_life: 720.0,
        tail: &[],
    };

    type Params = Params;
    type Account = ();
    type Fleet = ();

    fn learn(_: &Params, _: &Ended<'_>, _: &mut (), _: &()) -> Option<f32> {
        None
    }
}

#[derive(
    Clone, Debug, Default, serde::Deserialize, schemars::JsonSchema, PartialEq, serde::Serialize,
)]
#[serde(default, deny_unknown_fields)]
pub struct Params {}
