//! Single values of requests and answers changed in place; every other byte stays.
//!
//! Each dialect names the places in its bodies by [`Rule`]s. There are two kinds of them.
//!
//! Shaping lowers or withholds. Values are only ever replaced, never removed: the APIs' own words for
//! "not asked" and "nothing to tell" are null, false, an empty text and an empty list, and whatever
//! stands beside them, signatures above all, stays where it was.
//!
//! Binding asks a [`Bind`] what stands in place of what the provider has issued. A list's element that
//! belongs to what is to go, goes with it.

mod deed;
mod edit;
mod issued;
mod stream;
#[cfg(test)]
mod issued_tests;
#[cfg(test)]
mod tests;

use serde_json::value::RawValue;

pub use self::deed::{Deed, Deeds};
use self::edit::Editor;
pub use self::issued::{Alphabet, Bind, Placed, Spot};
pub use self::stream::Stream;
use super::Malformed;

/// What is done to an exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shaping {
    /// Log probabilities are withheld.
    pub logprobs: bool,
    /// Thinking and reasoning text is withheld; what seals it is not.
    pub reasoning: bool,
    /// Answers to one prompt.
    pub most_choices: Option<u32>,
    /// Output tokens of one answer.
    pub most_tokens: Option<u32>,
}

/// Where an API's bodies hold what is changed, be it for shaping or for binding.
#[derive(Debug)]
pub struct Shapes {
    pub request: Rule,
    /// Of an answer that is not streamed.
    pub answer: Rule,
    /// Of the data of a streamed answer's event.
    pub event: Rule,
}

/// A value, and what is done to it. One of an unexpected type is left alone.
#[derive(Debug)]
pub enum Rule {
    Nothing,
    Object(&'static [Member]),
    /// An object that gets `before`, the most output tokens and `after` as another member if none of
    /// `names` limits them.
    Limited {
        members: &'static [Member],
        names: &'static [&'static str],
        before: &'static str,
        after: &'static str,
    },
    /// Every element of a list, or what stands in place of the list.
    Each(&'static Self),
    /// A wish, not granted: true becomes false, anything else null.
    Off(Deed),
    /// A list of wishes, without this one for log probabilities.
    Without(&'static str),
    /// Log probabilities that become null.
    Null,
    /// A list of log probabilities, emptied.
    Clear,
    /// Reasoning: a text, emptied; or that of an object, or of every element of a list.
    Blank,
    /// How many answers are asked for.
    Choices,
    /// How many tokens an answer may have.
    Tokens,
    /// How to think: a budget must stay below the most output tokens.
    Budget,
    /// JSON in base64.
    Coded(&'static Self),
    /// A text that the provider has issued.
    Issued(Spot),
}

/// A member of an object.
#[derive(Debug)]
pub struct Member {
    key: &'static str,
    /// Only where the member of this name, true or a text, is one of these.
    when: Option<(&'static str, &'static [&'static str])>,
    rule: Rule,
}

impl Shapes {
    pub const NONE: Self =
        Self { request: Rule::Nothing, answer: Rule::Nothing, event: Rule::Nothing };

    /// Whether answers hold anything that is changed.
    pub fn shape_answers(&self) -> bool {
        !matches!(self.answer, Rule::Nothing)
    }
}

pub(super) const fn at(key: &'static str, rule: Rule) -> Member {
    Member { key, when: None, rule }
}

/// The same, where the member `name` is one of `values`.
pub(super) const fn when(
    (name, values): (&'static str, &'static [&'static str]),
    key: &'static str,
    rule: Rule,
) -> Member {
    Member { key, when: Some((name, values)), rule }
}

/// What shaping has found in a body.
#[derive(Debug, Default, PartialEq)]
pub struct Shaped {
    pub deeds: Deeds,
    /// Answers asked for, before any cap; zero where the body doesn't say.
    pub choices: u32,
    /// Text that is withheld, for those who count tokens. Never shown, never kept.
    pub withheld: String,
    /// The body as it is now; none if nothing in it has changed.
    pub body: Option<Vec<u8>>,
}

impl Rule {
    /// Applies the rule to a JSON text. Time grows with the body times the rule's depth; memory with
    /// the body, and only where something is changed. Quotes nothing in errors.
    pub fn apply(&self, body: &[u8], shaping: &Shaping) -> Result<Shaped, Malformed> {
        self.edit(body, Editor::new(body, *shaping))
    }

    /// Has `binder` see every text that the provider has issued. The body as it is then; none if it is
    /// the same. Costs what [`Rule::apply`] costs.
    pub fn bind(&self, body: &[u8], binder: &mut dyn Bind) -> Result<Option<Vec<u8>>, Malformed> {
        Ok(self.edit(body, Editor::binding(body, binder))?.body)
    }

    fn edit<'a>(&self, body: &'a [u8], mut editor: Editor<'a, '_>) -> Result<Shaped, Malformed> {
        if matches!(self, Self::Nothing) {
            return Ok(Shaped::default());
        }
        let unreadable = |_| Malformed("the body can't be read as JSON".to_owned());
        let value: &RawValue = serde_json::from_slice(body).map_err(unreadable)?;
        editor.visit(self, value);
        Ok(editor.finish())
    }
}
