//! C9: the account has the model believe that it is another vendor's.

use super::exchange::{Phrases, Prompt};
use super::registry::{Asked, Ended, Family, Signal, Spec};
pub(super) use super::share::Params;
use super::share::Share;

pub(super) struct Masquerade;

impl Signal for Masquerade {
    const SPEC: Spec = Spec {
        id: "C9",
        name: "masquerade",
        family: Family::C,
        says: "tells the model that it is another vendor's",
        lookalike: "role play; system prompts copied from a product on another model",
        // The words are a template's for the most part, which family T counts as well: too little
        // to make a crowd of one template speak against its members.
        weight: 0.6,
        half_life: 72.0,
        // Guessed: prompts that were written for another model are kept when the model is changed.
        tail: &[(0.1, 0.06), (0.5, 0.03), (0.9, 0.02)],
    };

    type Params = Params;
    type Account = Share;
    type Fleet = ();

    fn ask(params: &Params, asked: &Asked<'_>, account: &Share, _: &()) -> Option<f32> {
        poses(&asked.ask.prompt).then(|| account.with_one_more(params))
    }

    fn learn(params: &Params, ended: &Ended<'_>, account: &mut Share, _: &()) -> Option<f32> {
        account.take(params, poses(&ended.exchange.ask.prompt))
    }
}

fn poses(prompt: &Prompt) -> bool {
    prompt.system_phrases.union(prompt.phrases).has(Phrases::POSES)
}

#[cfg(test)]
mod tests {
    use super::super::samples::{Around, exchange};
    use super::*;

    fn share(prompt: Prompt) -> Option<f32> {
        let (around, mut account) = (Around::default(), Share::default());
        let ended = exchange(1, 0, prompt);
        let asked = Masquerade::ask(&Params::default(), &around.asked(&ended.ask), &account, &());
        let poses = asked.is_some();
        let said = (0..20).fold(None, |_, _| {
            Masquerade::learn(&Params::default(), &around.ended(&ended), &mut account, &())
        });
        assert_eq!(poses, said > Some(0.0));
        said
    }

    #[test]
    fn a_mask_in_the_system_prompt_or_the_question_counts() {
        let system = Prompt { system_phrases: Phrases::POSES, ..Prompt::default() };
        assert!(share(system) > Some(0.8));
        assert!(share(Prompt { phrases: Phrases::POSES, ..Prompt::default() }) > Some(0.8));
        let others = Prompt { system_phrases: Phrases::GRADES, ..Prompt::default() };
        assert_eq!(share(others), Some(0.0));
    }
}
