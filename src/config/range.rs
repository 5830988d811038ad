//! The ranges that rooms state for their settings, where they declare them for the schema.

use serde_json::Value;
use toml::Spanned;
use toml::de::DeValue;

use super::mistake::Mistake;
use super::tree::Tree;

/// Every number outside the range that the schema gives it.
pub(super) fn ranges(tree: &Tree<'_>) -> Vec<Mistake> {
    let schema = super::schema().to_value();
    let mut walk = Walk { root: &schema, found: Vec::new() };
    for (key, value) in tree.entries() {
        walk.visit(&schema["properties"][key], value);
    }
    walk.found
}

struct Walk<'s> {
    root: &'s Value,
    found: Vec<Mistake>,
}

impl Walk<'_> {
    fn visit(&mut self, schema: &Value, value: &Spanned<DeValue<'_>>) {
        if let Some(name) = schema["$ref"].as_str() {
            let target = name.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            return target.into_iter().for_each(|target| self.visit(target, value));
        }
        for options in [&schema["anyOf"], &schema["oneOf"]] {
            let options = options.as_array().into_iter().flatten();
            options.for_each(|option| self.visit(option, value));
        }
        match value.get_ref() {
            DeValue::Table(table) => {
                for (key, below) in table {
                    let named = schema["properties"].get(key.get_ref().as_ref());
                    self.visit(named.unwrap_or_else(|| &schema["additionalProperties"]), below);
                }
            }
            DeValue::Array(items) => {
                items.iter().for_each(|item| self.visit(&schema["items"], item))
            }
            DeValue::Integer(integer) => {
                self.compare(schema, value, number(integer.as_str(), integer.radix()));
            }
            DeValue::Float(float) => self.compare(schema, value, float.as_str().parse().ok()),
            _ => {}
        }
    }

    fn compare(&mut self, schema: &Value, value: &Spanned<DeValue<'_>>, number: Option<f64>) {
        let Some(number) = number else { return };
        let bounds = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
        let message = match bounds {
            (Some(least), _) if number < least => format!("this has to be {least} or more"),
            (_, Some(most)) if number > most => format!("this has to be {most} or less"),
            _ => return,
        };
        self.found.push(Mistake::new(value.span(), message));
    }
}

/// The parser has taken underscores and the prefix off.
fn number(digits: &str, radix: u32) -> Option<f64> {
    i128::from_str_radix(digits, radix).ok().map(|integer| integer as f64)
}
