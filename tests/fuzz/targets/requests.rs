//! Every dialect's reader of requests, and the features that are taken of them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stillguard::dialect::{DIALECTS, json};
use stillguard::identity::Keyring;
use stillguard::signal;

/// The first byte chooses a dialect, the second whether the body is vetted, as a strict tenant's is.
fuzz_target!(|bytes: &[u8]| {
    let [dialect, strict, body @ ..] = bytes else { return };
    let dialect = DIALECTS[usize::from(*dialect) % DIALECTS.len()];
    if strict & 1 == 1 && json::vet(body).is_err() {
        return;
    }
    let keyring = Keyring::new([7; 32]);
    for path in ["/v1/x", "/v1beta/models/m:streamGenerateContent?alt=sse", "/model/a%2Fb/invoke"] {
        if let Ok(request) = dialect.read_call(path, body) {
            let prompt = signal::inspect(&request, dialect.api(), body.len(), &keyring);
            let line = serde_json::to_string(&prompt).expect("features can be written");
            assert!(line.len() < 64 << 10, "features are bounded: {} bytes", line.len());
        }
    }
});
