//! N1: to be written.

use super::registry::{Ended, Family, Signal, Spec};

pub(super) struct Egress;

impl Signal for Egress {
    const SPEC: Spec = Spec {
        id: "N1",
        name: "egress",
        family: Family::N,
        says: "",
        lookalike: "",
        weight: 1.0,
        half_life: 168.0,
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
