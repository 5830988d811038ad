mod classes;
mod orders;
mod records;
mod rollout;

use std::time::Duration;

use super::*;
use crate::dialect::{Api, Usage};
use crate::identity::{Attributes, Caller, Client, Tag};
use crate::policy::Settings as PolicySettings;
use crate::signal::sketch::Sketch;
use crate::signal::{Completion, ExchangeId, Prompt, UsageSource};

pub(super) const START: Timestamp = Timestamp::from_millis(1_790_000_000_000);

pub(super) fn engine(policy: &str) -> Engine {
    engine_with(Settings::default(), policy)
}

pub(super) fn engine_with(settings: Settings, policy: &str) -> Engine {
    let policy: PolicySettings = serde_json::from_str(policy).unwrap();
    Engine::new(settings, Policies::from(&policy))
}

pub(super) const ENFORCE: &str = r#"{"defaults": {"mode": "enforce"}}"#;

pub(super) fn ask(account: u8, n: u64, at: Timestamp) -> Ask {
    let caller = Caller {
        tenant: "default".into(),
        egress: Tag(u64::from(account) + 1),
        client: Client::OpenaiPython,
        ..Caller::sample(account)
    };
    let prompt = Prompt {
        api: Api::OpenaiChat,
        tokens: 200,
        turns: 1,
        last: Tag(u64::from(account) << 32 | n | 1 << 63),
        body: Tag(u64::from(account) << 32 | n | 1 << 62),
        ..Prompt::default()
    };
    Ask { id: ExchangeId(Tag(n)), at, caller, prompt }
}

pub(super) fn served(ask: Ask, issued: &[u64]) -> Exchange {
    let completion = Completion {
        usage: Usage { output: Some(400), ..Usage::default() },
        source: UsageSource::Reported,
        issued: issued.iter().map(|id| Tag(*id)).collect(),
        ..Completion::default()
    };
    let ended = ask.at + Duration::from_secs(3);
    Exchange { ask, ended, ending: Ending::Complete, status: 200, completion }
}

pub(super) fn seconds(n: u64) -> Timestamp {
    START + Duration::from_secs(n)
}

/// Account 1 is issued ids one by one, and account `thief` presents them all.
pub(super) fn cross_ids(engine: &Engine, thief: u8, ids: u64) {
    for n in 0..ids {
        engine.learn(&served(ask(1, n, seconds(n)), &[100 + n]));
    }
    for n in 0..ids {
        let mut stolen = ask(thief, 1000 + n, seconds(100 + n));
        stolen.prompt.presented = vec![Tag(100 + n)];
        engine.assess(&stolen);
        engine.learn(&served(stolen, &[]));
    }
}

#[test]
fn made_up_keys_leave_no_account_behind() {
    let engine = engine(ENFORCE);
    for n in 0..100 {
        let refused = Exchange { status: 401, ..served(ask(n, 1, START), &[]) };
        engine.learn(&refused);
    }
    // A page that answers anybody proves nothing, nor does an error that may come before the key.
    let mut anybody = served(ask(8, 1, START), &[]);
    anybody.ask.prompt.api = Api::Other;
    engine.learn(&anybody);
    engine.learn(&Exchange { status: 404, ..served(ask(9, 1, START), &[]) });
    assert_eq!(engine.accounts(), 0);
    engine.learn(&served(ask(7, 1, START), &[]));
    assert_eq!(engine.accounts(), 1);
}

#[test]
fn a_websocket_begins_memory_at_its_end_if_it_carried_an_answer() {
    let engine = engine(ENFORCE);
    let closed = |n, status, bytes| {
        let mut exchange = Exchange { status, ..served(ask(n, 1, START), &[]) };
        exchange.ask.prompt.api = Api::OpenaiRealtime;
        exchange.completion.bytes = bytes;
        exchange
    };
    engine.learn(&closed(1, 101, Exchange::SOCKET_PROOF - 1));
    engine.learn(&closed(2, 200, Exchange::SOCKET_PROOF));
    assert_eq!(engine.accounts(), 0);
    engine.learn(&closed(3, 101, Exchange::SOCKET_PROOF));
    assert_eq!(engine.accounts(), 1);
}

#[test]
fn a_quiet_newcomer_is_allowed() {
    let engine = engine(ENFORCE);
    let verdict = engine.assess(&ask(1, 1, START));
    assert_eq!((verdict.action, verdict.known), (Action::Allow, false));
    assert!((verdict.score - verdict.prior).abs() < 1e-6);
}

#[test]
fn ids_issued_to_one_account_condemn_the_one_that_presents_them() {
    let engine = engine(ENFORCE);
    cross_ids(&engine, 2, 4);
    assert!(engine.assess(&ask(2, 5000, seconds(200))).action >= Action::Shape);
    // The one they were issued to is framed by nobody.
    assert_eq!(engine.assess(&ask(1, 5001, seconds(201))).action, Action::Allow);
}

#[test]
fn an_sdks_retry_of_what_was_refused_is_no_fresh_evidence_but_once() {
    let engine = engine(ENFORCE);
    engine.learn(&served(ask(1, 1, START), &[]));
    let counted = || lock(&engine.find(AccountId([1; 16])).unwrap()).habits.exchanges;
    let again = |n, retry| {
        let mut again = ask(1, n, seconds(9));
        again.prompt.retry = retry;
        again
    };
    let refused = |ask| Exchange { ending: Ending::Refused, status: 429, ..served(ask, &[]) };
    engine.learn(&refused(again(2, 0)));
    assert_eq!(counted(), 2, "what was refused was asked");
    engine.learn(&refused(again(2, 1)));
    engine.learn(&served(again(2, 2), &[]));
    assert_eq!(counted(), 2, "one call");
    engine.learn(&served(again(2, 1), &[]));
    assert_eq!(counted(), 3, "the refusal was spent");
    engine.learn(&refused(again(3, 0)));
    engine.learn(&served(again(4, 1), &[]));
    engine.learn(&served(again(3, 0), &[]));
    assert_eq!(counted(), 6, "another body, or none that calls itself a retry");
}

#[test]
fn an_account_of_standing_starts_lower_and_one_that_never_paid_does_not_ripen() {
    let engine = engine(ENFORCE);
    let with = |account, n, at, paid| {
        let mut ask = ask(account, n, at);
        let created = Some(START);
        ask.caller.attributes = Attributes { created, paid_invoices: paid, ..Default::default() };
        ask
    };
    let late = seconds(30 * 24 * 3600);
    let (lower, upper) = (Settings::default().prior_established, Settings::default().prior_new);
    let prior = |ask: &Ask| engine.assess(ask).prior;
    assert_eq!(prior(&with(1, 1, late, Some(3))), lower, "a stranger of standing");
    assert_eq!(prior(&with(2, 1, START, Some(3))), upper, "too new");
    for (account, paid) in [(3, Some(0)), (4, None), (5, Some(1))] {
        engine.learn(&served(with(account, 1, START, paid), &[]));
        engine.learn(&served(with(account, 2, late, paid), &[]));
    }
    let after = |account, paid| prior(&with(account, 3, late, paid));
    assert_eq!([after(3, Some(0)), after(4, None), after(5, Some(1))], [upper, lower, lower]);
}

#[test]
fn shadow_lets_everything_pass_and_says_what_it_would_have_done() {
    let engine = engine(r#"{"defaults": {"mode": "shadow"}}"#);
    cross_ids(&engine, 2, 4);
    let verdict = engine.assess(&ask(2, 5000, seconds(200)));
    assert!(verdict.action > Action::Allow && !verdict.enforced);
    assert_eq!(verdict.outcome(), Action::Allow);
}

#[test]
fn an_exempt_account_is_scored_but_never_acted_on() {
    let exempt = AccountId([2; 16]);
    let engine = engine(&format!(
        r#"{{"defaults": {{"mode": "enforce", "allow": [{{"account": "{exempt}",
            "reason": "contract", "owner": "ops", "expires": "2100-01-01T00:00:00Z"}}]}}}}"#
    ));
    cross_ids(&engine, 2, 4);
    let verdict = engine.assess(&ask(2, 5000, seconds(200)));
    assert!(verdict.exempt && verdict.action > Action::Allow);
    assert_eq!(verdict.outcome(), Action::Allow);
}

#[test]
fn a_clearance_lets_past_a_challenge_for_as_many_requests_as_it_says() {
    let low = r#"{"defaults": {"mode": "enforce",
        "ladder": {"shape": -20, "throttle": -19, "challenge": -18, "drop": 50}}}"#;
    let engine = engine(low);
    engine.learn(&served(ask(1, 1, START), &[]));
    assert_eq!(engine.assess(&ask(1, 2, seconds(1))).outcome(), Action::Challenge);
    assert!(engine.tried(&solved(1, 2)));
    let outcome = |n| engine.assess(&ask(1, n, seconds(n))).outcome();
    assert_eq!(
        [outcome(3), outcome(4), outcome(5)],
        [Action::Allow, Action::Allow, Action::Challenge]
    );
    assert!(!engine.tried(&solved(9, 2)));
}

fn solved(account: u8, requests: u32) -> Trial {
    Trial {
        account: AccountId([account; 16]),
        at: seconds(1),
        step: Step::Solved,
        from: Tag(1),
        org: None,
        took: 9,
        clearance: Some(Clearance { until: seconds(60), requests }),
    }
}

#[test]
fn a_denial_takes_a_clearance_away() {
    let low = r#"{"defaults": {"mode": "enforce",
        "ladder": {"shape": -20, "throttle": -19, "challenge": -18, "drop": 50}}}"#;
    let engine = engine(low);
    engine.learn(&served(ask(1, 1, START), &[]));
    engine.tried(&solved(1, 500));
    assert!(engine.assess(&ask(1, 2, seconds(2))).cleared);
    engine.tried(&Trial { step: Step::Denied, clearance: None, ..solved(1, 0) });
    assert!(!engine.assess(&ask(1, 3, seconds(3))).cleared);
}

#[test]
fn an_expired_clearance_is_none() {
    let low = r#"{"defaults": {"mode": "enforce",
        "ladder": {"shape": -20, "throttle": -19, "challenge": -18, "drop": 50}}}"#;
    let engine = engine(low);
    engine.learn(&served(ask(1, 1, START), &[]));
    engine.tried(&solved(1, 500));
    assert_eq!(engine.assess(&ask(1, 2, seconds(61))).outcome(), Action::Challenge);
}

#[test]
fn a_reload_changes_policy_and_keeps_memory() {
    let engine = engine(r#"{"defaults": {"mode": "shadow"}}"#);
    cross_ids(&engine, 2, 4);
    let enforce: PolicySettings = serde_json::from_str(ENFORCE).unwrap();
    engine.reload(Settings::default(), Policies::from(&enforce));
    assert!(engine.assess(&ask(2, 5000, seconds(200))).enforced);
    assert_eq!(engine.accounts(), 2);
}

#[test]
fn a_full_table_takes_no_newcomer_until_idle_ones_are_forgotten() {
    let engine = engine_with(Settings { max_accounts: 10, ..Settings::default() }, ENFORCE);
    for account in 0..20 {
        engine.learn(&served(ask(account, 1, START), &[]));
    }
    assert_eq!(engine.accounts(), 10);
    engine.tick(seconds(2 * 3600));
    assert_eq!(engine.accounts(), 0);
}

#[test]
fn a_flood_of_newcomers_pushes_out_no_account_that_is_held() {
    let engine = engine_with(Settings { max_accounts: 10, ..Settings::default() }, ENFORCE);
    cross_ids(&engine, 2, 4);
    assert!(engine.assess(&ask(2, 5000, seconds(200))).action > Action::Allow);
    for account in 10..40 {
        engine.learn(&served(ask(account, 1, seconds(300)), &[]));
    }
    engine.tick(seconds(2 * 3600));
    assert!(engine.assess(&ask(2, 5001, seconds(2 * 3600))).known);
}

/// The request with the system prompt and the tools that [`campaign`] works with.
pub(super) fn harvesting(mut request: Ask) -> Ask {
    request.prompt.system =
        Sketch::of_hashes((1..60_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    request.prompt.tools = Tag(77);
    request
}

/// Accounts `from..from + n` behave as one campaign: one system prompt and one tool set, and each
/// presents an id that was issued to its neighbour.
pub(super) fn campaign(engine: &Engine, from: u8, n: u8) {
    for round in 0..6 {
        for account in from..from + n {
            let id = u64::from(account) * 100 + round;
            let neighbour = u64::from(if account == from { from + n - 1 } else { account - 1 });
            let at = seconds(round * 60 + u64::from(account));
            let mut request = harvesting(ask(account, id, at));
            if round > 0 {
                request.prompt.presented = vec![Tag(neighbour * 100 + round - 1)];
            }
            engine.assess(&request);
            engine.learn(&served(request, &[id]));
        }
        engine.tick(seconds((round + 1) * 60));
    }
}

#[test]
fn a_condemned_crowd_acts_on_a_newcomers_first_request() {
    let engine = engine(ENFORCE);
    campaign(&engine, 10, 20);
    for account in 10..30 {
        engine.assess(&ask(account, 9000, seconds(400)));
    }
    let verdict = engine.assess(&harvesting(ask(200, 1, seconds(420))));
    assert!(verdict.group > 0.0 && !verdict.known, "{verdict:?}");
    assert!(verdict.action >= Action::Throttle, "{}", verdict.in_words());
    let mut colleague = ask(202, 1, seconds(420));
    colleague.prompt.tools = Tag(77);
    assert_eq!(engine.assess(&colleague).action, Action::Allow, "tools come in bundles");
    let stranger = engine.assess(&ask(201, 1, seconds(421)));
    assert_eq!(stranger.action, Action::Allow);
}

#[test]
fn customers_of_one_product_are_left_alone() {
    let engine = engine(ENFORCE);
    for account in 0..200 {
        for n in 0..10 {
            let mut request = ask(account, n, seconds(n * 30 + u64::from(account)));
            request.prompt.tools = Tag(88);
            let verdict = engine.assess(&request);
            assert_eq!(verdict.action, Action::Allow, "{}", verdict.in_words());
            engine.learn(&served(request, &[]));
        }
        engine.tick(seconds(300 + u64::from(account)));
    }
}

#[test]
fn engines_fed_alike_judge_alike() {
    let (one, other) = (engine(ENFORCE), engine(ENFORCE));
    for engine in [&one, &other] {
        campaign(engine, 10, 12);
        cross_ids(engine, 2, 3);
    }
    for account in 0..40 {
        let request = ask(account, 7000, seconds(500));
        assert_eq!(one.assess(&request), other.assess(&request));
    }
}

#[test]
fn an_account_takes_at_most_a_kibibyte_and_a_half() {
    assert!(size_of::<Account>() <= 1536, "{} bytes", size_of::<Account>());
}
