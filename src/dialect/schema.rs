//! JSON Schemas of tools and demanded outputs: names and types, nothing else.

use std::borrow::Cow;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::given::{Each, Given, Take};

/// A schema's type and properties. `items` stands for what an array holds.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Schema<'a> {
    r#type: Given<'a, IgnoredAny, Each<FirstType<'a>>>,
    properties: Given<'a, Properties<'a>>,
    items: Given<'a, Box<Self>>,
}

impl<'a> Schema<'a> {
    /// Property names and their types; a type that is not said is empty.
    pub(super) fn params(self) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
        self.properties.object().unwrap_or_default().own
    }

    /// Property names of this level, then those one below.
    pub(super) fn names(self) -> Vec<Cow<'a, str>> {
        let properties = self.into_properties();
        let own = properties.own.into_iter().map(|(name, _)| name);
        own.chain(properties.below).collect()
    }

    /// Its own properties, or those of what it is a list of.
    fn into_properties(self) -> Properties<'a> {
        match (self.properties, self.items) {
            (Given::Object(properties), _) => properties,
            (_, Given::Object(items)) => items.into_properties(),
            _ => Properties::default(),
        }
    }

    fn take_type(&mut self) -> Cow<'a, str> {
        match std::mem::take(&mut self.r#type) {
            Given::Text(name) => name,
            Given::List(Each(FirstType(name))) => name,
            _ => Cow::default(),
        }
    }
}

/// The first type of a list such as `["string", "null"]` that is not null.
#[derive(Debug, Default)]
struct FirstType<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Take<'de> for FirstType<'a> {
    type Item = Given<'a>;

    fn take(&mut self, item: Given<'a>) {
        if let Given::Text(name) = item
            && self.0.is_empty()
            && name != "null"
        {
            self.0 = name;
        }
    }
}

#[derive(Debug, Default)]
struct Properties<'a> {
    /// Names and types.
    own: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Names one level below.
    below: Vec<Cow<'a, str>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Properties<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Self::default())
    }
}

impl<'de: 'a, 'a> Visitor<'de> for Properties<'a> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
        while let Some((name, schema)) = map.next_entry::<Given<'a>, Given<'a, Schema<'a>>>()? {
            let mut schema = schema.object().unwrap_or_default();
            self.own.push((name.text().unwrap_or_default(), schema.take_type()));
            self.below.extend(schema.into_properties().own.into_iter().map(|(name, _)| name));
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"{"type":"object","properties":{
        "reasoning":{"type":"string"},
        "answer":{"type":["null","object"],"properties":{"score":{"type":"number"}}},
        "steps":{"type":"array","items":{"properties":{"step":{"properties":{"deep":{}}}}}},
        "odd":true,"items":{"items":[{"properties":{"no":{}}}]}},"required":["answer"]}"#;

    fn schema() -> Schema<'static> {
        serde_json::from_str(SCHEMA).expect("a schema")
    }

    #[test]
    fn names_go_one_level_down() {
        let names = ["reasoning", "answer", "steps", "odd", "items", "score", "step"];
        assert_eq!(schema().names(), names);
    }

    #[test]
    fn parameters_have_types_where_the_schema_says_so() {
        let types: Vec<_> = schema().params().into_iter().map(|(_, kind)| kind).collect();
        assert_eq!(types, ["string", "object", "array", "", ""]);
    }

    #[test]
    fn the_deepest_schema_the_reader_takes_fits_the_stack() {
        let below = (0..60)
            .fold("{}".to_owned(), |below, _| format!("{{\"properties\":{{\"p\":{below}}}}}"));
        let schema: Schema<'_> = serde_json::from_str(&below).expect("a schema");
        assert_eq!(schema.names(), ["p", "p"]);
    }

    #[test]
    fn a_list_of_objects_has_the_properties_of_its_items() {
        let list: Schema<'_> =
            serde_json::from_str(r#"{"type":"array","items":{"properties":{"q":{}}}}"#)
                .expect("ok");
        assert_eq!(list.names(), ["q"]);
    }
}
