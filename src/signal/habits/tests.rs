use super::super::samples::{CHAT, SUBJECTS, exchange, filled, keyring, user};
use super::*;

fn after<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Habits {
    let mut habits = Habits::default();
    for (second, text) in texts.into_iter().enumerate() {
        habits.take(&exchange(1, second as u64, user(text.as_ref())));
    }
    habits
}

#[test]
fn a_template_is_found_under_what_is_filled_in() {
    let habits = after(SUBJECTS.map(filled));
    let scaffold = habits.scaffold().expect("enough turns");
    assert!(scaffold > 0.6, "{scaffold}");
    assert!(habits.keys().filter(|(facet, _)| *facet == Facet::User).count() >= 3);
    assert!(habits.novelty(8) > Some(0.98));
}

#[test]
fn unrelated_chat_has_no_template() {
    let habits = after(CHAT);
    assert!(habits.scaffold().expect("enough turns") < 0.1);
    assert!(habits.keys().all(|(facet, _)| facet == Facet::Egress));
}

#[test]
fn two_accounts_with_one_template_share_keys() {
    let keys = |habits: &Habits| -> Vec<_> {
        habits.keys().filter(|(facet, _)| *facet == Facet::User).collect()
    };
    let a = keys(&after(SUBJECTS[..5].iter().map(|subject| filled(subject))));
    let b = keys(&after(SUBJECTS[5..].iter().map(|subject| filled(subject))));
    let shared = a.iter().filter(|key| b.contains(key)).count();
    assert!(shared >= 3, "{shared} of {} and {}", a.len(), b.len());
    let one = user(&filled("tides follow the moon"));
    let found = prompt_keys(&one).filter(|key| a.contains(key)).count();
    assert!(found >= 3, "{found}: a first request is recognised");
}

#[test]
fn a_template_survives_unrelated_prompts_in_between() {
    let mixed = SUBJECTS.iter().zip(CHAT).enumerate().flat_map(|(n, (subject, chat))| {
        [Some(filled(subject)), (n % 3 == 2).then(|| chat.to_owned())]
    });
    let scaffold = after(mixed.flatten()).scaffold().expect("enough turns");
    assert!(scaffold > 0.4, "{scaffold}");
}

#[test]
fn a_new_template_replaces_an_old_one() {
    let other = |n: usize| {
        format!(
            "Critique the essay number {n} for grammar, tone, structure, clarity, citations, \
                 originality and flow; list every flaw found."
        )
    };
    let (old, new) = (after(SUBJECTS.map(filled)), after((0..12).map(other)));
    let both = after(SUBJECTS.map(filled).into_iter().chain((0..20).map(other)));
    let keys = |habits: &Habits| habits.keys().map(|(_, key)| key).collect::<Vec<_>>();
    let shared =
        |a: &Habits, b: &Habits| keys(a).iter().filter(|key| keys(b).contains(key)).count();
    assert!(shared(&both, &new) >= 5 && shared(&both, &old) <= 2);
}

#[test]
fn repeats_are_told_from_new_turns() {
    let novelty = |turn: fn(u32) -> u32| {
        let texts = (0..400).map(|n| format!("question {} about tides", turn(n)));
        after(texts).novelty(8).expect("counted")
    };
    assert!(novelty(|n| n) > 0.98, "{}", novelty(|n| n));
    assert!(novelty(|n| n % 6) < 0.35, "{}", novelty(|n| n % 6));
    assert!(novelty(|n| if n % 5 == 4 { n - 1 } else { n }) < 0.93);
    assert_eq!(after(["one"]).novelty(8), None);
}

#[test]
fn a_first_request_is_looked_up_by_few_keys() {
    let prompt = Prompt {
        system: Sketch::of(&filled("x"), &keyring()),
        tools: Tag(5),
        ..user(&filled("y"))
    };
    assert_eq!(prompt_keys(&prompt).count(), 8 + 16 + 1);
    assert!(after(SUBJECTS.map(filled)).keys().count() <= MAX_KEYS);
}

#[test]
fn habits_stay_small() {
    assert!(size_of::<Habits>() <= 424, "{}", size_of::<Habits>());
}
