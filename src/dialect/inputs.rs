//! What a body gives as `prompt` or `input`: a text, tokens, or a list of either.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::found::{self, Conversation, Found};
use super::given::{Each, Given, Take};
use super::{Kind, Malformed, Request, Role};

/// A text, or a list.
pub(super) type Input<'a> = Given<'a, IgnoredAny, Each<Inputs<'a>>>;

#[derive(Debug, Default)]
pub(super) struct Inputs<'a> {
    said: Conversation<'a>,
    /// Texts, lists of tokens, and whatever else stands for one input.
    count: u32,
    /// Tokens outside a list of their own: together they are one input.
    tokens: bool,
}

/// An input of a server that takes more than text.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Rich<'a> {
    text: Given<'a>,
    prompt: Given<'a>,
}

impl<'de: 'a, 'a> Take<'de> for Inputs<'a> {
    type Item = Given<'a, Rich<'a>>;

    fn take(&mut self, item: Self::Item) {
        if matches!(item, Given::Number(_)) {
            self.tokens = true;
            return;
        }
        self.count = self.count.saturating_add(1);
        let mut found = Found::default();
        match item {
            Given::Object(rich) => {
                found.text(Kind::Text, rich.text);
                found.text(Kind::Text, rich.prompt);
            }
            Given::List(_) => found.opaque(Kind::Other),
            text => found.text(Kind::Text, text),
        }
        self.said.say(Role::User, found);
    }
}

impl<'a> Inputs<'a> {
    /// What `field` holds.
    pub(super) fn of(input: Input<'a>, field: &str) -> Result<Self, Malformed> {
        found::texts(&input, field)?;
        Ok(match input {
            Given::List(Each(inputs)) => inputs,
            Given::Null => Self::default(),
            text => {
                let mut inputs = Self { count: 1, ..Self::default() };
                let mut found = Found::default();
                found.text(Kind::Text, text);
                inputs.said.say(Role::User, found);
                inputs
            }
        })
    }

    /// Adds each input to a request, as a turn of its own, and tells how many there are.
    pub(super) fn tell(mut self, request: &mut Request<'a>) -> Result<u32, Malformed> {
        if self.tokens {
            let mut found = Found::default();
            found.opaque(Kind::Other);
            self.said.say(Role::User, found);
        }
        self.said.tell(request)?;
        Ok(self.count.saturating_add(u32::from(self.tokens)))
    }
}
