//! One exchange's journey, as one tower layer around any inference service.

mod settings;
mod coding;
mod inspect;
mod assess;
mod enforce;
mod throttle;
mod budget;
mod limit;
mod cap;
mod challenge;
mod bind;
mod shape;
mod rewrite;
mod observe;
mod records;
mod socket;
mod refusal;
#[cfg(fuzzing)]
pub mod fuzz;

use std::convert::Infallible;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{Either, Full};
use tokio::sync::Semaphore;
use tower::{Layer, Service, ServiceExt};

pub use self::bind::{Keys as BindKeys, NotKeys, Settings as BindSettings};
use self::challenge::Challenges;
pub use self::challenge::{
    Attempt, BaseUrl, NotABaseUrl, NotAWebhookUrl, Notice, Notices, Secret,
    Settings as ChallengeSettings, WeakSecret, Webhook, WebhookUrl, solve_puzzles,
};
pub use self::coding::Coding;
use self::inspect::Inspected;
pub use self::observe::Observed;
use self::observe::Watch;
pub use self::records::Records;
use self::refusal::Refusal;
pub use self::refusal::respond;
#[doc(hidden)]
pub use self::settings::Fault;
pub use self::settings::Settings;
pub use self::socket::Socket;
use crate::dialect::{self, Dialect, Framing};
use crate::engine::Engine;
use crate::engine::memory::Remember;
use crate::identity::{Identifier, Identity, Keyring, Peer};
use crate::signal::{Ask, ExchangeId, Trial};
use crate::telemetry::{FailOpen, Stage, Telemetry};
use crate::time::Clock;

/// The layer: wraps any inference service. Cheap to clone; make one per process, since spent
/// challenges and the budget of buffered bodies live in it.
#[derive(Clone, Debug)]
pub struct GuardLayer {
    room: Arc<Room>,
}

/// What every exchange on every worker shares.
#[derive(Debug)]
pub struct Shared {
    pub settings: ArcSwap<Settings>,
    pub identifier: ArcSwap<Identifier>,
    pub records: Records,
    pub engine: Arc<Engine>,
    pub telemetry: Arc<Telemetry>,
    pub keyring: Keyring,
    pub clock: Clock,
}

/// What is shared, and what the guard itself remembers.
#[derive(Debug)]
struct Room {
    shared: Arc<Shared>,
    /// KiB of request bodies that may yet be buffered.
    buffers: Arc<Semaphore>,
    challenges: Arc<Challenges>,
    /// What binds where the settings hold no keys.
    keys: Arc<BindKeys>,
    exchanges: AtomicU64,
}

impl GuardLayer {
    pub fn new(shared: Arc<Shared>) -> Self {
        let kib = shared.settings.load().max_buffered >> 10;
        let buffers = Arc::new(Semaphore::new(kib.clamp(1, Semaphore::MAX_PERMITS)));
        let challenges = Arc::new(Challenges::new(&shared.keyring, shared.clock));
        let keys = Arc::new(BindKeys::own(&shared.keyring));
        let exchanges = AtomicU64::new(0);
        Self { room: Arc::new(Room { shared, buffers, challenges, keys, exchanges }) }
    }

    /// What is to be told to the operator's own verification, for whoever delivers it. Once; where
    /// nobody takes it, notices are dropped and counted.
    pub fn notices(&self) -> Option<Notices> {
        let queue = self.room.challenges.notices()?;
        Some(Notices { queue, shared: Arc::clone(&self.room.shared) })
    }

    /// What the guard itself remembers beyond the process: open and spent challenges.
    pub fn memory(&self) -> Arc<dyn Remember> {
        Arc::clone(&self.room.challenges) as Arc<dyn Remember>
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard { inner, room: Arc::clone(&self.room) }
    }
}

/// A guarded inference service.
///
/// A request's extensions may carry the connection's [`Peer`]; the inner service finds the
/// exchange's [`Identity`] and [`TenantName`](crate::identity::TenantName) in them, the
/// [`Model`](crate::signal::Model) of a request that was read and names one alone, and its [`Socket`]
/// where another protocol is asked for. Deadlines of the endpoint are the inner service's own; every other wait ends by the guard's settings.
#[derive(Clone, Debug)]
pub struct Guard<S> {
    inner: S,
    room: Arc<Room>,
}

/// The body handed to the inner service: read and vetted whole, or passed through unread.
pub type Outbound<B> = Either<Full<Bytes>, B>;

/// The body handed to the caller: our own words, or the endpoint's answer as it comes.
pub type Answer<R> = Either<Full<Bytes>, Observed<R>>;

/// Why the inner service gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// Nothing was forwarded: the endpoint could not be reached.
    #[error("the endpoint could not be reached: {0}")]
    Unreachable(String),
    /// The endpoint closed or broke off before its answer began.
    #[error("the endpoint broke off before answering: {0}")]
    Broken(String),
    #[error("the endpoint did not answer within {0:?}")]
    Timeout(std::time::Duration),
    /// The caller's own body failed while it was passed on.
    #[error("the request body broke off: {0}")]
    Body(String),
    #[error("too many exchanges are waiting for the endpoint")]
    Overloaded,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl<S, B, R> Service<Request<B>> for Guard<S>
where
    S: Service<Request<Outbound<B>>, Response = Response<R>, Error = UpstreamError>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    R: Body<Data = Bytes>,
{
    type Response = Response<Answer<R>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    /// Always ready: the inner service is waited for inside the exchange, where its failure has
    /// a caller to be told.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (inner, room) = (self.inner.clone(), Arc::clone(&self.room));
        Box::pin(async move {
            if challenge::owns(request.uri().path()) {
                // Boxed: few exchanges come here, and all would carry its room.
                let answer = Box::pin(room.answer_challenge(request)).await;
                return Ok(answer.map(Either::Left));
            }
            let desk = room.open(&request);
            let response = journey(&room, &desk, inner, request).await;
            Ok(response.unwrap_or_else(|refusal| desk.refuse(&room, &refusal).map(Either::Left)))
        })
    }
}

/// The journey itself: each step is a stage of the table in `lib.rs`, in its order.
async fn journey<S, B, R>(
    room: &Arc<Room>,
    desk: &Desk,
    inner: S,
    request: Request<B>,
) -> Result<Response<Answer<R>>, Refusal>
where
    S: Service<Request<Outbound<B>>, Response = Response<R>, Error = UpstreamError>,
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
    R: Body<Data = Bytes>,
{
    let shared = &room.shared;
    let (mut head, body) = request.into_parts();

    // identify
    let mut identity = room.identify(&head)?;

    // inspect
    let Inspected { prompt, body, end_user, model, unwrapped, took, waited } =
        inspect::inspect(room, (&mut head, body), desk.reader, &identity.caller).await?;
    identity.caller.end_user = identity.caller.end_user.or(end_user);

    // assess
    let ask = Ask { id: desk.id, at: shared.clock.now(), caller: identity.caller.clone(), prompt };
    let verdict = assess::assess(room, &ask, took);

    // enforce
    let mut watch = Watch::new(Arc::clone(shared), ask);
    let pass = enforce::enforce(room, watch.ask(), &verdict, &head);
    let pass = pass.map_err(|refusal| watch.refused(refusal))?;
    let body = bind::settle(&mut watch, (room, &verdict), unwrapped, (&mut head, body)).await?;
    let body = shape::request(&mut watch, (room, desk, &verdict), (&mut head, body)).await?;
    watch.hold(pass);

    // forward
    head.extensions.insert(identity.caller.tenant.clone());
    model.and_then(|model| head.extensions.insert(model));
    head.extensions.insert(identity);
    let socket = Socket::offer(&mut head);
    shared.telemetry.metrics.overhead(Stage::Before, desk.elapsed(room).saturating_sub(waited));
    let answer = inner.oneshot(Request::from_parts(head, body)).await;
    let mut answer = answer.map_err(|error| watch.failed(Refusal::from(&error)))?;

    // observe, and learn when the answer's body has ended
    let arrived = shared.clock.elapsed_nanos();
    watch.tell(desk.speaker, answer.headers_mut());
    let mut answer = match socket {
        Some(socket) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => {
            watch.switched(answer.status());
            socket.take(watch);
            answer.map(|_empty| Either::Left(Full::default()))
        }
        _ => watch.observe(answer, desk.reading()).map(Either::Right),
    };
    answer.headers_mut().insert(refusal::REQUEST_ID, desk.reference());
    let after = shared.clock.elapsed_nanos().saturating_sub(arrived);
    shared.telemetry.metrics.overhead(Stage::After, after);
    Ok(answer)
}

/// What is known of an exchange before anything in it has been looked at.
#[derive(Debug)]
struct Desk {
    id: ExchangeId,
    /// The dialect that reads the route, if one does.
    reader: Option<&'static dyn Dialect>,
    /// How that dialect would divide a streamed answer.
    framing: Framing,
    /// The dialect that words refusals.
    speaker: &'static dyn Dialect,
    /// Nanoseconds of the guard's clock.
    began: u64,
}

impl Desk {
    fn refuse(&self, room: &Room, refusal: &Refusal) -> Response<Full<Bytes>> {
        room.shared.telemetry.metrics.refused(refusal.reason);
        let now = room.shared.clock.now();
        refusal.respond(self.speaker, &self.id.to_string(), Some(now))
    }

    /// What reads the answer, if anything does, and how it would be divided.
    fn reading(&self) -> Option<(&'static dyn Dialect, Framing)> {
        self.reader.map(|dialect| (dialect, self.framing))
    }

    fn reference(&self) -> HeaderValue {
        let text = HeaderValue::try_from(self.id.to_string());
        text.unwrap_or_else(|_| HeaderValue::from_static("sg_"))
    }

    /// Nanoseconds since the exchange began.
    fn elapsed(&self, room: &Room) -> u64 {
        room.shared.clock.elapsed_nanos().saturating_sub(self.began)
    }
}

impl Room {
    /// Begins an exchange. Its id is a keyed hash of the time and a count: no caller can tell from
    /// it how many others there are.
    fn open<B>(&self, request: &Request<B>) -> Desk {
        let (path, headers) = (request.uri().path(), request.headers());
        let reader = dialect::of(request.method(), path, headers);
        let target = request.uri().path_and_query().map_or(path, |target| target.as_str());
        let count = self.exchanges.fetch_add(1, Relaxed);
        let now = self.shared.clock.now().as_millis();
        let seed = (u128::from(now) << 64 | u128::from(count)).to_le_bytes();
        Desk {
            id: ExchangeId(self.shared.keyring.tag("exchange", &seed)),
            reader,
            framing: reader.map(|dialect| dialect.framing(target)).unwrap_or_default(),
            speaker: reader.unwrap_or_else(|| dialect::nearest(path, headers)),
            began: self.shared.clock.elapsed_nanos(),
        }
    }

    fn now(&self) -> budget::Now {
        (self.shared.clock.elapsed_nanos(), self.shared.clock.now())
    }

    fn identify(&self, head: &http::request::Parts) -> Result<Identity, Refusal> {
        let identifier = self.shared.identifier.load();
        let mut identity = identifier.identify(head, peer(head))?;
        self.shared.records.complete(&self.shared.engine, &mut identity);
        Ok(identity)
    }

    /// Serves the challenge's own pages.
    async fn answer_challenge<B>(&self, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let (head, body) = request.into_parts();
        let settings = self.shared.settings.load_full();
        let address = self.identify(&head).map(|identity| identity.address);
        let address = address.unwrap_or_else(|_| peer(&head).address.ip());
        let visit = challenge::Visit {
            settings: &settings.challenge,
            address,
            from: self.shared.keyring.egress(address),
            base: &self.base(&head),
            tried: &|trial| self.tried(trial),
        };
        challenge::answer(&self.challenges, &head, body, visit).await
    }

    /// Writes a step of a challenge down and has the engine take it in. False when it does not know
    /// the account.
    fn tried(&self, trial: &Trial) -> bool {
        let Shared { engine, telemetry, .. } = &*self.shared;
        telemetry.metrics.challenge(trial.step.name());
        telemetry.decisions.tried(trial);
        let taken = catch_unwind(AssertUnwindSafe(|| engine.tried(trial)));
        taken.unwrap_or_else(|_| {
            telemetry.metrics.fail_open(FailOpen::Panic);
            false
        })
    }

    /// Scheme and authority that links to this proxy start with.
    fn base(&self, head: &http::request::Parts) -> String {
        let settings = self.shared.settings.load();
        let base = settings.challenge.base_url.as_ref();
        base.map_or_else(|| asked_at(head), |base| base.as_str().to_owned())
    }
}

fn peer(head: &http::request::Parts) -> Peer {
    let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let known = head.extensions.get().copied();
    known.unwrap_or(Peer { address: nowhere, tls: false })
}

/// The address a request was sent to, by its own words. They are shown to the caller alone, and
/// only if they can't be taken for anything but a host: a link must not be bent by a header.
fn asked_at(head: &http::request::Parts) -> String {
    let named = head.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
    let named = head.uri.authority().map(http::uri::Authority::as_str).or(named);
    let plain = |c: char| c.is_ascii_alphanumeric() || ".:-[]".contains(c);
    let host = named.filter(|host| host.len() <= 255 && host.chars().all(plain));
    let scheme = if peer(head).tls { "https" } else { "http" };
    host.map(|host| format!("{scheme}://{host}")).unwrap_or_default()
}
