use std::fs;
use std::path::PathBuf;

use super::*;
use crate::telemetry::fakes;

const SOON: Duration = Duration::from_secs(20);

fn log_at(path: PathBuf) -> (Decisions, LogCounters) {
    let counters = LogCounters::default();
    let settings = DecisionLog { path: Some(path), ..DecisionLog::default() };
    (Decisions::start(&settings, &counters).unwrap(), counters)
}

fn lines(text: &str) -> Vec<Line> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn lines_read_back_equal_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let (decisions, counters) = log_at(dir.path().join("log"));
    let (ask, verdict, exchange) = (fakes::ask(1), Verdict::default(), fakes::exchange(1));
    decisions.asked(&ask, &verdict);
    decisions.accepted(ask.id, Timestamp::from_millis(8));
    decisions.ended(&exchange);
    decisions.ticked(Timestamp::from_millis(9));
    assert!(decisions.flush(SOON));
    let expected = [
        Line::ask(&ask, &verdict),
        Line::Accepted { id: ask.id, at: Timestamp::from_millis(8) },
        Line::end(&exchange),
        Line::Tick { at: Timestamp::from_millis(9) },
    ];
    assert_eq!(lines(&fs::read_to_string(dir.path().join("log")).unwrap()), expected);
    assert_eq!(counters.lines.get(), 4);
}

#[test]
fn dropping_the_log_writes_what_it_holds() {
    let dir = tempfile::tempdir().unwrap();
    let (decisions, _) = log_at(dir.path().join("log"));
    for id in 0..100 {
        decisions.asked(&fakes::ask(id), &Verdict::default());
    }
    drop(decisions);
    assert_eq!(lines(&fs::read_to_string(dir.path().join("log")).unwrap()).len(), 100);
}

#[test]
fn a_full_queue_drops_and_counts_but_never_blocks() {
    let counters = LogCounters::default();
    let (lines, queue) = sync_channel(2);
    let ended = Mutex::new(sync_channel(0).1);
    // Nobody reads: a call that waited would never return.
    let writer = Writer { counters: counters.clone(), lines, flushes: None, ended, thread: None };
    for id in 0..10 {
        writer.take(Box::new(Line::end(&fakes::exchange(id))));
    }
    assert_eq!(counters.dropped.get(), 8);
    assert_eq!(queue.try_iter().count(), 2);
}

#[test]
fn a_flush_of_a_stuck_log_gives_up_at_its_deadline() {
    let (flushes, _stuck) = sync_channel(1);
    assert!(!flush(&flushes, Duration::from_millis(6)), "taken, never told");
    assert!(!flush(&flushes, Duration::from_millis(6)), "not even taken");
}

#[test]
fn an_unwritable_directory_costs_lines_but_no_traffic() {
    let (decisions, counters) = log_at(PathBuf::from("/dev/null/no/log"));
    decisions.asked(&fakes::ask(1), &Verdict::default());
    decisions.ended(&fakes::exchange(1));
    assert!(decisions.flush(SOON));
    assert!(counters.errors.get() >= 1);
    assert_eq!(counters.lines.get(), 0);
    drop(decisions);
    assert_eq!(counters.dropped.get(), 2);
}

#[test]
fn a_log_without_a_path_is_off_but_decisions_are_still_explained() {
    let decisions = Decisions::default();
    decisions.asked(&fakes::ask(64), &Verdict::default());
    decisions.ended(&fakes::exchange(64));
    assert!(decisions.flush(Duration::ZERO));
    assert!(decisions.find(fakes::ask(64).id).is_some());
}

fn ticks(count: u64) -> impl Iterator<Item = Box<Line>> {
    (0..count).map(|at| Box::new(Line::Tick { at: Timestamp::from_millis(at) }))
}

#[test]
fn steady_traffic_is_written_once_a_second_and_the_rest_at_the_first_pause() {
    let dir = tempfile::tempdir().unwrap();
    let counters = LogCounters::default();
    let journal = Journal::new(dir.path().join("log"), 1 << 20, 1);
    let mut scribe = Scribe::new(journal, counters.clone());
    let timeout = || Err(RecvTimeoutError::Timeout);
    for _ in 1..ROUNDS {
        assert!(scribe.round(timeout(), ticks(3)));
        assert_eq!(counters.lines.get(), 0);
    }
    scribe.round(timeout(), ticks(3));
    assert_eq!(counters.lines.get(), 30);
    scribe.round(timeout(), ticks(1));
    assert_eq!(counters.lines.get(), 30);
    scribe.round(timeout(), ticks(0));
    assert_eq!(counters.lines.get(), 31);
    assert!(!scribe.round(Err(RecvTimeoutError::Disconnected), ticks(1)));
    assert_eq!(counters.lines.get(), 32);
}

#[test]
fn a_broken_disk_is_tried_again_once_a_second_and_loses_nothing_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let counters = LogCounters::default();
    let journal = Journal::new(dir.path().join("later/log"), 1 << 20, 1);
    let mut scribe = Scribe::new(journal, counters.clone());
    scribe.round(Err(RecvTimeoutError::Timeout), ticks(2));
    for _ in 0..2 * ROUNDS {
        scribe.round(Err(RecvTimeoutError::Timeout), ticks(0));
    }
    assert!((2..=3).contains(&counters.errors.get()), "{}", counters.errors.get());
    fs::create_dir(dir.path().join("later")).unwrap();
    scribe.round(Err(RecvTimeoutError::Disconnected), ticks(0));
    assert_eq!((counters.lines.get(), counters.dropped.get()), (2, 0));
}
