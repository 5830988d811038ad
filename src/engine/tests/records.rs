//! What operators tell of accounts and regions, and what accounts that were shut out leave.

use super::*;
use crate::identity::{Provision, Told};

fn order(verb: Verb) -> Order {
    let words = |text: &str| Words::try_from(text.to_owned()).unwrap();
    Order { verb, owner: words("ann"), reason: words("case 7") }
}

#[test]
fn what_is_told_of_an_account_holds_until_it_is_taken_back() {
    let engine = engine(ENFORCE);
    let account = AccountId([3; 16]);
    let told: Told<'_> = serde_json::from_str(r#"{"verified": true}"#).unwrap();
    let provision = told.provision(&crate::identity::Keyring::new([3; 32]));
    engine.obey(&order(Verb::Tell { account, provision }), START).unwrap();
    assert_eq!(engine.provision(account), Some(provision));
    let back = Verb::Tell { account, provision: Provision::default() };
    engine.obey(&order(back), START).unwrap();
    assert_eq!(engine.provision(account), None);
}

fn nats(verdict: &Verdict, signal: &str) -> Option<f32> {
    verdict.evidence.iter().find(|one| one.signal == signal).map(|one| one.nats)
}

#[test]
fn no_country_weighs_anything_but_by_the_tenants_policy() {
    let there = |policy: &str| {
        let mut ask = ask(1, 1, START);
        ask.caller.trace.country = "KP".parse().ok();
        nats(&engine(policy).assess(&ask), "unserved")
    };
    assert_eq!(there(ENFORCE), None);
    assert_eq!(there(r#"{"defaults": {"regions": {"not_served": ["SY"]}}}"#), None);
    let left_out = there(r#"{"defaults": {"regions": {"served": ["DE"]}}}"#).unwrap();
    assert!(left_out > 0.1 && left_out < 0.7, "{left_out}");
    let other = r#"{"tenants": [{"name": "acme", "regions": {"served": ["DE"]}}]}"#;
    assert_eq!(there(other), None, "another tenant's");
}

#[test]
fn a_blocked_accounts_card_is_known_at_its_replacements_first_request() {
    let engine = engine(ENFORCE);
    let paying = |account, n, card| {
        let mut ask = ask(account, n, seconds(n));
        ask.caller.attributes.payment = Some(Tag(card));
        ask
    };
    (1..9).for_each(|n| engine.learn(&served(paying(1, n, 5), &[])));
    let replacement = |n, card| nats(&engine.assess(&paying(2, n, card)), "tombstone");
    assert_eq!(replacement(20, 5), None);
    let account = AccountId([1; 16]);
    let action = Action::Drop;
    let block = Verb::Rule { account, action, models: Vec::new(), lasts_seconds: 600 };
    engine.obey(&order(block), seconds(30)).unwrap();
    let refused =
        Exchange { ending: Ending::Refused, status: 403, ..served(paying(1, 31, 5), &[]) };
    let limited = Exchange { status: 429, ..refused.clone() };
    engine.learn(&limited);
    assert_eq!(replacement(40, 5), None, "a limit shuts nobody out");
    engine.learn(&refused);
    assert!(replacement(50, 5) > Some(1.0));
    assert_eq!(replacement(50, 6), None);
    assert_eq!(nats(&engine.assess(&paying(1, 60, 5)), "tombstone"), None, "not its own");
}
