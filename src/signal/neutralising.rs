//! C4: the account has answers made to pass a filter.

use super::exchange::Phrases;
use super::registry::{Family, Spec};
pub(super) use super::share::Params;
use super::share::Phrased;

pub(super) struct Neutralising;

impl Phrased for Neutralising {
    const SPEC: Spec = Spec {
        id: "C4",
        name: "neutralising",
        family: Family::C,
        says: "has sensitive subjects rewritten so that they pass a filter",
        lookalike: "moderation vendors and news rooms",
        weight: 1.0,
        half_life: 72.0,
        // Guessed: rewriting is common, rewriting for neutrality as a habit is not.
        tail: &[(0.1, 0.05), (0.5, 0.02), (0.9, 0.012)],
    };

    const CLASSES: Phrases = Phrases::NEUTRALISES;
}

#[cfg(test)]
mod tests {
    use super::super::samples::{habit_of, user};
    use super::*;

    fn share(text: &str) -> Option<f32> {
        habit_of::<Neutralising>(user(text))
    }

    #[test]
    fn rewriting_for_neutrality_counts_and_rewriting_does_not() {
        assert!(share("Give a politically safe rewording of this claim about taxes.") > Some(0.8));
        assert_eq!(share("Rewrite this letter in a friendly tone, please."), Some(0.0));
    }
}
