//! The operator's file: every mistake is told, none is a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stillguard::config;
use stillguard::time::Timestamp;

fuzz_target!(|text: &str| {
    // Key files are read from the disk, which is nobody's business here.
    if text.contains("_file") || text.contains("file") {
        return;
    }
    let variable = |name: &str| (name == "SET").then(|| "value".to_owned());
    match config::parse("fuzz.toml", text, &variable, Timestamp::from_millis(1_790_000_000_000)) {
        Ok(loaded) => drop(format!("{:?} {}", loaded.config, loaded.warnings)),
        Err(mistakes) => assert!(!mistakes.to_string().is_empty()),
    }
});
