//! B7: to be written.

use super::registry::{Ended, Family, Signal, Spec};

pub(super) struct Scaffold;

impl Signal for Scaffold {
    const SPEC: Spec = Spec {
        id: "B7",
        name: "scaffold",
        family: Family::B,
        says: "",
        lookalike: "",
        weight: 0.8,
        half_life: 24.0,
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
