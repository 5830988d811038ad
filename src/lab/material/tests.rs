use std::collections::BTreeSet;

use super::*;

fn openings(mut next: impl FnMut() -> Conversation, count: usize) -> BTreeSet<String> {
    (0..count).map(|_| next().opening().to_owned()).collect()
}

#[test]
fn a_campaign_fills_its_slots_in_thousands_of_ways() {
    for harvest in Harvest::ALL {
        let mut campaign = Campaign::new(harvest, Rng::new(1));
        let distinct = openings(|| campaign.conversation(), 2500).len();
        assert!(distinct >= 2450, "{}: {distinct} distinct of 2500", harvest.name());
    }
}

#[test]
fn honest_users_together_ask_thousands_of_things() {
    let mut all = BTreeSet::new();
    for cohort in Cohort::ALL {
        for user in 0..5 {
            let mut persona = Persona::new(cohort, Rng::new(user));
            all.append(&mut openings(|| persona.conversation(), 200));
        }
    }
    assert!(all.len() >= 2000, "{} distinct", all.len());
}

#[test]
fn a_help_desk_is_asked_the_same_over_and_over() {
    let mut desk = Persona::new(Cohort::Rag, Rng::new(2));
    assert!(openings(|| desk.conversation(), 300).len() <= 16);
}

#[test]
fn people_write_in_several_scripts() {
    let all: BTreeSet<String> = (0..30)
        .flat_map(|user| {
            let mut person = Persona::new(Cohort::Chat, Rng::new(user));
            openings(|| person.conversation(), 5)
        })
        .collect();
    assert!(all.iter().any(|text| text.contains('，') || text.contains('？')));
    assert!(all.iter().any(|text| text.contains('é')));
}

#[test]
fn no_slot_stays_unfilled() {
    let honest = Cohort::ALL.into_iter().flat_map(|cohort| {
        let mut persona = Persona::new(cohort, Rng::new(9));
        openings(|| persona.conversation(), 200)
    });
    let known =
        ["{who}", "{n}", "{N}", "{thing}", "{field}", "{place}", "{quality}", "{task}", "{zh}"];
    for text in honest {
        assert!(!known.iter().any(|slot| text.contains(slot)), "{text}");
    }
}

#[test]
fn the_same_seed_says_the_same_things() {
    let say = |seed| {
        let mut persona = Persona::new(Cohort::Agent, Rng::new(seed));
        [persona.conversation(), persona.conversation()]
    };
    assert_eq!(say(4), say(4));
    assert_ne!(say(4), say(5));
}

#[test]
fn tool_results_carry_the_ids_the_endpoint_issued() {
    let mut agent = Persona::new(Cohort::Agent, Rng::new(1)).conversation();
    let used = ToolUse { id: "call_1".into(), name: "web_search".into(), arguments: "{}".into() };
    assert!(agent.go_on(Answer { calls: vec![used], ..Answer::default() }));
    assert_eq!(agent.call.openai()["messages"][3]["tool_call_id"], "call_1");
    assert_eq!(agent.call.anthropic()["messages"][2]["content"][0]["tool_use_id"], "call_1");
    assert!(!agent.go_on(Answer { text: "done".into(), ..Answer::default() }));
}

#[test]
fn a_corpus_replaces_what_people_chat_about_and_nothing_else() {
    let line = Opening { system: None, prompt: "From outside".into() };
    let corpus = std::sync::Arc::new(Corpus { prompts: vec![line], ..Corpus::default() });
    let opening = |cohort| {
        let mut persona = Persona::new(cohort, Rng::new(1)).reading(Some(corpus.clone()));
        persona.conversation().opening().to_owned()
    };
    assert_eq!(opening(Cohort::Chat), "From outside");
    assert_ne!(opening(Cohort::Coding), "From outside");
}
