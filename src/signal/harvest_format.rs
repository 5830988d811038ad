//! C5: the account wants reasoning and answer apart, ready for a training set.

use super::exchange::{Phrases, Prompt};
use super::registry::{Asked, Ended, Family, Signal, Spec};
pub(super) use super::share::Params;
use super::share::Share;

pub(super) struct HarvestFormat;

const CLASSES: Phrases = Phrases::TAGS.union(Phrases::SCHEMA);

impl Signal for HarvestFormat {
    const SPEC: Spec = Spec {
        id: "C5",
        name: "harvest_format",
        family: Family::C,
        says: "has reasoning and answer written into separate fields",
        lookalike: "structured-output applications that show their reasoning to people",
        weight: 1.0,
        half_life: 72.0,
        // Guessed: an application that does so does so in every request, so the share has little
        // to tell beyond "does at all". One honest account in twenty-five.
        tail: &[(0.1, 0.08), (0.5, 0.04), (0.9, 0.025)],
    };

    type Params = Params;
    type Account = Share;
    type Fleet = ();

    fn ask(params: &Params, asked: &Asked<'_>, account: &Share, _: &()) -> Option<f32> {
        separates(&asked.ask.prompt).then(|| account.with_one_more(params))
    }

    fn learn(params: &Params, ended: &Ended<'_>, account: &mut Share, _: &()) -> Option<f32> {
        account.take(params, separates(&ended.exchange.ask.prompt))
    }
}

fn separates(prompt: &Prompt) -> bool {
    prompt.phrases.any(CLASSES)
}

#[cfg(test)]
mod tests {
    use super::super::samples::{Around, exchange, saying, user};
    use super::*;

    fn share(prompt: &Prompt) -> Option<f32> {
        let (around, mut account) = (Around::default(), Share::default());
        let ended = exchange(1, 0, prompt.clone());
        let ended = around.ended(&ended);
        (0..20)
            .fold(None, |_, _| HarvestFormat::learn(&Params::default(), &ended, &mut account, &()))
    }

    #[test]
    fn tags_and_schemas_both_count() {
        assert!(share(&user("Write <think>...</think> before the result.")) > Some(0.8));
        assert!(share(&saying(Phrases::SCHEMA)) > Some(0.8));
    }

    #[test]
    fn reasoning_in_prose_does_not() {
        assert_eq!(share(&saying(Phrases::ELICITS)), Some(0.0));
        let ask = exchange(1, 0, saying(Phrases::ELICITS)).ask;
        let around = Around::default();
        let says =
            HarvestFormat::ask(&Params::default(), &around.asked(&ask), &Share::default(), &());
        assert_eq!(says, None);
    }
}
