use std::time::Duration;

use super::*;
use crate::dialect::Api;
use crate::engine::{CampaignId, Settings, Verb, Words};
use crate::identity::{AccountId, Caller, Tag};
use crate::policy::{Action, Policies, Settings as PolicySettings};
use crate::signal::{Clearance, Completion, Ending, Phrases, Prompt, Step as Taken};

fn ask(id: u64) -> Ask {
    Ask {
        id: ExchangeId(Tag(id)),
        at: Timestamp::from_millis(id),
        caller: Caller { egress: Tag(1), ..Caller::sample((id % 2) as u8) },
        prompt: Prompt { api: Api::OpenaiChat, ..Prompt::default() },
    }
}

fn verdict(action: Action) -> Verdict {
    Verdict { action, enforced: true, ..Verdict::default() }
}

fn asked(id: u64) -> String {
    serde_json::to_string(&Line::ask(&ask(id), &verdict(Action::Allow))).unwrap()
}

fn ended(id: u64) -> String {
    let exchange = Exchange {
        ask: ask(id),
        ended: Timestamp::from_millis(id + 5),
        ending: Ending::Complete,
        status: 200,
        completion: Completion::default(),
    };
    serde_json::to_string(&Line::end(&exchange)).unwrap()
}

fn accepted(id: u64) -> String {
    let (id, at) = (ExchangeId(Tag(id)), Timestamp::default());
    serde_json::to_string(&Line::Accepted { id, at }).unwrap()
}

fn ticked(at: u64) -> String {
    serde_json::to_string(&Line::Tick { at: Timestamp::from_millis(at) }).unwrap()
}

/// An engine that drops whoever has been learned from twice, and writes down what it is told.
fn play(lines: &[String]) -> (Result<Summary, ReplayError>, Vec<String>) {
    let mut told = Vec::new();
    let mut learned: BTreeMap<AccountId, u32> = BTreeMap::new();
    let summary = drive(
        lines.join("\n").as_bytes(),
        |_, _, _| {},
        |step| match step {
            Step::Assess(ask) => {
                told.push(format!("assess {}", ask.id.0.0));
                let known = learned.get(&ask.caller.account).copied().unwrap_or_default();
                Some(verdict(if known >= 2 { Action::Drop } else { Action::Allow }))
            }
            Step::Accept(ask) => {
                told.push(format!("accept {}", ask.id.0.0));
                None
            }
            Step::Learn(exchange) => {
                told.push(format!("learn {}", exchange.ask.id.0.0));
                *learned.entry(exchange.ask.caller.account).or_default() += 1;
                None
            }
            Step::Try(trial) => {
                told.push(format!("try {:?}", trial.step));
                None
            }
            Step::Tick(at) => {
                told.push(format!("tick {}", at.as_millis()));
                None
            }
            Step::Obey(order, at) => {
                told.push(format!("obey {} {}", order.owner.as_str(), at.as_millis()));
                None
            }
        },
    );
    (summary, told)
}

#[test]
fn the_engine_is_told_what_the_log_says_in_its_order() {
    let (summary, told) =
        play(&[asked(1), asked(2), accepted(2), ended(1), ticked(9), ended(2), accepted(2)]);
    assert_eq!(told, ["assess 1", "assess 2", "accept 2", "learn 1", "tick 9", "learn 2"]);
    let summary = summary.unwrap();
    assert_eq!((summary.asks, summary.ends, summary.agreements), (2, 2, 2));
}

#[test]
fn a_changed_outcome_is_counted_by_pair_and_by_account() {
    let lines = [asked(2), ended(2), asked(4), ended(4), asked(6), asked(7)];
    let summary = play(&lines).0.unwrap();
    assert_eq!(summary.disagreements, BTreeMap::from([((Action::Allow, Action::Drop), 1)]));
    let counts = summary.accounts[&AccountId([0; 16])];
    assert_eq!((counts.asks, counts.outcomes, counts.changed), (3, [2, 0, 0, 0, 1], 1));
}

#[test]
fn equal_replays_have_equal_digests_and_others_have_not() {
    let digest = |lines: &[String]| play(lines).0.unwrap().digest.to_string();
    let log = [asked(2), ended(2), asked(4), ended(4), asked(6)];
    assert_eq!(digest(&log), digest(&log));
    assert_ne!(digest(&log), digest(&log[..4]));
    assert_eq!(digest(&log).len(), 64);
}

#[test]
fn an_end_without_its_ask_teaches_nothing() {
    let (summary, told) = play(&[ended(3), asked(1), ended(1), ended(1)]);
    assert_eq!(told, ["assess 1", "learn 1"]);
    assert_eq!(summary.unwrap().unmatched, 2);
}

#[test]
fn a_rare_bad_line_is_named_by_its_number() {
    let mut lines: Vec<_> = (1..=200).map(asked).collect();
    lines.insert(9, r#"{"v":1,"kind":"asks"}"#.into());
    let summary = play(&lines).0.unwrap();
    assert_eq!((summary.bad, summary.bad_lines[0].line), (1, 10));
    assert_eq!(summary.asks, 200);
}

#[test]
fn more_than_one_bad_line_in_a_hundred_is_an_error() {
    let mut lines: Vec<_> = (1..=97).map(asked).collect();
    lines.extend(["{".to_owned(), "[]".to_owned()]);
    let error = play(&lines).0.unwrap_err().to_string();
    assert!(error.starts_with("2 of 99 lines can't be read; the first is line 98: "), "{error}");
}

#[test]
fn an_endless_line_is_bad_and_does_not_fill_memory() {
    let mut lines: Vec<_> = (1..=200).map(asked).collect();
    lines[0] = "x".repeat(MAX_LINE + 7);
    let summary = play(&lines).0.unwrap();
    assert_eq!(summary.bad_lines[0].why, format!("longer than {MAX_LINE} bytes"));
}

#[test]
fn the_oldest_ask_is_given_up_when_too_many_wait() {
    let mut pending = Pending::default();
    (0..=MAX_PENDING as u64).for_each(|id| pending.put(ask(id)));
    assert_eq!(pending.given_up, 1);
    assert!(pending.take(ExchangeId(Tag(0))).is_none());
    assert!(pending.take(ExchangeId(Tag(1))).is_some());
}

/// Forty accounts in turn; every other one sends back what the one before it was given.
fn exchange(turn: u64) -> Exchange {
    let mut ask = ask(turn);
    ask.at = Timestamp::from_millis(turn * 700);
    ask.caller.account = AccountId([(turn % 40) as u8; 16]);
    ask.prompt.tokens = 200 + turn as u32 % 7;
    ask.prompt.last = Tag(turn);
    if turn % 2 == 1 {
        ask.prompt.presented = vec![Tag(1_000 + turn - 1)];
    }
    let issued = vec![Tag(1_000 + turn)];
    let completion = Completion { issued, continues: Tag(9_000 + turn), ..Completion::default() };
    let ended = ask.at + std::time::Duration::from_millis(300);
    Exchange { ask, ended, ending: Ending::Complete, status: 200, completion }
}

fn fresh_engine() -> Engine {
    Engine::new(Settings::default(), Policies::default())
}

/// Whoever is challenged in one turn has answered it, or has failed to, by the next.
fn trial(turn: u64, ask: &Ask) -> Trial {
    let (account, at) = (ask.caller.account, ask.at);
    let (step, clearance) = match turn % 3 {
        0 => (Taken::Issued, None),
        1 => (Taken::Solved, Some(Clearance { until: at + Duration::from_secs(60), requests: 2 })),
        _ => (Taken::Failed, None),
    };
    Trial { account, at, step, from: ask.caller.egress, org: None, took: 7, clearance }
}

fn recorded(turns: u64) -> String {
    let (engine, mut log) = (fresh_engine(), Vec::new());
    for turn in 1..=turns {
        let exchange = exchange(turn);
        log.push(Line::ask(&exchange.ask, &engine.assess(&exchange.ask)));
        let trial = trial(turn, &exchange.ask);
        engine.tried(&trial);
        log.push(Line::Trial(trial));
        engine.learn(&exchange);
        log.push(Line::end(&exchange));
        engine.tick(exchange.ended);
        log.push(Line::Tick { at: exchange.ended });
    }
    let lines = log.iter().map(|line| serde_json::to_string(line).unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_fresh_engine_comes_to_the_very_verdicts_that_were_logged() {
    let log = recorded(600);
    let (mut suspects, mut cleared, mut heard) = (0, 0, 0);
    let summary = replay(&fresh_engine(), log.as_bytes(), |ask, logged, now| {
        assert_eq!(logged, now, "{}", ask.id);
        suspects += u32::from(now.action > Action::Throttle);
        cleared += u32::from(now.cleared);
        heard += u32::from(now.evidence.iter().any(|one| one.signal == "challenge"));
    });
    let summary = summary.unwrap();
    assert_eq!((summary.asks, summary.ends, summary.agreements), (600, 600, 600));
    assert!(suspects.min(cleared).min(heard) > 0, "the log holds nothing worth replaying");
    let again = replay(&fresh_engine(), log.as_bytes(), |_, _, _| {}).unwrap();
    assert_eq!(summary.digest, again.digest);
}

/// Rungs fall on shares of accounts and at moments of their own; so does what the rules contain.
const CAREFUL: &str = r#"{"defaults": {"mode": "enforce",
    "ladder": {"onset_seconds": 300}, "rung_shares": {"shape": 50, "throttle": 50, "drop": 40},
    "campaign": {"score": 6, "members": 10, "onset_minutes": 10, "share": 70}}}"#;

fn careful() -> Engine {
    let policy: PolicySettings = serde_json::from_str(CAREFUL).unwrap();
    Engine::new(Settings::default(), Policies::from(&policy))
}

/// As [`exchange`], of accounts with one tool set that all want reasoning in tags.
fn alike(turn: u64) -> Exchange {
    let mut exchange = exchange(turn);
    exchange.ask.at = Timestamp::from_millis(turn * 1_500);
    exchange.ended = exchange.ask.at + Duration::from_millis(300);
    // Ids are hashes: shares of accounts go by them.
    let spread = (turn % 40).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    exchange.ask.caller.account.0[..8].copy_from_slice(&spread.to_be_bytes());
    exchange.ask.prompt.tools = Tag(7);
    exchange.ask.prompt.phrases = Phrases::ELICITS.union(Phrases::TAGS);
    exchange
}

/// What operators say of `campaign` at some turns.
fn said(turn: u64, campaign: CampaignId) -> Option<Order> {
    let verb = match turn {
        300 => Verb::Contain { campaign, lasts_seconds: 120 },
        500 => Verb::Release { campaign, lasts_seconds: 3_600 },
        900 => Verb::Close { campaign, lasts_seconds: 90 },
        1_100 => Verb::Contain { campaign, lasts_seconds: 3_600 },
        _ => return None,
    };
    let words = |text: &str| Words::try_from(text.to_owned()).unwrap();
    Some(Order { verb, owner: words("ann"), reason: words("case 7") })
}

#[test]
fn orders_on_campaigns_shares_and_onsets_come_to_the_same_in_a_replay() {
    let (live, mut log) = (careful(), Vec::new());
    for turn in 1..=1_400 {
        let exchange = alike(turn);
        log.push(Line::ask(&exchange.ask, &live.assess(&exchange.ask)));
        let campaign = live.campaigns().first().map(|about| about.id);
        if let Some(order) = campaign.and_then(|campaign| said(turn, campaign)) {
            live.obey(&order, exchange.ask.at).unwrap();
            log.push(Line::Order { at: exchange.ask.at, order });
        }
        live.learn(&exchange);
        log.push(Line::end(&exchange));
        live.tick(exchange.ended);
        log.push(Line::Tick { at: exchange.ended });
    }
    let lines = log.iter().map(|line| serde_json::to_string(line).unwrap());
    let log = lines.collect::<Vec<_>>().join("\n");
    let (mut ordered, mut ruled, mut outside, mut orders) = (0, 0, 0, 0);
    let again = careful();
    let compare = |ask: &Ask, logged: &Verdict, now: &Verdict| {
        assert_eq!(logged, now, "{}", ask.id);
        ordered += u32::from(now.ordered);
        ruled += u32::from(now.contained && !now.ordered);
        outside += u32::from(now.outside);
    };
    let summary = follow(&again, log.as_bytes(), compare, |_| orders += 1).unwrap();
    assert_eq!((summary.agreements, orders), (1_400, 4));
    assert_eq!(again.campaigns(), live.campaigns());
    assert!(ordered.min(ruled).min(outside) > 0, "nothing: {ordered} {ruled} {outside}");
}
