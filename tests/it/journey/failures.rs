//! Scoring may fail; traffic may not.

use std::time::Duration;

use stillguard::engine::Verdict;
use stillguard::guard::Fault;
use stillguard::policy::Action;

use super::scene::{Plan, Scene, chat, chunk, stream};

fn fail_open(scene: &Scene, reason: &str) -> u64 {
    scene.count(&format!("stillguard_fail_open_total{{reason=\"{reason}\"}}"))
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_scoring_lets_traffic_flow_unjudged() {
    let scene = Scene::new();
    scene.fault(Fault::Panics);
    assert_eq!(scene.ask(chat("k")).await.0, 200);
    assert_eq!(fail_open(&scene, "panic"), 1);
    assert_eq!(scene.lines("ask")[0]["verdict"]["action"], "allow");
    assert_eq!(scene.last_end()["ending"], "complete");
}

#[tokio::test(start_paused = true)]
async fn a_verdict_that_comes_too_late_is_written_down_but_not_carried_out() {
    let scene = Scene::with(|tenant| tenant.ladder = Some(drop_everyone()), |_| {});
    scene.fault(Fault::Takes(Duration::from_millis(21)));
    assert_eq!(scene.ask(chat("k")).await.0, 200);
    assert_eq!(fail_open(&scene, "deadline"), 1);
    let ask = &scene.lines("ask")[0];
    assert_eq!(
        (&ask["verdict"]["action"], &ask["verdict"]["enforced"]),
        (&"drop".into(), &false.into())
    );
    scene.fault(Fault::Takes(Duration::from_millis(20)));
    assert_eq!(scene.ask(chat("k")).await.0, 403);
    assert_eq!(fail_open(&scene, "deadline"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_verdict_that_is_not_enforced_changes_nothing() {
    let scene = Scene::new();
    for action in Action::ALL {
        let verdict = Verdict { action, score: 9.0, enforced: false, ..Verdict::default() };
        scene.fault(Fault::Judges(Box::new(verdict)));
        let (status, headers, _) = scene.ask(chat("k")).await;
        assert_eq!(status, 200, "{action:?}");
        assert!(!headers.contains_key("x-stillguard-action"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_makes_no_sense_passes_as_it_is() {
    let scene = Scene::new();
    let junk = "data: {]\n\nevent: \u{fffd}\ndata\n\ndata: 7\n\n\n\n:\n\n";
    scene.plan(Plan::Answer(stream([chunk(junk)])));
    assert_eq!(scene.ask(chat("k")).await.2, junk);
    assert_eq!(scene.last_end()["ending"], "complete");
}

fn drop_everyone() -> stillguard::policy::Ladder {
    stillguard::policy::Ladder {
        shape: -100.0,
        throttle: -100.0,
        challenge: -100.0,
        drop: -100.0,
        ..Default::default()
    }
}
