//! One credential out of the many spellings that SDKs use.
//!
//! Every spelling is collected, because the upstream may read another one than we do: two that
//! differ are refused, so that the account scored is the account billed.

use std::ops::Deref;

use http::header::{AUTHORIZATION, HeaderMap, SEC_WEBSOCKET_PROTOCOL};
use http::request::Parts;
use zeroize::Zeroizing;

use super::Unidentified;
use super::encoding::{base64, percent};

/// Headers whose whole value is the key: Anthropic, Azure, Google, Azure's gateway.
pub const KEY_HEADERS: [&str; 4] =
    ["x-api-key", "api-key", "x-goog-api-key", "ocp-apim-subscription-key"];
/// Query parameters likewise: all that Google reads, then Azure's.
const KEY_PARAMETERS: [&[u8]; 7] =
    [b"key", b"$key", b"access_token", b"oauth_token", b"api-key", b"api_key", b"subscription-key"];
/// The scope of a presigned AWS request.
const SCOPE_PARAMETER: &[u8] = b"X-Amz-Credential";
/// How browsers, which can't set headers on a websocket, send OpenAI a key.
const PROTOCOL_PREFIX: &str = "openai-insecure-api-key.";

/// A credential for as long as its request's head lives. Wiped when it had to be decoded.
pub(super) enum Credential<'a> {
    Sent(&'a [u8]),
    Decoded(Zeroizing<Vec<u8>>),
}

impl Deref for Credential<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Sent(bytes) => bytes,
            Self::Decoded(bytes) => bytes,
        }
    }
}

/// Whether a query parameter of this name, percent-decoded, holds a key for some endpoint.
pub fn is_key_parameter(name: &[u8]) -> bool {
    KEY_PARAMETERS.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// The one credential of a request, if it has any. `query_key` lets query parameters be one.
///
/// # Errors
/// `TwoCredentials` when two spellings differ; `BadCredential` when one can't be read as its
/// scheme says, or holds a comma or white space, by which one key could pass as many.
pub(super) fn find(head: &Parts, query_key: bool) -> Found<'_> {
    let mut found = None;
    for value in head.headers.get_all(AUTHORIZATION) {
        agree(&mut found, authorization(value.as_bytes())?)?;
    }
    for name in KEY_HEADERS {
        for value in head.headers.get_all(name) {
            agree(&mut found, key(value.as_bytes())?)?;
        }
    }
    for protocol in protocols(&head.headers) {
        agree(&mut found, key(protocol)?)?;
    }
    for parameter in head.uri.query().unwrap_or_default().split('&') {
        agree(&mut found, from_query(parameter.as_bytes(), query_key)?)?;
    }
    Ok(found)
}

pub(super) type Found<'a> = Result<Option<Credential<'a>>, Unidentified>;

/// Compares hashes, whose equality takes the same time wherever they differ.
fn agree<'a>(
    found: &mut Option<Credential<'a>>,
    next: Option<Credential<'a>>,
) -> Result<(), Unidentified> {
    let Some(next) = next else { return Ok(()) };
    match found {
        Some(first) if blake3::hash(first) != blake3::hash(&next) => {
            Err(Unidentified::TwoCredentials)
        }
        Some(_) => Ok(()),
        None => {
            *found = Some(next);
            Ok(())
        }
    }
}

fn authorization(value: &[u8]) -> Found<'_> {
    let value = value.trim_ascii();
    let end = value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len());
    let (scheme, rest) = value.split_at(end);
    let rest = rest.trim_ascii();
    if scheme.eq_ignore_ascii_case(b"bearer") {
        key(rest)
    } else if scheme.eq_ignore_ascii_case(b"basic") {
        // User and password together: some upstreams read the key from one, some from the other.
        let decoded = base64(rest).ok_or(Unidentified::BadCredential)?;
        Ok(Some(Credential::Decoded(decoded)).filter(|decoded| !decoded.is_empty()))
    } else if scheme.get(..4).is_some_and(|name| name.eq_ignore_ascii_case(b"aws4")) {
        signed(rest).map(Some)
    } else if rest.is_empty() {
        key(scheme)
    } else {
        // Of a scheme unknown to us, the first parameter: `username="…"` of Digest, the key of
        // `Token K`. The rest may differ each time.
        key(rest.split(|byte| *byte == b',' || byte.is_ascii_whitespace()).next().unwrap_or(rest))
    }
}

/// A key as it stands; an empty one is none.
fn key(value: &[u8]) -> Found<'_> {
    let value = value.trim_ascii();
    if value.iter().any(|byte| byte.is_ascii_whitespace() || *byte == b',') {
        return Err(Unidentified::BadCredential);
    }
    Ok(Some(Credential::Sent(value)).filter(|value| !value.is_empty()))
}

/// The key id of a signed AWS request: the signature itself differs each time.
fn signed(parameters: &[u8]) -> Result<Credential<'_>, Unidentified> {
    let mut scopes = parameters
        .split(|byte| *byte == b',' || byte.is_ascii_whitespace())
        .filter_map(|parameter| parameter.strip_prefix(b"Credential="));
    match (scopes.next(), scopes.next()) {
        (Some(scope), None) => {
            let id = key_id(scope).ok_or(Unidentified::BadCredential)?;
            Ok(Credential::Sent(id))
        }
        _ => Err(Unidentified::BadCredential),
    }
}

/// `AKID` of `AKID/date/region/service/aws4_request`.
fn key_id(scope: &[u8]) -> Option<&[u8]> {
    scope.split(|&byte| byte == b'/').next().filter(|id| !id.is_empty())
}

fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    lines
        .flat_map(|line| line.as_bytes().split(|&byte| byte == b','))
        .filter_map(|protocol| protocol.trim_ascii().strip_prefix(PROTOCOL_PREFIX.as_bytes()))
}

fn from_query(parameter: &[u8], query_key: bool) -> Found<'_> {
    let Some(equals) = parameter.iter().position(|&byte| byte == b'=') else { return Ok(None) };
    let (name, value) = (&parameter[..equals], &parameter[equals + 1..]);
    let name = percent(name);
    if query_key && is_key_parameter(&name) {
        let decoded = percent(value);
        let sound = key(&decoded)?.is_some();
        Ok(sound.then_some(Credential::Decoded(decoded)))
    } else if *name == *SCOPE_PARAMETER {
        let id = Zeroizing::new(key_id(&percent(value)).unwrap_or_default().to_vec());
        let sound = key(&id)?.is_some();
        sound.then_some(Some(Credential::Decoded(id))).ok_or(Unidentified::BadCredential)
    } else {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head(uri: &str, headers: &[(&str, &[u8])]) -> Parts {
        let mut request = http::Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn read(uri: &str, headers: &[(&str, &[u8])]) -> Result<Option<Vec<u8>>, Unidentified> {
        find(&head(uri, headers), true).map(|found| found.map(|credential| credential.to_vec()))
    }

    #[test]
    fn every_spelling_of_a_key_is_the_same_key() {
        let key = Ok(Some(b"sk-1".to_vec()));
        for (name, value) in [
            ("authorization", "Bearer sk-1"),
            ("authorization", "bEARER \t sk-1  "),
            ("authorization", "sk-1"),
            ("authorization", "Token  sk-1 other"),
            ("x-api-key", "sk-1"),
            ("api-key", " sk-1 "),
            ("x-goog-api-key", "sk-1"),
            ("sec-websocket-protocol", "realtime, openai-insecure-api-key.sk-1"),
        ] {
            assert_eq!(read("/", &[(name, value.as_bytes())]), key, "{name}: {value}");
        }
        for name in [
            "key",
            "%24key",
            "$key",
            "access_token",
            "OAUTH_token",
            "api-key",
            "subscription%2Dkey",
        ] {
            assert_eq!(read(&format!("/?a=b&{name}=sk-1"), &[]), key, "{name}");
            let other = read(&format!("/?{name}=sk-1"), &[("ocp-apim-subscription-key", b"sk-2")]);
            assert_eq!(other, Err(Unidentified::TwoCredentials), "{name}");
        }
        assert_eq!(read("/x?alt=sse&key=sk-1", &[]), key);
        assert_eq!(read("/x?k%65y=sk%2d1", &[]), key);
        let both: [(&str, &[u8]); 2] = [("authorization", b"Bearer sk-1"), ("api-key", b"sk-1")];
        assert_eq!(read("/x?key=sk-1", &both), key);
    }

    #[test]
    fn a_signed_request_is_its_key_id() {
        let signed = b"AWS4-HMAC-SHA256 Credential=AKIA1/20260101/eu/bedrock/aws4_request, \
            SignedHeaders=host, Signature=00";
        let id = Ok(Some(b"AKIA1".to_vec()));
        assert_eq!(read("/", &[("authorization", signed)]), id);
        assert_eq!(read("/?X-Amz-Credential=AKIA1%2F20260101%2Feu", &[]), id);
        let bad = Err(Unidentified::BadCredential);
        assert_eq!(read("/", &[("authorization", b"AWS4-HMAC-SHA256 Signature=00")]), bad);
        let twice = b"AWS4-HMAC-SHA256 Credential=A/1,Credential=B/1";
        assert_eq!(read("/", &[("authorization", twice)]), bad);
    }

    #[test]
    fn basic_is_decoded_whole_however_it_is_padded() {
        for value in [&b"Basic dTpw"[..], b"basic  dTpw "] {
            assert_eq!(read("/", &[("authorization", value)]), Ok(Some(b"u:p".to_vec())));
        }
        let junk = read("/", &[("authorization", b"Basic dT*pw")]);
        assert_eq!(junk, Err(Unidentified::BadCredential));
    }

    #[test]
    fn two_credentials_that_differ_are_refused_wherever_they_stand() {
        let two = Err(Unidentified::TwoCredentials);
        let bearer: (&str, &[u8]) = ("authorization", b"Bearer a");
        assert_eq!(read("/", &[bearer, ("x-api-key", b"b")]), two);
        assert_eq!(read("/", &[bearer, ("authorization", b"Bearer b")]), two);
        assert_eq!(read("/?key=b", &[bearer]), two);
        assert_eq!(read("/?key=a&key=b", &[]), two);
    }

    #[test]
    fn one_key_cant_pass_as_many() {
        let bad = Err(Unidentified::BadCredential);
        assert_eq!(read("/", &[("authorization", b"Bearer a, Bearer b")]), bad);
        assert_eq!(read("/", &[("x-api-key", b"a b")]), bad);
        assert_eq!(read("/?key=a%20b", &[]), bad);
    }

    #[test]
    fn the_key_parameter_counts_only_where_the_operator_says_so() {
        let head = head("/x?key=b", &[("x-api-key", b"a")]);
        assert!(find(&head, true).is_err());
        assert_eq!(find(&head, false).ok().flatten().as_deref(), Some(&b"a"[..]));
    }

    #[test]
    fn an_empty_spelling_is_no_credential() {
        for name in ["authorization", "x-api-key"] {
            assert_eq!(read("/?key=", &[(name, b"  ")]), Ok(None), "{name}");
        }
        assert_eq!(read("/", &[("authorization", b"Bearer")]), Ok(None));
    }

    proptest! {
        #[test]
        fn no_header_bytes_panic(
            bytes in proptest::collection::vec(32_u8..=255, 0..80),
            scheme in prop_oneof![Just("Bearer "), Just("Basic "), Just("AWS4-X "), Just("")],
        ) {
            let value = [scheme.as_bytes(), &bytes].concat();
            if let Ok(value) = http::HeaderValue::from_bytes(&value) {
                for name in ["authorization", "api-key", "sec-websocket-protocol"] {
                    let _ = find(&head("/?key=%", &[(name, value.as_bytes())]), true);
                }
            }
        }
    }
}
