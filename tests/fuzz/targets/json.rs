//! The scan of bodies: what it passes has one meaning to the strictest and to the laxest reader.
#![no_main]

use std::collections::BTreeSet;
use std::fmt;

use libfuzzer_sys::fuzz_target;
use serde_json::de::{Deserializer, SliceRead};
use stillguard::dialect::json;

fuzz_target!(|body: &[u8]| {
    let vetted = json::vet(body);
    let once = once(body);
    if let Err(ambiguity) = vetted {
        assert!(ambiguity.at <= body.len());
        // Only what it is known to be stricter in than a strict reader.
        let stricter = ["alias", "byte-order-mark", "depth", "not-an-object", "number"];
        assert!(!once || stricter.contains(&ambiguity.label), "{ambiguity:?}");
        return;
    }
    assert!(once, "a strict reader refuses it");
    let value: serde_json::Value = serde_json::from_slice(body).expect("serde reads it");
    let again = serde_json::to_vec(&value).expect("serde writes it");
    assert!(json::vet(&again).is_ok(), "what it means is passed, too");
});

/// Whether serde reads it as one document in which no object has a key twice.
fn once(body: &[u8]) -> bool {
    let mut reader = Deserializer::new(SliceRead::new(body));
    serde::de::Deserialize::deserialize(&mut reader).is_ok_and(|Once| reader.end().is_ok())
}

struct Once;

impl<'de> serde::Deserialize<'de> for Once {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Self)
    }
}

impl<'de> serde::de::Visitor<'de> for Once {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut keys = BTreeSet::<String>::new();
        while let Some(key) = map.next_key()? {
            map.next_value::<Self>()?;
            if !keys.insert(key) {
                return Err(serde::de::Error::custom("twice"));
            }
        }
        Ok(self)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self, A::Error> {
        while seq.next_element::<Self>()?.is_some() {}
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

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }
}
