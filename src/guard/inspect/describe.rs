//! From a body to its features.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use http::Uri;
use http::uri::PathAndQuery;

use super::super::Room;
use super::super::bind::{Bond, Unwrapped};
use super::super::coding::Coding;
use super::super::refusal::Refusal;
use super::super::settings::Fault;
use super::body;
use crate::dialect::{Api, Dialect, Reason, json};
use crate::identity::Tag;
use crate::policy::Bodies;
use crate::signal::{self, Model, Prompt};
use crate::telemetry::FailOpen;

/// A request whose body has come whole.
pub(super) struct Task {
    pub dialect: &'static dyn Dialect,
    pub target: Uri,
    pub body: Bytes,
    /// How the body is coded, or why its head alone makes it unreadable.
    pub form: Result<Option<Coding>, Refusal>,
    pub bodies: Bodies,
    /// Where something is bound.
    pub bond: Option<Bond>,
}

pub(super) struct Described {
    pub prompt: Prompt,
    pub end_user: Option<Tag>,
    /// The model by its whole name, where the endpoint can read no other one.
    pub model: Option<Model>,
    pub unwrapped: Option<Unwrapped>,
    /// Nanoseconds that taking features needed; none when it panicked.
    pub took: Option<u64>,
}

/// Bodies of which more bytes are read on a thread of their own: reading costs some 5 ms per MiB,
/// for which other exchanges of the same worker should not wait. So are all coded ones, of which
/// nobody knows what they will come to.
pub(in crate::guard) const LONG: usize = 512 << 10;

pub(super) async fn describe(room: &Arc<Room>, task: Task) -> Result<Described, Refusal> {
    if task.body.len() <= LONG && !matches!(task.form, Ok(Some(_))) {
        return describe_now(room, task);
    }
    let room = Arc::clone(room);
    let described = tokio::task::spawn_blocking(move || describe_now(&room, task));
    described.await.unwrap_or_else(|_| Err(Reason::Malformed.into()))
}

/// Features of a body. One that can't be read in one way alone is refused, unless its tenant is
/// lenient: then it passes, read as far as it goes, and is counted.
fn describe_now(room: &Room, task: Task) -> Result<Described, Refusal> {
    let Task { dialect, target, body, form, bodies, bond } = task;
    let lenient = bodies == Bodies::Lenient;
    let mut reading = Reading { room, dialect, bond, unwrapped: None, lenient, vetted: true };
    let length = body.len();
    let described = reading.decoded(body, form).and_then(|body| reading.describe(&target, &body));
    let described = described.or_else(|refusal| {
        let unreadable =
            [Reason::Malformed, Reason::Ambiguous, Reason::TooLarge, Reason::UnsupportedEncoding];
        if !reading.lenient || !unreadable.contains(&refusal.reason) {
            return Err(refusal);
        }
        reading.vetted = false;
        let bonds = reading.unwrapped.as_ref().map(Unwrapped::bonds).unwrap_or_default();
        let prompt = Prompt { bonds, ..bare(dialect.api(), length) };
        Ok(Described { prompt, end_user: None, model: None, unwrapped: None, took: Some(0) })
    });
    if described.is_ok() && !reading.vetted {
        room.shared.telemetry.metrics.fail_open(FailOpen::UnvettedBody);
    }
    described.map(|described| Described { unwrapped: reading.unwrapped, ..described })
}

/// How a body is read, and what came of it.
struct Reading<'r> {
    room: &'r Room,
    dialect: &'static dyn Dialect,
    bond: Option<Bond>,
    /// What came of it.
    unwrapped: Option<Unwrapped>,
    lenient: bool,
    /// All of it has been read, and has one meaning.
    vetted: bool,
}

impl Reading<'_> {
    fn decoded(
        &mut self,
        body: Bytes,
        form: Result<Option<Coding>, Refusal>,
    ) -> Result<Bytes, Refusal> {
        let coding = match form {
            Ok(None) => return Ok(body),
            Ok(Some(coding)) => coding,
            // JSON by another name may be read all the same.
            Err(refusal) if self.lenient && refusal.reason == Reason::Malformed => {
                self.vetted = false;
                return Ok(body);
            }
            Err(refusal) => return Err(refusal),
        };
        let settings = self.room.shared.settings.load();
        let decoded = body::decoded(coding, &body, &settings, &self.room.buffers);
        decoded.inspect_err(|refusal| {
            if refusal.reason == Reason::Ambiguous {
                self.room.shared.telemetry.metrics.ambiguous("coding");
            }
        })
    }

    /// Vets a body, unwraps what is bound in it, and takes the features of what the endpoint will see.
    fn describe(&mut self, target: &Uri, body: &Bytes) -> Result<Described, Refusal> {
        self.unwrapped = self.caught(|reading| {
            reading.vet(body)?;
            Ok(reading.bond.take().map(|bond| bond.unwrap(body)))
        })?;
        let now = self.unwrapped.as_mut().and_then(|unwrapped| unwrapped.body.take());
        let described = self.take_features(target, now.as_deref().unwrap_or(body));
        if let Some(unwrapped) = &mut self.unwrapped {
            unwrapped.body = now;
        }
        described
    }

    /// A panic while a body is read refuses it, for nothing is forwarded unread; a panic while
    /// features are taken lets it pass unjudged.
    fn take_features(&mut self, target: &Uri, body: &[u8]) -> Result<Described, Refusal> {
        let (room, dialect) = (self.room, self.dialect);
        let shared = &room.shared;
        let whole = target.path_and_query().map_or("/", PathAndQuery::as_str);
        let request = self.caught(|_| Ok(dialect.read_call(whole, body)?))?;
        // Each line of a batch may name another model.
        let certain = self.vetted && dialect.api() != Api::AnthropicBatches;
        self.vetted &= !request.unread;
        let end_user = request.end_user.as_deref().filter(|user| !user.is_empty());
        let end_user = end_user.map(|user| shared.keyring.tag("end-user", user.as_bytes()));
        let began = shared.clock.elapsed_nanos();
        let prompt = catch_unwind(AssertUnwindSafe(|| {
            assert!(shared.settings.load().fault != Some(Fault::Panics), "injected");
            let mut prompt = signal::inspect(&request, dialect.api(), body.len(), &shared.keyring);
            if let Some(unwrapped) = &mut self.unwrapped {
                unwrapped.tell(room, &request, &mut prompt);
            }
            prompt
        }));
        let took = shared.clock.elapsed_nanos().saturating_sub(began);
        let model = Model::from(&*request.model);
        let model = Some(model).filter(|model| certain && model.as_str() == request.model);
        let (prompt, took) = match prompt {
            Ok(prompt) => (prompt, Some(took)),
            Err(_) => (bare(dialect.api(), body.len()), None),
        };
        Ok(Described { prompt, end_user, model, unwrapped: None, took })
    }

    fn caught<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let room = self.room;
        let read = catch_unwind(AssertUnwindSafe(|| read(self)));
        read.unwrap_or_else(|_| {
            room.shared.telemetry.metrics.fail_open(FailOpen::Panic);
            Err(Reason::Malformed.into())
        })
    }

    /// Passes a body that has one meaning, and where the tenant is lenient any.
    fn vet(&mut self, body: &[u8]) -> Result<(), Refusal> {
        if let Err(ambiguity) = json::vet(body) {
            self.room.shared.telemetry.metrics.ambiguous(ambiguity.label);
            if !self.lenient {
                return Err(Refusal::ambiguous(&ambiguity));
            }
            self.vetted = false;
        }
        Ok(())
    }
}

fn bare(api: Api, bytes: usize) -> Prompt {
    Prompt { api, bytes: u32::try_from(bytes).unwrap_or(u32::MAX), ..Prompt::default() }
}
