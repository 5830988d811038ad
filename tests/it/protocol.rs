//! The protocol, small: a made-up fleet against the engine, from scenario file to table and log.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Every scenario that ships can be read, and keeps at least one account of everybody.
#[test]
fn the_scenarios_that_ship_are_taken() {
    let dir = tempfile::tempdir().unwrap();
    let out = named(dir.path(), "none.jsonl");
    for entry in std::fs::read_dir("config/scenarios").unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        // Of no days: nothing is sent.
        let path = named(dir.path(), "scenario.toml");
        let days = text.lines().find(|line| line.starts_with("days")).unwrap();
        std::fs::write(&path, text.replace(days, "days = 0.0")).unwrap();
        stillguard(&["simulate", &path, "--out", &out]);
    }
}

const SCENARIO: &str = "config/scenarios/small.toml";

fn stillguard(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stillguard"));
    let output =
        command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).env_clear().output();
    let output = output.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", text(output.stderr));
    text(output.stdout)
}

fn named(dir: &Path, name: &str) -> String {
    dir.join(name).to_str().unwrap().to_owned()
}

fn protocol(report: &str, page: &str) -> (String, Value) {
    let table = stillguard(&[
        "protocol", SCENARIO, "--scale", "1", "--seeds", "1", "--only", "base", "--report", report,
        "--report", page,
    ]);
    (table, serde_json::from_str(&std::fs::read_to_string(report).unwrap()).unwrap())
}

#[test]
fn a_small_run_keeps_the_laws_of_the_large_one() {
    let dir = tempfile::tempdir().unwrap();
    let (report, page) = (named(dir.path(), "a.json"), named(dir.path(), "a.html"));
    let (table, found) = protocol(&report, &page);
    let (again, same) = protocol(&report, &page);
    assert_eq!((&table, &found), (&again, &same), "one seed, one outcome");
    let figures = &found[0]["figures"];
    assert_eq!(figures["dropped"], 0, "{table}");
    // The target is one honest account in two thousand: of so few, none. Known to miss it are those
    // who use a condemned campaign's own templates.
    for (class, met) in found[0]["outcome"]["report"]["classes"].as_object().unwrap() {
        let missed = class == "synthetic data, same templates";
        assert!(missed || met["acted"] == 0, "{class}: {table}");
    }
    assert_eq!(table.matches(" hit\n").count() + table.matches(" MISSED\n").count(), 12, "{table}");
    for word in ["relay, seed 1", "classroom", "synthetic data, same templates", "naive Bayes"] {
        assert!(table.contains(word), "{word} is not in\n{table}");
    }
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("<polyline") && page.ends_with("</html>\n"));
}

#[test]
fn a_simulated_log_can_be_replayed_compared_and_tuned_on() {
    let dir = tempfile::tempdir().unwrap();
    let [log, page, policy] =
        ["log.jsonl", "page.html", "mild.toml"].map(|name| named(dir.path(), name));
    stillguard(&["simulate", SCENARIO, "--scale", "1", "--seed", "2", "--out", &log]);
    std::fs::write(
        &policy,
        "[policy.ladder]\nshape = 50.0\nthrottle = 60.0\nchallenge = 70.0\ndrop = 80.0\n",
    )
    .unwrap();
    let told = stillguard(&["replay", &log, "--report", &page, "--compare", &policy]);
    assert!(told.contains("campaign:relay") && told.contains("would meet another"), "{told}");
    assert!(told.contains(" to allow\n"), "a ladder out of reach acts on nobody: {told}");
    assert!(std::fs::read_to_string(page).unwrap().contains("campaign:relay"));
    // One campaign can't be split into two halves; two logs of it can.
    let other = named(dir.path(), "other.jsonl");
    let weights = named(dir.path(), "weights.toml");
    stillguard(&["simulate", SCENARIO, "--scale", "1", "--seed", "3", "--out", &other]);
    let tuned = stillguard(&["tune", &log, &other, "--out", &weights]);
    assert!(tuned.contains("fitted on: ") && tuned.contains("judged by: "), "{tuned}");
    assert!(stillguard(&["check", &weights]).contains("0 warnings"));
    let config = named(dir.path(), "with.toml");
    std::fs::write(&config, format!("weights_file = \"{weights}\"\n")).unwrap();
    assert!(stillguard(&["check", &config]).contains("0 warnings"));
}
