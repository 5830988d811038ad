//! What a provider issues, bound to whom it was issued to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Seals of thinking, and ids of tool calls, leave wrapped for their account and come back unwrapped:
/// the endpoint sees what it issued, and what was issued to others shows.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bind {
    /// What seals thinking: signatures of thinking and reasoning, thinking and reasoning that come
    /// encrypted, thought signatures.
    pub signatures: Binding,
    /// Ids of tool calls. What comes bare is never held against anyone: callers make such ids, too.
    pub tool_ids: Binding,
    /// Who may send back what an account was given.
    pub holder: Holder,
    /// What becomes of a request with something that was issued to another.
    pub foreign: Unbound,
    /// With something whose wrapping was altered, or made with a key that no longer holds.
    pub altered: Unbound,
    /// With a seal that was never wrapped, while seals are wrapped.
    pub bare: Unbound,
    /// Until then bare ones are counted alone: they may have been issued before. RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub bare_until: Option<jiff::Timestamp>,
    /// Whether they are bound to their conversation, too: to the words that it began with.
    pub conversation: Conversation,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Binding {
    /// They pass as they are.
    #[default]
    Off,
    /// What comes back wrapped is unwrapped; nothing more is wrapped. On the way from `wrap` to `off`.
    Unwrap,
    Wrap,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holder {
    /// The accounts of one organisation, where organisations are known; else the account alone.
    #[default]
    Organisation,
    Account,
}

/// What becomes of a request, mildest first.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Unbound {
    /// It passes, unwrapped as far as possible: the endpoint is the judge.
    #[default]
    Count,
    /// It passes without the thinking that the seal belongs to. An id of a call stays.
    Strip,
    /// It is refused with the API's own 400.
    Refuse,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conversation {
    #[default]
    Off,
    /// What comes back in another conversation is counted.
    Count,
    /// A request with it is refused.
    Refuse,
}

impl Bind {
    pub fn is_on(&self) -> bool {
        self.signatures != Binding::Off || self.tool_ids != Binding::Off
    }

    /// Whether anything is wrapped.
    pub fn wraps(&self) -> bool {
        self.signatures == Binding::Wrap || self.tool_ids == Binding::Wrap
    }

    /// What becomes of a request with a seal that was never wrapped.
    pub fn of_bare(&self, now: Timestamp) -> Unbound {
        let grace =
            self.bare_until.is_some_and(|until| until.as_millisecond() > now.as_millis() as i64);
        if grace || self.signatures != Binding::Wrap { Unbound::Count } else { self.bare }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_ones_are_held_against_nobody_while_there_is_grace_or_nothing_is_wrapped() {
        let until: jiff::Timestamp = "2026-12-01T00:00:00Z".parse().unwrap();
        let last = Timestamp::from_millis(until.as_millisecond() as u64 - 1);
        let after = Timestamp::from_millis(until.as_millisecond() as u64);
        let (bare, bare_until) = (Unbound::Refuse, Some(until));
        let bind = Bind { signatures: Binding::Wrap, bare, bare_until, ..Bind::default() };
        assert_eq!((bind.of_bare(last), bind.of_bare(after)), (Unbound::Count, Unbound::Refuse));
        let ending = Bind { signatures: Binding::Unwrap, ..bind };
        assert_eq!(ending.of_bare(after), Unbound::Count);
    }
}
