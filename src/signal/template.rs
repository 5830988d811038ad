//! T1: the account's template is that of many new accounts and few established ones.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::crowd::{Crowds, Facet};
use super::habits::prompt_keys;
use super::registry::{Asked, Ended, Family, Signal, Spec};
use crate::identity::Tag;
use crate::time::Timestamp;

pub(super) struct Template;

impl Signal for Template {
    const SPEC: Spec = Spec {
        id: "T1",
        name: "template",
        family: Family::T,
        says: "works from a template that only new accounts use",
        lookalike: "frameworks and products just released; classrooms and hackathons",
        weight: 1.5,
        half_life: 168.0,
        // A plain "many share it" flags a quarter of honest accounts in public traces; after the
        // discount by established users a few per cent are left, most of them on new products.
        // Large crowds are no rarer among the honest than middling ones, so the tail stays fat.
        tail: &[(3.0, 0.15), (10.0, 0.06), (30.0, 0.03), (100.0, 0.02), (1000.0, 0.01)],
    };

    type Params = Params;
    type Account = ();
    type Fleet = ();

    fn ask(params: &Params, asked: &Asked<'_>, _: &(), _: &()) -> Option<f32> {
        if asked.habits.exchanges >= params.own_template {
            return None;
        }
        let keys = prompt_keys(&asked.ask.prompt);
        freshest(keys, asked.crowds, asked.ask.at)
    }

    fn learn(_: &Params, ended: &Ended<'_>, _: &mut (), _: &()) -> Option<f32> {
        freshest(ended.habits.keys(), ended.crowds, ended.exchange.ended)
    }
}

/// The freshest crowd among the keys of texts.
fn freshest(
    keys: impl Iterator<Item = (Facet, Tag)>,
    crowds: &Crowds,
    now: Timestamp,
) -> Option<f32> {
    let texts = keys.filter(|(facet, _)| matches!(facet, Facet::System | Facet::User));
    crowds.most(texts, |crowd| crowd.freshness(now))
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "TemplateParams")]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Requests after which the account's own template is known, and single requests are no longer
    /// compared with the templates of others.
    pub own_template: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self { own_template: 4 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Habits;
    use super::super::exchange::Prompt;
    use super::super::samples::{Around, CHAT, SUBJECTS, exchange, filled, keyring, user};
    use super::super::sketch::Sketch;
    use super::*;

    fn habits(prompts: impl IntoIterator<Item = Prompt>) -> Habits {
        let mut habits = Habits::default();
        prompts.into_iter().for_each(|prompt| habits.take(&exchange(1, 0, prompt)));
        habits
    }

    fn asks(around: &Around, prompt: Prompt) -> Option<f32> {
        let ask = exchange(1, 0, prompt).ask;
        Template::ask(&Params::default(), &around.asked(&ask), &(), &())
    }

    #[test]
    fn a_strangers_first_request_meets_the_crowd_of_its_template() {
        let around = Around::default();
        around.join(&habits(SUBJECTS.map(|subject| user(&filled(subject)))), 20, 0);
        assert_eq!(asks(&around, user(&filled("comets shed their tails"))), Some(20.0));
        for text in CHAT {
            assert_eq!(asks(&around, user(text)), None, "{text}");
        }
    }

    #[test]
    fn a_product_with_established_users_says_hardly_anything() {
        let system = Prompt { system: Sketch::of(&filled("x"), &keyring()), ..Prompt::default() };
        let (fresh, product) = (Around::default(), Around::default());
        let habits = habits([system.clone(), system.clone()]);
        fresh.join(&habits, 30, 0);
        product.join(&habits, 900, 450);
        assert_eq!(asks(&fresh, system.clone()), Some(30.0));
        assert!(asks(&product, system.clone()) < Some(Template::SPEC.tail[0].0));
        let known = Around { habits, ..fresh };
        let ended = exchange(1, 0, system.clone());
        let learned = Template::learn(&Params::default(), &known.ended(&ended), &mut (), &());
        assert!(learned > Some(29.9), "{learned:?}");
    }

    #[test]
    fn a_known_account_is_not_looked_up_again() {
        let habits = habits(SUBJECTS.map(|subject| user(&filled(subject))));
        let around = Around { habits: habits.clone(), ..Around::default() };
        around.join(&habits, 20, 0);
        assert_eq!(asks(&around, user(&filled("comets shed their tails"))), None);
    }
}
