//! The table of parser differences, row by row, and the laws.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn label(body: impl AsRef<[u8]>) -> Option<&'static str> {
    vet(body.as_ref()).err().map(|ambiguity| ambiguity.label)
}

/// An object that nests `depth` containers, itself included.
fn nested(depth: usize) -> String {
    format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1))
}

#[test]
fn an_ordinary_body_passes() {
    let body = r#" {"model":"m","messages":[{"role":"user","content":"h\u00e9 \ud83d\ude00 \"x\""}],
        "n":1,"temperature":-0.5e-3,"stop":null,"stream":false,"tools":[],"metadata":{}} "#;
    assert_eq!(label(body), None);
}

#[test]
fn duplicate_keys_are_refused_at_any_level_and_in_any_spelling() {
    assert_eq!(label(r#"{"messages":[],"messages":[1]}"#), Some("duplicate"));
    assert_eq!(label(r#"{"messages":[],"m\u0065ssages":[1]}"#), Some("duplicate"));
    assert_eq!(label(r#"{"a":[{"b":{"c":1,"d":2,"c":3}}]}"#), Some("duplicate"));
    assert_eq!(label(r#"{"":1,"":2}"#), Some("duplicate"));
    assert_eq!(label(r#"{"a":{"b":1},"b":{"a":1}}"#), None);
}

#[test]
fn aliases_of_scored_keys_are_refused_where_a_dialect_reads() {
    assert_eq!(label(r#"{"messages":[],"Messages":[1]}"#), Some("alias"));
    assert_eq!(label(r#"{"MESSAGES":[]}"#), Some("alias"));
    assert_eq!(label(r#"{"me\u017fsages":[]}"#), Some("alias"));
    assert_eq!(label("{\"to\u{17f}ls\":0,\"me\u{17f}\u{17f}ages\":[]}"), Some("alias"));
    assert_eq!(label(r#"{"messages":[{"Role":"user"}]}"#), Some("alias"));
    assert_eq!(label(r#"{"input":[{"Content":"x"}]}"#), Some("alias"));
    assert_eq!(label(r#"{"input":[{"content":[{"TEXT":"x"}]}]}"#), Some("alias"));
    assert_eq!(label(r#"{"messages":[{"content":[{"Text":"x"}]}]}"#), Some("alias"));
    assert_eq!(label(r#"{"tools":[{"function":{"Parameters":{}}}]}"#), Some("alias"));
}

#[test]
fn objects_of_the_callers_own_making_may_hold_any_key() {
    let schema = r#"{"type":"object","properties":{"Name":{},"Model":{},"Content":{}}}"#;
    let openai = format!(r#"{{"tools":[{{"function":{{"name":"f","parameters":{schema}}}}}]}}"#);
    let anthropic = format!(r#"{{"tools":[{{"name":"f","input_schema":{schema}}}]}}"#);
    let call = r#"{"messages":[{"content":[{"type":"tool_use","input":{"Text":1,"ID":2}}]}]}"#;
    assert_eq!(label(openai), None);
    assert_eq!(label(anthropic), None);
    assert_eq!(label(call), None);
    let call = r#"{"input":[{"type":"mcp_call","input":{"Text":1,"ID":2}}]}"#;
    assert_eq!(label(call), None);
    assert_eq!(label(r#"{"metadata":{"User":"u","Model":"m"}}"#), None);
}

#[test]
fn other_encodings_are_refused() {
    assert_eq!(label(b"\xEF\xBB\xBF{}"), Some("byte-order-mark"));
    assert_eq!(label(b"\xFF\xFE{\0}\0"), Some("byte-order-mark"));
    assert_eq!(label(b"\xFF\xFE\0\0{\0\0\0}\0\0\0"), Some("byte-order-mark"));
    assert_eq!(label(b"{\0}\0"), Some("nul"));
    assert_eq!(label(b"\0{\0}"), Some("nul"));
    assert_eq!(label(b"{\"a\":\"\0\"}"), Some("nul"));
    assert_eq!(label(b"{}\0"), Some("nul"));
}

#[test]
fn what_is_not_utf8_is_refused_even_where_nobody_looks() {
    assert_eq!(label(b"{\"a\":\"\xFF\"}"), Some("encoding"));
    assert_eq!(label(b"{\"a\":\"\xC0\xAF\"}"), Some("encoding"), "overlong");
    assert_eq!(label(b"{\"a\":\"\xED\xA0\x80\"}"), Some("encoding"), "surrogate bytes");
}

#[test]
fn half_a_surrogate_pair_is_refused() {
    for body in [r#"{"a":"\ud83d"}"#, r#"{"a":"\ude00"}"#, r#"{"a":"\ud83d\ud83d"}"#] {
        assert_eq!(label(body), Some("surrogate"), "{body}");
    }
    assert_eq!(label(r#"{"a":"\ud83dx\ude00"}"#), Some("surrogate"));
    assert_eq!(label(r#"{"a":"\uD83D\uDE00"}"#), None);
}

#[test]
fn numbers_must_be_finite_and_of_ordinary_length() {
    let long = |digits: usize| format!("{{\"a\":{}}}", "7".repeat(digits));
    assert_eq!(label(r#"{"a":1e999999}"#), Some("number"));
    assert_eq!(label(r#"{"a":-1E309}"#), Some("number"));
    assert_eq!(label(long(MAX_NUMBER)), None);
    assert_eq!(label(long(MAX_NUMBER + 1)), Some("number"));
    for number in ["NaN", "Infinity", "-Infinity", "01", "+1", ".5", "1.", "1e", "-", "0x1", "1_0"]
    {
        assert_eq!(label(format!("{{\"a\":{number}}}")), Some("syntax"), "{number}");
    }
}

#[test]
fn one_object_and_nothing_else_is_a_document() {
    for body in ["", " ", "[]", "null", "\"x\"", "1"] {
        assert_eq!(label(body), Some("not-an-object"), "{body}");
    }
    for body in ["{}{}", "{} x", "{}]", "{},"] {
        assert_eq!(label(body), Some("trailing"), "{body}");
    }
    assert_eq!(label("\r\n\t {} \n"), None);
}

#[test]
fn depth_is_bounded_without_recursion() {
    assert_eq!(label(nested(MAX_DEPTH)), None);
    assert_eq!(label(nested(MAX_DEPTH + 1)), Some("depth"));
    assert_eq!(label(nested(100_000)), Some("depth"));
    assert_eq!(label("{\"a\":".repeat(100_000)), Some("depth"));
}

#[test]
fn loose_grammar_is_refused() {
    for body in [
        "{",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,}",
        "{,}",
        "{\"a\" 1}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":[1,]}",
        "{\"a\":[,1]}",
        "{\"a\":[1}",
        "{\"a\":{]}",
        "{\"a\":tru}",
        "{\"a\":True}",
        "{\"a\":1 2}",
        "{\"a\":\"",
        "{\"a\":\"x",
        "{/**/}",
        "{\"a\":1}}",
    ] {
        assert!(vet(body.as_bytes()).is_err(), "{body}");
    }
    assert_eq!(label("{\"a\":\"\n\"}"), Some("control"));
    for body in [r#"{"a":"\x41"}"#, r#"{"a":"\u12"}"#, r#"{"a":"\u12g4"}"#, r#"{"a":"\"#] {
        assert_eq!(label(body), Some("escape"), "{body}");
    }
}

#[test]
fn the_place_of_the_fault_is_told() {
    let error = vet(br#"{"a":1,"b":2,"a":3}"#).expect_err("twice");
    assert_eq!(error.to_string(), "an object has the same key twice at byte 14");
}

#[test]
fn many_keys_are_compared_without_comparing_all_pairs() {
    let mut body: String = (0..100_000).map(|key| format!("\"k{key}\":0,")).collect();
    body = format!("{{{body}\"k99999\":1}}");
    assert_eq!(label(body), Some("duplicate"));
}

/// Values serde_json can write; aliases can't occur below a key no dialect knows.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Text close to JSON, so that many samples get far.
fn near_json() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"a\"",
        "\"\\u0061\"",
        "\"b\"",
        "1",
        "-0.5e3",
        "null",
        " ",
        "\"",
        "\\",
        "{\"a\":",
        "\"b\":",
        "1e400",
        "\u{e9}",
        "\n",
    ]);
    prop::collection::vec(token, 0..24).prop_map(|tokens| format!("{{{}}}", tokens.concat()))
}

/// The keys and values of every object, duplicates and all, as a reader without a map sees them.
struct Strict;

impl<'de> serde::Deserialize<'de> for Strict {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Self)
    }
}

impl<'de> serde::de::Visitor<'de> for Strict {
    type Value = Self;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("anything")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self, A::Error> {
        while seq.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut seen = std::collections::BTreeSet::new();
        while let Some((key, _)) = map.next_entry::<String, Self>()? {
            if !seen.insert(key) {
                return Err(serde::de::Error::custom("twice"));
            }
        }
        Ok(self)
    }
}

proptest! {
    #[test]
    fn whatever_serde_json_writes_passes(value in value()) {
        let body = serde_json::to_vec(&serde_json::json!({ "x": value })).expect("writes");
        prop_assert_eq!(vet(&body), Ok(()));
    }

    #[test]
    fn vet_and_a_strict_reader_agree(body in near_json()) {
        let strict = serde_json::from_str::<Strict>(&body);
        prop_assert_eq!(vet(body.as_bytes()).is_ok(), strict.is_ok(), "{}", body);
    }

    #[test]
    fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..256)) {
        let _ = vet(&body);
        let _ = vet(&[b"{\"a\":\"", &body[..]].concat());
    }

    #[test]
    fn the_end_of_a_plain_run_is_found_wherever_it_is(text in "[ -~é\\\\\"\\n]{0,120}") {
        let slow = text.bytes().position(|byte| byte == b'"' || byte == b'\\' || byte < 0x20);
        prop_assert_eq!(plain(text.as_bytes()), slow.unwrap_or(text.len()));
    }
}
