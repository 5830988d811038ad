//! The provider's key, which goes to an endpoint in place of the client's.

use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use http::uri::PathAndQuery;
use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::identity::{KEY_HEADERS, is_key_parameter, percent};

/// Every header a client's credential may stand in, whichever of them the provider reads.
const CREDENTIALS: [HeaderName; 2] =
    [AUTHORIZATION, HeaderName::from_static("x-amz-security-token")];
/// Query parameters likewise, in lower case, beside those that hold keys.
const PARAMETERS: [&[u8]; 3] = [b"x-amz-credential", b"x-amz-signature", b"x-amz-security-token"];
/// How browsers send OpenAI a key.
const PROTOCOL_PREFIX: &[u8] = b"openai-insecure-api-key.";

/// Where a provider's key is read from, and which header it goes into: `file` or `value`.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct KeySource {
    pub header: KeyHeader,
    /// A file that holds the key and nothing else.
    pub file: Option<PathBuf>,
    /// The key itself: `"${NAME}"` takes it from the environment.
    #[schemars(with = "Option<String>")]
    pub value: Option<Secret>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyHeader {
    /// `authorization: Bearer KEY`
    Authorization,
    XApiKey,
    ApiKey,
    XGoogApiKey,
}

/// Text that is wiped when dropped and never written out.
#[derive(Clone, Deserialize, PartialEq)]
#[serde(from = "String")]
pub struct Secret(Zeroizing<String>);

/// A header that is ready to be sent. Clones share the bytes, which the last one wipes.
#[derive(Clone, Debug)]
pub struct Key {
    name: HeaderName,
    value: HeaderValue,
}

#[derive(Debug, thiserror::Error)]
pub enum BadKey {
    #[error("an endpoint's key needs either `file` or `value`")]
    NoSource,
    #[error("can't read {}: {why}", path.display())]
    Unreadable { path: PathBuf, why: std::io::Error },
    #[error("an endpoint's key is empty, or holds white space or characters no header may")]
    Unsendable,
}

impl KeySource {
    /// The key as it is now. Blocks on the disk.
    pub(super) fn load(&self) -> Result<Key, BadKey> {
        match (&self.file, &self.value) {
            (Some(path), None) => {
                let read = std::fs::read(path).map(Zeroizing::new);
                let text = read.map_err(|why| BadKey::Unreadable { path: path.clone(), why })?;
                Key::new(self.header, &text)
            }
            (None, Some(secret)) => Key::new(self.header, secret.0.as_bytes()),
            _ => Err(BadKey::NoSource),
        }
    }
}

impl Key {
    fn new(header: KeyHeader, text: &[u8]) -> Result<Self, BadKey> {
        let text = text.trim_ascii();
        if text.is_empty() || !text.iter().all(u8::is_ascii_graphic) {
            return Err(BadKey::Unsendable);
        }
        let (name, scheme) = match header {
            KeyHeader::Authorization => (AUTHORIZATION, &b"Bearer "[..]),
            KeyHeader::XApiKey => (HeaderName::from_static("x-api-key"), &b""[..]),
            KeyHeader::ApiKey => (HeaderName::from_static("api-key"), &b""[..]),
            KeyHeader::XGoogApiKey => (HeaderName::from_static("x-goog-api-key"), &b""[..]),
        };
        let owner = Zeroizing::new([scheme, text].concat());
        let value = HeaderValue::from_maybe_shared(Bytes::from_owner(owner));
        let mut value = value.map_err(|_| BadKey::Unsendable)?;
        // Not shown by Debug, not indexed by HPACK.
        value.set_sensitive(true);
        Ok(Self { name, value })
    }

    /// Takes every credential of the client's out of a head and puts this one in.
    pub(super) fn swap_into(&self, headers: &mut HeaderMap) {
        for name in &CREDENTIALS {
            headers.remove(name);
        }
        for name in KEY_HEADERS {
            headers.remove(name);
        }
        without_protocol_keys(headers);
        headers.insert(self.name.clone(), self.value.clone());
    }
}

/// The target without the parameters that hold credentials; all others stay byte for byte.
pub(super) fn without_keys(target: &PathAndQuery) -> Option<PathAndQuery> {
    let Some(query) = target.query().filter(|query| query.split('&').any(is_key)) else {
        return Some(target.clone());
    };
    let rest: Vec<_> = query.split('&').filter(|parameter| !is_key(parameter)).collect();
    let mut text = target.path().to_owned();
    if !rest.is_empty() {
        text = format!("{text}?{}", rest.join("&"));
    }
    PathAndQuery::from_maybe_shared(Bytes::from(text)).ok()
}

fn is_key(parameter: &str) -> bool {
    let name = parameter.split('=').next().unwrap_or_default();
    let name = percent(name.as_bytes());
    is_key_parameter(&name) || PARAMETERS.iter().any(|known| name.eq_ignore_ascii_case(known))
}

fn without_protocol_keys(headers: &mut HeaderMap) {
    let lines = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let all: Vec<_> = lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .collect();
    let rest: Vec<_> = all.iter().copied().filter(|protocol| !is_protocol_key(protocol)).collect();
    if rest.len() == all.len() {
        return;
    }
    let list = HeaderValue::from_bytes(&rest.join(&b", "[..]));
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    if let Some(list) = list.ok().filter(|list| !list.is_empty()) {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, list);
    }
}

fn is_protocol_key(protocol: &[u8]) -> bool {
    let start = protocol.get(..PROTOCOL_PREFIX.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(PROTOCOL_PREFIX))
}

impl<'de> Deserialize<'de> for KeySource {
    /// A bare string is most likely the key itself: serde's own message would repeat it.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            header: KeyHeader,
            file: Option<PathBuf>,
            value: Option<Secret>,
        }
        struct Reads;
        impl<'de> Visitor<'de> for Reads {
            type Value = KeySource;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table with `header`, and `file` or `value`")
            }

            fn visit_str<E: Error>(self, _: &str) -> Result<KeySource, E> {
                Err(E::custom("a table with `header`, and `file` or `value`, is expected"))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<KeySource, A::Error> {
                let table = Table::deserialize(MapAccessDeserializer::new(map))?;
                Ok(KeySource { header: table.header, file: table.file, value: table.value })
            }
        }
        deserializer.deserialize_any(Reads)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(value: &str) -> KeySource {
        let value = Some(Secret::from(value.to_owned()));
        KeySource { header: KeyHeader::Authorization, file: None, value }
    }

    #[test]
    fn parameters_that_hold_keys_go_and_the_rest_stays_as_it_was() {
        for (target, left) in [
            ("/v1?alt=sse&key=sk-client", "/v1?alt=sse"),
            ("/v1?k%65y=sk-client", "/v1"),
            ("/v1?a=%20&KEY=sk-client&&b", "/v1?a=%20&&b"),
            ("/v1?keys=1&monkey=2?", "/v1?keys=1&monkey=2?"),
            ("/v1?", "/v1?"),
        ] {
            let target = PathAndQuery::from_static(target);
            assert_eq!(without_keys(&target).unwrap().as_str(), left);
        }
    }

    #[test]
    fn a_key_is_shown_nowhere() {
        let source = source("sk-provider");
        let shown = format!("{source:?} {:?}", source.load().unwrap());
        assert!(!shown.contains("sk-provider"), "{shown}");
        assert!(!serde_json::to_string(&source).unwrap().contains("sk-provider"));
        let told = serde_json::from_str::<KeySource>("\"sk-provider\"").unwrap_err();
        assert!(!told.to_string().contains("sk-provider"), "{told}");
    }

    #[test]
    fn a_key_that_is_empty_or_broken_is_refused() {
        for text in ["", " \n", "a b", "a\nb", "ä"] {
            assert!(matches!(source(text).load(), Err(BadKey::Unsendable)), "{text:?}");
        }
        let both = KeySource { file: Some("key".into()), ..source("k") };
        assert!(matches!(both.load(), Err(BadKey::NoSource)));
    }
}
