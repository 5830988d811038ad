//! The program as a process in front of the mock endpoint, for tests that look at it from outside.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use stillguard::lab::endpoint::{self, Endpoint};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Questions until something asked for is taken for lost: some seconds.
const PATIENCE: usize = 20_000;

/// A running proxy. Killed when a test gives up on it.
pub(super) struct Proxy {
    pub(super) child: Child,
    pub(super) out: BufReader<ChildStdout>,
    pub(super) listen: String,
    pub(super) admin: String,
}

impl Proxy {
    pub(super) fn start(config: &Path) -> Self {
        Self::start_with(config, Stdio::null(), "warn")
    }

    pub(super) fn start_with(config: &Path, log: Stdio, level: &str) -> Self {
        Self::remembering(config, "off".as_ref(), (log, level))
    }

    /// A proxy that keeps its memory in `store`.
    pub(super) fn remembering(config: &Path, store: &Path, (log, level): (Stdio, &str)) -> Self {
        Self::spawn(Command::new(env!("CARGO_BIN_EXE_stillguard")), config, store, (log, level))
    }

    /// The same, by a command that ends in running the program with the words that follow.
    pub(super) fn spawn(command: Command, config: &Path, store: &Path, log: (Stdio, &str)) -> Self {
        Self::begin(command, (config, store), log).greeted()
    }

    /// One that has been started, and may not be ready yet.
    pub(super) fn begin(
        mut command: Command,
        (config, store): (&Path, &Path),
        (log, level): (Stdio, &str),
    ) -> Self {
        command.arg("serve").arg("--config").arg(config).args(["--listen", "127.0.0.1:0"]);
        command.args(["--admin", "127.0.0.1:0"]).env_clear().env("STILLGUARD_LOG", level);
        command.env("STILLGUARD_STORE", store);
        let child = command.stdout(Stdio::piped()).stderr(log).spawn();
        let mut child = child.unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out, listen: String::new(), admin: String::new() }
    }

    /// Waits for the line that says where it listens.
    pub(super) fn greeted(mut self) -> Self {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        let after = |words: &str| {
            let rest = line.split_once(words).unwrap_or_else(|| panic!("no `{words}`: {line}")).1;
            rest.split([',', '/']).next().unwrap().to_owned()
        };
        (self.listen, self.admin) = (after("listens on "), after("metrics on http://"));
        self
    }

    pub(super) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Asks the admin listener until it says `words`.
    pub(super) fn await_admin(&self, path: &str, words: &str) {
        let said = (0..PATIENCE).any(|_| get(&self.admin, path).contains(words));
        assert!(said, "{path} never said {words}");
    }

    /// Ends the process as an operator would, and waits until it has.
    pub(super) fn end(&mut self) {
        self.signal("TERM");
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Has ended already where all went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A mock endpoint, a proxy in front of it, and the directory that holds all the proxy wrote.
pub(super) struct Stand {
    pub(super) proxy: Proxy,
    pub(super) endpoint: Endpoint,
    pub(super) directory: TempDir,
    _runtime: Runtime,
}

impl Stand {
    /// `config` is appended to what the stand itself needs: the upstream and the decision log.
    pub(super) fn new(config: &str) -> Self {
        let runtime = Runtime::new().unwrap();
        let endpoint = runtime.block_on(Endpoint::start(endpoint::Settings::default())).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("stillguard.toml");
        let log = directory.path().join("decisions.jsonl");
        let stated = format!(
            "upstream = \"http://{}\"\n{config}\n[telemetry.decision_log]\npath = {log:?}\n",
            endpoint.addr
        );
        std::fs::write(&file, stated).unwrap();
        let errors = File::create(directory.path().join("log")).unwrap();
        let proxy = Proxy::start_with(&file, errors.into(), "trace");
        Self { proxy, endpoint, directory, _runtime: runtime }
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.proxy.listen.parse().unwrap()
    }
}

/// Fetches `path`, head and all.
pub(super) fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Posts `body`, with further header lines, and returns the answer, head and all.
pub(super) fn post(address: SocketAddr, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    )
    .unwrap();
    // A refusal may come, and the connection close, before all of the body was read.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}
