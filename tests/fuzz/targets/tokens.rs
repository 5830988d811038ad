//! Tokens of challenges: none is opened that was not sealed, and each has one spelling.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| stillguard::guard::fuzz::tokens(bytes));
