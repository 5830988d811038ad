//! Shipped and broken configuration files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use stillguard::config::{Config, Loaded, Mistakes, parse, schema};
use stillguard::policy::{Mode, Policies, TenantSettings};
use stillguard::time::Timestamp;

/// In 2026.
const NOW: Timestamp = Timestamp::from_millis(1_780_000_000_000);

fn read(name: &str, text: &str) -> Result<Loaded, Mistakes> {
    let environment = |name: &str| (name == "MODEL_HOST").then(|| "model.example".to_owned());
    parse(name, text, &environment, NOW)
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The files directly in a directory, by name.
fn files(directory: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(repository(directory)).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        files.push((name, fs::read_to_string(path).unwrap()));
    }
    assert!(!files.is_empty(), "{directory} is empty");
    files
}

#[test]
fn every_broken_file_is_refused_at_the_place_of_its_one_mistake() {
    let mut wrong = Vec::new();
    for (name, text) in files("tests/fixtures/config/bad") {
        let expected = text.lines().next().unwrap().strip_prefix("# expected: ").unwrap();
        let (place, words) = expected.split_once(' ').unwrap();
        let Err(mistakes) = read(&name, &text) else {
            wrong.push(format!("{name} is taken"));
            continue;
        };
        let first = mistakes.iter().next().unwrap();
        let (line, column) = mistakes.position(first);
        let found = format!("{line}:{column}");
        if found != place || !first.message.contains(words) || mistakes.len() != 1 {
            wrong.push(format!("{name}: expected {expected}\n{mistakes}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_good_file_is_taken_without_a_warning() {
    for (name, text) in files("tests/fixtures/config/good").into_iter().chain(files("config")) {
        let loaded = read(&name, &text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    }
}

fn shipped() -> String {
    fs::read_to_string(repository("config/stillguard.toml")).unwrap()
}

/// The file with its examples switched on: lines that begin with `#` and no space.
fn with_examples(text: &str) -> String {
    let example = |line: &str| {
        line.starts_with('#') && line[1..].starts_with(|c: char| c == '[' || c.is_ascii_lowercase())
    };
    let lines = text.lines().map(|line| if example(line) { &line[1..] } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_shipped_file_states_the_defaults() {
    let config = read("stillguard.toml", &shipped()).unwrap().config;
    let policy = |config: &Config| Policies::from(&config.policy()).defaults().as_ref().clone();
    assert_eq!(policy(&config), policy(&Config::default()));
    assert_eq!(config.mode, Some(Mode::Shadow));
    assert_eq!(config.net(), Config::default().net());
    assert_eq!(config.telemetry(), Config::default().telemetry());
    let policy = TenantSettings::default();
    let rest = Config { mode: None, listen: None, admin: None, policy, ..config };
    assert_eq!(rest, Config::default());
}

#[test]
fn the_examples_in_the_shipped_file_work() {
    let loaded = read("stillguard.toml", &with_examples(&shipped()));
    let loaded = loaded.unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    assert_eq!(loaded.config.tenants.len(), 1);
}

#[test]
fn the_shipped_file_shows_every_key() {
    let file: Value = toml::from_str::<toml::Table>(&with_examples(&shipped()))
        .map(|table| serde_json::to_value(table).unwrap())
        .unwrap();
    let schema = schema().to_value();
    let mut keys = BTreeSet::new();
    collect(&schema, &schema, String::new(), &mut keys);
    // Stated in short at the top, and a mistake to state twice.
    let long = ["/policy/mode", "/net/listen", "/telemetry/admin/listen", "/forward/endpoints"];
    keys.retain(|key| !long.iter().any(|long| key.starts_with(long)));
    assert!(keys.len() > 40, "{keys:?}");
    let missing: BTreeSet<_> = keys.iter().map(|key| shown_as(key)).collect();
    let missing: Vec<_> = missing.iter().filter(|key| file.pointer(key).is_none()).collect();
    assert!(missing.is_empty(), "config/stillguard.toml doesn't show {missing:#?}");
}

/// A tenant's tables are the policy's again, limits are the same wherever they hold, and one rung stands
/// for all: they are shown once.
fn shown_as(key: &str) -> String {
    let depth = match key {
        _ if key.starts_with("/policy/groups/") || key.starts_with("/forward/groups/") => 5,
        _ if key.starts_with("/policy/total_limits") => 3,
        _ if key.starts_with("/policy/end_user_limits") => 3,
        _ if key.starts_with("/tenants/") => 4,
        _ if key.starts_with("/policy/rung_") => 3,
        _ => usize::MAX,
    };
    key.split('/').take(depth).collect::<Vec<_>>().join("/")
}

/// The JSON pointer of every key that holds a plain value, in a file with one item in each list.
fn collect(root: &Value, schema: &Value, at: String, keys: &mut BTreeSet<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        return collect(root, root.pointer(&name[1..]).unwrap(), at, keys);
    }
    if let Some(options) = schema["anyOf"].as_array() {
        return options.iter().for_each(|option| collect(root, option, at.clone(), keys));
    }
    if let Some(properties) = schema["properties"].as_object() {
        for (key, below) in properties {
            collect(root, below, format!("{at}/{key}"), keys);
        }
    } else if schema["items"].get("$ref").is_some() {
        collect(root, &schema["items"], format!("{at}/0"), keys);
    } else if schema["type"] != "object" && schema["type"] != "null" {
        keys.insert(at);
    }
}
