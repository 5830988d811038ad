//! C4: the account has answers made to pass a filter.

use super::exchange::{Phrases, Prompt};
use super::registry::{Asked, Ended, Family, Signal, Spec};
pub(super) use super::share::Params;
use super::share::Share;

pub(super) struct Neutralising;

impl Signal for Neutralising {
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

    type Params = Params;
    type Account = Share;
    type Fleet = ();

    fn ask(params: &Params, asked: &Asked<'_>, account: &Share, _: &()) -> Option<f32> {
        neutralises(&asked.ask.prompt).then(|| account.with_one_more(params))
    }

    fn learn(params: &Params, ended: &Ended<'_>, account: &mut Share, _: &()) -> Option<f32> {
        account.take(params, neutralises(&ended.exchange.ask.prompt))
    }
}

fn neutralises(prompt: &Prompt) -> bool {
    prompt.phrases.any(Phrases::NEUTRALISES)
}

#[cfg(test)]
mod tests {
    use super::super::samples::{Around, exchange, user};
    use super::*;

    fn share(text: &str) -> Option<f32> {
        let (around, mut account) = (Around::default(), Share::default());
        let ended = exchange(1, 0, user(text));
        let ended = around.ended(&ended);
        (0..20)
            .fold(None, |_, _| Neutralising::learn(&Params::default(), &ended, &mut account, &()))
    }

    #[test]
    fn rewriting_for_neutrality_counts_and_rewriting_does_not() {
        assert!(share("Give a politically safe rewording of this claim about taxes.") > Some(0.8));
        assert_eq!(share("Rewrite this letter in a friendly tone, please."), Some(0.0));
    }
}
