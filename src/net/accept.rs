//! One thread, runtime and listener per core: a connection never leaves the core that took it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Refuse;
use super::activity::Hold;
use super::app::{App, BoxError};
use super::connection::Door;
use super::edge::Rules;
use super::settings::{ProxyMode, Settings};
use super::tls::{self, Certificates, TlsError};
use crate::telemetry::Telemetry;

const BACKLOG: i32 = 4096;
/// A pause when no connection can be accepted, most likely for want of descriptors.
const BREATH: Duration = Duration::from_millis(50);
/// A peer that is gone without a word is noticed after about this long.
const KEEP_ALIVE_PROBE: Duration = Duration::from_secs(60);

#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("no address to listen on")]
    NoAddress,
    #[error("can't listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("a required PROXY preamble needs trusted networks")]
    NobodyTrusted,
    #[error("can't start a worker: {0}")]
    Worker(io::Error),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A worker ended otherwise than by draining.
#[derive(Debug, thiserror::Error)]
#[error("worker {0} has panicked")]
pub struct Panicked(usize);

/// Listening, but not yet accepting.
pub struct Server<F> {
    listeners: Vec<Vec<TcpListener>>,
    address: SocketAddr,
    rules: Arc<Rules>,
    certificates: Option<Arc<Certificates>>,
    tls: Option<TlsAcceptor>,
    app: Arc<F>,
}

/// The running workers.
#[derive(Debug)]
pub struct Running {
    workers: Vec<JoinHandle<()>>,
}

/// What each worker takes onto its thread.
struct Worker {
    door: Door,
    places: Arc<Semaphore>,
    tasks: TaskTracker,
}

impl<F> Server<F> {
    /// Binds every address once per worker, so that whatever stands in the way is known at once.
    ///
    /// `app` is called on each worker's thread, inside its runtime.
    pub fn bind(
        settings: Settings,
        telemetry: Arc<Telemetry>,
        refuse: Refuse,
        app: F,
    ) -> Result<Self, SetupError> {
        let proxy = &settings.proxy_protocol;
        if proxy.mode == ProxyMode::Required && proxy.trusted.is_empty() {
            return Err(SetupError::NobodyTrusted);
        }
        let certificates = settings.tls.as_ref().map(Certificates::load).transpose()?;
        let config = certificates.clone().map(tls::server).transpose()?;
        let mut addresses = settings.listen.clone();
        let workers = match settings.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        };
        let listeners = (0..workers).map(|_| addresses.iter_mut().map(listen).collect());
        let listeners = listeners.collect::<Result<_, _>>()?;
        Ok(Self {
            listeners,
            address: *addresses.first().ok_or(SetupError::NoAddress)?,
            rules: Arc::new(Rules { settings, telemetry, refuse }),
            certificates,
            tls: config.map(TlsAcceptor::from),
            app: Arc::new(app),
        })
    }

    /// The first address, with the port the system picked.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The certificate in use, to reload it.
    pub fn certificates(&self) -> Option<Arc<Certificates>> {
        self.certificates.clone()
    }

    /// Accepts until `stop` is cancelled, then drains.
    pub fn start<S: App>(self, stop: CancellationToken) -> Result<Running, SetupError>
    where
        F: Fn() -> S + Send + Sync + 'static,
    {
        let places = Arc::new(Semaphore::new(
            self.rules.settings.limits.max_connections.min(Semaphore::MAX_PERMITS),
        ));
        let mut workers = Vec::with_capacity(self.listeners.len());
        for (number, listeners) in self.listeners.into_iter().enumerate() {
            let door =
                Door { rules: Arc::clone(&self.rules), tls: self.tls.clone(), drain: stop.clone() };
            let places = Arc::clone(&places);
            let worker = Worker { door, places, tasks: TaskTracker::new() };
            let app = Arc::clone(&self.app);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(SetupError::Worker)?;
            let thread = std::thread::Builder::new().name(format!("net-{number}"));
            let spawned = thread.spawn(move || {
                runtime.block_on(async { worker.run(listeners, app()).await });
                // Cuts what is left: its sockets close without the end of their bodies.
                runtime.shutdown_background();
            });
            workers.push(spawned.map_err(SetupError::Worker)?);
        }
        Ok(Running { workers })
    }

    /// [`Server::start`], then waits for the end. Blocks the thread.
    pub fn run<S: App>(self, stop: CancellationToken) -> Result<(), BoxError>
    where
        F: Fn() -> S + Send + Sync + 'static,
    {
        Ok(self.start(stop)?.join()?)
    }
}

impl<F> std::fmt::Debug for Server<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Running {
    /// Blocks until every worker has drained.
    pub fn join(self) -> Result<(), Panicked> {
        let ends = self.workers.into_iter().map(JoinHandle::join).enumerate();
        // All are waited for, whichever fails.
        let panicked: Vec<_> = ends.filter(|(_, end)| end.is_err()).collect();
        panicked.first().map_or(Ok(()), |(number, _)| Err(Panicked(*number)))
    }

    pub fn is_finished(&self) -> bool {
        self.workers.iter().all(JoinHandle::is_finished)
    }
}

impl Worker {
    async fn run<S: App>(self, listeners: Vec<TcpListener>, app: S) {
        let loops = listeners.into_iter().map(|listener| self.accept(listener, app.clone()));
        futures_util::future::join_all(loops).await;
        self.tasks.close();
        let drain = self.door.rules.settings.deadlines.drain();
        let _cut_if_not_gone_by_then = tokio::time::timeout(drain, self.tasks.wait()).await;
    }

    async fn accept<S: App>(&self, listener: TcpListener, app: S) {
        let telemetry = &self.door.rules.telemetry;
        // Fails only without a reactor or on a blocking socket; both are made right above.
        let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.door.drain.cancelled() => return,
            };
            let (socket, from) = match accepted {
                Ok(accepted) => accepted,
                Err(error) if is_the_clients(&error) => continue,
                Err(_) => {
                    telemetry.metrics.connection_refused("accept");
                    tokio::time::sleep(BREATH).await;
                    continue;
                }
            };
            let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() else {
                telemetry.metrics.connection_refused("too_many");
                continue;
            };
            tune(&socket);
            let hold = Hold::new(permit, self.tasks.token(), Arc::clone(telemetry));
            self.tasks.spawn(self.door.clone().serve(socket, from, app.clone(), hold));
        }
    }
}

/// Binds `address`; with port 0 it becomes the port that was picked, so the next bind shares it.
fn listen(address: &mut SocketAddr) -> Result<TcpListener, SetupError> {
    let bound = || -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(*address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.bind(&(*address).into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(socket.into())
    };
    let failed = |source, address| SetupError::Listen { address, source };
    let listener = bound().map_err(|source| failed(source, *address))?;
    *address = listener.local_addr().map_err(|source| failed(source, *address))?;
    Ok(listener)
}

/// Errors that concern one connection only: the next may be fine.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Bytes that the system holds unsent for a client: what it would let grow to megabytes for whoever
/// reads nothing.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 128 << 10;

/// Small events must leave at once. A socket that takes no option is about to fail anyway.
fn tune(socket: &TcpStream) {
    let _ = socket.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = SockRef::from(socket).set_tcp_notsent_lowat(UNSENT);
    let probe = TcpKeepalive::new().with_time(KEEP_ALIVE_PROBE);
    let _ = SockRef::from(socket).set_tcp_keepalive(&probe);
}
