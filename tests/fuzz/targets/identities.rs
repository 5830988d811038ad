//! Who calls, out of a head's own words: credentials, tokens, tenants, addresses, attributes.
#![no_main]

use std::sync::OnceLock;

use http::{HeaderName, HeaderValue, Request};
use libfuzzer_sys::fuzz_target;
use stillguard::identity::{Identifier, KeyTexts, Keyring, Peer, Settings};

const NAMES: [&str; 12] = [
    "authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "sec-websocket-protocol",
    "x-forwarded-for",
    "forwarded",
    "host",
    "user-agent",
    "x-organization",
    "x-account-attributes",
    "x-amz-security-token",
];
/// By claims of tokens, and by keys.
const SETTINGS: [&str; 2] = [
    r#"{"trusted_hops":["10.0.0.0/8"],"org_header":"x-organization","attributes_header":"x-account-attributes","account":{"from":"jwt","hs256_file":"k","claim":"sub"}}"#,
    r#"{"trusted_hops":["10.0.0.0/8"],"address_header":"forwarded","tenants":[{"name":"a","hosts":["*.a.example"],"path_prefix":"/a","key_prefix":"sk-"}]}"#,
];

fn identifiers() -> &'static [Identifier; 2] {
    static MADE: OnceLock<[Identifier; 2]> = OnceLock::new();
    MADE.get_or_init(|| {
        SETTINGS.map(|text| {
            let settings: Settings = serde_json::from_str(text).expect("settings");
            let keys = KeyTexts::from_iter([("k".into(), vec![7; 32].into())]);
            Identifier::with_keys(&settings, Keyring::new([7; 32]), &keys).expect("an identifier")
        })
    })
}

/// Lines: the target first, then a value each, whose first byte chooses its name.
fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.split(|&byte| byte == b'\n');
    let target = lines.next().unwrap_or_default();
    let mut request = Request::builder().uri(target);
    for line in lines {
        let Some((name, value)) = line.split_first() else { continue };
        let name = HeaderName::from_static(NAMES[usize::from(*name) % NAMES.len()]);
        let Ok(value) = HeaderValue::from_bytes(value) else { continue };
        request = request.header(name, value);
    }
    let Ok(request) = request.body(()) else { return };
    let (head, ()) = request.into_parts();
    for identifier in identifiers() {
        for address in ["10.0.0.1:1", "192.0.2.7:1"] {
            let peer = Peer { address: address.parse().expect("an address"), tls: true };
            let first = identifier.identify(&head, peer);
            let again = identifier.identify(&head, peer);
            assert_eq!(first.is_ok(), again.is_ok());
            if let (Ok(first), "192.0.2.7:1") = (first, address) {
                assert_eq!(first.address, peer.address.ip(), "a stranger is where it is");
            }
        }
    }
});
