//! The file as a tree that still knows where everything stands.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeArray, DeString, DeTable, DeValue, Deserializer, Error};

use super::Config;
use super::environment::{Environment, expand};
use super::mistake::Mistake;

/// A parsed file. Values are taken out of it while mistakes are collected.
#[derive(Clone)]
pub(super) struct Tree<'i>(Spanned<DeTable<'i>>);

/// What [`Tree::remove`] took out: of which table, under which key.
#[derive(Debug, PartialEq)]
pub(super) struct Removed {
    pub(super) table: Range<usize>,
    pub(super) key: String,
}

impl<'i> Tree<'i> {
    /// Parses `text`; on mistakes of syntax, every one of them.
    pub(super) fn parse(text: &'i str) -> Result<Self, Vec<Mistake>> {
        let (root, errors) = DeTable::parse_recoverable(text);
        let end = text.len();
        let mistake = |error: &Error| {
            Mistake::new(error.span().unwrap_or(end..end), error.message().to_owned())
        };
        if errors.is_empty() { Ok(Self(root)) } else { Err(errors.iter().map(mistake).collect()) }
    }

    pub(super) fn read(&self) -> Result<Config, Error> {
        Config::deserialize(Deserializer::from(self.0.clone()))
    }

    /// Puts the environment's values in the place of `${NAME}`. Makes a string of a date too, since
    /// TOML's own dates mean nothing to the types that read them.
    pub(super) fn expand(&mut self, env: Environment<'_>) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        each_value(self.0.get_mut(), &mut |value| {
            let span = value.span();
            let expanded = match value.get_ref() {
                DeValue::String(text) => expand(text, env),
                DeValue::Datetime(time) => Ok(Some(time.to_string())),
                _ => return,
            };
            match expanded {
                Ok(Some(text)) => *value.get_mut() = DeValue::String(DeString::Owned(text)),
                Ok(None) => {}
                Err(why) => mistakes.push(Mistake::new(span, why.to_string())),
            }
        });
        mistakes
    }

    /// Numbers that are none: TOML has `nan` and `inf`, and no setting has a use for them.
    pub(super) fn not_finite(&mut self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        each_value(self.0.get_mut(), &mut |value| {
            let DeValue::Float(float) = value.get_ref() else { return };
            if !float.as_str().parse::<f32>().is_ok_and(f32::is_finite) {
                mistakes.push(Mistake::new(value.span(), "this is not a finite number"));
            }
        });
        mistakes
    }

    /// Gives every tenant's `ladder` the rungs that `[policy.ladder]` states and it leaves out, and
    /// every group of endpoints the deadlines and health of `[forward]` likewise.
    pub(super) fn inherit(&mut self) {
        self.lay_under(&["tenants"], ["policy", "ladder"]);
        self.lay_under(&["forward", "groups"], ["forward", "deadlines"]);
        self.lay_under(&["forward", "groups"], ["forward", "health"]);
    }

    /// Lays the table at `base` under the table of its name in each item of `list`, where there is one.
    fn lay_under(&mut self, list: &[&str], base: [&str; 2]) {
        let Some(stated) = self.at(&base).and_then(DeValue::as_table).cloned() else { return };
        let Some(DeValue::Array(items)) = self.at_mut(list) else { return };
        for item in items.iter_mut() {
            let DeValue::Table(item) = item.get_mut() else { continue };
            let Some(DeValue::Table(own)) = item.get_mut(base[1]).map(Spanned::get_mut) else {
                continue;
            };
            for (key, value) in &stated {
                if !own.contains_key(key) {
                    own.insert(key.clone(), value.clone());
                }
            }
        }
    }

    fn at_mut(&mut self, path: &[&str]) -> Option<&mut DeValue<'i>> {
        let (last, tables) = path.split_last()?;
        let mut table = self.0.get_mut();
        for step in tables {
            let DeValue::Table(next) = table.get_mut(*step)?.get_mut() else { return None };
            table = next;
        }
        Some(table.get_mut(*last)?.get_mut())
    }

    pub(super) fn has(&self, path: &[&str]) -> bool {
        self.at(path).is_some()
    }

    fn at(&self, path: &[&str]) -> Option<&DeValue<'i>> {
        let (first, rest) = path.split_first()?;
        let mut value = self.0.get_ref().get(*first)?.get_ref();
        for step in rest {
            value = child(value, step)?.get_ref();
        }
        Some(value)
    }

    /// The keys at the top and their values.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &Spanned<DeValue<'i>>)> {
        self.0.get_ref().iter().map(|(key, value)| (key.get_ref().as_ref(), value))
    }

    /// Where the value at `path` stands, or else the innermost table on the way to it.
    pub(super) fn span<S: AsRef<str>>(&self, path: &[S]) -> Range<usize> {
        let Some((first, rest)) = path.split_first() else { return 0..0 };
        let Some(mut value) = self.0.get_ref().get(first.as_ref()) else { return 0..0 };
        for step in rest {
            let Some(next) = child(value.get_ref(), step.as_ref()) else { break };
            value = next;
        }
        value.span()
    }

    /// Takes out the entry whose key or value stands at `span`.
    pub(super) fn remove(&mut self, span: &Range<usize>) -> Option<Removed> {
        let whole = self.0.span();
        remove(self.0.get_mut(), &whole, span)
    }
}

fn child<'v, 'i>(value: &'v DeValue<'i>, step: &str) -> Option<&'v Spanned<DeValue<'i>>> {
    match value {
        DeValue::Array(items) => items.get(step.parse::<usize>().ok()?),
        DeValue::Table(table) => table.get(step),
        _ => None,
    }
}

fn each_value<'i>(table: &mut DeTable<'i>, visit: &mut impl FnMut(&mut Spanned<DeValue<'i>>)) {
    for (_, value) in table.iter_mut() {
        each_below(value, visit);
    }
}

fn each_below<'i>(
    value: &mut Spanned<DeValue<'i>>,
    visit: &mut impl FnMut(&mut Spanned<DeValue<'i>>),
) {
    visit(value);
    match value.get_mut() {
        DeValue::Array(items) => items.iter_mut().for_each(|item| each_below(item, visit)),
        DeValue::Table(table) => each_value(table, visit),
        _ => {}
    }
}

fn remove(table: &mut DeTable<'_>, whole: &Range<usize>, span: &Range<usize>) -> Option<Removed> {
    let hit = table.iter().find(|(key, value)| key.span() == *span || value.span() == *span);
    if let Some(key) = hit.map(|(key, _)| key.get_ref().to_string()) {
        table.remove(key.as_str());
        return Some(Removed { table: whole.clone(), key });
    }
    table.iter_mut().find_map(|(_, value)| remove_below(value, span))
}

fn remove_below(value: &mut Spanned<DeValue<'_>>, span: &Range<usize>) -> Option<Removed> {
    let whole = value.span();
    match value.get_mut() {
        DeValue::Table(table) => remove(table, &whole, span),
        DeValue::Array(items) => {
            if let Some(index) = items.iter().position(|item| item.span() == *span) {
                let kept = std::mem::replace(items, DeArray::new()).into_iter().enumerate();
                *items = kept.filter(|(at, _)| *at != index).map(|(_, item)| item).collect();
                return Some(Removed { table: whole, key: index.to_string() });
            }
            items.iter_mut().find_map(|item| remove_below(item, span))
        }
        _ => None,
    }
}
