//! C3: the account uses the model as a grader.

use super::exchange::{Phrases, Prompt};
use super::registry::{Asked, Ended, Family, Signal, Spec};
pub(super) use super::share::Params;
use super::share::Share;

pub(super) struct Grader;

impl Signal for Grader {
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

    type Params = Params;
    type Account = Share;
    type Fleet = ();

    fn ask(params: &Params, asked: &Asked<'_>, account: &Share, _: &()) -> Option<f32> {
        grades(&asked.ask.prompt).then(|| account.with_one_more(params))
    }

    fn learn(params: &Params, ended: &Ended<'_>, account: &mut Share, _: &()) -> Option<f32> {
        account.take(params, grades(&ended.exchange.ask.prompt))
    }
}

fn grades(prompt: &Prompt) -> bool {
    prompt.phrases.any(Phrases::GRADES)
}

#[cfg(test)]
mod tests {
    use super::super::samples::{Around, exchange, user};
    use super::*;

    fn share(text: &str) -> Option<f32> {
        let (around, mut account) = (Around::default(), Share::default());
        let ended = exchange(1, 0, user(text));
        let ended = around.ended(&ended);
        (0..20).fold(None, |_, _| Grader::learn(&Params::default(), &ended, &mut account, &()))
    }

    #[test]
    fn a_rubric_with_a_scale_counts_and_a_mere_mark_does_not() {
        let judge = "Grade the candidate answer against the rubric, from 1 to 10.";
        assert!(share(judge) > Some(0.8));
        assert_eq!(share("My teacher gave me 7 out of 10, is that good?"), Some(0.0));
    }
}
