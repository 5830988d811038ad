//! Binding: what the provider issues leaves wrapped for its account, and comes back unwrapped.
//!
//! Requests are unwrapped before they are read, so that every signal sees the ids that the endpoint has
//! issued, whatever the tenant's mode. What is then done about something that was not issued to its
//! caller waits for the verdict: in shadow, and for accounts that are never acted on, it is written down.

mod keys;
mod seal;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use http::header::ACCEPT_ENCODING;
use http::request::Parts;
use http_body_util::{Either, Full};

pub use self::keys::{Keys, NotKeys, Settings};
pub(super) use self::seal::inside;
use self::seal::{Conversation, Opened, Whose};
use super::inspect::LONG;
use super::observe::Watch;
use super::refusal::Refusal;
use super::{Outbound, Room, rewrite};
use crate::dialect::shape::{Bind, Deed, Placed, Rule, Shapes, Spot};
use crate::dialect::{self, Dialect, Kind, Reason, Role};
use crate::engine::Verdict;
use crate::identity::Caller;
use crate::policy::{self, Binding, Conversation as OnMove, Mode, Policy, Unbound};
use crate::signal::{Bonds, Prompt, foreign};
use crate::telemetry::FailOpen;
use crate::time::Timestamp;

/// What it takes to unwrap one request, and to wrap its answer.
#[derive(Clone, Debug)]
pub(super) struct Bond {
    shapes: &'static Shapes,
    policy: Arc<Policy>,
    keys: Arc<Keys>,
    caller: Caller,
    now: Timestamp,
    /// The caller has signed the body: it stays as it is, and so does what is issued in return.
    signed: bool,
}

/// What unwrapping a request has come to.
#[derive(Debug)]
pub(super) struct Unwrapped {
    bond: Bond,
    /// The body as it came, decoded.
    came: Bytes,
    /// The same, unwrapped; none if nothing was wrapped.
    pub(super) body: Option<Vec<u8>>,
    bonds: Bonds,
    foreign: Vec<String>,
    conversations: Vec<Conversation>,
    conversation: Conversation,
    worst: Unbound,
}

impl Bond {
    /// None where the caller's tenant binds nothing, or the API has nothing to bind.
    pub(super) fn of(
        room: &Room,
        (policy, caller): (&Arc<Policy>, &Caller),
        dialect: &dyn Dialect,
        head: &Parts,
    ) -> Option<Self> {
        let shapes = dialect.binds();
        if !policy.bind.is_on() || matches!(shapes.request, Rule::Nothing) {
            return None;
        }
        let signed = rewrite::is_signed(dialect.api(), head);
        let settings = room.shared.settings.load();
        let keys = Arc::clone(settings.bind.keys.as_ref().unwrap_or(&room.keys));
        let (policy, caller) = (Arc::clone(policy), caller.clone());
        Some(Self { shapes, policy, keys, caller, now: room.shared.clock.now(), signed })
    }

    /// Unwraps a request's body. One that can't be read stays as it is: whoever reads it next says why.
    pub(super) fn unwrap(self, came: &Bytes) -> Unwrapped {
        let mut unwrapping = Unwrapping::new(&self, false);
        let body = self.shapes.request.bind(came, &mut unwrapping).ok().flatten();
        let Unwrapping { bonds, foreign, conversations, worst, .. } = unwrapping;
        Unwrapped {
            // A signed body passes as it came.
            body: body.filter(|_| !self.signed),
            came: came.clone(),
            bonds,
            foreign,
            conversations,
            conversation: Conversation::default(),
            worst,
            bond: self,
        }
    }

    fn binds(&self) -> &policy::Bind {
        &self.policy.bind
    }
}

impl Unwrapped {
    /// Tells the prompt's features what came back, once the request has been read.
    pub(super) fn tell(
        &mut self,
        room: &Room,
        request: &dialect::Request<'_>,
        prompt: &mut Prompt,
    ) {
        let keyring = &room.shared.keyring;
        if self.bond.binds().conversation != OnMove::Off {
            let asks = |part: &&dialect::Part<'_>| {
                part.role == Role::User && part.kind == Kind::Text && !part.text.trim().is_empty()
            };
            let began = request.parts.iter().find(asks).map(|part| part.text.trim());
            // Callers see it: no hash whose seed could be told from its values.
            let tag = began.map(|text| keyring.tag("conversation", text.as_bytes()).0.max(1));
            self.conversation = tag.unwrap_or_default().to_le_bytes();
            let elsewhere = |at: &&Conversation| **at != self.conversation;
            let moved = self.conversations.iter().filter(elsewhere).count();
            self.bonds.moved = u16::try_from(moved).unwrap_or(u16::MAX);
        }
        let ids: Vec<Cow<'_, str>> = self.foreign.iter().map(|id| id.as_str().into()).collect();
        prompt.foreign = foreign(&ids, keyring);
        prompt.bonds = self.bonds;
    }

    pub(super) fn bonds(&self) -> Bonds {
        self.bonds
    }

    /// What the tenant wants done about it.
    fn asked(&self) -> Unbound {
        let refused = self.bond.binds().conversation == OnMove::Refuse && self.bonds.moved > 0;
        match self.worst {
            _ if refused => Unbound::Refuse,
            // What is signed can't be changed.
            Unbound::Strip if self.bond.signed => Unbound::Count,
            worst => worst,
        }
    }

    /// Wraps what is issued in return; none where nothing is.
    fn wrapping(&self) -> Option<Wrapping> {
        let wraps = self.bond.binds().wraps() && !self.bond.signed;
        let (bond, conversation) = (&self.bond, self.conversation);
        wraps.then(|| Wrapping { bond: bond.clone(), conversation, wrapped: 0 })
    }

    /// The body without what was not issued to its caller.
    fn stripped(&self) -> Option<Vec<u8>> {
        let mut unwrapping = Unwrapping::new(&self.bond, true);
        self.bond.shapes.request.bind(&self.came, &mut unwrapping).ok().flatten()
    }
}

/// Does what the tenant wants done about what came back, puts the unwrapped body in place of the one
/// that came, and has what is issued in return wrapped.
pub(super) async fn settle<B>(
    watch: &mut Watch,
    (room, verdict): (&Arc<Room>, &Verdict),
    unwrapped: Option<Unwrapped>,
    (head, body): (&mut Parts, Outbound<B>),
) -> Result<Outbound<B>, Refusal> {
    let Some(mut unwrapped) = unwrapped else { return Ok(body) };
    let carried_out = unwrapped.bond.policy.mode == Mode::Enforce && !verdict.exempt;
    match unwrapped.asked() {
        Unbound::Count => {}
        Unbound::Strip => {
            watch.note(Deed::Unsealed, carried_out);
            if carried_out {
                let long = unwrapped.came.len() > LONG;
                let strip = move || Unwrapped { body: unwrapped.stripped(), ..unwrapped };
                let stripped = rewrite::aside(long, strip).await;
                unwrapped = stripped.map_err(|_| {
                    room.shared.telemetry.metrics.fail_open(FailOpen::Panic);
                    watch.refused(Reason::Malformed.into())
                })?;
            }
        }
        Unbound::Refuse => {
            watch.note(Deed::Unbound, carried_out);
            if carried_out {
                let Bonds { foreign, altered, bare, moved, retired, .. } = unwrapped.bonds;
                let only_old = retired > 0 && [foreign, altered, bare, moved] == [0; 4];
                return Err(watch.refused(Refusal::unbound(only_old)));
            }
        }
    }
    if let Some(wrapping) = unwrapped.wrapping() {
        head.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        watch.wrap(wrapping);
    }
    let Some(now) = unwrapped.body else { return Ok(body) };
    let now = rewrite::replace(head, &now, &room.buffers).map_err(|why| watch.refused(why))?;
    Ok(Either::Left(Full::new(now)))
}

/// Looks at what came back in one request.
struct Unwrapping<'b> {
    bond: &'b Bond,
    /// What is to be stripped goes.
    strips: bool,
    bonds: Bonds,
    /// What was issued to others, as it was issued.
    foreign: Vec<String>,
    /// The conversations of what is the caller's own.
    conversations: Vec<Conversation>,
    worst: Unbound,
}

impl<'b> Unwrapping<'b> {
    /// Foreign ones that are remembered, and conversations: more say no more.
    const MOST: usize = Prompt::MAX_IDS;

    fn new(bond: &'b Bond, strips: bool) -> Self {
        let (foreign, conversations) = (Vec::new(), Vec::new());
        let (bonds, worst) = (Bonds::default(), Unbound::Count);
        Self { bond, strips, bonds, foreign, conversations, worst }
    }

    fn opened(&mut self, spot: Spot, opened: Opened) -> Placed {
        let Opened { text, whose, conversation } = opened;
        let Bonds { verified, foreign, altered, retired, .. } = &mut self.bonds;
        let binds = &self.bond.policy.bind;
        let (count, what) = match whose {
            Whose::Own => (verified, Unbound::Count),
            Whose::Kin if binds.holder == policy::Holder::Organisation => {
                (verified, Unbound::Count)
            }
            Whose::Kin | Whose::Foreign => (foreign, binds.foreign),
            Whose::Altered => (altered, binds.altered),
            Whose::Retired => (retired, binds.altered),
        };
        *count = count.saturating_add(1);
        if whose == Whose::Own && conversation != [0; 8] && self.conversations.len() < Self::MOST {
            self.conversations.push(conversation);
        }
        if whose == Whose::Foreign && self.foreign.len() < Self::MOST {
            self.foreign.extend(text.clone());
        }
        self.placed(spot, what, text)
    }

    fn placed(&mut self, spot: Spot, what: Unbound, text: Option<String>) -> Placed {
        // The id of a call has to stay: its answer belongs to it.
        let what = if spot == Spot::Call && what == Unbound::Strip { Unbound::Count } else { what };
        self.worst = self.worst.max(what);
        if self.strips && what == Unbound::Strip {
            return Placed::Gone;
        }
        text.map_or(Placed::Same, Placed::Other)
    }
}

impl Bind for Unwrapping<'_> {
    fn place(&mut self, spot: Spot, text: &str) -> Placed {
        let Bond { keys, caller, .. } = self.bond;
        let binds = &self.bond.policy.bind;
        if spot == Spot::Call {
            let opened =
                (binds.tool_ids != Binding::Off).then(|| seal::open_call(keys, caller, text));
            return opened.flatten().map_or(Placed::Same, |opened| self.opened(spot, opened));
        }
        if binds.signatures == Binding::Off || text.is_empty() {
            return Placed::Same;
        }
        if let Some(opened) = seal::open(keys, caller, text) {
            return self.opened(spot, opened);
        }
        if self.bond.signed {
            return Placed::Same;
        }
        self.bonds.bare = self.bonds.bare.saturating_add(1);
        self.placed(spot, binds.of_bare(self.bond.now), None)
    }
}

/// Wraps what one answer issues.
#[derive(Debug)]
pub(super) struct Wrapping {
    bond: Bond,
    conversation: Conversation,
    /// Wrapped so far.
    pub(super) wrapped: u32,
}

impl Wrapping {
    pub(super) fn shapes(&self) -> &'static Shapes {
        self.bond.shapes
    }
}

impl Bind for Wrapping {
    fn place(&mut self, spot: Spot, text: &str) -> Placed {
        let Bond { keys, caller, .. } = &self.bond;
        let binds = self.bond.binds();
        let wraps = |binding| binding == Binding::Wrap && !text.is_empty();
        let now = match spot {
            Spot::Call if wraps(binds.tool_ids) => {
                let shared = binds.holder == policy::Holder::Organisation;
                seal::wrap_call(keys.first(), caller, text, shared)
            }
            Spot::Signature(alphabet) | Spot::Loose(alphabet) if wraps(binds.signatures) => {
                seal::wrap(keys.first(), caller, (text, alphabet), self.conversation)
            }
            _ => return Placed::Same,
        };
        self.wrapped = self.wrapped.saturating_add(1);
        Placed::Other(now)
    }
}
