//! C1: the account keeps asking for reasoning written out.

use super::exchange::Phrases;
use super::registry::{Family, Spec};
pub(super) use super::share::Params;
use super::share::Phrased;

pub(super) struct Elicitation;

impl Phrased for Elicitation {
    const SPEC: Spec = Spec {
        id: "C1",
        name: "elicitation",
        family: Family::C,
        says: "asks for step-by-step reasoning in most of its requests",
        lookalike: "tutoring, audits, evaluation harnesses",
        weight: 1.5,
        half_life: 72.0,
        // Guessed high: one request in ten of an ordinary account is plausible for one account in
        // seven, most of its requests for tutors and graders only. To be replaced by the cohort's.
        tail: &[(0.1, 0.15), (0.25, 0.08), (0.5, 0.04), (0.75, 0.02), (0.9, 0.01)],
    };

    const CLASSES: Phrases = Phrases::ELICITS.union(Phrases::REVEALS);
}

#[cfg(test)]
mod tests {
    use super::super::exchange::Prompt;
    use super::super::registry::Signal;
    use super::super::samples::{Around, exchange, filled, saying, user};
    use super::super::share::Share;
    use super::*;

    fn learned(prompts: impl IntoIterator<Item = Prompt>) -> (Share, Option<f32>) {
        let (around, mut account, mut last) = (Around::default(), Share::default(), None);
        for prompt in prompts {
            let ended = exchange(1, 0, prompt);
            last = Elicitation::learn(&Params::default(), &around.ended(&ended), &mut account, &());
        }
        (account, last)
    }

    #[test]
    fn a_habit_of_eliciting_is_seen_and_a_single_request_is_not_one() {
        let eliciting = || user("Think step by step about tides.");
        assert_eq!(learned([eliciting()]).1, None);
        assert!(learned((0..40).map(|_| eliciting())).1 > Some(0.9));
        assert_eq!(learned((0..40).map(|_| user(&filled("tides turn")))).1, Some(0.0));
    }

    #[test]
    fn the_systems_own_words_do_not_count() {
        let prompt = Prompt { system_phrases: Phrases::ELICITS, ..Prompt::default() };
        assert_eq!(learned((0..40).map(|_| prompt.clone())).1, Some(0.0));
    }

    #[test]
    fn a_first_request_says_a_little() {
        let around = Around::default();
        let says = |phrases, account: &Share| {
            let ask = exchange(1, 0, saying(phrases)).ask;
            Elicitation::ask(&Params::default(), &around.asked(&ask), account, &())
        };
        assert_eq!(says(Phrases::REVEALS, &Share::default()), Some(0.1));
        assert_eq!(says(Phrases::GRADES, &Share::default()), None);
        let (known, share) = learned((0..20).map(|_| saying(Phrases::ELICITS)));
        assert!(says(Phrases::ELICITS, &known) > share);
    }
}
