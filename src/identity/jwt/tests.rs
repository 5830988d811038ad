use std::path::PathBuf;

use jsonwebtoken::{EncodingKey, Header, encode};
use rcgen::KeyPair;
use serde_json::json;
use zeroize::Zeroizing;

use super::*;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef\n";
/// Far beyond the life of this code, in seconds.
const LATE: u64 = 9_000_000_000;

fn source() -> JwtSource {
    JwtSource {
        issuer: Some("us".to_owned()),
        audience: Some("api".to_owned()),
        ..JwtSource::default()
    }
}

fn load(source: &JwtSource, text: &[u8]) -> Result<Verifier, Invalid> {
    let file = PathBuf::from("key");
    let texts = KeyTexts::from([(file, Zeroizing::new(text.to_vec()))]);
    Verifier::new(source, &texts)
}

fn by_secret() -> Verifier {
    load(&JwtSource { hs256_file: Some("key".into()), ..source() }, SECRET).unwrap()
}

fn by_pem(pem: &str) -> Verifier {
    load(&JwtSource { pem_file: Some("key".into()), ..source() }, pem.as_bytes()).unwrap()
}

fn claims() -> Value {
    json!({ "sub": "ann", "iss": "us", "aud": "api", "exp": LATE })
}

fn signed(algorithm: Algorithm, key: &EncodingKey, claims: &Value) -> Vec<u8> {
    encode(&Header::new(algorithm), claims, key).unwrap().into_bytes()
}

fn by_hs256(claims: &Value) -> Vec<u8> {
    signed(Algorithm::HS256, &EncodingKey::from_secret(SECRET.trim_ascii()), claims)
}

#[test]
fn a_sound_token_yields_its_claim() {
    assert_eq!(by_secret().verify(&by_hs256(&claims())).as_deref(), Some("ann"));
    let mut numbered = claims();
    numbered["sub"] = json!(7);
    assert_eq!(by_secret().verify(&by_hs256(&numbered)).as_deref(), Some("7"));
}

#[test]
fn a_token_that_is_late_foreign_or_silent_is_refused() {
    for (claim, value) in [
        ("exp", json!(1)),
        ("exp", Value::Null),
        ("nbf", json!(LATE)),
        ("iss", json!("them")),
        ("iss", Value::Null),
        ("aud", json!("other")),
        ("aud", Value::Null),
        ("sub", json!("")),
        ("sub", json!(["ann"])),
    ] {
        let mut claims = claims();
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(claim)),
            value => claims[claim] = value,
        }
        assert_eq!(by_secret().verify(&by_hs256(&claims)), None, "{claims}");
    }
}

#[test]
fn a_changed_or_unsigned_token_is_refused() {
    let token = by_hs256(&claims());
    for place in (0..token.len()).step_by(7) {
        let mut forged = token.clone();
        forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
        assert_eq!(by_secret().verify(&forged), None, "byte {place}");
    }
    let payload = token.split(|&byte| byte == b'.').nth(1).unwrap();
    let none = [b"eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.", payload, b"."].concat();
    assert_eq!(by_secret().verify(&none), None);
    assert_eq!(by_secret().verify(b""), None);
    assert_eq!(by_secret().verify(&vec![b'.'; LONGEST + 1]), None);
}

#[test]
fn each_kind_of_public_key_verifies_its_own_algorithm_only() {
    for (kind, algorithm) in [
        (&rcgen::PKCS_ECDSA_P256_SHA256, Algorithm::ES256),
        (&rcgen::PKCS_ECDSA_P384_SHA384, Algorithm::ES384),
        (&rcgen::PKCS_ED25519, Algorithm::EdDSA),
    ] {
        let pair = KeyPair::generate_for(kind).unwrap();
        let pem = pair.serialize_pem();
        let key = match algorithm {
            Algorithm::EdDSA => EncodingKey::from_ed_pem(pem.as_bytes()),
            _ => EncodingKey::from_ec_pem(pem.as_bytes()),
        };
        let verifier = by_pem(&pair.public_key_pem());
        let token = signed(algorithm, &key.unwrap(), &claims());
        assert_eq!(verifier.verify(&token).as_deref(), Some("ann"), "{algorithm:?}");
        // The classic confusion: the public key used as a shared secret.
        let shared = EncodingKey::from_secret(pair.public_key_pem().as_bytes());
        assert_eq!(verifier.verify(&signed(Algorithm::HS256, &shared, &claims())), None);
    }
}

#[test]
fn the_key_of_a_set_is_picked_by_its_id() {
    let mut set = Vec::new();
    let mut keys = Vec::new();
    for id in ["one", "two"] {
        let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
        jwk.common.key_id = Some(id.to_owned());
        set.push(jwk);
        keys.push(key);
    }
    let text = serde_json::to_vec(&json!({ "keys": set })).unwrap();
    let verifier = load(&JwtSource { jwks_file: Some("key".into()), ..source() }, &text).unwrap();
    let token = |id: Option<&str>, key: &EncodingKey| {
        let header = Header { kid: id.map(str::to_owned), ..Header::new(Algorithm::ES256) };
        encode(&header, &claims(), key).unwrap().into_bytes()
    };
    assert_eq!(verifier.verify(&token(Some("two"), &keys[1])).as_deref(), Some("ann"));
    assert_eq!(verifier.verify(&token(Some("one"), &keys[1])), None);
    assert_eq!(verifier.verify(&token(Some("three"), &keys[1])), None);
    assert_eq!(verifier.verify(&token(None, &keys[1])), None);
}

#[test]
fn files_that_hold_no_key_are_named() {
    let pem = JwtSource { pem_file: Some("key".into()), ..source() };
    assert!(load(&pem, b"junk").unwrap_err().0.contains("key holds no RSA"));
    let short = JwtSource { hs256_file: Some("key".into()), ..source() };
    assert!(load(&short, b"short").unwrap_err().0.contains("32 bytes"));
    let set = JwtSource { jwks_file: Some("key".into()), ..source() };
    assert!(load(&set, b"{}").unwrap_err().0.contains("Key Set"));
    let shared = br#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#;
    assert!(load(&set, shared).unwrap_err().0.contains("public key"));
    let absent = JwtSource { pem_file: Some("elsewhere".into()), ..source() };
    assert!(load(&absent, b"").unwrap_err().0.contains("elsewhere was not loaded"));
    assert!(load(&source(), b"").unwrap_err().0.contains("exactly one"));
}

#[test]
fn nothing_of_a_key_is_printed() {
    let text = format!("{:?}", by_secret());
    assert_eq!(text, "Verifier(claim sub, 1 keys)");
}
