//! What a provider issues and its callers send back, and who says what stands in its place.

/// What stands in a place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Spot {
    /// What seals thinking: opaque to everyone but the provider, in base64 of this alphabet. In a
    /// request, it goes with the list's element that it seals.
    Signature(Alphabet),
    /// The same, where what it seals may stay without it: null in its place.
    Loose(Alphabet),
    /// The id of a call that the model makes and its caller answers.
    Call,
}

/// Which two characters base64 has beside letters and digits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Alphabet {
    /// `+` and `/`.
    Standard,
    /// `-` and `_`.
    Url,
}

/// Says what stands in place of what a provider has issued.
pub trait Bind {
    fn place(&mut self, spot: Spot, text: &str) -> Placed;
}

/// What stands in a place from now on.
#[derive(Debug, PartialEq)]
pub enum Placed {
    Same,
    /// Another text, of base64 characters or whatever the first was made of.
    Other(String),
    /// Nothing: it goes, as its [`Spot`] says.
    Gone,
}
