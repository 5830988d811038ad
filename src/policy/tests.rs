//! Laws of the ladder, and how settings become policies.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::{Action, Fault, Gravity, Held, Ladder, Mode, Policies, Settings};
use crate::identity::TenantName;
use crate::time::Timestamp;

const SIGNALS: [&str; 2] = ["egress", "failover"];
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn settings(value: serde_json::Value) -> Settings {
    serde_json::from_value(value).unwrap()
}

fn faults(value: serde_json::Value) -> Vec<Fault> {
    settings(value).faults(&SIGNALS, NOW)
}

fn only_fault(value: serde_json::Value) -> (String, Gravity, String) {
    let faults = faults(value);
    assert_eq!(faults.len(), 1, "{faults:?}");
    (faults[0].at.join("."), faults[0].gravity, faults[0].message.clone())
}

fn account(digit: char) -> String {
    format!("acct_{}", digit.to_string().repeat(32))
}

#[test]
fn without_a_word_everyone_is_watched_and_nobody_acted_on() {
    let policies = Policies::default();
    let policy = policies.of(&TenantName::from("anybody"));
    assert_eq!(policy.mode, Mode::Shadow);
    assert!(Action::ALL.into_iter().all(|action| !policy.enforces(action)));
    assert_eq!(policy.throttle.requests_per_minute.get(), 6);
    assert_eq!(policy.limits.requests, None);
}

#[test]
fn what_a_tenant_leaves_out_is_taken_from_the_defaults() {
    let settings = settings(json!({
        "defaults": { "mode": "enforce", "weights": { "egress": 0.5, "failover": 2.0 },
                      "throttle": { "requests_per_minute": 30, "burst": 4 } },
        "tenants": [{ "name": "acme", "rung_modes": { "drop": "shadow" }, "weights": { "egress": 1.0 } }],
    }));
    let policies = Policies::from(&settings);
    let acme = policies.of(&TenantName::from("acme"));
    assert_eq!(acme.tenant.as_str(), "acme");
    assert!(acme.enforces(Action::Challenge) && !acme.enforces(Action::Drop));
    assert_eq!(acme.throttle.burst.get(), 4);
    assert_eq!((acme.weights["egress"], acme.weights["failover"]), (1.0, 2.0));
}

#[test]
fn an_unknown_key_of_a_tenant_is_refused() {
    let tenant = json!({ "tenants": [{ "name": "acme", "moed": "enforce" }] });
    let error = serde_json::from_value::<Settings>(tenant).unwrap_err();
    assert!(error.to_string().contains("unknown field `moed`"), "{error}");
}

#[test]
fn a_ladder_has_to_rise() {
    let (at, gravity, message) =
        only_fault(json!({ "defaults": { "ladder": { "shape": 3.0, "throttle": 2.0 } } }));
    assert_eq!((at.as_str(), gravity), ("defaults.ladder.throttle", Gravity::Mistake));
    assert!(message.contains("before `shape`"), "{message}");
}

#[test]
fn nothing_that_is_no_number_gets_in() {
    let mut settings = Settings::default();
    let ladder = Ladder { challenge: f32::NAN, hysteresis: f32::INFINITY, ..Ladder::default() };
    settings.defaults.ladder = Some(ladder);
    settings.defaults.weights.insert("egress".into(), f32::NAN);
    let at: Vec<_> = settings.faults(&SIGNALS, NOW).iter().map(|f| f.at[1..].join(".")).collect();
    assert_eq!(at, ["ladder.challenge", "ladder.hysteresis", "weights.egress"]);
}

#[test]
fn a_weight_names_a_signal() {
    let (at, ..) = only_fault(json!({ "defaults": { "weights": { "egres": 1.0 } } }));
    assert_eq!(at, "defaults.weights.egres");
}

#[test]
fn a_tenant_stands_once() {
    let (at, ..) = only_fault(json!({ "tenants": [{ "name": "a" }, { "name": "a" }] }));
    assert_eq!(at, "tenants.1.name");
}

#[test]
fn an_account_is_in_one_group_also_across_the_defaults() {
    let group = |name: &str| json!([{ "name": name, "accounts": [account('1')] }]);
    let (at, _, message) = only_fault(json!({
        "defaults": { "groups": group("gold") },
        "tenants": [{ "name": "a", "groups": group("silver") }],
    }));
    assert_eq!(at, "tenants.0.groups.0.accounts");
    assert!(message.contains("`gold`"), "{message}");
}

#[test]
fn a_limit_above_what_all_may_have_together_is_pointed_out() {
    let limits = |n: u32| json!({ "concurrency": n, "per_day": { "tokens": 5 } });
    let tenant = |each: u32, all: u32| {
        json!({ "defaults": { "total_limits": limits(all) },
                "tenants": [{ "name": "a", "limits": limits(each) }] })
    };
    let (at, gravity, _) = only_fault(tenant(9, 8));
    assert_eq!((at.as_str(), gravity), ("tenants.0.limits.concurrency", Gravity::Warning));
    assert_eq!(faults(tenant(8, 8)), []);
    let (at, _, message) = only_fault(json!({ "defaults": {
        "limits": { "per_second": { "requests": 5 } },
        "end_user_limits": { "per_second": { "requests": 6 } } } }));
    assert_eq!(at, "defaults.end_user_limits.per_second.requests");
    assert!(message.contains("the account of these end users may have less"), "{message}");
    let quota = |n: u32| json!({ "per_month": { "output_tokens": n } });
    let group = json!([{ "name": "gold", "accounts": [account('1')], "limits": quota(9),
                         "total_limits": quota(8) }]);
    let (at, ..) = only_fault(json!({ "defaults": { "groups": group } }));
    assert_eq!(at, "defaults.groups.0.limits.per_month.output_tokens");
}

#[test]
fn a_group_of_nobody_is_a_mistake() {
    let groups = json!([{ "name": "gold", "accounts": [] }]);
    let (at, gravity, _) = only_fault(json!({ "defaults": { "groups": groups } }));
    assert_eq!((at.as_str(), gravity), ("defaults.groups.0.accounts", Gravity::Mistake));
}

#[test]
fn an_allowance_that_has_ended_is_pointed_out_not_refused() {
    let entry = json!({ "account": account('1'), "reason": "our own evaluation", "owner": "ops",
                        "expires": "2020-01-01T00:00:00Z" });
    let (at, gravity, _) = only_fault(json!({ "defaults": { "allow": [entry] } }));
    assert_eq!((at.as_str(), gravity), ("defaults.allow.0.expires", Gravity::Warning));
}

#[test]
fn a_rung_mode_that_changes_nothing_is_pointed_out() {
    let same = json!({ "defaults": { "mode": "shadow", "rung_modes": { "drop": "shadow" } } });
    assert!(only_fault(same).2.contains("same as `mode`"));
    let unreachable = json!({ "defaults": {
        "ladder": { "throttle": 5.0, "challenge": 5.0 }, "rung_modes": { "throttle": "enforce" } } });
    assert!(only_fault(unreachable).2.contains("next rung"));
    let back = json!({
        "defaults": { "rung_modes": { "drop": "enforce" } },
        "tenants": [{ "name": "a", "rung_modes": { "drop": "shadow" } }] });
    assert_eq!(faults(back), []);
}

#[test]
fn the_highest_of_equal_rungs_wins() {
    let ladder = Ladder { throttle: 5.0, challenge: 5.0, ..Ladder::default() };
    assert_eq!(ladder.rung(5.0), Action::Challenge);
    assert_eq!(ladder.rung(4.999), Action::Shape);
    assert_eq!(ladder.rung(f32::NAN), Action::Allow);
}

#[test]
fn a_rung_is_left_once_score_and_time_allow() {
    let ladder = Ladder::default();
    let held = ladder.hold(Held::default(), 5.0, NOW);
    assert_eq!(held.rung, Action::Challenge);
    let soon = NOW + Duration::from_secs(599);
    let late = NOW + Duration::from_secs(600);
    assert_eq!(ladder.hold(held, -9.0, soon), held);
    assert_eq!(ladder.hold(held, 4.0, late), held, "within the hysteresis");
    assert_eq!(ladder.hold(held, 3.0, late), Held { rung: Action::Throttle, since: late });
}

#[test]
fn each_tenant_has_hysteresis_dwell_shares_and_onset_of_its_own() {
    let settings = settings(json!({
        "defaults": { "rung_shares": { "drop": 10, "challenge": 20 } },
        "tenants": [
            { "name": "a", "ladder": { "hysteresis": 3.0, "dwell_seconds": 60 } },
            { "name": "b", "ladder": { "hysteresis": 0.0, "onset_seconds": 900 },
              "rung_shares": { "drop": 30 } },
        ] }));
    let policies = Policies::from(&settings);
    let after = |tenant: &str, score, seconds| {
        let held = Held { rung: Action::Challenge, since: NOW };
        policies
            .of(&tenant.into())
            .ladder
            .hold(held, score, NOW + Duration::from_secs(seconds))
            .rung
    };
    for (tenant, score, seconds, rung) in [
        ("a", 2.0, 60, Action::Challenge),
        ("a", 1.5, 59, Action::Challenge),
        ("a", 1.5, 60, Action::Throttle),
        ("b", 4.5, 599, Action::Challenge),
        ("b", 4.5, 600, Action::Throttle),
        ("c", 3.7, 600, Action::Challenge),
        ("c", 3.5, 600, Action::Throttle),
    ] {
        assert_eq!(after(tenant, score, seconds), rung, "{tenant} {score} {seconds}");
    }
    let share = |tenant: &str, action| f32::from(policies.of(&tenant.into()).share_of(action));
    assert_eq!([share("a", Action::Drop), share("b", Action::Drop)], [10.0, 30.0]);
    assert_eq!([share("b", Action::Challenge), share("b", Action::Shape)], [20.0, 100.0]);
    let onset = |tenant: &str, n| {
        policies
            .of(&tenant.into())
            .ladder
            .onset(crate::identity::AccountId([n; 16]), Action::Drop)
            .as_secs()
    };
    assert!((0..50).all(|n| onset("a", n) == 0 && onset("b", n) <= 900));
    assert!(onset("b", 1) != onset("b", 2));
}

prop_compose! {
    fn ladders()(mut at in proptest::array::uniform4(-5.0f32..10.0), hysteresis in 0.0f32..3.0,
                 dwell_seconds in 1u32..2_000) -> Ladder {
        at.sort_by(f32::total_cmp);
        let [shape, throttle, challenge, drop] = at;
        Ladder { shape, throttle, challenge, drop, hysteresis, dwell_seconds, onset_seconds: 0 }
    }
}

proptest! {
    #[test]
    fn more_score_never_means_a_milder_rung(ladder in ladders(), a in -9.0f32..12.0, b in -9.0f32..12.0) {
        let (low, high) = if a < b { (a, b) } else { (b, a) };
        prop_assert!(ladder.rung(low) <= ladder.rung(high));
        let held = Held { rung: Action::Throttle, since: NOW };
        let later = NOW + Duration::from_secs(10_000);
        prop_assert!(ladder.hold(held, low, later).rung <= ladder.hold(held, high, later).rung);
    }

    #[test]
    fn nobody_comes_down_within_the_dwell(
        ladder in ladders(),
        steps in proptest::collection::vec((-9.0f32..12.0, 1u64..400_000), 1..60),
    ) {
        let (mut held, mut now) = (Held::default(), NOW);
        for (score, millis) in steps {
            now = now + Duration::from_millis(millis);
            let next = ladder.hold(held, score, now);
            prop_assert!(next.rung >= ladder.rung(score), "the score's own rung is the least");
            if next.rung < held.rung {
                let dwell = Duration::from_secs(ladder.dwell_seconds.into());
                prop_assert!(now.since(held.since) >= dwell);
            }
            held = next;
        }
    }
}
