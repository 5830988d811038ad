use std::num::{NonZeroU32, NonZeroU64};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use proptest::prelude::*;

use super::*;
use crate::dialect::{Params, Usage};
use crate::identity::{Caller, Tag};
use crate::policy::{Quotas, TokenPace};
use crate::signal::{Ask, Completion, Ending, ExchangeId};

const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 86_400_000;

fn rate(tokens_per_minute: u32, burst: u32) -> Option<TokenPace> {
    let number = |n| NonZeroU32::new(n).unwrap();
    Some(TokenPace { tokens_per_minute: number(tokens_per_minute), burst: number(burst) })
}

fn total(tokens_per_minute: u32, burst: u32) -> Limits {
    Limits { tokens: rate(tokens_per_minute, burst), ..Limits::default() }
}

fn quota(tokens: u64) -> Quotas {
    Quotas { tokens: NonZeroU64::new(tokens), ..Quotas::default() }
}

fn daily(tokens: u64) -> Limits {
    Limits { per_day: quota(tokens), ..Limits::default() }
}

fn tokens(input: u32, output: u32) -> Cost {
    Cost { requests: 1, input, output }
}

/// Tokens of a period that are used or reserved.
fn used_in(pace: &Pace, period: Period) -> u64 {
    windows(pace).as_ref().map_or(0, |all| all[period.index()].used[Measure::Tokens.index()])
}

fn settle(held: Reservation, exchange: &Exchange, now: u64) {
    let spent = held.cost.spent(exchange, UnknownUsage::Estimate);
    held.settle(spent, now);
}

fn at(millis: u64) -> (u64, Timestamp) {
    (millis * 1_000_000, Timestamp::from_millis(millis))
}

fn exchange(ending: Ending, usage: Usage) -> Exchange {
    let caller = Caller::sample(1);
    let prompt = Prompt { api: Api::OpenaiChat, ..Prompt::default() };
    let (id, at) = (ExchangeId(Tag(1)), Timestamp::default());
    Exchange {
        ask: Ask { id, at, caller, prompt },
        ended: at,
        ending,
        status: 200,
        completion: Completion { usage, bytes: 10_000, ..Completion::default() },
    }
}

fn used(input: u32, output: u32) -> Exchange {
    let usage = Usage { input: Some(input), output: Some(output), ..Usage::default() };
    exchange(Ending::Complete, usage)
}

#[test]
fn output_is_reserved_for_every_completion_asked_for() {
    let prompt = |api, max_tokens, n| {
        let params = Params { max_tokens, n, ..Params::default() };
        Cost::estimated(&Prompt { api, params, tokens: 7, ..Prompt::default() })
    };
    assert_eq!(prompt(Api::OpenaiChat, Some(9), 0), tokens(7, 9));
    assert_eq!(prompt(Api::OpenaiChat, Some(9), 128), Cost { requests: 128, ..tokens(7, 9 * 128) });
    assert_eq!(prompt(Api::AnthropicMessages, Some(1 << 20), 1), tokens(7, USUAL_OUTPUT));
    assert_eq!(
        prompt(Api::OpenaiChat, None, u32::MAX),
        Cost { requests: u32::MAX, ..tokens(7, u32::MAX) }
    );
    assert_eq!(prompt(Api::OpenaiEmbeddings, None, 3), Cost { requests: 3, ..tokens(7, 0) });
    assert_eq!(prompt(Api::AnthropicCountTokens, None, 1), tokens(0, 0));
}

#[test]
fn a_reservation_is_replaced_by_what_was_used() {
    let (pace, limits) = (Arc::new(Pace::default()), total(60, 100));
    let take = |amount| {
        Reservation::take(&pace, &limits, tokens(0, amount), at(1000)).map_err(|short| short.wait)
    };
    let held = take(100).unwrap();
    assert_eq!(take(1).unwrap_err(), Duration::from_secs(1));
    settle(held, &used(10, 30), SECOND);
    let held = take(60).unwrap();
    assert!(take(1).is_err());
    settle(held, &used(0, 90), SECOND);
    assert_eq!(take(1).unwrap_err(), Duration::from_secs(31));
}

#[test]
fn whatever_gives_no_answer_costs_nothing() {
    let limits = Limits { per_month: quota(500), ..total(60, 100) };
    let pace = Arc::new(Pace::default());
    let full = || Reservation::take(&pace, &limits, tokens(40, 60), at(1000)).unwrap();
    for ending in [Ending::Refused, Ending::Failed] {
        settle(full(), &exchange(ending, Usage::default()), SECOND);
    }
    settle(full(), &Exchange { status: 500, ..used(40, 60) }, SECOND);
    drop(full());
    assert_eq!(used_in(&pace, Period::Month), 0);
    drop(full());
}

#[test]
fn an_answer_that_could_not_be_read_costs_its_estimate_or_its_bytes() {
    let spent = |bytes| {
        let mut exchange = exchange(Ending::Cancelled, Usage::default());
        exchange.completion.bytes = bytes;
        tokens(5, 1000).spent(&exchange, UnknownUsage::Estimate)
    };
    assert_eq!((spent(9_999), spent(12), spent(0)), (tokens(5, 1000), tokens(5, 12), tokens(5, 0)));
}

#[test]
fn one_limit_that_refuses_takes_nothing_from_the_others() {
    let limits = Limits { input_tokens: rate(60, 100), output_tokens: rate(60, 5), ..daily(1000) };
    let pace = Arc::new(Pace::default());
    let take =
        |tokens| Reservation::take(&pace, &limits, tokens, at(1000)).map_err(|short| short.wait);
    let held = take(tokens(0, 5)).unwrap();
    assert!(take(tokens(100, 1)).is_err());
    assert!(take(tokens(100, 0)).is_ok());
    drop(held);
}

#[test]
fn more_than_the_burst_is_admitted_once_and_owed() {
    let (pace, limits) = (Arc::new(Pace::default()), total(60, 10));
    let take = |amount, now| {
        Reservation::take(&pace, &limits, tokens(amount, 0), at(now)).map_err(|short| short.wait)
    };
    let held = take(70, 1000).unwrap();
    assert_eq!(take(1, 1000).unwrap_err(), Duration::from_secs(61));
    assert_eq!(take(1, 62_000).map(drop), Ok(()));
    drop(held);
}

#[test]
fn a_second_gives_its_own_and_no_more_whatever_the_minute_has_left() {
    let limits = Limits { per_second: quota(10), ..total(6_000, 600) };
    let pace = Arc::new(Pace::default());
    let take = |amount, now| {
        Reservation::take(&pace, &limits, tokens(amount, 0), at(now)).map_err(|short| short.wait)
    };
    let used_up = take(10, 1000).unwrap();
    assert_eq!(take(1, 1000).unwrap_err(), Duration::from_millis(100));
    let standing = standing(&pace, &limits, Measure::Tokens, at(1000)).unwrap();
    assert_eq!((standing.limit, standing.remaining), (10, 0), "the tighter one is told");
    settle(used_up, &used(4, 0), SECOND);
    assert_eq!(take(6, 1000).map(drop), Ok(()), "what was not used is there again");
    assert_eq!(take(10, 1399).unwrap_err(), Duration::from_millis(1));
    assert!(take(10, 1400).is_ok());
}

#[test]
fn a_quota_ends_with_its_day() {
    let (pace, limits) = (Arc::new(Pace::default()), daily(100));
    let take = |amount, now| {
        Reservation::take(&pace, &limits, tokens(amount, 0), at(now)).map_err(|short| short.wait)
    };
    let late = take(100, DAY - 1000).unwrap();
    assert_eq!(take(1, DAY - 1000).unwrap_err(), Duration::from_secs(1));
    assert_eq!(take(0, DAY - 1000).map(drop), Ok(()));
    let fresh = take(100, DAY).unwrap();
    settle(late, &used(1, 0), 0);
    assert_eq!(used_in(&pace, Period::Day), 100, "yesterday's settlement is not today's");
    settle(fresh, &used(20, 30), 0);
    assert_eq!(used_in(&pace, Period::Day), 50);
}

#[test]
fn absurd_numbers_neither_wrap_nor_free_anything() {
    let (pace, limits) = (Arc::new(Pace::default()), total(1, u32::MAX));
    let century = at(100 * 365 * DAY);
    for _ in 0..64 {
        let Ok(held) = Reservation::take(&pace, &limits, tokens(u32::MAX, u32::MAX), century)
        else {
            continue;
        };
        settle(held, &used(u32::MAX, u32::MAX), century.0);
    }
    assert!(pace.cell(Every::Minute, Measure::Tokens).load(Relaxed) > century.0);
}

#[test]
fn many_threads_never_take_more_than_quota_and_burst() {
    let limits = Limits { per_day: quota(700), per_second: quota(600), ..total(60, 500) };
    let (pace, taken) = (Arc::new(Pace::default()), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for thread in 0..8u32 {
            let (pace, taken, limits) = (&pace, &taken, &limits);
            scope.spawn(move || {
                for round in 0..200 {
                    let amount = 1 + (thread * 31 + round) % 7;
                    let held = Reservation::take(pace, limits, tokens(amount, 0), at(1000));
                    let Ok(held) = held else { continue };
                    if round % 3 == 0 {
                        continue;
                    }
                    settle(held, &used(amount, 0), SECOND);
                    taken.fetch_add(amount.into(), Relaxed);
                }
            });
        }
    });
    let taken = taken.into_inner();
    assert!((490..=500).contains(&taken), "{taken}");
    assert_eq!(used_in(&pace, Period::Day), taken);
}

proptest! {
    #[test]
    fn what_is_admitted_never_exceeds_quota_and_burst(
        asks in prop::collection::vec((1u32..=50, 0u64..2_000, 0u8..4), 1..200),
        (per_minute, burst, quota) in (1u32..600, 50u32..200, 1u64..3_000),
        per_second in 50u64..100,
    ) {
        let paced = Limits { per_second: self::quota(per_second), ..total(per_minute, burst) };
        let limits = Limits { per_day: self::quota(quota), ..paced };
        let pace = Arc::new(Pace::default());
        let (mut now, mut spent, mut held) = (1000, 0u64, Vec::new());
        for (amount, pause, fate) in asks {
            now += pause;
            let taken = Reservation::take(&pace, &limits, tokens(amount, 0), at(now));
            match (taken, fate) {
                (Err(short), _) => prop_assert!(!short.wait.is_zero()),
                (Ok(taken), 0) => drop(taken),
                (Ok(taken), 1) => held.push((taken, amount)),
                (Ok(taken), _) => {
                    settle(taken, &used(amount / 2, 0), now * 1_000_000);
                    spent += u64::from(amount / 2);
                }
            }
            let open: u64 = held.iter().map(|(_, amount)| u64::from(*amount)).sum();
            let earned = (now - 1000) as f64 / 60_000.0 * f64::from(per_minute);
            // Intervals are whole nanoseconds.
            prop_assert!((spent + open) as f64 <= earned * 1.0001 + f64::from(burst));
            let earned = (now - 1000) as f64 / 1000.0 * per_second as f64;
            prop_assert!((spent + open) as f64 <= earned * 1.0001 + per_second as f64);
            prop_assert!(spent + open <= quota);
            prop_assert_eq!(used_in(&pace, Period::Day), spent + open);
        }
        drop(held);
        prop_assert_eq!(used_in(&pace, Period::Day), spent);
    }
}
