//! Campaigns that outlive the process.

use std::sync::atomic::Ordering::Relaxed;

use super::*;
use crate::engine::memory::tests::{AT_ONCE, THEN, Written};
use crate::engine::memory::{Extent, Moment, Recall, Remember};
use crate::time::Shift;

/// A scene from whose records another one is made.
fn kept() -> (Scene, Written) {
    let (scene, mut written) = (scene(ENFORCE), Written::default());
    scene.engine.watch();
    written.take(|out| scene.engine.preamble(out));
    (scene, written)
}

impl Scene {
    fn again(&self, written: &Written, recall: Recall) -> Self {
        let engine = written.recalled(ENFORCE, recall);
        Self { engine, now: self.now.shifted(recall.shift), asked: self.asked }
    }

    /// Every campaign, whole.
    fn found(&self) -> String {
        let all = self.engine.campaigns();
        let whole: Vec<_> = all.iter().map(|about| self.engine.campaign(about.id)).collect();
        serde_json::to_string_pretty(&whole).unwrap()
    }

    fn said(&mut self, all: &[Who], rounds: usize) -> Vec<String> {
        let mut said = Vec::new();
        for _ in 0..rounds {
            said.extend(all.iter().map(|who| format!("{:?}", self.exchange(*who))));
            self.wait(60);
        }
        said
    }
}

#[test]
fn campaigns_go_on_after_a_start_as_they_would_have_without_it() {
    let (mut first, mut written) = kept();
    first.rounds(&members(0, 40, 5), 12);
    written.changes(&first.engine, THEN);
    let both = [members(0, 40, 5), members(100, 30, 6)].concat();
    first.rounds(&both, 2);
    written.changes(&first.engine, THEN);
    assert_eq!(first.contained().len(), 1, "the other is still to come");
    let whole = Written::everything(&first.engine, THEN);
    let twins = [whole, written].map(|written| first.again(&written, AT_ONCE));
    let replaced = [both, members(200, 20, 5)].concat();
    let before = first.found();
    let (said, after) = (first.said(&replaced, 8), first.found());
    assert!(said.iter().any(|said| said.contains("contained: true")) && before != after);
    assert_eq!(first.contained().len(), 2);
    for mut twin in twins {
        assert_eq!(twin.found(), before);
        assert_eq!(twin.said(&replaced, 8), said);
        assert_eq!(twin.found(), after);
    }
}

#[test]
fn one_contained_a_moment_ago_is_contained_though_no_evidence_was_written() {
    let (mut first, mut written) = kept();
    for _ in 0..12 {
        first.rounds(&members(0, 40, 5), 1);
        written.take(|out| first.engine.decisions(THEN, out));
    }
    let id = first.contained()[0].id;
    let mut again = first.again(&written, AT_ONCE);
    assert_eq!(again.engine.campaign(id).unwrap().members.len(), 40);
    let verdict = again.exchange(member(200, 5));
    assert_eq!((verdict.campaign, verdict.contained), (Some(id), true), "{}", verdict.in_words());
    // One that is over is forgotten as soon.
    first.wait(80 * 3600);
    first.wait(40 * 24 * 3600);
    written.take(|out| first.engine.decisions(THEN, out));
    assert!(first.again(&written, AT_ONCE).engine.campaigns().is_empty());
}

#[test]
fn where_room_is_short_campaigns_are_written_all_the_same() {
    let (mut first, mut written) = kept();
    first.rounds(&members(0, 40, 5), 12);
    written.take(|out| first.engine.everything(THEN, Extent::Lean, out));
    let again = first.again(&written, AT_ONCE);
    assert_eq!(again.found(), first.found());
    assert_eq!(again.contained().len(), 1);
}

#[test]
fn what_members_owe_together_and_each_they_still_owe_after_a_start() {
    let (mut first, _) = kept();
    first.rounds(&members(0, 40, 5), 12);
    let campaign = first.contained()[0].id;
    let bucket = |scene: &Scene, account| scene.engine.bucket(campaign, account).unwrap();
    let cells =
        |bucket: &Bucket| [&bucket.whole, &bucket.own].map(|pace| pace.rates[0][0].load(Relaxed));
    for (pace, owed) in [(bucket(&first, id(3)).whole, 40), (bucket(&first, id(3)).own, 20)] {
        pace.rates[0][0].store(THEN.nanos + owed, Relaxed);
    }
    let stranger = bucket(&first, id(9999));
    stranger.own.rates[0][0].store(THEN.nanos + 30, Relaxed);
    let again = first.again(&Written::everything(&first.engine, THEN), AT_ONCE);
    for account in [3, 4, 9999] {
        let (one, other) = (bucket(&first, id(account)), bucket(&again, id(account)));
        assert_eq!(cells(&one), cells(&other));
        assert_eq!((one.slower, one.members), (other.slower, other.members));
    }
    assert_eq!(cells(&bucket(&again, id(3))), [THEN.nanos + 40, THEN.nanos + 20]);
}

#[test]
fn a_stepped_clock_neither_frees_nor_contains_a_campaign() {
    const DAY: i64 = 86_400_000;
    let (mut first, mut written) = kept();
    first.rounds(&members(0, 40, 5), 12);
    written.changes(&first.engine, Moment { at: first.now, ..THEN });
    for by in [-365 * DAY, 365 * DAY] {
        let shift = Shift(by);
        let now = Moment { at: first.now.shifted(shift), nanos: 0 };
        let mut again = first.again(&written, Recall { now, shift, stepped: shift, ..AT_ONCE });
        again.wait(60);
        let (before, after) = (&first.contained()[0], &again.contained()[0]);
        assert_eq!((before.id, before.members), (after.id, after.members));
        let since = before.contained_since.map(|since| since.shifted(shift));
        assert_eq!(after.contained_since, since);
        assert!(again.exchange(member(200, 5)).contained, "freed by a step of {by}");
        // Quiet for as long as it takes, it is closed as it would have been.
        again.wait(71 * 3600);
        assert_eq!(again.contained().len(), 1, "closed by a step of {by}");
        again.wait(3700);
        assert_eq!(again.contained().len(), 0, "kept by a step of {by}");
    }
}
