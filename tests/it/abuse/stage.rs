//! The program as a process, before an endpoint that remembers every byte it gets.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use stillguard::time::Clock;
use tempfile::NamedTempFile;

use super::super::stand::{Proxy, get};
use super::strict::{self, Forwarded};

/// How long whatever must come may take on a machine that is busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// How long nothing must come, to be taken for never.
pub(crate) const MOMENT: Duration = Duration::from_millis(150);

pub(crate) struct Stage {
    pub(crate) proxy: Proxy,
    seen: Arc<Mutex<Seen>>,
    pub(crate) config: NamedTempFile,
}

#[derive(Default)]
struct Seen {
    requests: Vec<Forwarded>,
    faults: Vec<String>,
}

impl Stage {
    /// `config` is added to what names the endpoint.
    pub(super) fn new(config: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Seen>>::default();
        let own = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let seen = Arc::clone(&own);
                thread::spawn(move || serve(stream, &seen));
            }
        });
        Self::before(endpoint, config, seen)
    }

    /// Before an endpoint of a test's own making.
    pub(crate) fn to(endpoint: SocketAddr, config: &str) -> Self {
        Self::before(endpoint, config, Arc::default())
    }

    fn before(endpoint: SocketAddr, config: &str, seen: Arc<Mutex<Seen>>) -> Self {
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("upstream = \"http://{endpoint}\"\n{config}")).unwrap();
        let proxy = Proxy::start(file.path());
        Self { proxy, seen, config: file }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.proxy.listen.parse().unwrap()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Whole requests that reached the endpoint and whose target holds `mark`.
    pub(super) fn forwarded(&self, mark: &str) -> Vec<Forwarded> {
        let seen = self.seen.lock().unwrap();
        seen.requests.iter().filter(|request| request.target.contains(mark)).cloned().collect()
    }

    /// Bytes that reached the endpoint and are not exactly one request.
    pub(super) fn faults(&self) -> Vec<String> {
        self.seen.lock().unwrap().faults.clone()
    }

    /// An honest caller is served, after this many milliseconds.
    pub(crate) fn serves(&self) -> u64 {
        let clock = Clock::start();
        let answer = get(&self.proxy.listen, "/honest");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
        clock.elapsed_nanos() / 1_000_000
    }

    pub(crate) fn resident_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.proxy.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    pub(crate) fn metric(&self, series: &str) -> u64 {
        let text = get(&self.proxy.admin, "/metrics");
        let value = text.lines().find_map(|line| line.strip_prefix(series));
        value.map_or(0, |value| value.trim().parse().unwrap())
    }

    /// Waits until `series` says `value`, as after all clients have gone.
    pub(crate) fn settles(&self, series: &str, value: u64) {
        let deadline = PATIENCE.as_millis() / 20;
        for _ in 0..deadline {
            if self.metric(series) == value {
                return;
            }
            pause(Duration::from_millis(20));
        }
        panic!("{series} is {} instead of {value}", self.metric(series));
    }
}

pub(crate) fn pause(time: Duration) {
    let (_open, closed) = std::sync::mpsc::channel::<()>();
    let _nothing_comes = closed.recv_timeout(time);
}

/// Waits until something has come, or the other side has closed.
pub(crate) fn first(stream: &TcpStream) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let _reset_is_an_end = stream.peek(&mut [0]);
}

/// All that comes until the other side closes, and whether it has.
pub(crate) fn rest(stream: &mut TcpStream, patience: Duration) -> (Vec<u8>, bool) {
    stream.set_read_timeout(Some(patience)).unwrap();
    let (mut got, mut space) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut space) {
            Ok(0) => return (got, true),
            Ok(read) => got.extend_from_slice(&space[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return (got, false),
            // A reset is an end, too.
            Err(_) => return (got, true),
        }
    }
}

/// Answers every request with 200, however long it takes to come.
fn serve(mut stream: TcpStream, seen: &Mutex<Seen>) {
    stream.set_nodelay(true).unwrap();
    let (mut bytes, mut space) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        match strict::read(&bytes) {
            Ok((request, length)) => {
                bytes.drain(..length);
                let answer = answer(&request);
                seen.lock().unwrap().requests.push(request);
                if stream.write_all(&answer).is_err() {
                    return;
                }
            }
            Err(Some(fault)) => {
                seen.lock().unwrap().faults.push(fault);
                let _ = stream.shutdown(Shutdown::Both);
                return;
            }
            Err(None) => match stream.read(&mut space) {
                Ok(read @ 1..) => bytes.extend_from_slice(&space[..read]),
                _ => return,
            },
        }
    }
}

/// `ok`, or as much as the target asks for: `/large/BYTES`.
fn answer(request: &Forwarded) -> Vec<u8> {
    let wanted = request.target.split_once("/large/").and_then(|(_, bytes)| bytes.parse().ok());
    let body = wanted.map_or_else(|| b"ok".to_vec(), |bytes: usize| vec![b'x'; bytes]);
    let mut answer = String::new();
    let length = if request.method == "HEAD" { 0 } else { body.len() };
    write!(answer, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").unwrap();
    let mut answer = answer.into_bytes();
    answer.extend_from_slice(&body[..length]);
    answer
}
