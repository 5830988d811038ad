//! Rules applied to one JSON text: where it changes, and to what.

use std::borrow::Cow;
use std::ops::Range;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{Bind, Deed, Member, Placed, Rule, Shaped, Shaping, Spot};
use crate::dialect::base64;
use crate::dialect::given::Given;

/// Fewest tokens that a thinking budget may have, in the APIs that have budgets.
const LEAST_BUDGET: u32 = 1024;

pub(super) struct Editor<'a, 'b> {
    body: &'a [u8],
    shaping: Shaping,
    binder: Option<&'b mut dyn Bind>,
    /// The list's element that is visited goes.
    gone: bool,
    /// Never overlapping.
    edits: Vec<(Range<usize>, Cow<'static, str>)>,
    shaped: Shaped,
}

impl<'a, 'b> Editor<'a, 'b> {
    pub(super) fn new(body: &'a [u8], shaping: Shaping) -> Self {
        let (edits, shaped) = (Vec::new(), Shaped::default());
        Self { body, shaping, binder: None, gone: false, edits, shaped }
    }

    /// Changes nothing but what `binder` says.
    pub(super) fn binding(body: &'a [u8], binder: &'b mut dyn Bind) -> Self {
        Self { binder: Some(binder), ..Self::new(body, Shaping::default()) }
    }

    /// Recursion ends where the rule does: rules are constants a few levels deep.
    pub(super) fn visit(&mut self, rule: &Rule, value: &'a RawValue) {
        match rule {
            Rule::Nothing => {}
            Rule::Object(members) => self.object(members, None, value),
            Rule::Limited { members, names, before, after } => {
                self.object(members, Some((names, before, after)), value);
            }
            Rule::Each(rule) if first(value) == b'[' => self.elements(rule, value),
            Rule::Each(rule) => self.visit(rule, value),
            Rule::Off(deed) => self.off(*deed, value),
            Rule::Without(text) => self.without(text, value),
            Rule::Null if value.get() != "null" => self.replace(Deed::Logprobs, value, "null"),
            Rule::Clear if first(value) == b'[' && !is_empty(value) => {
                self.replace(Deed::Logprobs, value, "[]");
            }
            Rule::Null | Rule::Clear => {}
            Rule::Blank => self.blank(value),
            Rule::Choices => self.choices(value),
            Rule::Tokens => {
                if let Some(most) = self.shaping.most_tokens.filter(|most| count(value) > *most) {
                    self.replace(Deed::OutputTokens, value, most.to_string());
                }
            }
            Rule::Budget => self.budget(value),
            Rule::Coded(rule) => self.coded(rule, value),
            Rule::Issued(spot) => self.issued(*spot, value),
        }
    }

    pub(super) fn finish(mut self) -> Shaped {
        if !self.edits.is_empty() {
            let added: usize = self.edits.iter().map(|(_, text)| text.len()).sum();
            let mut body = Vec::with_capacity(self.body.len() + added);
            let mut from = 0;
            self.edits.sort_by_key(|(range, _)| range.start);
            for (range, text) in &self.edits {
                body.extend_from_slice(self.body.get(from..range.start).unwrap_or_default());
                body.extend_from_slice(text.as_bytes());
                from = range.end;
            }
            body.extend_from_slice(self.body.get(from..).unwrap_or_default());
            self.shaped.body = Some(body);
        }
        self.shaped
    }

    fn elements(&mut self, rule: &Rule, list: &'a RawValue) {
        // Where what goes before the first that stays begins, and where the last element ends.
        let (mut leading, mut end) = (None, None);
        let mut kept = false;
        each_element(list, |element| {
            let place = self.range(element);
            if let Some(from) = leading.take() {
                self.edits.push((from..place.start, "".into()));
            }
            let before = self.edits.len();
            self.visit(rule, element);
            if std::mem::take(&mut self.gone) {
                self.edits.truncate(before);
                match end.filter(|_| kept) {
                    Some(comma) => self.edits.push((comma..place.end, "".into())),
                    None => leading = Some(place.start),
                }
            } else {
                kept = true;
            }
            end = Some(place.end);
        });
        if let (Some(from), Some(end)) = (leading, end) {
            self.edits.push((from..end, "".into()));
        }
    }

    fn issued(&mut self, spot: Spot, value: &RawValue) {
        let Some(binder) = self.binder.as_deref_mut().filter(|_| first(value) == b'"') else {
            return;
        };
        let text = spelled(value);
        match (binder.place(spot, &text), spot) {
            (Placed::Same, _) | (Placed::Gone, Spot::Call) => {}
            (Placed::Other(text), _) => {
                let quoted = serde_json::Value::String(text).to_string();
                self.edits.push((self.range(value), quoted.into()));
            }
            (Placed::Gone, Spot::Signature(_)) => self.gone = true,
            (Placed::Gone, Spot::Loose(_)) => self.edits.push((self.range(value), "null".into())),
        }
    }

    fn object(
        &mut self,
        members: &'static [Member],
        limit: Option<(&&[&str], &&str, &&str)>,
        value: &'a RawValue,
    ) {
        if first(value) != b'{' {
            return;
        }
        let mut found: Vec<(&Member, &'a RawValue)> = Vec::new();
        let mut siblings: Vec<(&str, Cow<'a, str>)> = Vec::new();
        let (mut limited, mut unset, mut any) = (false, None, false);
        each_member(value, |key, held| {
            any = true;
            found.extend(members.iter().filter(|member| member.key == key).map(|it| (it, held)));
            let conditions = members.iter().filter_map(|member| member.when);
            if let Some((name, _)) = conditions.into_iter().find(|(name, _)| *name == key) {
                siblings.push((name, spelled(held)));
            }
            if limit.is_some_and(|(names, ..)| names.contains(&&*key)) {
                limited |= held.get() != "null";
                unset.get_or_insert(held);
            }
        });
        if let (false, Some((_, before, after))) = (limited, limit) {
            self.limit((before, after), value, (unset, any));
        }
        for (member, held) in found {
            let holds = |(name, values): (&str, &[&str])| {
                siblings.iter().any(|(own, is)| *own == name && values.contains(&&**is))
            };
            if member.when.is_none_or(holds) {
                self.visit(&member.rule, held);
            }
        }
    }

    /// Limits the tokens of an object that does not: in place of a null, or as its first member.
    fn limit(
        &mut self,
        (before, after): (&str, &str),
        value: &RawValue,
        (unset, any): (Option<&RawValue>, bool),
    ) {
        let Some(most) = self.shaping.most_tokens else { return };
        if let Some(unset) = unset {
            // Only a bare number fits in the place of a value.
            if after.is_empty() {
                self.replace(Deed::OutputTokens, unset, most.to_string());
            }
            return;
        }
        let at = self.range(value).start + 1;
        let comma = if any { "," } else { "" };
        self.edits.push((at..at, format!("{before}{most}{after}{comma}").into()));
        self.shaped.deeds.add(Deed::OutputTokens);
    }

    fn off(&mut self, deed: Deed, value: &RawValue) {
        match value.get() {
            "null" | "false" => {}
            "true" => self.replace(deed, value, "false"),
            _ => self.replace(deed, value, "null"),
        }
    }

    fn without(&mut self, text: &str, value: &'a RawValue) {
        if first(value) != b'[' {
            return;
        }
        let (mut kept, mut all) = (Vec::new(), 0);
        each_element(value, |element| {
            all += 1;
            if spelled(element) != text {
                kept.push(element.get());
            }
        });
        if kept.len() < all {
            self.replace(Deed::Logprobs, value, format!("[{}]", kept.join(",")));
        }
    }

    fn blank(&mut self, value: &'a RawValue) {
        const TEXTS: &[Member] = &[super::at("text", Rule::Blank)];
        match first(value) {
            b'"' if value.get() != "\"\"" && self.shaping.reasoning => {
                self.shaped.withheld.push_str(&spelled(value));
                self.replace(Deed::Reasoning, value, "\"\"");
            }
            b'[' => each_element(value, |element| self.object(TEXTS, None, element)),
            b'{' => self.object(TEXTS, None, value),
            _ => {}
        }
    }

    fn choices(&mut self, value: &RawValue) {
        let asked = count(value);
        self.shaped.choices = self.shaped.choices.max(asked);
        if let Some(most) = self.shaping.most_choices.filter(|most| asked > *most) {
            self.replace(Deed::Choices, value, most.to_string());
        }
    }

    /// Where the budget does not fit below the most output tokens, it is halved to fit; where no
    /// budget does, there is no thinking.
    fn budget(&mut self, value: &'a RawValue) {
        let Some(most) = self.shaping.most_tokens else { return };
        if first(value) != b'{' {
            return;
        }
        let mut budgets = Vec::new();
        each_member(value, |key, held| {
            if key == "budget_tokens" && count(held) >= most {
                budgets.push(held);
            }
        });
        if budgets.is_empty() {
        } else if most < 2 * LEAST_BUDGET {
            self.replace(Deed::OutputTokens, value, r#"{"type":"disabled"}"#);
        } else {
            let half = (most / 2).to_string();
            budgets.iter().for_each(|held| self.replace(Deed::OutputTokens, held, half.clone()));
        }
    }

    fn coded(&mut self, rule: &Rule, value: &RawValue) {
        let Some(plain) = base64::decoded(&spelled(value)) else { return };
        let mut inner = Editor::new(&plain, self.shaping);
        if let Some(binder) = &mut self.binder {
            inner.binder = Some(&mut **binder);
        }
        let Ok(shaped) = rule.edit(&plain, inner) else { return };
        self.shaped.deeds.join(shaped.deeds);
        self.shaped.withheld.push_str(&shaped.withheld);
        if let Some(body) = shaped.body {
            let text = format!("\"{}\"", base64::encoded(&body));
            self.edits.push((self.range(value), text.into()));
        }
    }

    /// Whether policy has it done at all.
    fn withholds(&self, deed: Deed) -> bool {
        match deed {
            Deed::Logprobs => self.shaping.logprobs,
            Deed::Reasoning => self.shaping.reasoning,
            Deed::Choices | Deed::OutputTokens | Deed::Sweep => true,
            // Not of shaping.
            Deed::Unsealed | Deed::Unbound => false,
        }
    }

    fn replace(&mut self, deed: Deed, value: &RawValue, text: impl Into<Cow<'static, str>>) {
        if self.withholds(deed) {
            self.edits.push((self.range(value), text.into()));
            self.shaped.deeds.add(deed);
        }
    }

    /// Where a value of the body, borrowed from it, stands there.
    fn range(&self, value: &RawValue) -> Range<usize> {
        let text = value.get();
        let start = (text.as_ptr() as usize).saturating_sub(self.body.as_ptr() as usize);
        start..start + text.len()
    }
}

fn first(value: &RawValue) -> u8 {
    value.get().as_bytes().first().copied().unwrap_or_default()
}

fn is_empty(list: &RawValue) -> bool {
    list.get().trim_start_matches('[').trim_start().starts_with(']')
}

/// A text as it reads, anything else as it is written.
fn spelled(value: &RawValue) -> Cow<'_, str> {
    let given: Result<Given<'_>, _> = serde_json::from_str(value.get());
    match given {
        Ok(Given::Text(text)) => text,
        _ => value.get().into(),
    }
}

fn count(value: &RawValue) -> u32 {
    let given: Result<Given<'_>, _> = serde_json::from_str(value.get());
    given.ok().and_then(|given| given.count()).unwrap_or_default()
}

/// Hands over the members of an object, in their order.
fn each_member<'a>(value: &'a RawValue, visit: impl FnMut(Cow<'a, str>, &'a RawValue)) {
    struct Members<F>(F);

    impl<'a, F: FnMut(Cow<'a, str>, &'a RawValue)> Visitor<'a> for Members<F> {
        type Value = ();

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<(), A::Error> {
            while let Some((key, value)) = map.next_entry::<Given<'a>, &'a RawValue>()? {
                self.0(key.text().unwrap_or_default(), value);
            }
            Ok(())
        }
    }

    // What was read whole is read again: it can't fail.
    let _ = serde_json::Deserializer::from_str(value.get()).deserialize_map(Members(visit));
}

/// Hands over the elements of a list.
fn each_element<'a>(value: &'a RawValue, visit: impl FnMut(&'a RawValue)) {
    struct Elements<F>(F);

    impl<'a, F: FnMut(&'a RawValue)> Visitor<'a> for Elements<F> {
        type Value = ();

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'a>>(mut self, mut list: A) -> Result<(), A::Error> {
            while let Some(element) = list.next_element::<&'a RawValue>()? {
                self.0(element);
            }
            Ok(())
        }
    }

    let _ = serde_json::Deserializer::from_str(value.get()).deserialize_seq(Elements(visit));
}
