use std::sync::Arc;

use super::*;
use crate::lab::material::{Cohort, Harvest};
use crate::lab::world::{Entry, Honest, Plan, Shared, World};
use crate::policy;

/// Some hundred accounts over three days: classes, judges and template users beside one relay.
fn scenario() -> Scenario {
    let class = |class: &str, asks: Cohort, accounts: usize| Honest {
        class: class.into(),
        asks: vec![asks],
        accounts,
        per_day: 1.5,
        ..Honest::default()
    };
    let room = Honest {
        group: 20,
        shares: vec![Shared::Network, Shared::Signup],
        meetings: 2,
        ..class("classroom", Cohort::Classroom, 20)
    };
    let honest = vec![class("chat", Cohort::Chat, 60), class("judge", Cohort::Judge, 10), room];
    let plan = Plan {
        name: "relay".into(),
        harvest: vec![Harvest::ToolUse],
        accounts: 24,
        at_once: 20,
        exchanges: 900,
        per_day: 60.0,
        start_day: 1.0,
        ..Plan::default()
    };
    Scenario { days: 3.0, honest, campaigns: vec![plan], ..Scenario::default() }
}

fn trial(seed: u64) -> Trial {
    let enforce: policy::Settings =
        serde_json::from_str(r#"{"defaults": {"mode": "enforce"}}"#).unwrap();
    Trial {
        scenario: Arc::new(scenario()),
        seed,
        corpus: None,
        engine: engine::Settings::default(),
        policies: Policies::from(&enforce),
        baselines: true,
    }
}

#[test]
fn one_seed_has_one_outcome_and_another_another() {
    let (one, again, other) = (trial(1).run(), trial(1).run(), trial(2).run());
    assert_eq!(one.digest, again.digest);
    let said = |outcome: &Outcome| serde_json::to_string(outcome).unwrap();
    assert_eq!(said(&one), said(&again));
    assert_ne!(one.digest, other.digest);
}

#[test]
fn what_the_engine_is_fed_is_what_a_replay_of_the_log_would_feed_it() {
    let (scenario, keyring) = (Arc::new(scenario()), Keyring::new([0; 32]));
    for sent in World::new(&scenario, 3, None).take(400) {
        let line = serde_json::to_string(&Entry::new(&sent, scenario.start)).unwrap();
        let (ask, text) = whole(&sent, scenario.start, &keyring);
        let read = crate::lab::history::read(&line, &keyring).unwrap();
        let read = Exchange { ask: Ask { at: ask.at, ..read.ask.clone() }, ..read };
        assert_eq!((&read.ask, &read.completion), (&ask, &text.completion), "{line}");
        assert!(read.ended.since(ask.at).as_millis().abs_diff(u128::from(sent.latency())) <= 1);
    }
}

#[test]
fn a_relay_that_crosses_ids_is_acted_on_and_the_people_beside_it_are_not() {
    let outcome = trial(1).run();
    let figures = Figures::of(&outcome);
    assert!(figures.first.is_some_and(|first| first < 500), "{figures:?}");
    assert!(figures.leakage < 0.8, "{figures:?}");
    assert_eq!(figures.dropped, 0);
    assert!(outcome.report.classes.contains_key("classroom"), "{:?}", outcome.report.classes);
}

#[test]
fn labels_and_names_of_campaigns_change_no_verdict() {
    let renamed = |name: &str| {
        let mut scenario = scenario();
        scenario.campaigns[0].name = name.into();
        Trial { scenario: Arc::new(scenario), ..trial(1) }.run().digest
    };
    assert_eq!(renamed("a"), renamed("b"));
}

#[test]
fn baselines_are_told_beside_the_engine() {
    let outcome = trial(1).run();
    let names: Vec<_> = outcome.baselines.iter().map(|one| &*one.name).collect();
    assert_eq!(names.len(), 4, "{names:?}");
    for one in &outcome.baselines {
        assert!((0.0..=1.0).contains(&one.caught) && (0.0..=1.0).contains(&one.harmed), "{one:?}");
    }
}

#[test]
fn the_tables_say_hit_or_missed_for_every_target() {
    let suite = Suite {
        scenario: scenario(),
        scale: 1.0,
        seeds: vec![1],
        corpus: None,
        engine: engine::Settings::default(),
        policies: trial(1).policies,
        parts: vec![Part::Base],
    };
    let tried = suite.run(|_| {});
    let text = told(&tried);
    assert_eq!(text.matches(" hit\n").count() + text.matches(" MISSED\n").count(), 12, "{text}");
    assert!(text.contains("classroom") && text.contains("union-find"), "{text}");
}
