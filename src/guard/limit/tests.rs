use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::dialect::{Api, Reason, Usage};
use crate::engine;
use crate::guard::budget::windows;
use crate::identity::{AccountId, Tag};
use crate::policy::{Every, Policies, Settings};
use crate::signal::Ending;
use crate::telemetry::fakes;

const NOW: Now = (1_000_000_000, Timestamp::from_millis(1_790_000_000_000));

fn engine(policy: Value) -> Engine {
    let settings: Settings = serde_json::from_value(json!({ "defaults": policy })).unwrap();
    Engine::new(engine::Settings::default(), Policies::from(&settings))
}

/// A request of `tokens` input tokens, of an account by its number.
fn ask(account: u8, tokens: u32) -> Ask {
    let mut ask = fakes::exchange(1).ask;
    ask.caller.account = AccountId([account; 16]);
    ask.prompt.api = Api::OpenaiEmbeddings;
    ask.prompt.tokens = tokens;
    ask
}

fn limiter(engine: &Engine, ask: &Ask, pace: &Arc<Pace>) -> Limiter {
    let policies = engine.policies();
    Limiter::new(engine, policies.of(&ask.caller.tenant), ask, Some(pace))
}

fn admit(engine: &Engine, ask: &Ask, pace: &Arc<Pace>) -> Result<Pass, Refusal> {
    limiter(engine, ask, pace).admit(ask, NOW)
}

/// The end of an exchange that used `tokens`.
fn end(ask: &Ask, ending: Ending, status: u16, tokens: u32) -> Exchange {
    let mut exchange = Exchange { ask: ask.clone(), ending, status, ..fakes::exchange(1) };
    exchange.completion.usage = Usage { input: Some(tokens), output: Some(0), ..Usage::default() };
    exchange
}

fn used(pace: &Pace) -> [u64; 4] {
    windows(pace).as_ref().map_or([0; 4], |windows| windows[1].used)
}

fn shared(engine: &Engine, group: Option<&str>) -> Arc<Pace> {
    engine.shared_pace(&fakes::exchange(1).ask.caller.tenant, group)
}

fn group(accounts: &[u8], total: Value) -> Value {
    let accounts: Vec<_> = accounts.iter().map(|n| AccountId([*n; 16]).to_string()).collect();
    json!([{ "name": "gold", "accounts": accounts, "limits": { "per_day": { "tokens": 1000 } },
             "total_limits": total }])
}

#[test]
fn a_wider_scope_that_refuses_gives_back_what_narrower_ones_gave() {
    let quota = |tokens: u32| {
        json!({ "per_day": { "tokens": tokens }, "concurrency": 9,
        "tokens": { "tokens_per_minute": 60, "burst": 500 } })
    };
    let engine = engine(json!({ "groups": group(&[1], quota(100)), "total_limits": quota(50) }));
    let pace = Arc::default();
    let held = admit(&engine, &ask(1, 50), &pace).unwrap();
    let refused = admit(&engine, &ask(1, 1), &pace).unwrap_err();
    assert_eq!(refused.reason, Reason::Throttled);
    let scopes = [Arc::clone(&pace), shared(&engine, Some("gold")), shared(&engine, None)];
    for scope in &scopes {
        assert_eq!((used(scope), scope.in_flight.load(SeqCst)), ([1, 50, 0, 50], 1));
    }
    drop(held);
    for scope in &scopes {
        assert_eq!((used(scope), scope.in_flight.load(SeqCst)), ([0; 4], 0));
        assert!(scope.rates.iter().flatten().all(|cell| cell.load(SeqCst) <= NOW.0));
    }
}

#[test]
fn who_is_over_a_limit_of_its_own_takes_nothing_of_what_others_share() {
    let limits = json!({ "per_day": { "requests": 1 } });
    let total = json!({ "per_day": { "requests": 9 } });
    let engine = engine(json!({ "limits": limits, "total_limits": total }));
    let pace = Arc::default();
    let _held = admit(&engine, &ask(1, 0), &pace).unwrap();
    let before = used(&shared(&engine, None));
    *windows(&shared(&engine, None)) = None;
    assert!(admit(&engine, &ask(1, 0), &pace).is_err());
    assert_eq!(before[0], 1);
    assert!(windows(&shared(&engine, None)).is_none(), "not even looked at");
    assert!(admit(&engine, &ask(2, 0), &Arc::default()).is_ok());
}

#[test]
fn a_group_and_its_tenant_each_hold_their_accounts_together() {
    let total = |n: u32| json!({ "concurrency": n });
    let engine = engine(json!({ "groups": group(&[1, 2], total(2)), "total_limits": total(3) }));
    let paces: [Arc<Pace>; 5] = Default::default();
    let take = |account: u8| admit(&engine, &ask(account, 1), &paces[usize::from(account)]).ok();
    let (_a, _b) = (take(1).unwrap(), take(2).unwrap());
    assert!(take(1).is_none() && take(2).is_none(), "two of the group");
    let third = take(3).unwrap();
    assert!(take(4).is_none(), "three of the tenant");
    drop(third);
    assert!(take(4).is_some());
}

/// A request of an end user of account 1.
fn ask_for(user: u64, tokens: u32) -> Ask {
    let mut ask = ask(1, tokens);
    ask.caller.end_user = Some(Tag(user));
    ask
}

#[test]
fn each_end_user_of_an_account_has_limits_of_its_own_under_the_accounts() {
    let engine = engine(json!({ "end_user_limits": { "per_day": { "tokens": 50 } },
        "limits": { "per_day": { "tokens": 120 } } }));
    let pace = Arc::default();
    let held = admit(&engine, &ask_for(1, 50), &pace).unwrap();
    assert!(admit(&engine, &ask_for(1, 1), &pace).is_err());
    assert_eq!(used(&pace), [1, 50, 0, 50], "who is over its own limit takes nothing of others'");
    let _second = admit(&engine, &ask_for(2, 50), &pace).unwrap();
    let unnamed = admit(&engine, &ask(1, 20), &pace).unwrap();
    assert!(admit(&engine, &ask_for(3, 1), &pace).is_err(), "the account's own is used up");
    drop((held, unnamed));
    assert!(admit(&engine, &ask_for(1, 50), &pace).is_ok());
}

#[test]
fn made_up_end_users_free_no_account_from_its_own_limit() {
    let engine = engine(json!({ "end_user_limits": { "per_day": { "tokens": 5 } },
        "limits": { "per_day": { "tokens": 1_000 } } }));
    let pace = Arc::default();
    let mut taken = 0;
    for user in 0..8_000 {
        let ask = ask_for(user, 5);
        let Ok(pass) = admit(&engine, &ask, &pace) else { continue };
        pass.settle(&end(&ask, Ending::Complete, 200, 5), NOW.0);
        taken += 5;
    }
    assert_eq!((taken, used(&pace)[3]), (1_000, 1_000));
    assert_eq!(engine.end_users(), 100_000 / 16);
}

#[test]
fn an_account_not_yet_known_can_name_as_many_end_users_as_it_likes() {
    let engine = engine(json!({ "end_user_limits": { "per_day": { "tokens": 5 } } }));
    let (policies, ask) = (engine.policies(), ask_for(1, 50));
    let policy = policies.of(&ask.caller.tenant);
    assert!(Limiter::new(&engine, policy, &ask, None).admit(&ask, NOW).is_ok());
    assert_eq!(engine.end_users(), 0, "none is remembered");
}

#[test]
fn end_users_of_a_group_are_limited_as_the_group_says() {
    let mut groups = group(&[1], json!({}));
    groups[0]["end_user_limits"] = json!({ "concurrency": 2 });
    let engine = engine(json!({ "groups": groups, "end_user_limits": { "concurrency": 1 } }));
    let (mine, other) = (Arc::default(), Arc::default());
    let two = [ask_for(1, 1), ask_for(1, 1)].map(|ask| admit(&engine, &ask, &mine));
    assert!(two.iter().all(Result::is_ok) && admit(&engine, &ask_for(1, 1), &mine).is_err());
    let mut elsewhere = ask_for(1, 1);
    elsewhere.caller.account = AccountId([2; 16]);
    let _one = admit(&engine, &elsewhere, &other).unwrap();
    assert!(admit(&engine, &elsewhere, &other).is_err(), "the same name is another end user there");
    drop(two);
    assert!(admit(&engine, &ask_for(1, 1), &mine).is_ok());
}

#[test]
fn what_the_endpoint_refuses_costs_those_it_knows_a_request_and_nobody_a_token() {
    let engine = engine(json!({ "total_limits": { "per_day": { "requests": 9, "tokens": 90 } } }));
    let policies = engine.policies();
    let ask = ask(1, 7);
    let pace = Arc::default();
    for (known, requests) in [(None, 0), (Some(&pace), 1)] {
        let policy = policies.of(&ask.caller.tenant);
        let pass = Limiter::new(&engine, policy, &ask, known).admit(&ask, NOW).unwrap();
        assert_eq!(used(&shared(&engine, None)), [1, 7, 0, 7]);
        pass.settle(&end(&ask, Ending::Complete, 401, 7), NOW.0);
        assert_eq!(used(&shared(&engine, None)), [requests, 0, 0, 0]);
    }
}

#[test]
fn a_reload_neither_refills_nor_forgets_what_is_shared() {
    let policy = json!({ "total_limits": { "per_day": { "tokens": 50 } } });
    let engine = engine(policy.clone());
    let pace = Arc::default();
    let held = admit(&engine, &ask(1, 40), &pace).unwrap();
    let settings: Settings = serde_json::from_value(json!({ "defaults": policy })).unwrap();
    engine.reload(engine::Settings::default(), Policies::from(&settings));
    assert!(admit(&engine, &ask(1, 11), &pace).is_err());
    held.settle(&end(&ask(1, 40), Ending::Complete, 200, 20), NOW.0);
    assert_eq!(used(&shared(&engine, None)), [1, 20, 0, 20]);
}

#[test]
fn a_stream_that_is_cut_may_take_what_every_cutting_scope_has_left() {
    let limits = json!({ "per_day": { "tokens": 5000 }, "cut_streams": true });
    let total = json!({
        "output_tokens": { "tokens_per_minute": 60, "burst": 1500 }, "cut_streams": true,
    });
    let engine = engine(json!({ "limits": limits, "total_limits": total }));
    let mut chat = ask(1, 100);
    chat.prompt.api = Api::OpenaiChat;
    chat.prompt.stream = true;
    let pace = Arc::default();
    let mut pass = admit(&engine, &chat, &pace).unwrap();
    let cap = pass.cap.as_mut().unwrap();
    assert!(!cap.is_reached(1488, NOW), "1024 reserved, 476 left in all, taken by 256, 64 and 16");
    assert!(cap.is_reached(1500, NOW));
    assert!(cap.is_reached(1, NOW), "once it was, it stays so");
    drop(pass);
    assert_eq!(used(&shared(&engine, None)), [0; 4]);
    chat.prompt.stream = false;
    assert!(admit(&engine, &chat, &pace).unwrap().cap.is_none(), "what comes whole is not cut");
}

/// What tasks hold or have spent, counted by themselves.
#[derive(Default)]
struct Ledger {
    flying: AtomicU32,
    tokens: AtomicU64,
}

/// Every scope has what its ledger says, and no permit is out. `of_user` and `second` are the rates a
/// second of end users and of the tenant.
fn check(
    engine: &Engine,
    paces: &[Arc<Pace>; 3],
    (users, accounts, all): (&[Ledger; 6], &[Ledger; 3], &Ledger),
    (of_user, second): (u32, u32),
) {
    let total = all.tokens.load(SeqCst);
    for (pace, ledger) in paces.iter().zip(accounts) {
        assert_eq!(used(pace)[3], ledger.tokens.load(SeqCst));
        assert_eq!(pace.in_flight.load(SeqCst), 0);
    }
    for pace in [shared(engine, Some("gold")), shared(engine, None)] {
        assert_eq!(used(&pace)[3], total);
        assert_eq!(pace.in_flight.load(SeqCst), 0);
    }
    let owed =
        |pace: &Pace, every, measure| pace.cell(every, measure).load(SeqCst).saturating_sub(NOW.0);
    let a_second = |amount: u32| SECOND / u64::from(amount);
    let tenant = shared(engine, None);
    assert_eq!(owed(&tenant, Every::Minute, Measure::Tokens), total * 60 * SECOND);
    assert_eq!(owed(&tenant, Every::Second, Measure::Tokens), total * a_second(second));
    for (place, ledger) in users.iter().enumerate() {
        let user = (AccountId([place as u8 / 2; 16]), Tag(place as u64 % 2));
        let pace = engine.end_user_pace(user, NOW.1).unwrap();
        let spent = ledger.tokens.load(SeqCst) * a_second(of_user);
        assert_eq!(owed(&pace, Every::Second, Measure::Input), spent);
        assert_eq!(pace.in_flight.load(SeqCst), 0);
    }
}

const SECOND: u64 = 1_000_000_000;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Eight tasks at once on three accounts of one group, with two end users each. No time passes,
    /// so nothing comes back.
    #[test]
    fn many_tasks_never_take_more_than_any_scope_has(
        (of_user, each) in (40u32..250, 50u32..400),
        (of_group, of_tenant) in (50u32..600, 50u32..800),
        (burst, second) in (50u32..800, 50u32..800),
        flying in 1u32..6,
        plans in prop::collection::vec(
            prop::collection::vec((0u8..3, 0u64..2, 1u32..30, 0u8..4), 40), 8),
    ) {
        let mut groups = group(&[0, 1, 2], json!({ "per_day": { "tokens": of_group } }));
        groups[0]["limits"] = json!({ "per_day": { "tokens": each } });
        groups[0]["end_user_limits"] = json!({ "per_second": { "input_tokens": of_user } });
        let engine = engine(json!({ "groups": groups, "total_limits": {
            "per_day": { "tokens": of_tenant }, "per_second": { "tokens": second },
            "tokens": { "tokens_per_minute": 1, "burst": burst }, "concurrency": flying } }));
        let paces: [Arc<Pace>; 3] = Default::default();
        let (users, accounts): ([Ledger; 6], [Ledger; 3]) = Default::default();
        let all = Ledger::default();
        let most = of_group.min(of_tenant).min(burst).min(second);
        std::thread::scope(|scope| {
            let (engine, paces, users, accounts, all) = (&engine, &paces, &users, &accounts, &all);
            for plan in &plans {
                scope.spawn(move || for &(account, user, tokens, fate) in plan {
                    let place = usize::from(account);
                    let mut ask = ask(account, tokens);
                    ask.caller.end_user = Some(Tag(user));
                    let Ok(pass) = admit(engine, &ask, &paces[place]) else { continue };
                    let ledgers =
                        [(&users[place * 2 + user as usize], of_user), (&accounts[place], each), (all, most)];
                    assert!(all.flying.fetch_add(1, SeqCst) < flying);
                    for (ledger, most) in ledgers {
                        assert!(ledger.tokens.fetch_add(tokens.into(), SeqCst) + u64::from(tokens) <= most.into());
                    }
                    std::thread::yield_now();
                    let spent = [tokens / 2, 0, tokens, tokens][usize::from(fate)];
                    for (ledger, _) in ledgers {
                        ledger.tokens.fetch_sub((tokens - spent).into(), SeqCst);
                    }
                    all.flying.fetch_sub(1, SeqCst);
                    match fate {
                        1 => drop(pass),
                        _ => pass.settle(&end(&ask, Ending::Complete, 200, spent), NOW.0),
                    }
                });
            }
        });
        check(&engine, &paces, (&users, &accounts, &all), (of_user, second));
    }
}

/// What a contained campaign of `members` shares, `slower` times slower than its pace.
fn bucket(members: u32, slower: f64) -> Bucket {
    Bucket {
        whole: Arc::default(),
        own: Arc::default(),
        slower: [slower, 1.0],
        members,
        ordered: false,
    }
}

#[test]
fn members_of_a_contained_campaign_share_one_pace_and_none_takes_it_all() {
    let engine = engine(json!({}));
    let policies = engine.policies();
    let policy = policies.of(&ask(1, 1).caller.tenant);
    let shared = bucket(10, 60.0);
    let own: [Arc<Pace>; 4] = Default::default();
    let take = |account: u8, seconds: u64| {
        let bucket = Bucket { own: Arc::clone(&own[usize::from(account)]), ..shared.clone() };
        let (ask, pace) = (ask(account, 1), Arc::default());
        let limiter = Limiter::new(&engine, policy, &ask, Some(&pace));
        let now = (NOW.0 + seconds * 1_000_000_000, NOW.1);
        limiter.within(policy, Some(&bucket)).admit(&ask, now).map(|pass| {
            pass.settle(&end(&ask, Ending::Complete, 200, 1), now.0);
        })
    };
    // Six requests a minute, sixty times slower: one in ten minutes for all.
    assert!(take(1, 0).is_ok());
    assert!(take(2, 1).is_err(), "of another account, too");
    let hammered = (1..660).filter(|second| take(1, *second).is_ok()).count();
    assert_eq!(hammered, 0, "its part is twice a fair share: once in fifty minutes");
    assert!(take(2, 660).is_ok(), "what one was refused is left to the others");
    assert!(take(3, 661).is_err());
    let told = Limiter::new(&engine, policy, &ask(1, 1), None).within(policy, Some(&shared));
    assert!(told.told(NOW).is_none(), "nobody is told");
}
