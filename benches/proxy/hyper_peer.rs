//! The yardstick: hyper alone, a thread, a listener and a set of upstream connections per core,
//! bodies passed on as they come.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use crate::Result;

pub(crate) fn serve(upstream: SocketAddr) -> Result<()> {
    let cores = std::thread::available_parallelism()?.get();
    let mut address = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut listeners = Vec::new();
    for _ in 0..cores {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        socket.listen(1024)?;
        socket.set_nonblocking(true)?;
        let listener = std::net::TcpListener::from(socket);
        address = listener.local_addr()?;
        listeners.push(listener);
    }
    println!("{address}");
    let threads = listeners.into_iter().map(|listener| {
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(accept(listener, upstream))
        })
    });
    for thread in threads.collect::<Vec<_>>() {
        thread.join().map_err(|_| "a thread has panicked")??;
    }
    Ok(())
}

/// The idle connections of one thread.
#[derive(Clone)]
struct Pool {
    upstream: SocketAddr,
    idle: Arc<Mutex<Vec<SendRequest<Incoming>>>>,
}

async fn accept(listener: std::net::TcpListener, upstream: SocketAddr) -> Result<()> {
    let (listener, pool) =
        (TcpListener::from_std(listener)?, Pool { upstream, idle: Arc::default() });
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let pool = pool.clone();
        let service = hyper::service::service_fn(move |request| pool.clone().forward(request));
        let serving = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(serving);
    }
}

impl Pool {
    async fn forward(self, request: Request<Incoming>) -> Result<Response<Incoming>> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let ready = std::iter::from_fn(|| idle().pop()).find(SendRequest::is_ready);
        let mut sender = match ready {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let answer = sender.send_request(request).await?;
        // Ready again once its answer has been read; until then `is_ready` is false.
        let pool = self.clone();
        tokio::spawn(async move {
            if sender.ready().await.is_ok() {
                pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
            }
        });
        Ok(answer)
    }

    async fn connect(&self) -> Result<SendRequest<Incoming>> {
        let stream = TcpStream::connect(self.upstream).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}
