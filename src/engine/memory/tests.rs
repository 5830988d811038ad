mod provisions;

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::engine::tests::{
    ENFORCE, START, ask, campaign, cross_ids, engine, harvesting, seconds, served,
};
use crate::engine::{Clearance, Ending, Exchange, Order, Policies, Settings, lock};
use crate::identity::Tag;
use crate::policy::{Period, Settings as PolicySettings};
use crate::signal::{Ask, Step, Trial};

pub(in crate::engine) const THEN: Moment = Moment { at: START, nanos: 5_000_000_000 };

/// Where ids that were issued to others suffice for a challenge.
const STRICT: &str = r#"{"defaults": {"mode": "enforce",
    "ladder": {"shape": -3, "throttle": -2, "challenge": 0, "drop": 50}}}"#;

/// Records as a file would hold them, one after the other.
#[derive(Debug, Default)]
pub(in crate::engine) struct Written(pub(in crate::engine) Vec<Owned>);

/// Table, key and value.
type Owned = (&'static str, Vec<u8>, Option<Vec<u8>>);

impl Written {
    pub(in crate::engine) fn take(&mut self, give: impl FnOnce(&mut Sink<'_>)) {
        give(&mut |record| {
            let value = record.value.map(<[u8]>::to_vec);
            self.0.push((record.table, record.key.to_vec(), value));
        });
    }

    pub(in crate::engine) fn everything(engine: &Engine, now: Moment) -> Self {
        let mut written = Self::default();
        written.take(|out| engine.preamble(out));
        written.take(|out| engine.everything(now, Extent::Whole, out));
        written
    }

    pub(in crate::engine) fn changes(&mut self, engine: &Engine, now: Moment) {
        self.take(|out| engine.decisions(now, out));
        self.take(|out| engine.evidence(now, out));
    }

    pub(in crate::engine) fn recalled(&self, policy: &str, recall: Recall) -> Engine {
        let again = engine(policy);
        for (table, key, value) in &self.0 {
            let record = Record { table, key, value: value.as_deref() };
            // What is gone may never have been there.
            assert!(again.recall(record, &recall) || value.is_none(), "{record:?}");
        }
        again.recalled(true);
        again
    }
}

pub(in crate::engine) const AT_ONCE: Recall =
    Recall { now: THEN, shift: Shift(0), stepped: Shift(0), version: VERSION };

/// Traffic of a dozen accounts, some of them alike: what it is told by a seed.
fn exchange(seed: u32, at: u64) -> Exchange {
    let (account, kind) = ((seed % 12) as u8, seed / 12 % 8);
    let mut request: Ask = ask(account, u64::from(seed), seconds(at));
    request.prompt.tools = Tag(u64::from(seed / 96 % 3));
    request.prompt.body = Tag(u64::from(seed % 40) + 1);
    request.prompt.last = Tag(u64::from(seed % 50) << 33 | 7);
    request.prompt.phrases.0 = seed.wrapping_mul(2_654_435_761);
    request.prompt.continues = Tag(u64::from(seed % 30));
    if kind > 2 {
        request.prompt.presented = vec![Tag(u64::from(seed % 60))];
    }
    let mut exchange = served(request, &[u64::from(seed % 64)]);
    exchange.completion.continues = Tag(u64::from(seed % 32));
    if kind == 0 {
        (exchange.ending, exchange.status) = (Ending::Refused, 429);
    }
    exchange
}

fn go_on(engine: &Engine, seeds: &[u32], from: u64) -> Vec<String> {
    let mut said = Vec::new();
    for (n, seed) in seeds.iter().enumerate() {
        let exchange = exchange(*seed, from + n as u64 * 30);
        said.push(format!("{:?}", engine.assess(&exchange.ask)));
        engine.learn(&exchange);
        engine.tick(exchange.ended);
    }
    said
}

const DAY: u64 = 24 * 3600;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Whether written whole or change by change, the next requests are judged as they would have been.
    #[test]
    fn an_engine_that_was_read_back_judges_as_the_one_that_was_written(
        before in prop::collection::vec(any::<u32>(), 1..150),
        later in prop::collection::vec(any::<u32>(), 0..60),
        next in prop::collection::vec(any::<u32>(), 1..60),
        pause in 1..20_u64,
    ) {
        let first = engine(ENFORCE);
        first.watch();
        let mut written = Written::default();
        written.take(|out| first.preamble(out));
        go_on(&first, &before, 0);
        written.changes(&first, THEN);
        go_on(&first, &later, pause * DAY);
        written.changes(&first, THEN);
        let whole = Written::everything(&first, THEN);
        let [one, other] = [whole, written].map(|written| written.recalled(ENFORCE, AT_ONCE));
        prop_assert_eq!(one.accounts(), first.accounts());
        prop_assert_eq!(one.crowds(), first.crowds());
        let at = (pause + 1) * DAY;
        let said = go_on(&first, &next, at);
        prop_assert_eq!(&go_on(&one, &next, at), &said);
        prop_assert_eq!(&go_on(&other, &next, at), &said);
        prop_assert_eq!(one.campaigns(), first.campaigns());
        prop_assert_eq!(other.campaigns(), first.campaigns());
    }

    #[test]
    fn junk_records_are_taken_by_nobody_and_panic_nowhere(key: Vec<u8>, value: Vec<u8>, by: i64) {
        let engine = engine(ENFORCE);
        let recall = Recall { shift: Shift(by), stepped: Shift(by), ..AT_ONCE };
        for table in engine.tables() {
            let key = if table == "accounts" { &[7; 16][..] } else { &key };
            engine.recall(Record { table, key, value: Some(&value) }, &recall);
            engine.recall(Record { table, key, value: None }, &recall);
        }
        engine.recalled(true);
    }
}

#[test]
fn a_campaign_is_as_condemned_after_a_start_as_before() {
    let before = engine(ENFORCE);
    campaign(&before, 10, 20);
    for account in 10..30 {
        before.assess(&ask(account, 9000, seconds(400)));
    }
    cross_ids(&before, 60, 4);
    before.tick(seconds(500));
    let after = Written::everything(&before, THEN).recalled(ENFORCE, AT_ONCE);
    let newcomer = harvesting(ask(200, 1, seconds(620)));
    for request in [newcomer, ask(12, 1, seconds(621)), ask(60, 1, seconds(622))] {
        let said = before.assess(&request);
        assert!(said.action >= Action::Shape, "{said:?}");
        assert_eq!(after.assess(&request), said);
    }
}

#[test]
fn a_decision_is_told_before_evidence_and_once() {
    let engine = engine(STRICT);
    engine.watch();
    let decisions = || {
        let mut written = Written::default();
        written.take(|out| engine.decisions(THEN, out));
        written.0.iter().filter(|(table, ..)| *table == "accounts").count()
    };
    engine.learn(&served(ask(2, 1, START), &[]));
    assert_eq!(decisions(), 0, "evidence");
    cross_ids(&engine, 2, 6);
    assert!(engine.assess(&ask(2, 5000, seconds(200))).action >= Action::Throttle);
    assert_eq!((decisions(), decisions()), (1, 0), "it is held");
    let clearance = Some(Clearance { until: seconds(900), requests: 5 });
    let (account, at, step) = (AccountId([2; 16]), seconds(201), Step::Solved);
    let (from, org, took) = (Tag(1), None, 1);
    engine.tried(&Trial { account, at, step, from, org, took, clearance });
    assert_eq!((decisions(), decisions()), (1, 0), "it is cleared");
}

#[test]
fn what_operators_have_said_is_told_at_once_and_outlives_the_process() {
    let first = engine(ENFORCE);
    first.watch();
    let order = |verb: &str| -> Order {
        let account = AccountId([2; 16]);
        let verb = verb.replace('@', &format!("\"account\":\"{account}\""));
        let text = format!(r#"{{"verb":{verb},"owner":"ann","reason":"case 7"}}"#);
        serde_json::from_str(&text).unwrap()
    };
    let block = order(r#"{"rule":{@,"action":"drop","lasts_seconds":600}}"#);
    first.obey(&block, seconds(0)).unwrap();
    let mut written = Written::default();
    written.take(|out| first.preamble(out));
    written.take(|out| first.decisions(THEN, out));
    let again = written.recalled(ENFORCE, AT_ONCE);
    assert_eq!(again.rulings(), first.rulings());
    assert_eq!(again.assess(&ask(2, 1, seconds(599))).outcome(), Action::Drop);
    assert_eq!(again.assess(&ask(2, 2, seconds(600))).outcome(), Action::Allow);
    assert_eq!(Written::everything(&first, THEN).recalled(ENFORCE, AT_ONCE).rulings().len(), 1);
    first.obey(&order(r#"{"lift":{@}}"#), seconds(1)).unwrap();
    written.take(|out| first.decisions(THEN, out));
    assert_eq!(written.recalled(ENFORCE, AT_ONCE).rulings(), []);
}

#[test]
fn an_account_that_is_forgotten_is_gone_from_what_is_written() {
    let first = engine(ENFORCE);
    first.watch();
    first.learn(&served(ask(1, 1, START), &[]));
    let mut written = Written::default();
    written.take(|out| first.preamble(out));
    written.changes(&first, THEN);
    assert_eq!(written.recalled(ENFORCE, AT_ONCE).accounts(), 1);
    first.tick(seconds(90 * DAY));
    written.changes(&first, THEN);
    assert_eq!((first.accounts(), written.recalled(ENFORCE, AT_ONCE).accounts()), (0, 0));
}

#[test]
fn where_room_is_short_whoever_is_held_is_written_all_the_same() {
    let first = engine(STRICT);
    cross_ids(&first, 2, 6);
    assert!(first.assess(&ask(2, 5000, seconds(200))).action >= Action::Throttle);
    let mut lean = Written::default();
    lean.take(|out| first.preamble(out));
    lean.take(|out| first.everything(THEN, Extent::Lean, out));
    let again = lean.recalled(STRICT, AT_ONCE);
    assert_eq!(again.accounts(), 1);
    assert!(again.assess(&ask(2, 5001, seconds(201))).action >= Action::Throttle);
}

#[test]
fn a_stepped_clock_moves_what_was_written_with_it() {
    let first = engine(ENFORCE);
    cross_ids(&first, 2, 6);
    let held = first.assess(&ask(2, 5000, seconds(200))).action;
    let written = Written::everything(&first, Moment { at: seconds(300), ..THEN });
    // The clock is set back by a year, and on by one.
    for by in [-365, 365_i64] {
        let shift = Shift(by * DAY as i64 * 1000);
        let at = |n| seconds(n).shifted(shift);
        let now = Moment { at: at(310), nanos: 0 };
        let again = written.recalled(ENFORCE, Recall { now, shift, stepped: shift, ..AT_ONCE });
        let mut request = ask(2, 5001, at(311));
        assert_eq!(again.assess(&request).action, held, "freed by {by} days");
        again.tick(at(400));
        assert_eq!(again.accounts(), first.accounts(), "forgotten by {by} days");
        // Served quietly for as long as it takes, it is freed as it would have been.
        for n in 0..400 {
            request = ask(2, 6000 + n, at(500 + n * 6 * 3600));
            again.learn(&served(request.clone(), &[]));
        }
        assert!(again.assess(&request).action < held, "held for ever");
    }
}

#[test]
fn a_stepped_clock_neither_ends_nor_lengthens_what_operators_and_challenges_gave() {
    let first = engine(STRICT);
    cross_ids(&first, 2, 6);
    assert_eq!(first.assess(&ask(2, 5000, seconds(200))).outcome(), Action::Challenge);
    let (account, at, step) = (AccountId([2; 16]), seconds(201), Step::Solved);
    let clearance = Some(Clearance { until: seconds(900), requests: 50 });
    let (from, org, took) = (Tag(1), None, 1);
    first.tried(&Trial { account, at, step, from, org, took, clearance });
    let block = format!(
        r#"{{"verb":{{"rule":{{"account":"{}","action":"drop","lasts_seconds":600}}}},
            "owner":"ann","reason":"case 7"}}"#,
        AccountId([5; 16])
    );
    first.obey(&serde_json::from_str(&block).unwrap(), seconds(300)).unwrap();
    let written = Written::everything(&first, Moment { at: seconds(300), ..THEN });
    for by in [-365, 365_i64] {
        let shift = Shift(by * DAY as i64 * 1000);
        let at = |n| seconds(n).shifted(shift);
        let now = Moment { at: at(310), nanos: 0 };
        let again = written.recalled(STRICT, Recall { now, shift, stepped: shift, ..AT_ONCE });
        let outcome = |account, n| again.assess(&ask(account, 6000 + n, at(n))).outcome();
        for n in [311, 899] {
            assert_eq!((outcome(2, n), outcome(5, n)), (Action::Allow, Action::Drop), "{by} {n}");
        }
        assert_eq!((outcome(2, 900), outcome(5, 900)), (Action::Challenge, Action::Allow), "{by}");
    }
}

#[test]
fn what_is_used_of_a_quota_and_owed_of_a_rate_outlives_the_process() {
    let first = engine(ENFORCE);
    first.learn(&served(ask(1, 1, START), &[]));
    let pace = first.pace(AccountId([1; 16])).unwrap();
    let shared = first.shared_pace(&"acme".into(), Some("gold"));
    for pace in [&pace, &shared] {
        pace.throttle.store(THEN.nanos + 60_000_000_000, std::sync::atomic::Ordering::Relaxed);
        let start = |period: Period| period.window(START).0;
        let used = |period| crate::engine::Window { start: start(period), used: [1, 2, 3, 5] };
        *pace.windows.lock().unwrap() = Some(Box::new(Period::ALL.map(used)));
    }
    let written = Written::everything(&first, THEN);
    let now = Moment { at: START + Duration::from_secs(20), nanos: 1_000 };
    let again = written.recalled(ENFORCE, Recall { now, ..AT_ONCE });
    let own = again.pace(AccountId([1; 16])).unwrap();
    for pace in [own, again.shared_pace(&"acme".into(), Some("gold"))] {
        let owed = pace.throttle.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(owed, 40_000_000_000 + 1_000, "twenty seconds have passed");
        let windows = pace.windows.lock().unwrap().clone().unwrap();
        assert!(windows.iter().all(|window| window.used == [1, 2, 3, 5]));
    }
    // Set back into yesterday, the clock begins no new day.
    let shift = Shift(-(DAY as i64) * 1000);
    let now = Moment { at: now.at.shifted(shift), nanos: 0 };
    let again = written.recalled(ENFORCE, Recall { now, shift, stepped: shift, ..AT_ONCE });
    let pace = again.pace(AccountId([1; 16])).unwrap();
    let windows = pace.windows.lock().unwrap().clone().unwrap();
    let starts = windows.each_ref().map(|window| window.start);
    assert_eq!(starts, Period::ALL.map(|period| period.window(now.at).0));
}

#[test]
fn after_a_loss_nobody_rises_above_the_cap_and_whoever_was_above_stays() {
    let before = engine(STRICT);
    cross_ids(&before, 2, 8);
    let dropped = |engine: &Engine, account| {
        cross_ids(engine, account, 8);
        (0..3).map(|n| engine.assess(&ask(account, 7000 + n, seconds(300))).action).max()
    };
    assert!(dropped(&before, 3) > Some(Action::Throttle));
    let again = Written::everything(&before, THEN).recalled(STRICT, AT_ONCE);
    again.learn_anew(seconds(DAY), Action::Throttle);
    assert!(again.assess(&ask(3, 8000, seconds(400))).action > Action::Throttle, "was held");
    assert_eq!(dropped(&again, 4), Some(Action::Throttle));
    assert!(again.is_learning(seconds(500)) && !again.is_learning(seconds(DAY)));
    // The period outlives the process, too.
    let once_more = Written::everything(&again, THEN).recalled(STRICT, AT_ONCE);
    assert!(once_more.is_learning(seconds(500)));
    assert!(once_more.assess(&ask(4, 9000, seconds(DAY + 1))).action > Action::Throttle);
}

#[test]
fn while_memory_is_learnt_anew_no_account_ripens_by_itself() {
    let ripe = Settings { established_after_days: 1, ..Settings::default() };
    let policy: PolicySettings = serde_json::from_str(ENFORCE).unwrap();
    let engine = Engine::new(ripe, Policies::from(&policy));
    engine.learn_anew(seconds(3 * DAY), Action::Throttle);
    engine.learn(&served(ask(1, 1, START), &[]));
    let established = |n, at| {
        engine.learn(&served(ask(1, n, seconds(at)), &[]));
        lock(&engine.find(AccountId([1; 16])).unwrap()).established
    };
    assert!(!established(2, 2 * DAY));
    assert!(established(3, 3 * DAY));
}

#[test]
fn signals_are_known_by_name_whatever_their_number() {
    let first = engine(ENFORCE);
    cross_ids(&first, 2, 6);
    let said = first.assess(&ask(2, 5000, seconds(200)));
    let mut written = Written::everything(&first, THEN);
    // As a build with two more signals, and in another order, would have written it.
    let names: Vec<_> = crate::signal::CATALOGUE.iter().map(|spec| spec.name).collect();
    let mut others = vec!["one_of_the_future", "and_another"];
    others.extend(&names[2..]);
    written.0[0].2 = Some(crate::signal::shelf::encode(&others));
    let again = written.recalled(ENFORCE, AT_ONCE);
    let verdict = again.assess(&ask(2, 5000, seconds(200)));
    assert_eq!(verdict.evidence, said.evidence, "those that have kept their number are as before");
}

#[test]
fn a_record_without_the_last_fields_reads_as_if_they_were_zero() {
    let first = engine(ENFORCE);
    first.learn(&served(ask(1, 1, START), &[]));
    let mut written = Written::everything(&first, THEN);
    for (table, _, value) in &mut written.0 {
        if *table == "accounts" {
            // The bodies refused last: four tags.
            let value = value.as_mut().unwrap();
            value.truncate(value.len() - 4);
        }
    }
    assert_eq!(written.recalled(ENFORCE, AT_ONCE).accounts(), 1);
}

#[test]
fn who_has_nothing_to_remember_encodes_to_zeros() {
    assert!(crate::signal::Account::default().kept().is_empty());
}
