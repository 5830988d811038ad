//! Keeps the house in order: who imports whom, purity, sizes, the list of signals.

mod scan;

use std::fs;
use std::path::{Path, PathBuf};

use self::scan::{blank, first_segments, functions, has_path, super_chains, without_tests};

/// Every room and the rooms it may import.
const ROOMS: [(&str, &[&str]); 11] = [
    ("identity", &["time"]),
    ("dialect", &["time"]),
    ("signal", &["time", "identity", "dialect"]),
    ("policy", &["time", "identity", "dialect"]),
    ("engine", &["time", "identity", "dialect", "signal", "policy"]),
    ("store", &["time", "identity", "dialect", "signal", "policy", "engine"]),
    ("telemetry", &["time", "identity", "dialect", "signal", "policy", "engine"]),
    ("guard", &["time", "identity", "dialect", "signal", "policy", "engine", "telemetry"]),
    ("lab", &["time", "identity", "dialect", "signal", "policy", "engine"]),
    ("net", &["time", "identity", "dialect", "signal", "policy", "engine", "telemetry", "guard"]),
    (
        "config",
        &[
            "time",
            "identity",
            "dialect",
            "signal",
            "policy",
            "engine",
            "telemetry",
            "guard",
            "lab",
            "net",
            "store",
        ],
    ),
];

const PURE: [&str; 5] = ["identity", "dialect", "signal", "policy", "engine"];
const IMPURE_CRATES: [&str; 9] = [
    "tokio",
    "tokio_util",
    "hyper",
    "hyper_util",
    "http_body",
    "axum",
    "tower",
    "rand",
    "getrandom",
];
const IMPURE_STD: [&str; 4] = ["fs", "thread", "process", "env"];

const LONGEST_FILE: usize = 400;
const LONGEST_FUNCTION: usize = 60;

#[test]
fn no_room_imports_against_the_journey() {
    check_sources(imports);
}

#[test]
fn who_makes_the_attack_does_not_know_the_thresholds() {
    check_sources(generators);
}

#[test]
fn the_pure_rooms_touch_nothing_of_the_world() {
    check_sources(impurities);
}

#[test]
fn nothing_outside_tests_unwraps() {
    check_sources(unwraps);
    check_sources(shipped_tests);
}

#[test]
fn files_and_functions_stay_readable() {
    let files = ["src", "tests", "benches", "examples"].map(|folder| sources(&root().join(folder)));
    check(files.concat(), sizes);
}

#[test]
fn every_room_is_there_and_no_other() {
    let mut found: Vec<_> = entries(&root().join("src"))
        .into_iter()
        // The verbs of the command line are main's, not a room of the library.
        .filter(|path| path.is_dir() && !path.ends_with("cli"))
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    found.sort();
    let mut rooms = ROOMS.map(|(room, _)| room.to_owned()).to_vec();
    rooms.sort();
    assert_eq!(found, rooms);
    let house = blank(&fs::read_to_string(root().join("src/lib.rs")).unwrap());
    for room in rooms {
        assert!(house.contains(&format!("mod {room};")), "lib.rs doesn't declare {room}");
    }
}

#[test]
fn every_signal_is_registered_and_every_registered_signal_is_written() {
    let folder = root().join("src/signal");
    let registry = fs::read_to_string(folder.join("mod.rs")).unwrap();
    let files = sources(&folder).into_iter().map(|path| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (name, fs::read_to_string(path).unwrap())
    });
    let faults = signals(&registry, &files.collect::<Vec<_>>());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A source file: where it lies below the root, and its text.
#[derive(Clone, Copy)]
struct Source<'a> {
    path: &'a str,
    text: &'a str,
}

impl Source<'_> {
    /// The room, none for `lib.rs`, `time.rs`, `main.rs` and its verbs in `cli`.
    fn room(&self) -> Option<&str> {
        let room = self.path.strip_prefix("src/")?.split_once('/').map(|(room, _)| room);
        room.filter(|room| *room != "cli")
    }

    /// How many modules the file lies below the crate's root.
    fn depth(&self) -> usize {
        self.path.matches('/').count() - usize::from(self.path.ends_with("/mod.rs"))
    }

    fn is_test(&self) -> bool {
        let ends = ["/tests.rs", "_tests.rs"].iter().any(|end| self.path.ends_with(end));
        ends || self.path.contains("/tests/")
    }

    /// The code that ships: without comments, texts and tests.
    fn code(&self) -> String {
        if self.is_test() { String::new() } else { without_tests(&blank(self.text)) }
    }

    fn fault(&self, why: &str) -> String {
        format!("{}: {why}", self.path)
    }
}

fn imports(source: Source<'_>) -> Vec<String> {
    let Some(room) = source.room() else { return Vec::new() };
    let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        return vec![source.fault("lies in no known room")];
    };
    let code = source.code();
    let foreign = first_segments(&code, "crate")
        .into_iter()
        .filter(|name| name != room && !allowed.contains(&name.as_str()))
        .map(|name| source.fault(&format!("{room} must not import {name}")));
    let escapes = super_chains(&code)
        .into_iter()
        .filter(|chain| *chain >= source.depth())
        .map(|_| source.fault("leaves its room by `super`; say `crate::`"));
    foreign.chain(escapes).collect()
}

/// The lab's generators may import nothing but each other.
const GENERATORS: [&str; 3] = ["src/lab/material/", "src/lab/fleet/", "src/lab/world/"];

fn generators(source: Source<'_>) -> Vec<String> {
    if !GENERATORS.iter().any(|folder| source.path.starts_with(folder)) {
        return Vec::new();
    }
    let foreign = first_segments(&source.code(), "crate").into_iter().filter(|name| name != "lab");
    foreign.map(|name| source.fault(&format!("a generator must not import {name}"))).collect()
}

fn impurities(source: Source<'_>) -> Vec<String> {
    if !source.room().is_some_and(|room| PURE.contains(&room)) {
        return Vec::new();
    }
    let code = source.code();
    let crates =
        IMPURE_CRATES.iter().filter(|name| has_path(&code, name)).map(|name| (*name).to_owned());
    let of_std = first_segments(&code, "std")
        .into_iter()
        .filter(|name| IMPURE_STD.contains(&name.as_str()))
        .map(|name| format!("std::{name}"));
    let clocks = ["Instant::now", "SystemTime", "TcpStream", "TcpListener", "UdpSocket"];
    let words = ["async fn", "async move", ".await"].into_iter().chain(clocks);
    let words = words.filter(|word| code.contains(word)).map(str::to_owned);
    crates
        .chain(of_std)
        .chain(words)
        .map(|word| source.fault(&format!("a pure room must not name {word}")))
        .collect()
}

fn unwraps(source: Source<'_>) -> Vec<String> {
    let code = source.code();
    let lines = code.lines().enumerate();
    lines
        .filter(|(_, line)| line.contains(".unwrap()") || line.contains(".expect(\""))
        .map(|(number, _)| source.fault(&format!("line {} may panic", number + 1)))
        .collect()
}

/// Files whose names exempt them as tests must not be part of what ships.
fn shipped_tests(source: Source<'_>) -> Vec<String> {
    let code = source.code();
    let lines = code.lines().filter(|line| line.contains("mod ") && line.ends_with("tests;"));
    lines.map(|line| source.fault(&format!("`{}` lacks #[cfg(test)]", line.trim()))).collect()
}

fn sizes(source: Source<'_>) -> Vec<String> {
    let lines = source.text.lines().count();
    let long = (lines > LONGEST_FILE).then(|| source.fault(&format!("has {lines} lines")));
    let functions = functions(&blank(source.text))
        .into_iter()
        .filter(|(_, lines)| *lines > LONGEST_FUNCTION)
        .map(|(name, lines)| source.fault(&format!("fn {name} has {lines} lines")));
    long.into_iter().chain(functions).collect()
}

/// How a file shows that it holds a signal: in full, or as one of those that are a share of phrases.
const SIGNALS: [&str; 2] = ["impl Signal for ", "impl Phrased for "];

/// Compares the rows of `signals! { name: module::Type, }` with the files that implement one.
fn signals(registry: &str, files: &[(String, String)]) -> Vec<String> {
    let registry = blank(registry);
    let rows = registry.split_once("signals! {").map_or("", |(_, rest)| rest);
    let rows = rows.split('}').next().unwrap_or_default().split(',');
    let rows: Vec<_> =
        rows.filter_map(|row| row.split_once(':')).map(|(name, _)| name.trim()).collect();
    let holds_one = |text: &str| SIGNALS.iter().any(|shown| text.contains(shown));
    let written: Vec<_> = files
        .iter()
        .filter(|(_, text)| holds_one(&without_tests(&blank(text))))
        .map(|(name, _)| name.as_str())
        .collect();
    let unlisted = written.iter().filter(|name| !rows.contains(name));
    let unwritten = rows.iter().filter(|name| !written.contains(name));
    unlisted
        .map(|name| format!("signal {name} isn't registered"))
        .chain(unwritten.map(|name| format!("signal {name} isn't written")))
        .collect()
}

fn check_sources(rule: fn(Source<'_>) -> Vec<String>) {
    let files = sources(&root().join("src"));
    assert!(files.len() > ROOMS.len(), "the sources were not found");
    check(files, rule);
}

fn check(files: Vec<PathBuf>, rule: fn(Source<'_>) -> Vec<String>) {
    let faults: Vec<_> = files
        .iter()
        .flat_map(|file| {
            let path = file.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
            let text = fs::read_to_string(file).unwrap();
            rule(Source { path: &path, text: &text })
        })
        .collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below `folder`; none when there is no such folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let (folders, files): (Vec<_>, Vec<_>) =
        entries(folder).into_iter().partition(|path| path.is_dir());
    let mut found: Vec<_> =
        files.into_iter().filter(|path| path.extension().is_some_and(|end| end == "rs")).collect();
    found.extend(
        folders.iter().filter(|path| !path.ends_with("target")).flat_map(|path| sources(path)),
    );
    found.sort();
    found
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// The rules themselves, on small made-up sources.
mod rules {
    use super::*;

    fn faults(rule: fn(Source<'_>) -> Vec<String>, path: &str, text: &str) -> usize {
        rule(Source { path, text }).len()
    }

    #[test]
    fn an_import_against_the_journey_is_found() {
        for (path, text, count) in [
            ("src/signal/a.rs", "use crate::identity::Tag;", 0),
            ("src/signal/a.rs", "use crate::signal::Tag;", 0),
            ("src/signal/a.rs", "use crate::engine::Engine;", 1),
            ("src/signal/a.rs", "use crate::{time::Clock, engine::{self, X}, guard};", 2),
            ("src/signal/a.rs", "fn f(x: &crate::guard::X) {}", 1),
            ("src/signal/a.rs", "// use crate::guard;\nconst X: &str = \"crate::guard\";", 0),
            ("src/signal/a.rs", "#[cfg(test)]\nmod tests { use crate::guard; }", 0),
            ("src/signal/a.rs", "#[cfg(test)]\nmod tests { }\nuse crate::guard;", 1),
            ("src/signal/a.rs", "use super::b;", 0),
            ("src/signal/a.rs", "use super::super::guard;", 1),
            ("src/signal/mod.rs", "use super::guard;", 1),
            ("src/signal/sketch/mod.rs", "use super::guard;", 0),
            ("src/attic/mod.rs", "", 1),
            ("src/main.rs", "use crate::guard;", 0),
        ] {
            assert_eq!(faults(imports, path, text), count, "{path}: {text}");
        }
    }

    #[test]
    fn a_generator_that_knows_the_engine_is_found() {
        let knows = "use crate::{lab::rng::Rng, engine::Settings};";
        assert_eq!(faults(generators, "src/lab/world/a.rs", knows), 1);
        assert_eq!(faults(generators, "src/lab/history/a.rs", knows), 0);
    }

    #[test]
    fn an_impurity_is_found_in_a_pure_room_only() {
        for text in [
            "use tokio::time;",
            "use std::fs;",
            "use std::{fmt, thread::spawn};",
            "async fn f() {}",
            "fn f() { x.await }",
            "fn f() { rand::random() }",
            "fn f() { std::time::Instant::now() }",
        ] {
            assert_eq!(faults(impurities, "src/engine/a.rs", text), 1, "{text}");
            assert_eq!(faults(impurities, "src/guard/a.rs", text), 0, "{text}");
        }
        let pure = "/* std::fs */ use std::{fmt, net}; fn operand() { brand::new() } // tokio::";
        assert_eq!(faults(impurities, "src/engine/a.rs", pure), 0);
    }

    #[test]
    fn an_unwrap_is_found_outside_tests_only() {
        let text = "fn f() { x.unwrap() }\n#[cfg(test)]\nmod tests { fn g() { x.unwrap() } }";
        assert_eq!(faults(unwraps, "src/net/a.rs", text), 1);
        assert_eq!(faults(unwraps, "src/net/a/tests.rs", text), 0);
        assert_eq!(faults(unwraps, "src/net/a.rs", "fn f() { x.expect(\"y\") }"), 1);
        assert_eq!(faults(unwraps, "src/net/a.rs", "fn f() { \".unwrap()\"; p.expect(b'x') }"), 0);
    }

    #[test]
    fn tests_that_ship_are_found() {
        assert_eq!(faults(shipped_tests, "src/net/a.rs", "mod tests;"), 1);
        assert_eq!(faults(shipped_tests, "src/net/a.rs", "#[cfg(test)]\nmod a_tests;"), 0);
        assert_eq!(faults(unwraps, "src/net/a_tests.rs", "fn f() { x.unwrap() }"), 0);
    }

    #[test]
    fn long_files_and_functions_are_found() {
        let body = "\n".repeat(LONGEST_FUNCTION - 1);
        assert_eq!(faults(sizes, "src/a.rs", &format!("fn f() {{{body}}}")), 0);
        assert_eq!(faults(sizes, "src/a.rs", &format!("fn f() {{\n{body}}}")), 1);
        assert_eq!(faults(sizes, "src/a.rs", &"\n".repeat(LONGEST_FILE)), 0);
        assert_eq!(faults(sizes, "src/a.rs", &"\n".repeat(LONGEST_FILE + 1)), 1);
    }

    #[test]
    fn a_signal_without_row_and_a_row_without_signal_are_found() {
        let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let files = [file("a", "impl Signal for A {}"), file("help", "// impl Signal for B {}")];
        assert_eq!(signals("signals! {\n a: a::A,\n}", &files).len(), 0);
        assert_eq!(signals("signals! { }", &files).len(), 1);
        assert_eq!(signals("signals! { a: a::A, b: b::B, }", &files).len(), 1);
        let phrased = [file("c", "impl Phrased for C {}")];
        assert_eq!(signals("signals! { c: c::C, }", &phrased).len(), 0);
        assert_eq!(signals("signals! { }", &phrased).len(), 1);
    }
}
