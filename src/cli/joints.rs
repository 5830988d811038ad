//! Stand-ins for the entry points of `net` and `telemetry`, in their agreed shape.

use std::io;
use std::net::{SocketAddr, TcpListener};

use stillguard::net;
use tokio_util::sync::CancellationToken;

#[derive(Debug)]
pub(super) struct Server(TcpListener);

impl Server {
    pub(super) fn bind<S>(
        settings: &net::Settings,
        _make_service: impl Fn() -> S,
    ) -> io::Result<Self> {
        let address = settings.listen.first().ok_or(io::ErrorKind::AddrNotAvailable)?;
        TcpListener::bind(address).map(Self)
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Blocks until `stop`, then until exchanges have ended.
    pub(super) fn run(self, stop: CancellationToken) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        runtime.block_on(stop.cancelled());
        Ok(())
    }
}
