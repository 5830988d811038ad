//! Lenient shapes: what a caller gave in a place, whatever its type.
//!
//! Endpoints differ in what they tolerate (`"n": "5"`, unknown block types, vendor fields), and the
//! endpoint is the judge. So reading never fails on a type: it keeps what it knows and looks away
//! from the rest, without ever quoting a value in an error.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Any JSON value. An object is read as `O`, an array as `L`; both must take whatever they meet.
/// Text is borrowed unless it holds escapes.
#[derive(Debug, Default)]
pub(super) enum Given<'a, O = IgnoredAny, L = IgnoredAny> {
    #[default]
    Null,
    Bool(bool),
    Number(f64),
    Text(Cow<'a, str>),
    Object(O),
    List(L),
}

impl<'a, O, L> Given<'a, O, L> {
    pub(super) fn text(self) -> Option<Cow<'a, str>> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(super) fn object(self) -> Option<O> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    /// What was given, leaving null.
    pub(super) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::Null)
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Whether it is nothing, a text, or a list: all that a place for texts can hold.
    pub(super) fn is_texts(&self) -> bool {
        matches!(self, Self::Null | Self::Text(_) | Self::List(_))
    }

    /// A number, also one in quotes: some endpoints accept those.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
            _ => None,
        }
    }

    /// A number that `f32` can hold.
    pub(super) fn float(&self) -> Option<f32> {
        self.number().map(|number| number as f32).filter(|number| number.is_finite())
    }

    /// A whole number that is not negative, saturating.
    pub(super) fn count(&self) -> Option<u32> {
        self.number().filter(|number| *number >= 0.0).map(|number| number as u32)
    }

    /// True, or what an endpoint may coerce to it.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Bool(yes) => *yes,
            Self::Number(number) => *number != 0.0,
            Self::Text(text) => ["true", "t", "yes", "y", "on", "1"]
                .iter()
                .any(|yes| text.eq_ignore_ascii_case(yes)),
            _ => false,
        }
    }
}

impl<O, T> Given<'_, O, Each<T>> {
    pub(super) fn list(self) -> Option<T> {
        if let Self::List(Each(list)) = self { Some(list) } else { None }
    }
}

/// A list taken in piece by piece, so that memory follows what is kept, not what came.
pub(super) trait Take<'de>: Default {
    type Item: Deserialize<'de>;

    fn take(&mut self, item: Self::Item);
}

/// An array, folded into a `T`.
#[derive(Debug, Default)]
pub(super) struct Each<T>(pub(super) T);

impl<'de, T: Take<'de>> Deserialize<'de> for Each<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Fold<T>(T);

        impl<'de, T: Take<'de>> Visitor<'de> for Fold<T> {
            type Value = Each<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Each<T>, A::Error> {
                while let Some(item) = seq.next_element()? {
                    self.0.take(item);
                }
                Ok(Each(self.0))
            }
        }

        from.deserialize_seq(Fold(T::default()))
    }
}

/// An array, or its only element without the brackets: protobuf's readers take both.
pub(super) type Many<'a, O, T> = Given<'a, O, Each<T>>;

pub(super) fn many<'a, O, T: Take<'a, Item = Given<'a, O>>>(given: Many<'a, O, T>) -> T {
    match given {
        Given::List(Each(all)) => all,
        Given::Object(one) => {
            let mut all = T::default();
            all.take(Given::Object(one));
            all
        }
        _ => T::default(),
    }
}

struct Look<'a, O, L>(PhantomData<(&'a (), O, L)>);

impl<'de: 'a, 'a, O: Deserialize<'de>, L: Deserialize<'de>> Deserialize<'de> for Given<'a, O, L> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Look(PhantomData))
    }
}

impl<'de: 'a, 'a, O: Deserialize<'de>, L: Deserialize<'de>> Visitor<'de> for Look<'a, O, L> {
    type Value = Given<'a, O, L>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Given::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Given::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Given::Number(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Given::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Given::Number(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Given::Text(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Given::Text(value.to_owned().into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        O::deserialize(MapAccessDeserializer::new(map)).map(Given::Object)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        L::deserialize(SeqAccessDeserializer::new(seq)).map(Given::List)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(json: &str) -> Given<'_> {
        serde_json::from_str(json).expect("any value is read")
    }

    #[test]
    fn every_type_is_read_and_plain_text_is_borrowed() {
        for json in ["null", "true", "-1", "1.5", "\"x\"", "{\"a\":[{}]}", "[[],{\"b\":null}]"] {
            given(json);
        }
        assert!(matches!(given("\"plain\""), Given::Text(Cow::Borrowed("plain"))));
        assert!(matches!(given("\"\\u0041\""), Given::Text(Cow::Owned(text)) if text == "A"));
    }

    #[test]
    fn numbers_and_flags_are_read_as_tolerant_endpoints_read_them() {
        assert_eq!(given("\" 5\"").count(), Some(5));
        assert_eq!(given("5.0").count(), Some(5));
        assert_eq!(given("1e300").count(), Some(u32::MAX));
        assert_eq!(given("-1").count(), None);
        assert_eq!((given("1e300").float(), given("0.5").float()), (None, Some(0.5)));
        assert_eq!(given("\"nan\"").number(), None);
        assert!(given("\"True\"").is_true() && given("1").is_true());
        assert!(!given("\"false\"").is_true() && !given("null").is_true());
    }
}
