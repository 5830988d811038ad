//! What a request's connection and head show of its caller besides the credential.
//!
//! All of it is easily forged and some of it honestly wrong: evidence, never proof.

use std::fmt;
use std::str::FromStr;

use http::HeaderMap;
use http::header::{ACCEPT_LANGUAGE, USER_AGENT};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Where a request comes from, and what its head says against itself.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Trace {
    /// Of the address, by the operator's database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
    /// The autonomous system that the address belongs to, by the operator's database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asn: Option<u32>,
    /// The country of the language the client asks for first, where it names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<Country>,
    #[serde(skip_serializing_if = "Conflicts::is_none")]
    pub conflicts: Conflicts,
}

impl Trace {
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }

    /// What the head shows. The address is for the operator's databases to place.
    pub fn of(headers: &HeaderMap) -> Self {
        let locale = text(headers, ACCEPT_LANGUAGE.as_str()).and_then(asked_for);
        Self { locale, conflicts: Conflicts::of(headers), ..Self::default() }
    }
}

/// A country or territory by its two letters (ISO 3166-1).
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Country([u8; 2]);

#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a country is two capital letters, as ISO 3166 has them: DE, JP, US")]
pub struct NotACountry;

impl Country {
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for Country {
    type Err = NotACountry;

    fn from_str(text: &str) -> Result<Self, NotACountry> {
        match *text.as_bytes() {
            [a @ b'A'..=b'Z', b @ b'A'..=b'Z'] => Ok(Self([a, b])),
            _ => Err(NotACountry),
        }
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Country {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Country {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// What a client's own headers say that can't all be true, as bits. They are part of the decision
/// log: never reuse one.
///
/// A header that is missing contradicts nothing: proxies and gateways on the way strip and replace
/// headers, and TLS that a company's proxy ends says nothing of the client behind it. So only one
/// claim is held against another, and neither TLS nor the version of HTTP is looked at.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Conflicts(pub u8);

impl Conflicts {
    /// The SDK's language by its user agent is not the one by its own header.
    pub const LANGUAGE: u8 = 1;
    /// So with its version.
    pub const VERSION: u8 = 1 << 1;
    /// The language does not run on the runtime.
    pub const RUNTIME: u8 = 1 << 2;
    /// The user agent is another program's than the one whose headers came.
    pub const PROGRAM: u8 = 1 << 3;
    /// A program that is no browser sends a browser's hints.
    pub const HINTS: u8 = 1 << 4;

    pub const fn is_none(&self) -> bool {
        self.0 == 0
    }

    fn of(headers: &HeaderMap) -> Self {
        let get = |name| text(headers, name).map(|value| value.trim().to_ascii_lowercase());
        let agent = get(USER_AGENT.as_str()).unwrap_or_default();
        let (lang, runtime) = (get("x-stainless-lang"), get("x-stainless-runtime"));
        let sdk = Sdk::named(&agent);
        let (told, version) = (lang.as_deref(), get("x-stainless-package-version"));
        let differ = |ours: Option<&str>, theirs: Option<&str>| {
            ours.zip(theirs).is_some_and(|(ours, theirs)| ours != theirs)
        };
        let other = OTHERS.iter().any(|beginning| agent.starts_with(beginning));
        let browser = runtime.as_deref().is_some_and(|runtime| runtime.starts_with("browser"));
        let faked = agent.starts_with("mozilla/") && lang.is_some() && !browser;
        let found = [
            (Self::LANGUAGE, differ(sdk.map(|sdk| sdk.language), told)),
            (Self::VERSION, differ(sdk.map(|sdk| sdk.version), version.as_deref())),
            (
                Self::RUNTIME,
                told.zip(runtime.as_deref()).is_some_and(|(lang, on)| !runs_on(lang, on)),
            ),
            (Self::PROGRAM, told.is_some() && other || faked),
            (Self::HINTS, headers.contains_key("sec-ch-ua") && (sdk.is_some() || other)),
        ];
        let found = found.into_iter().filter(|(_, is)| *is);
        Self(found.fold(0, |bits, (bit, _)| bits | bit))
    }
}

/// What an SDK's user agent says: `AsyncOpenAI/Python 2.54.0`.
#[derive(Clone, Copy)]
struct Sdk<'a> {
    language: &'a str,
    version: &'a str,
}

const LANGUAGES: [&str; 6] = ["python", "js", "go", "java", "kotlin", "ruby"];

/// Programs that never send the headers of the SDKs above (`x-stainless-...`).
const OTHERS: [&str; 6] = ["curl/", "boto3/", "botocore/", "wget/", "postmanruntime/", "okhttp/"];

impl<'a> Sdk<'a> {
    /// None for every agent that is not one of those SDKs under its own name.
    fn named(agent: &'a str) -> Option<Self> {
        let mut words = agent.split(' ');
        let (class, language) = words.next()?.split_once('/')?;
        let version = words.next()?;
        let known = (class.contains("openai") || class.contains("anthropic"))
            && LANGUAGES.contains(&language)
            && version.starts_with(|c: char| c.is_ascii_digit());
        known.then_some(Self { language, version })
    }
}

/// Unknown languages and runtimes may be anything.
fn runs_on(language: &str, runtime: &str) -> bool {
    let python = ["cpython", "pypy", "graalpy"].iter().any(|one| runtime.starts_with(one));
    let script =
        ["node", "deno", "bun", "edge", "browser"].iter().any(|one| runtime.starts_with(one));
    match language {
        "python" => !script,
        "js" => !python,
        _ => true,
    }
}

/// The country of the first language: `de-AT,de;q=0.9` asks for Austria's German.
fn asked_for(languages: &str) -> Option<Country> {
    let first = languages.split([',', ';']).next()?.trim();
    // A script may stand between them: zh-Hant-TW.
    let country = first.split('-').skip(1).find(|part| part.len() == 2)?;
    country.to_ascii_uppercase().parse().ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).filter(|text| text.len() <= 512)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    fn of(pairs: &[(&'static str, &str)]) -> Trace {
        let pairs = pairs.iter().map(|(name, value)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        });
        Trace::of(&pairs.collect())
    }

    const PYTHON: [(&str, &str); 4] = [
        ("user-agent", "AsyncOpenAI/Python 3.54.0"),
        ("x-stainless-lang", "python"),
        ("x-stainless-runtime", "CPython"),
        ("x-stainless-package-version", "3.54.0"),
    ];

    fn with(name: &'static str, value: &'static str) -> u8 {
        let all = PYTHON.into_iter().filter(|(held, _)| *held != name);
        of(&all.chain([(name, value)]).collect::<Vec<_>>()).conflicts.0
    }

    #[test]
    fn a_client_that_says_one_thing_contradicts_nothing() {
        assert!(of(&PYTHON).conflicts.is_none());
        let anthropic = [
            ("user-agent", "Anthropic/JS 1.12.0"),
            ("x-stainless-lang", "js"),
            ("x-stainless-runtime", "node"),
            ("x-stainless-package-version", "1.12.0"),
        ];
        assert!(of(&anthropic).conflicts.is_none());
        let page = [
            ("user-agent", "Mozilla/5.0 (X11; Linux x86_64)"),
            ("x-stainless-lang", "js"),
            ("x-stainless-runtime", "browser:chrome"),
            ("sec-ch-ua", "\"Chromium\""),
        ];
        assert!(of(&page).conflicts.is_none());
    }

    #[test]
    fn one_claim_against_another_is_a_conflict() {
        assert_eq!(with("x-stainless-package-version", "3.51.1"), Conflicts::VERSION);
        assert_eq!(with("user-agent", "curl/8.9.1"), Conflicts::PROGRAM);
        assert_eq!(with("user-agent", "Mozilla/5.0 (Macintosh)"), Conflicts::PROGRAM);
        assert_eq!(with("x-stainless-runtime", "node"), Conflicts::RUNTIME);
        assert_eq!(with("x-stainless-lang", "js"), Conflicts::LANGUAGE | Conflicts::RUNTIME);
        assert_eq!(with("sec-ch-ua", "\"Chromium\""), Conflicts::HINTS);
    }

    #[test]
    fn what_a_gateway_strips_or_renames_contradicts_nothing() {
        for name in PYTHON.map(|(name, _)| name) {
            let left: Vec<_> = PYTHON.into_iter().filter(|(held, _)| *held != name).collect();
            assert!(of(&left).conflicts.is_none(), "without {name}");
        }
        for agent in ["my-app/1.0", "langchain-openai/1.3.0", "litellm/1.106.2", "OpenAI/Python"] {
            assert_eq!(with("user-agent", agent), 0, "{agent}");
        }
        assert_eq!(with("via", "1.1 proxy.example"), 0);
    }

    #[test]
    fn the_country_of_the_first_language_counts() {
        let country = |text: &str| of(&[("accept-language", text)]).locale.map(|it| it.to_string());
        for (text, expected) in [
            ("de-AT,de;q=0.9,en-US;q=0.8", Some("AT")),
            ("zh-Hant-TW", Some("TW")),
            ("pt-br", Some("BR")),
            ("*", None),
            ("en", None),
            ("en;q=0.5, de-DE", None),
            ("", None),
        ] {
            assert_eq!(country(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_country_is_read_as_it_is_written() {
        let country: Country = "NL".parse().unwrap();
        assert_eq!(serde_json::to_string(&country).unwrap(), "\"NL\"");
        assert_eq!(serde_json::from_str::<Country>("\"NL\"").unwrap(), country);
        assert!(["nl", "NLD", "N", "", "É"].iter().all(|text| text.parse::<Country>().is_err()));
    }

    proptest! {
        #[test]
        fn any_head_is_read_without_panic(values in prop::collection::vec(".{0,40}", 4)) {
            let named = PYTHON.iter().zip(&values);
            let mut headers: HeaderMap = named
                .filter_map(|((name, _), value)| {
                    let value = HeaderValue::from_str(value).ok()?;
                    Some((HeaderName::from_static(name), value))
                })
                .collect();
            headers.extend(HeaderValue::from_str(&values[0]).map(|it| (ACCEPT_LANGUAGE, it)));
            let _ = Trace::of(&headers);
        }
    }
}
