//! What readers of both directions gather: pieces of text and the provider's ids beside them.

use std::borrow::Cow;

use super::given::Given;
use super::{Delta, Kind, Malformed, Part, Request, Role};

#[derive(Debug, Default)]
pub(super) struct Found<'a> {
    pub(super) pieces: Vec<(Kind, Cow<'a, str>)>,
    pub(super) ids: Vec<Cow<'a, str>>,
}

impl<'a> Found<'a> {
    /// Keeps text, unless there is none.
    pub(super) fn text<O, L>(&mut self, kind: Kind, text: Given<'a, O, L>) {
        self.pieces.extend(text.text().filter(|text| !text.is_empty()).map(|text| (kind, text)));
    }

    /// Notes content that has no text we could read.
    pub(super) fn opaque(&mut self, kind: Kind) {
        self.pieces.push((kind, Cow::default()));
    }

    pub(super) fn id<O, L>(&mut self, id: Given<'a, O, L>) {
        self.ids.extend(id.text().filter(|id| !id.is_empty()));
    }

    /// Takes over `other`, its plain text as `kind`.
    pub(super) fn append(&mut self, other: Self, kind: Kind) {
        let renamed = |(given, text)| (if given == Kind::Text { kind } else { given }, text);
        self.pieces.extend(other.pieces.into_iter().map(renamed));
        self.ids.extend(other.ids);
    }

    /// Adds everything to a request, as its system prompt.
    pub(super) fn instruct(self, request: &mut Request<'a>) {
        let part = |(kind, text)| Part { turn: 0, role: Role::System, kind, text };
        request.parts.extend(self.pieces.into_iter().map(part));
        request.presented.extend(self.ids);
    }

    /// Adds everything to a delta, as output.
    pub(super) fn issue(self, delta: &mut Delta<'a>) {
        delta.pieces.extend(self.pieces);
        delta.issued.extend(self.ids);
    }
}

/// The messages of a request, read one by one.
#[derive(Debug, Default)]
pub(super) struct Conversation<'a> {
    parts: Vec<Part<'a>>,
    ids: Vec<Cow<'a, str>>,
    /// Index of the next message.
    next: u32,
    /// What is wrong with something in the list.
    stray: Option<&'static str>,
}

impl<'a> Conversation<'a> {
    /// Takes the next message. What a tool gave back is the tool's, whoever sends it.
    pub(super) fn say(&mut self, role: Role, found: Found<'a>) {
        let turn = self.next;
        let part = |(kind, text)| {
            let role = if kind == Kind::ToolResult { Role::Tool } else { role };
            Part { turn, role, kind, text }
        };
        self.parts.extend(found.pieces.into_iter().map(part));
        self.ids.extend(found.ids);
        self.next = self.next.saturating_add(1);
    }

    /// Takes a piece of the answer before: what a model says between two turns of its caller is one
    /// turn, however many pieces of it come back.
    pub(super) fn go_on(&mut self, found: Found<'a>) {
        let within = self.parts.last().is_some_and(|last| {
            last.role == Role::Assistant && last.turn.saturating_add(1) == self.next
        });
        self.next -= u32::from(within);
        self.say(Role::Assistant, found);
    }

    /// Something in the list is not what it must be, as `why` tells.
    pub(super) fn stray(&mut self, why: &'static str) {
        self.stray = Some(why);
    }

    /// Adds all messages to a request.
    pub(super) fn tell(self, request: &mut Request<'a>) -> Result<(), Malformed> {
        if let Some(why) = self.stray {
            return Err(Malformed(why.to_owned()));
        }
        self.told(request);
        Ok(())
    }

    /// The same, where the caller has looked for strays.
    pub(super) fn told(self, request: &mut Request<'a>) {
        let shift = request.parts.last().map_or(0, |part| part.turn.saturating_add(1));
        let shifted = |part: Part<'a>| Part { turn: part.turn.saturating_add(shift), ..part };
        request.parts.extend(self.parts.into_iter().map(shifted));
        request.presented.extend(self.ids);
    }
}

/// Why an element of a list is refused.
pub(super) const NO_MESSAGE: &str = "every element of `messages` must be an object";
pub(super) const NO_CONTENT: &str = "every `content` must be a string or an array";

/// Reads a body as an object, quoting nothing of it in errors.
pub(super) fn object<'a, O: serde::Deserialize<'a>>(body: &'a [u8]) -> Result<O, Malformed> {
    let given: Given<'a, O> = serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Malformed(format!("the body can't be read as JSON (line {line}, column {column})"))
    })?;
    given.object().ok_or_else(|| Malformed("the body must be a JSON object".to_owned()))
}

/// The value of `field`, which must be of the type that `wanted` names.
pub(super) fn required<T>(given: Option<T>, field: &str, wanted: &str) -> Result<T, Malformed> {
    given.ok_or_else(|| Malformed(format!("`{field}` is required and must be {wanted}")))
}

/// Refuses a field of a type that it can't have: there could be words in it that we don't read.
pub(super) fn texts<O, L>(given: &Given<'_, O, L>, field: &str) -> Result<(), Malformed> {
    let wanted = || Malformed(format!("`{field}` must be a string or an array"));
    given.is_texts().then_some(()).ok_or_else(wanted)
}

/// A model's name. Servers of a single model, and routes that name it, let it be left out: then it
/// reads as empty.
pub(super) fn model(given: Given<'_>) -> Result<Cow<'_, str>, Malformed> {
    if given.is_null() {
        return Ok(Cow::default());
    }
    given.text().ok_or_else(|| Malformed("`model` must be a string".to_owned()))
}

/// The first text that is not empty.
pub(super) fn first<'a>(given: [Given<'a>; 2]) -> Option<Cow<'a, str>> {
    given.into_iter().filter_map(Given::text).find(|text| !text.is_empty())
}
