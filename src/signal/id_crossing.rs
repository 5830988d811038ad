//! L1: to be written.

use super::registry::{Ended, Family, Signal, Spec};

pub(super) struct IdCrossing;

impl Signal for IdCrossing {
    const SPEC: Spec = Spec {
        id: "L1",
        name: "id_crossing",
        family: Family::L,
        says: "",
        lookalike: "",
        weight: 7.0,
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
