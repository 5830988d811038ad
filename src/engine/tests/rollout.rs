//! Rungs carried out on a share of accounts, and when.

use super::*;

/// Everybody is called to a drop at once.
fn policy(more: &str) -> String {
    format!(
        r#"{{"defaults": {{"mode": "enforce",
            "ladder": {{"shape": -40, "throttle": -39, "challenge": -38, "drop": -37 {more}"#
    )
}

fn outcomes(share: u8) -> Vec<bool> {
    let engine = engine(&policy(&format!(r#"}}, "rung_shares": {{"drop": {share}}}}}}}"#)));
    let outcome = |account| {
        let verdict = engine.assess(&ask(account, 1, START));
        assert_eq!(verdict.action, Action::Drop, "it is judged all the same");
        assert_eq!(verdict.outside, !verdict.enforced);
        if verdict.outside {
            assert!(verdict.in_words().contains("outside the share"), "{}", verdict.in_words());
        }
        verdict.outcome() == Action::Drop
    };
    (0..=255).map(outcome).collect()
}

#[test]
fn a_rung_is_carried_out_on_its_share_and_raising_that_frees_nobody() {
    let all: Vec<_> = [0, 25, 60, 100].map(outcomes).into();
    let counts: Vec<_> = all.iter().map(|one| one.iter().filter(|hit| **hit).count()).collect();
    assert!(counts[0] == 0 && counts[3] == 256 && (40..90).contains(&counts[1]), "{counts:?}");
    for pair in all.windows(2) {
        assert!(pair[0].iter().zip(&pair[1]).all(|(less, more)| more >= less));
    }
}

#[test]
fn a_ruling_knows_no_share() {
    let engine = engine(&policy(r#"}, "rung_shares": {"drop": 0}}}"#));
    let account = AccountId([1; 16]);
    let order = format!(
        r#"{{"verb":{{"rule":{{"account":"{account}","action":"drop","lasts_seconds":60}}}},
            "owner":"ann","reason":"r"}}"#
    );
    engine.obey(&serde_json::from_str(&order).unwrap(), START).unwrap();
    assert_eq!(engine.assess(&ask(1, 1, START)).outcome(), Action::Drop);
}

/// Seconds after which each account is dropped, asking once a second.
fn onsets(window: u32) -> Vec<u64> {
    let engine = engine(&policy(&format!(r#", "onset_seconds": {window}}}}}}}"#)));
    let onset = |account: u8| {
        engine.learn(&served(ask(account, 1, START), &[]));
        let dropped = |s: &u64| engine.assess(&ask(account, 2 + s, seconds(*s))).outcome();
        (0..=600).find(|s| dropped(s) == Action::Drop).expect("it comes")
    };
    (0..40).map(onset).collect()
}

#[test]
fn accounts_rise_at_moments_of_their_own_within_the_window_and_the_same_every_time() {
    let at = onsets(300);
    assert!(at.iter().all(|seconds| *seconds <= 300));
    let mut distinct = at.clone();
    distinct.sort();
    distinct.dedup();
    assert!(distinct.len() > 25 && distinct.last() > Some(&200), "{at:?}");
    assert_eq!(onsets(300), at);
    assert!(onsets(0).iter().all(|seconds| *seconds == 0));
}
