//! Shaping: what an exchange gives away is lowered, from its request to its last event.
//!
//! Rungs include those below them: what a throttled account is let through with is shaped, too.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt, Either, Full};

use super::coding::Coding;
use super::inspect::{LONG, body};
use super::observe::Watch;
use super::refusal::Refusal;
use super::rewrite::{self, is_signed};
use super::{Desk, Outbound, Room};
use crate::dialect::Api;
use crate::dialect::shape::{Deed, Deeds, Shaped, Shapes, Shaping};
use crate::engine::Verdict;
use crate::identity::AccountId;
use crate::policy::{Action, Policy};
use crate::telemetry::FailOpen;

/// Names what is shaped of an answer, or of the request for it.
const SHAPED: HeaderName = HeaderName::from_static("stillguard-shaped");

/// How one exchange is shaped.
#[derive(Debug)]
pub(super) struct Plan {
    shapes: &'static Shapes,
    shaping: Shaping,
    refuse_above: u32,
    announce: bool,
    /// If not, nothing changes, and what would have is written down.
    pub(super) carried_out: bool,
    /// What was done, or would have been.
    pub(super) deeds: Deeds,
}

impl Plan {
    /// None where the exchange passes as it is. Where a verdict is not carried out, only what would
    /// have let the exchange pass would have shaped it.
    fn of(
        policy: &Policy,
        (account, verdict): (AccountId, &Verdict),
        shapes: &'static Shapes,
    ) -> Option<Self> {
        let passes = match verdict.action {
            Action::Shape | Action::Throttle => !verdict.exempt && !verdict.cleared,
            // An account nobody knows is slowed in place of a challenge.
            Action::Challenge => verdict.enforced,
            Action::Allow | Action::Drop => false,
        };
        let shape = &policy.shape;
        passes.then(|| Self {
            shapes,
            shaping: shape.into(),
            refuse_above: shape.refuse_choices_above.get(),
            announce: shape.announce,
            // An operator's word needs no policy's.
            carried_out: verdict.enforced
                && (verdict.ruled || policy.enforces_on(Action::Shape, account)),
            deeds: Deeds::default(),
        })
    }

    /// What is to be done to the answer.
    pub(super) fn of_answer(&self) -> Option<rewrite::Shapes> {
        rewrite::Shapes::new(self.shapes, self.shaping, self.carried_out)
    }

    /// What the caller is told of: what was done to the request, and what is to the answer if that is
    /// shaped.
    pub(super) fn announced(&self, shaped: bool) -> Deeds {
        let mut announced = self.deeds;
        if shaped && self.shaping.reasoning {
            announced.add(Deed::Reasoning);
        }
        if shaped && self.shaping.logprobs {
            announced.add(Deed::Logprobs);
        }
        if self.carried_out && self.announce { announced } else { Deeds::default() }
    }
}

/// Names what was done in an answer's head.
pub(super) fn announce(deeds: Deeds, headers: &mut HeaderMap) {
    if deeds.is_empty() {
        return;
    }
    let names: Vec<_> = deeds.iter().map(Deed::name).collect();
    if let Ok(names) = HeaderValue::try_from(names.join(", ")) {
        headers.insert(SHAPED, names);
    }
}

/// Shapes a request that is let through, or refuses it; whatever comes of it is in the watch.
pub(super) async fn request<B>(
    watch: &mut Watch,
    (room, desk, verdict): (&Arc<Room>, &Desk, &Verdict),
    (head, body): (&mut Parts, Outbound<B>),
) -> Result<Outbound<B>, Refusal> {
    if verdict.action == Action::Allow {
        return Ok(body);
    }
    // Boxed: few exchanges come here, and all would carry its room.
    Box::pin(lowered(watch, (room, desk, verdict), (head, body))).await
}

async fn lowered<B>(
    watch: &mut Watch,
    (room, desk, verdict): (&Arc<Room>, &Desk, &Verdict),
    (head, body): (&mut Parts, Outbound<B>),
) -> Result<Outbound<B>, Refusal> {
    let policies = room.shared.engine.policies();
    let caller = &watch.ask().caller;
    let (policy, about) = (policies.of(&caller.tenant), (caller.account, verdict));
    let plan = desk.reader.and_then(|dialect| Plan::of(policy, about, dialect.shapes()));
    let Some(mut plan) = plan else { return Ok(body) };
    let body = match body {
        Either::Left(whole) => whole,
        unread @ Either::Right(_) => return Ok(unread),
    };
    let sent = body.collect().await.unwrap_or_else(|never| match never {}).to_bytes();
    let now = plan.shape_request(room, watch.ask().prompt.api, (head, &sent)).await;
    let refused = plan.deeds.has(Deed::Sweep) && plan.carried_out;
    let most = plan.shaping.most_choices.unwrap_or_default();
    watch.shape(plan);
    let now = if refused { Err(Refusal::sweep(most)) } else { now };
    now.map(|now| Either::Left(Full::new(now))).map_err(|refusal| watch.refused(refusal))
}

impl Plan {
    /// What is sent on in place of `sent`.
    async fn shape_request(
        &mut self,
        room: &Arc<Room>,
        api: Api,
        (head, sent): (&mut Parts, &Bytes),
    ) -> Result<Bytes, Refusal> {
        let shaped = look(room, (self.shapes, self.shaping), &head.headers, sent.clone()).await;
        let asked = shaped.as_ref().is_none_or(|shaped| shaped.deeds.has(Deed::Logprobs));
        // Nobody is told what nobody has asked for.
        self.shaping.logprobs &= asked;
        let shaped = shaped.unwrap_or_default();
        if shaped.choices > self.refuse_above {
            self.deeds.add(Deed::Sweep);
            return Ok(sent.clone());
        }
        if is_signed(api, head) {
            return Ok(sent.clone());
        }
        self.deeds = shaped.deeds;
        if !self.carried_out {
            return Ok(sent.clone());
        }
        head.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let Some(now) = shaped.body else { return Ok(sent.clone()) };
        rewrite::replace(head, &now, &room.buffers)
    }
}

/// Looks for what there is to shape in a request, decoded. None where it can't be read.
async fn look(
    room: &Arc<Room>,
    rules: (&'static Shapes, Shaping),
    headers: &HeaderMap,
    sent: Bytes,
) -> Option<Shaped> {
    let coding = Coding::of(headers.get_all(CONTENT_ENCODING)).ok()?;
    let long = coding.is_some() || sent.len() > LONG;
    let own = Arc::clone(room);
    let looked = rewrite::aside(long, move || look_now(&own, rules, coding, &sent)).await;
    looked.unwrap_or_else(|_| {
        room.shared.telemetry.metrics.fail_open(FailOpen::Panic);
        None
    })
}

fn look_now(
    room: &Room,
    (shapes, shaping): (&Shapes, Shaping),
    coding: Option<Coding>,
    sent: &Bytes,
) -> Option<Shaped> {
    let plain = match coding {
        None => sent.clone(),
        Some(coding) => {
            let settings = room.shared.settings.load();
            body::decoded(coding, sent, &settings, &room.buffers).ok()?
        }
    };
    shapes.request.apply(&plain, &shaping).ok()
}
