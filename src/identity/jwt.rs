//! Accounts named by a claim of a verified JSON Web Token (RFC 7519).

use std::fmt;
use std::path::Path;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Map, Value};

use super::account::KeyTexts;
use super::settings::{Invalid, JwtSource};

const RSA: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];
/// Tokens longer than this are refused unread, in bytes. Signing services stay far below it.
const LONGEST: usize = 16 * 1024;
/// An HS256 secret must not be easier to guess than its hash (RFC 7518, 3.2), in bytes.
const SHORTEST_SECRET: usize = 32;

/// Checks tokens. Expiry is read from the wall clock, since the issuer counts in it.
pub(super) struct Verifier {
    claim: String,
    keys: Vec<Key>,
}

/// One key and what a token signed by it must say.
struct Key {
    id: Option<String>,
    key: DecodingKey,
    rules: Validation,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier(claim {}, {} keys)", self.claim, self.keys.len())
    }
}

impl Verifier {
    pub(super) fn new(source: &JwtSource, texts: &KeyTexts) -> Result<Self, Invalid> {
        let read = |file: &Path| match texts.get(file) {
            Some(text) => Ok(text.as_slice()),
            None => Err(in_file(file, "was not loaded")),
        };
        let keys = match (&source.jwks_file, &source.pem_file, &source.hs256_file) {
            (Some(file), None, None) => from_jwks(read(file)?).map_err(|why| in_file(file, why))?,
            (None, Some(file), None) => {
                vec![from_pem(read(file)?).ok_or_else(|| {
                    in_file(file, "holds no RSA, P-256, P-384 or Ed25519 public key in PEM")
                })?]
            }
            (None, None, Some(file)) => {
                vec![from_secret(read(file)?).ok_or_else(|| {
                    in_file(file, "is shorter than the 32 bytes an HS256 secret must have")
                })?]
            }
            _ => {
                let why = "name exactly one of jwks_file, pem_file and hs256_file";
                return Err(Invalid(format!("identity.account: {why}")));
            }
        };
        let keys = keys.into_iter().map(|key| key.demanding(source)).collect();
        Ok(Self { claim: source.claim.clone(), keys })
    }

    pub(super) fn claim(&self) -> &str {
        &self.claim
    }

    /// The claim's value in `token`, or nothing when any check fails.
    pub(super) fn verify(&self, token: &[u8]) -> Option<String> {
        if token.len() > LONGEST {
            return None;
        }
        let key = self.key(decode_header(token).ok()?.kid.as_deref())?;
        let claims = decode::<Map<String, Value>>(token, &key.key, &key.rules).ok()?.claims;
        match claims.get(&self.claim)? {
            Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
            Value::Number(number) => Some(number.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// One key without a name of its own takes every token; of several, the token must name one.
    fn key(&self, id: Option<&str>) -> Option<&Key> {
        match (self.keys.as_slice(), id) {
            ([only], None) => Some(only),
            ([only], Some(_)) if only.id.is_none() => Some(only),
            (keys, Some(id)) => keys.iter().find(|key| key.id.as_deref() == Some(id)),
            (_, None) => None,
        }
    }
}

impl Key {
    fn new(key: DecodingKey, algorithms: &[Algorithm]) -> Self {
        let rules = Validation::default();
        let rules = Validation { algorithms: algorithms.to_vec(), validate_nbf: true, ..rules };
        Self { id: None, key, rules }
    }

    fn demanding(mut self, source: &JwtSource) -> Self {
        let mut required = vec!["exp"];
        if let Some(issuer) = &source.issuer {
            required.push("iss");
            self.rules.set_issuer(&[issuer]);
        }
        match &source.audience {
            Some(audience) => {
                required.push("aud");
                self.rules.set_audience(&[audience]);
            }
            None => self.rules.validate_aud = false,
        }
        self.rules.set_required_spec_claims(&required);
        self
    }
}

fn in_file(file: &Path, why: &str) -> Invalid {
    Invalid(format!("identity.account: {} {why}", file.display()))
}

fn from_secret(text: &[u8]) -> Option<Key> {
    let secret = text.trim_ascii();
    let key = DecodingKey::from_secret(secret);
    (secret.len() >= SHORTEST_SECRET).then(|| Key::new(key, &[Algorithm::HS256]))
}

fn from_pem(text: &[u8]) -> Option<Key> {
    let rsa = DecodingKey::from_rsa_pem(text).map(|key| Key::new(key, RSA));
    let edwards = || DecodingKey::from_ed_pem(text).map(|key| Key::new(key, &[Algorithm::EdDSA]));
    // Which of the two curves a PEM holds shows in the length of its point: 65 or 97 bytes.
    let curve = |key: DecodingKey| match key.try_get_as_bytes().map(<[u8]>::len) {
        Ok(65) => Some(Key::new(key, &[Algorithm::ES256])),
        Ok(97) => Some(Key::new(key, &[Algorithm::ES384])),
        Ok(_) | Err(_) => None,
    };
    let known = rsa.ok().or_else(|| edwards().ok());
    known.or_else(|| DecodingKey::from_ec_pem(text).ok().and_then(curve))
}

/// The signing keys of a set. Kinds unknown to us are left out, as RFC 7517 (5) asks.
fn from_jwks(text: &[u8]) -> Result<Vec<Key>, &'static str> {
    let set: JwkSet = serde_json::from_slice(text).map_err(|_| "holds no JSON Web Key Set")?;
    let keys: Vec<Key> = set.keys.iter().filter_map(from_jwk).collect();
    match keys.is_empty() {
        true => Err("holds no RSA, P-256, P-384 or Ed25519 public key"),
        false => Ok(keys),
    }
}

fn from_jwk(jwk: &Jwk) -> Option<Key> {
    let usage = jwk.common.public_key_use.as_ref();
    if usage.is_some_and(|usage| *usage != PublicKeyUse::Signature) {
        return None;
    }
    let algorithms = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => RSA,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            &[Algorithm::ES256]
        }
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => {
            &[Algorithm::ES384]
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            &[Algorithm::EdDSA]
        }
        _ => return None,
    };
    let own = jwk.common.key_algorithm.map(|own| own.to_string());
    let named = |name: &Algorithm| own.as_ref().is_none_or(|own| *own == format!("{name:?}"));
    let algorithms: Vec<_> = algorithms.iter().copied().filter(named).collect();
    let key = DecodingKey::from_jwk(jwk).ok().filter(|_| !algorithms.is_empty())?;
    Some(Key { id: jwk.common.key_id.clone(), ..Key::new(key, &algorithms) })
}

#[cfg(test)]
mod tests;
