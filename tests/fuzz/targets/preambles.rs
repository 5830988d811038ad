//! PROXY preambles, text and binary: no byte after one is lost.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for start in [&b""[..], b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n"] {
        let bytes = [start, bytes].concat();
        if let Some(rest) = stillguard::net::fuzz::preamble(&bytes) {
            assert!(bytes.ends_with(&rest) && rest.len() < bytes.len());
        }
    }
});
