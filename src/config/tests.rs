//! The loader as a whole. The files under `tests/fixtures/config` cover single mistakes.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::policy::Gravity;
use crate::telemetry::Telemetry;
use crate::time::{Clock, Timestamp};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn environment(name: &str) -> Option<String> {
    (name == "HOST").then(|| "gpu.internal".to_owned())
}

fn read(text: &str) -> Result<Loaded, Mistakes> {
    parse("test.toml", text, &environment, NOW)
}

fn told(text: &str) -> Vec<(usize, usize, String)> {
    let mistakes = read(text).unwrap_err();
    let told = mistakes.iter().map(|mistake| {
        let (line, column) = mistakes.position(mistake);
        (line, column, mistake.message.clone())
    });
    told.collect()
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(read("").unwrap().config, Config::default());
}

#[test]
fn every_mistake_is_told_at_once() {
    let told = told(
        r#"
upstream = "ftp://host"
moed = "shadow"
[policy.ladder]
drop = "high"
shape = nan
[policy.weights]
egres = 1.0
[[tenants]]
name = 7
[signals.egress]
weight = 9.0
"#,
    );
    let places: Vec<_> = told.iter().map(|(line, column, _)| (*line, *column)).collect();
    let expected = [(2, 12), (3, 1), (5, 8), (6, 9), (8, 9), (10, 8), (12, 10)];
    assert_eq!(places, expected, "{told:#?}");
}

#[test]
fn a_tenants_ladder_is_laid_over_the_operators_not_over_ours() {
    let config = read(
        "[policy.ladder]\nshape = 1.0\n[[tenants]]\nname = \"default\"\nladder = { drop = 9.0 }",
    );
    let ladder = config.unwrap().config.tenants[0].settings.ladder.unwrap();
    assert_eq!((ladder.shape, ladder.throttle, ladder.drop), (1.0, 2.3, 9.0));
}

#[test]
fn a_group_of_endpoints_has_the_deadlines_it_leaves_out_of_forward_not_of_ours() {
    let text = "[forward.deadlines]\nconnect_ms = 7\n[[forward.groups]]\nname = \"a\"\nendpoints = []\n\
                deadlines = { idle_secs = 1 }";
    let told = told(text);
    assert_eq!(told.len(), 2, "no endpoints, no route: {told:?}");
    let config = read(&text.replace("[]", "[{ url = \"http://a\" }]")).unwrap().config;
    let deadlines = config.forward.groups[0].deadlines.clone().unwrap();
    assert_eq!((deadlines.connect_ms, deadlines.idle_secs, deadlines.total_secs), (7, 1, 3600));
}

#[test]
fn variables_come_from_the_environment_that_is_passed_in() {
    let config = read("upstream = \"http://${HOST}:8000\"").unwrap().config;
    assert_eq!(config.upstream.unwrap().to_string(), "http://gpu.internal:8000");
    let told = told("upstream = \"http://${NOPE}\"");
    assert_eq!(told, [(1, 12, "`${NOPE}` is not set in the environment".to_owned())]);
}

#[test]
fn a_warning_alone_refuses_nothing() {
    let loaded = read("[policy.rung_modes]\ndrop = \"shadow\"").unwrap();
    assert_eq!(loaded.warnings.len(), 1);
    assert!(loaded.warnings.iter().all(|warning| warning.gravity == Gravity::Warning));
    assert!(loaded.warnings.to_string().contains("test.toml:2:8"), "{}", loaded.warnings);
}

#[test]
fn a_wild_file_ends_after_fifty_mistakes() {
    let keys: String = (0..200).map(|n| format!("key{n} = 1\n")).collect();
    assert_eq!(told(&keys).len(), 50);
}

#[test]
fn the_effective_mode_is_the_short_one() {
    let config = read("mode = \"enforce\"").unwrap().config;
    assert_eq!(config.policy().defaults.mode, Some(Mode::Enforce));
}

fn reload(text: &str) -> (tempfile::NamedTempFile, Reload) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let config = read(text).unwrap().config;
    let reload = Reload::new(file.path().to_owned(), config, Clock::starting_at(NOW), &environment);
    (file, reload)
}

#[tokio::test]
async fn a_broken_file_is_refused_once_and_a_mended_one_taken() {
    let (file, mut reload) = reload("mode = \"shadow\"");
    assert!(matches!(reload.look(false), Reloaded::Unchanged));
    std::fs::write(file.path(), "mode = \"shadwo\"").unwrap();
    assert!(matches!(reload.look(false), Reloaded::Refused(_)));
    assert!(matches!(reload.look(false), Reloaded::Unchanged));
    std::fs::write(file.path(), "mode = \"enforce\"\nlisten = \"127.0.0.1:81\"").unwrap();
    let Reloaded::Changed(changed) = reload.look(false) else { panic!("not taken") };
    assert_eq!(changed.at_restart, ["net"]);
    reload.keep(changed.config);
    std::fs::remove_file(file.path()).unwrap();
    assert!(matches!(reload.look(false), Reloaded::Refused(Refused::Unreadable { .. })));
    assert!(matches!(reload.look(false), Reloaded::Unchanged));
}

#[tokio::test]
async fn a_hangup_reads_the_same_content_anew() {
    let (_file, mut reload) = reload("mode = \"shadow\"");
    assert!(matches!(reload.look(true), Reloaded::Changed(_)));
}

#[tokio::test(start_paused = true)]
async fn the_watch_hands_over_what_changed_until_it_is_stopped() {
    let (file, reload) = reload("mode = \"shadow\"");
    std::fs::write(file.path(), "mode = \"enforce\"").unwrap();
    let (stop, (send, mut taken)) = (CancellationToken::new(), tokio::sync::mpsc::channel(4));
    let hangup = signal(SignalKind::hangup()).unwrap();
    let until = (hangup, stop.clone());
    let watching = tokio::spawn(watch(reload, Arc::new(Telemetry::default()), until, {
        move |changed| send.try_send(changed.config.mode).map_err(|error| error.to_string())
    }));
    assert_eq!(taken.recv().await, Some(Some(Mode::Enforce)));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(taken.try_recv().is_err(), "unchanged content is not handed over again");
    stop.cancel();
    watching.await.unwrap();
}
