use super::*;

fn order(verb: Verb) -> Order {
    let words = |text: &str| Words::try_from(text.to_owned()).unwrap();
    Order { verb, owner: words("ann"), reason: words("case 7") }
}

fn rule(account: u8, action: Action, lasts_seconds: u32) -> Order {
    let account = AccountId([account; 16]);
    order(Verb::Rule { account, action, models: Vec::new(), lasts_seconds })
}

#[test]
fn a_blocked_account_is_dropped_in_shadow_too_until_the_ruling_expires() {
    let engine = engine(r#"{"defaults": {"mode": "shadow"}}"#);
    engine.obey(&rule(1, Action::Drop, 60), START).unwrap();
    let verdict = engine.assess(&ask(1, 1, seconds(1)));
    assert_eq!((verdict.outcome(), verdict.ruled), (Action::Drop, true));
    assert!(verdict.in_words().contains("operator's ruling: drop"), "{}", verdict.in_words());
    assert_eq!(engine.assess(&ask(2, 1, seconds(1))).outcome(), Action::Allow);
    assert_eq!(engine.assess(&ask(1, 2, seconds(60))).outcome(), Action::Allow);
    engine.tick(seconds(60));
    assert!(engine.rulings().is_empty());
}

#[test]
fn each_verdict_can_be_forced_on_a_test_account() {
    let engine = engine(ENFORCE);
    engine.learn(&served(ask(1, 1, START), &[]));
    for action in Action::ALL {
        engine.obey(&rule(1, action, 60), START).unwrap();
        assert_eq!(engine.assess(&ask(1, 2, seconds(5))).outcome(), action);
    }
    engine.obey(&order(Verb::Lift { account: AccountId([1; 16]) }), seconds(6)).unwrap();
    assert_eq!(engine.assess(&ask(1, 3, seconds(7))).outcome(), Action::Allow);
    let again = engine.obey(&order(Verb::Lift { account: AccountId([1; 16]) }), seconds(6));
    assert_eq!(again, Err(Disobeyed::NotRuled));
}

#[test]
fn a_forced_challenge_is_passed_by_solving_it() {
    let engine = engine(ENFORCE);
    engine.learn(&served(ask(1, 1, START), &[]));
    engine.obey(&rule(1, Action::Challenge, 600), START).unwrap();
    assert_eq!(engine.assess(&ask(1, 2, seconds(5))).outcome(), Action::Challenge);
    engine.tried(&solved(1, 1));
    let verdict = engine.assess(&ask(1, 3, seconds(6)));
    assert_eq!((verdict.outcome(), verdict.cleared), (Action::Allow, true));
    assert_eq!(engine.assess(&ask(1, 4, seconds(7))).outcome(), Action::Challenge);
}

#[test]
fn an_allowed_account_is_scored_but_never_acted_on_for_the_models_named() {
    let engine = engine(ENFORCE);
    cross_ids(&engine, 2, 60);
    assert!(engine.assess(&ask(2, 5000, seconds(200))).outcome() > Action::Allow);
    let account = AccountId([2; 16]);
    let models = vec!["eval-*".to_owned()];
    let allow = Verb::Rule { account, action: Action::Allow, models, lasts_seconds: 600 };
    engine.obey(&order(allow), seconds(200)).unwrap();
    let mut named = ask(2, 5001, seconds(201));
    named.prompt.model = "eval-large".into();
    let verdict = engine.assess(&named);
    assert!(verdict.action > Action::Allow, "it is scored as before");
    assert_eq!((verdict.outcome(), verdict.exempt), (Action::Allow, true));
    assert!(engine.assess(&ask(2, 5002, seconds(202))).outcome() > Action::Allow);
}

#[test]
fn clearing_an_account_forgets_what_it_has_shown_and_its_rung() {
    let engine = engine(ENFORCE);
    cross_ids(&engine, 2, 60);
    let id = AccountId([2; 16]);
    let before = engine.explain((&"default".into(), id), seconds(200)).unwrap();
    assert!(before.rung > Action::Allow && !before.evidence.is_empty());
    engine.obey(&order(Verb::Clear { account: id }), seconds(200)).unwrap();
    let after = engine.explain((&"default".into(), id), seconds(201)).unwrap();
    assert_eq!((after.rung, after.evidence.len()), (Action::Allow, 0));
    assert_eq!(after.exchanges, before.exchanges, "what it did stays known");
    let unknown = engine.obey(&order(Verb::Clear { account: AccountId([9; 16]) }), seconds(200));
    assert_eq!(unknown, Err(Disobeyed::NotKnown));
}

#[test]
fn an_explanation_says_what_holds_an_account_and_what_would_free_it() {
    let engine = engine(ENFORCE);
    cross_ids(&engine, 2, 60);
    let id = AccountId([2; 16]);
    assert_eq!(engine.explain((&"default".into(), AccountId([9; 16])), START), None);
    let explained = engine.explain((&"default".into(), id), seconds(200)).unwrap();
    let relief = explained.relief.as_ref().unwrap();
    assert!(relief.suffices && relief.without.contains(&"id_crossing"), "{relief:?}");
    assert!(relief.below < explained.score);
    let sum = explained.prior + explained.evidence.iter().map(|found| found.nats).sum::<f32>();
    assert!(sum >= explained.score - 1e-3, "caps only lower it");
    let words = explained.in_words();
    for part in ["held at", "id_crossing", "allowed if", "2026-"] {
        assert!(words.contains(part), "no `{part}`: {words}");
    }
}

#[test]
fn of_an_account_that_was_only_ruled_on_the_ruling_is_told() {
    let engine = engine(ENFORCE);
    engine.obey(&rule(5, Action::Drop, 600), START).unwrap();
    let explained = engine.explain((&"default".into(), AccountId([5; 16])), seconds(1)).unwrap();
    assert!(!explained.known && explained.ruling.is_some());
    let words = explained.in_words();
    for part in ["Nothing is known", "Ruled: drop until 2026-", "by ann: case 7"] {
        assert!(words.contains(part), "no `{part}`: {words}");
    }
}
