//! C5: the account wants reasoning and answer apart, ready for a training set.

use super::exchange::Phrases;
use super::registry::{Family, Spec};
pub(super) use super::share::Params;
use super::share::Phrased;

pub(super) struct HarvestFormat;

impl Phrased for HarvestFormat {
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

    const CLASSES: Phrases = Phrases::TAGS.union(Phrases::SCHEMA);
}

#[cfg(test)]
mod tests {
    use super::super::exchange::Prompt;
    use super::super::registry::Signal;
    use super::super::samples::{Around, exchange, habit_of, saying, user};
    use super::super::share::Share;
    use super::*;

    fn share(prompt: &Prompt) -> Option<f32> {
        habit_of::<HarvestFormat>(prompt.clone())
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
