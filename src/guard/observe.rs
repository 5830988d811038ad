//! What was given away: the answer, watched on its way out, and learnt from however it ends.

mod body;
mod reading;
mod spoken;
mod slow;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, Response, StatusCode};
use http_body::Body;

pub use self::body::Observed;
use self::reading::Reading;
use self::slow::Slow;
use super::Shared;
use super::bind::{self, Wrapping};
use super::limit::Pass;
use super::refusal::Refusal;
use super::rewrite::{self, Rewriter, Work};
use super::settings::Settings;
use super::shape::{self, Plan};
use crate::dialect::shape::{Deed, Deeds};
use crate::dialect::{Api, Dialect, Framing, Reason};
use crate::signal::{Answer, Ask, Completion, Ending, Exchange};
use crate::telemetry::{FailOpen, Stage};

/// How a stream ends before its end: how much of its last chunk passes, and what is said then.
#[derive(Debug)]
struct LastWords {
    keep: usize,
    frame: Option<Bytes>,
}

/// One exchange from its verdict to its end. Whatever happens to it, it is reported once: at the
/// latest when it is dropped, which is how a caller who leaves shows.
#[derive(Debug)]
pub(super) struct Watch {
    shared: Arc<Shared>,
    exchange: Exchange,
    reported: bool,
    reading: Reading,
    /// Bytes of the answer passed on, those received meanwhile over a socket, and how many of the
    /// answer there will be where the head says so.
    passed: u64,
    received: u64,
    expected: Option<u64>,
    pass: Option<Pass>,
    plan: Option<Box<Plan>>,
    wrapping: Option<Wrapping>,
    rewriter: Option<Box<Rewriter>>,
    /// What binding has done to the request, and what it would have.
    done: Deeds,
    would_do: Deeds,
}

impl Watch {
    /// Until an answer begins, the exchange's status is 0. Boxed: an answer with its body is moved a
    /// dozen times on its way out, and two kilobytes with it would be what a small one costs most.
    pub(super) fn new(shared: Arc<Shared>, ask: Ask) -> Box<Self> {
        let exchange = Exchange {
            ended: ask.at,
            ask,
            ending: Ending::Cancelled,
            status: 0,
            completion: Completion::default(),
        };
        Box::new(Self {
            shared,
            exchange,
            reported: false,
            reading: Reading::default(),
            passed: 0,
            received: 0,
            expected: None,
            pass: None,
            plan: None,
            wrapping: None,
            rewriter: None,
            done: Deeds::default(),
            would_do: Deeds::default(),
        })
    }

    pub(super) fn ask(&self) -> &Ask {
        &self.exchange.ask
    }

    /// Keeps `pass` until the exchange has ended.
    pub(super) fn hold(&mut self, pass: Pass) {
        self.pass = Some(pass);
    }

    /// Has the answer shaped by `plan`.
    pub(super) fn shape(&mut self, plan: Plan) {
        self.plan = Some(Box::new(plan));
    }

    /// Has what the answer issues wrapped.
    pub(super) fn wrap(&mut self, wrapping: Wrapping) {
        self.wrapping = Some(wrapping);
    }

    /// Notes what was done to the request; or, where it is not carried out, would have been.
    pub(super) fn note(&mut self, deed: Deed, carried_out: bool) {
        if carried_out { self.done.add(deed) } else { self.would_do.add(deed) }
    }

    /// Whether the answer's bytes are others than the endpoint's, and its end therefore later.
    fn is_changed(&self) -> bool {
        let goes_on = |it: &Rewriter| it.changes() && (!it.ended || it.after.is_some());
        self.rewriter.as_deref().is_some_and(goes_on)
    }

    /// What the answer passes through, where it is changed.
    fn rewriter(&mut self) -> Option<&mut Rewriter> {
        self.rewriter.as_deref_mut().filter(|rewriter| rewriter.changes())
    }

    /// What looks on, where the answer stays the same.
    fn looker(&mut self) -> Option<&mut Rewriter> {
        self.rewriter.as_deref_mut().filter(|rewriter| !rewriter.changes())
    }

    /// Tells the caller of its limits, beside what the endpoint says of its own.
    pub(super) fn tell(&self, dialect: &dyn Dialect, headers: &mut HeaderMap) {
        let clock = self.shared.clock;
        let now = (clock.elapsed_nanos(), clock.now());
        if let Some(told) = self.pass.as_ref().and_then(|pass| pass.told(now)) {
            told.tell(dialect, now.1, false, headers);
        }
    }

    pub(super) fn refused(&mut self, refusal: Refusal) -> Refusal {
        self.exchange.status = refusal.status().as_u16();
        self.report(Ending::Refused);
        refusal
    }

    pub(super) fn failed(&mut self, refusal: Refusal) -> Refusal {
        self.exchange.status = refusal.status().as_u16();
        self.report(Ending::Failed);
        refusal
    }

    /// Goes with the answer's body from here on.
    pub(super) fn observe<R>(
        mut self: Box<Self>,
        answer: Response<R>,
        reader: Option<(&'static dyn Dialect, Framing)>,
    ) -> Response<Observed<R>>
    where
        R: Body<Data = Bytes>,
    {
        self.exchange.status = answer.status().as_u16();
        self.expected = answer.body().size_hint().exact();
        let settings = self.shared.settings.load_full();
        let (mut head, body) = answer.into_parts();
        let wraps = self.wrapping.is_some();
        self.meet(&mut head, reader.map(|(_, framing)| framing), &settings);
        self.guarded(|watch| {
            let answer = || {
                let answer = watch.answer();
                if wraps { answer.with_own_ids(bind::inside) } else { answer }
            };
            watch.reading = Reading::start(reader, &head, &settings, answer)?;
            Ok(())
        });
        if body.is_end_stream() {
            self.report(Ending::Complete);
        }
        let rate = self.pass.as_ref().and_then(Pass::stream_rate);
        let slow = rate.filter(|_| self.reading.streamed().is_some()).map(Slow::new);
        Response::from_parts(head, Observed::new(body, self, slow))
    }

    /// Gets ready to change the answer, and corrects its head where the body will be another.
    fn meet(&mut self, head: &mut Parts, framing: Option<Framing>, settings: &Settings) {
        let shapes = self.plan.as_ref().and_then(|plan| plan.of_answer());
        let work = Work { shapes, wrapping: self.wrapping.take() };
        let wraps = work.wrapping.as_ref().is_some_and(|it| it.shapes().shape_answers());
        let start = |framing| Rewriter::start(work, framing, head, settings).map(Box::new);
        self.rewriter = framing.and_then(start);
        if wraps && self.rewriter.is_none() && head.status.is_success() {
            self.shared.telemetry.metrics.unwrapped(self.exchange.ask.prompt.api);
        }
        if self.rewriter().is_some() {
            rewrite::loosen(&mut head.headers);
            self.expected = None;
        }
        let shaped = self.rewriter.as_deref().is_some_and(Rewriter::shapes);
        let mut told = self.plan.as_ref().map(|it| it.announced(shaped)).unwrap_or_default();
        if !self.done.is_empty() && self.announces() {
            told.join(self.done);
        }
        shape::announce(told, &mut head.headers);
    }

    /// Whether the tenant wants its callers told of what is changed.
    fn announces(&self) -> bool {
        let policies = self.shared.engine.policies();
        policies.of(&self.exchange.ask.caller.tenant).shape.announce
    }

    /// The answer is a switch of protocols: it has only begun.
    pub(super) fn switched(&mut self, status: StatusCode) {
        self.exchange.status = status.as_u16();
        if self.exchange.ask.prompt.api == Api::OpenaiRealtime {
            self.guarded(|watch| {
                watch.reading = Reading::socket(watch.answer());
                Ok(())
            });
        }
    }

    /// Reads what went to the caller over a socket, and charges the responses that have ended in it.
    /// True when its account has nothing left.
    pub(super) fn spoke(&mut self, bytes: &[u8]) -> bool {
        let now = (self.shared.clock.elapsed_nanos(), self.shared.clock.now());
        let mut spent = None;
        self.guarded(|watch| {
            spent = watch.reading.hear(bytes);
            Ok(())
        });
        let (Some((usage, first)), Some(pass)) = (spent, &mut self.pass) else { return false };
        pass.charge(usage, first, now)
    }

    fn answer(&self) -> Answer {
        let answer = Answer::new(&self.exchange.ask.prompt, self.shared.keyring.clone());
        answer.with_rates(self.shared.engine.rates())
    }

    /// The endpoint has shown, though the exchange goes on, that it accepts the caller.
    pub(super) fn accepted(&mut self) {
        if self.exchange.ask.prompt.api == Api::Other {
            return;
        }
        self.guarded(|Self { shared, exchange, .. }| {
            shared.telemetry.decisions.accepted(exchange.ask.id, shared.clock.now());
            shared.engine.accept(&exchange.ask);
            Ok(())
        });
    }

    /// Ends an exchange whose bytes were passed on elsewhere.
    pub(super) fn closed(mut self: Box<Self>, received: u64, sent: u64, ending: Ending) {
        self.passed = sent;
        self.received = received;
        self.report(ending);
    }

    /// Reads a chunk that is about to be passed on, and says how to end a stream that has reached
    /// its cap.
    fn passing(&mut self, chunk: &[u8], ended: bool) -> Option<LastWords> {
        let began = self.shared.clock.elapsed_nanos();
        self.passed += chunk.len() as u64;
        let mut last = None;
        self.guarded(|watch| {
            watch.withhold();
            if let Some(looker) = watch.looker() {
                // What it gives is nobody's.
                let _ = looker.take(chunk);
            }
            watch.reading.take(chunk)?;
            last = watch.overrun(chunk.len(), began).filter(|_| !ended);
            Ok(())
        });
        if let Some(last) = &last {
            self.passed -= (chunk.len() - last.keep) as u64;
        }
        let spent = self.shared.clock.elapsed_nanos().saturating_sub(began);
        self.shared.telemetry.metrics.overhead(Stage::Stream, spent);
        last
    }

    /// Counts what does not pass, and looks at what would not.
    fn withhold(&mut self) {
        let texts = self.rewriter().map(Rewriter::take_withheld).unwrap_or_default();
        texts.iter().for_each(|text| self.reading.withhold(text));
    }

    /// How to end a stream that has given away more than there was, once it stands between two
    /// events. None: it may go on, for now.
    fn overrun(&mut self, chunk: usize, now: u64) -> Option<LastWords> {
        let cap = self.pass.as_mut()?.cap.as_mut()?;
        let output = self.reading.streamed()?;
        if self.reading.saw_last() || !cap.is_reached(output, (now, self.shared.clock.now())) {
            return None;
        }
        match self.reading.since_event() {
            Some(since) if since > chunk => None,
            Some(since) => Some(self.last_words(chunk - since, &Refusal::overrun())),
            None => Some(LastWords { keep: chunk, frame: None }),
        }
    }

    /// What a stream still says that its endpoint has broken off. Only between two events: half an
    /// event must not be taken for a whole one.
    fn broken_off(&mut self) -> Option<LastWords> {
        let mut last = None;
        self.guarded(|watch| {
            let stands = watch.reading.since_event() == Some(0) && !watch.reading.saw_last();
            last = stands.then(|| watch.last_words(0, &Reason::UpstreamFailed.into()));
            Ok(())
        });
        last
    }

    fn last_words(&self, keep: usize, refusal: &Refusal) -> LastWords {
        let reference = self.exchange.ask.id.to_string();
        // Nothing fits into an answer that has said how long it is.
        let frame = self.reading.last_words(refusal, &reference);
        LastWords { keep, frame: frame.filter(|_| self.expected.is_none()) }
    }

    /// Whether all of the answer has been passed on, though its body may not have said so: servers
    /// drop a body once its declared length is out, clients leave once they have seen the last
    /// event.
    fn is_whole(&self) -> bool {
        self.expected == Some(self.passed) || self.reading.saw_last()
    }

    /// Reads; when that fails, the answer goes on unread and the failure is counted.
    fn guarded(&mut self, read: impl FnOnce(&mut Self) -> Result<(), reading::Unreadable>) {
        let outcome = catch_unwind(AssertUnwindSafe(|| read(self)));
        let why = match outcome {
            Ok(Ok(())) => return,
            Ok(Err(reading::Unreadable)) => FailOpen::UnreadableAnswer,
            Err(_) => FailOpen::Panic,
        };
        self.reading = Reading::default();
        self.shared.telemetry.metrics.fail_open(why);
    }

    /// Ends the exchange, once.
    fn report(&mut self, ending: Ending) {
        if std::mem::replace(&mut self.reported, true) {
            return;
        }
        if let Some(looker) = self.looker().filter(|_| ending == Ending::Complete) {
            looker.finish();
        }
        self.guarded(|watch| {
            watch.withhold();
            let reading = std::mem::take(&mut watch.reading);
            watch.exchange.completion = reading.finish(ending == Ending::Complete)?;
            Ok(())
        });
        self.exchange.completion.bytes = self.passed;
        self.exchange.completion.received = self.received;
        self.tell_changes();
        self.exchange.ending = ending;
        self.exchange.ended = self.shared.clock.now();
        if let Some(pass) = self.pass.take() {
            pass.settle(&self.exchange, self.shared.clock.elapsed_nanos());
        }
        self.guarded(|watch| {
            watch.shared.telemetry.decisions.ended(&watch.exchange);
            watch.shared.telemetry.metrics.ended(&watch.exchange);
            watch.shared.engine.learn(&watch.exchange);
            Ok(())
        });
    }
}

impl Watch {
    /// Writes down what was changed, and what would have been.
    fn tell_changes(&mut self) {
        let Completion { shaped, would_shape, wrapped, .. } = &mut self.exchange.completion;
        (*shaped, *would_shape) = (self.done, self.would_do);
        let rewriter = self.rewriter.take();
        if let Some(plan) = self.plan.take() {
            let deeds = if plan.carried_out { shaped } else { would_shape };
            deeds.join(plan.deeds);
            deeds.join(rewriter.as_ref().map(|rewriter| rewriter.deeds()).unwrap_or_default());
        }
        let (count, missed) = rewriter.map_or((0, false), |rewriter| rewriter.wrapped());
        *wrapped = count;
        if missed {
            self.shared.telemetry.metrics.unwrapped(self.exchange.ask.prompt.api);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let ending = if self.is_whole() { Ending::Complete } else { Ending::Cancelled };
        self.report(ending);
    }
}

#[cfg(test)]
mod tests;
