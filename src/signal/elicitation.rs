//! C1: to be written.

use super::registry::{Ended, Family, Signal, Spec};

pub(super) struct Elicitation;

impl Signal for Elicitation {
    const SPEC: Spec = Spec {
        id: "C1",
        name: "elicitation",
        family: Family::C,
        says: "",
        lookalike: "",
        weight: 1.5,
        half_life: 72.0,
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
