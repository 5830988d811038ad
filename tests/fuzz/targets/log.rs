//! Lines of the decision log, which a replay takes from wherever it is told to.
#![no_main]

use std::io::BufReader;

use libfuzzer_sys::fuzz_target;
use stillguard::engine::{Engine, Line, Settings};
use stillguard::lab::replay;
use stillguard::policy::Policies;

fuzz_target!(|bytes: &[u8]| {
    for line in bytes.split(|&byte| byte == b'\n') {
        if let Ok(line) = serde_json::from_slice::<Line>(line) {
            let again = serde_json::to_string(&line).expect("a line can be written");
            assert_eq!(serde_json::from_str::<Line>(&again).expect("and read"), line);
        }
    }
    let settings = Settings { max_accounts: 64, ..Settings::default() };
    let engine = Engine::new(settings, Policies::from(&Default::default()));
    let _bad_lines_are_told = replay::replay(&engine, BufReader::new(bytes), |_, _, _| {});
});
