//! C3: the account uses the model as a grader.

use super::exchange::Phrases;
use super::registry::{Family, Spec};
pub(super) use super::share::Params;
use super::share::Phrased;

pub(super) struct Grader;

impl Phrased for Grader {
    const SPEC: Spec = Spec {
        id: "C3",
        name: "grader",
        family: Family::C,
        says: "has answers graded against a rubric in most of its requests",
        lookalike: "products and evaluations that use a model as a judge",
        weight: 1.0,
        half_life: 72.0,
        // Guessed: a judge is a product of its own, and grades in every request it makes. One
        // honest account in twenty-five.
        tail: &[(0.1, 0.08), (0.5, 0.04), (0.9, 0.03)],
    };

    const CLASSES: Phrases = Phrases::GRADES;
}

#[cfg(test)]
mod tests {
    use super::super::samples::{habit_of, user};
    use super::*;

    fn share(text: &str) -> Option<f32> {
        habit_of::<Grader>(user(text))
    }

    #[test]
    fn a_rubric_with_a_scale_counts_and_a_mere_mark_does_not() {
        let judge = "Grade the candidate answer against the rubric, from 1 to 10.";
        assert!(share(judge) > Some(0.8));
        assert_eq!(share("My teacher gave me 7 out of 10, is that good?"), Some(0.0));
    }
}
