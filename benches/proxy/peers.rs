//! The processes that are compared, and the processor time they have used.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::Result;

/// A process that answers at `address`. It ends, and its files go, when this is dropped.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    process: Process,
}

struct Process {
    child: Child,
    _files: Option<TempDir>,
}

impl Peer {
    /// User and system time of the process and its children, in microseconds; exact to 10,000.
    pub(crate) fn cpu_micros(&self) -> Result<f64> {
        let own = self.process.child.id().to_string();
        let mut ticks = 0;
        for entry in fs::read_dir("/proc")? {
            // Processes that end meanwhile are none of ours.
            let Ok(stat) = fs::read_to_string(entry?.path().join("stat")) else { continue };
            let Some((id, rest)) = stat.split_once(" (") else { continue };
            let Some((_, rest)) = rest.rsplit_once(") ") else { continue };
            let fields: Vec<&str> = rest.split(' ').collect();
            if let [_, parent, ..] = fields[..]
                && (id == own || parent == own)
            {
                ticks += fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
            }
        }
        // Linux counts a hundred ticks a second, on every architecture we run on.
        Ok(ticks as f64 * 10_000.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // TERM, so that a server with workers ends them too.
        let id = self.child.id().to_string();
        let asked = Command::new("kill").arg(&id).status();
        if asked.is_err() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

pub(crate) fn endpoint() -> Result<Peer> {
    let (child, address) = greeted(Command::new(std::env::current_exe()?).arg("--endpoint"))?;
    Ok(peer("endpoint", address.trim().parse()?, child, None))
}

/// Bare hyper first: the others are compared with it.
pub(crate) fn all(upstream: SocketAddr) -> Result<Vec<Peer>> {
    let mut command = Command::new(std::env::current_exe()?);
    let (child, address) = greeted(command.arg("--bare-hyper").arg(upstream.to_string()))?;
    let mut peers = vec![peer("bare hyper", address.trim().parse()?, child, None)];
    peers.push(stillguard(upstream)?);
    peers.extend(nginx(upstream)?);
    Ok(peers)
}

/// Everything on, as an operator would run it, but for rungs that nobody reaches: made-up words
/// from one machine are no traffic to be judged by.
fn stillguard(upstream: SocketAddr) -> Result<Peer> {
    let files = tempfile::tempdir()?;
    let config = files.path().join("stillguard.toml");
    let log = files.path().join("decisions.jsonl");
    let text = format!(
        r#"upstream = "http://{upstream}"
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
mode = "enforce"
[policy.ladder]
shape = 90.0
throttle = 91.0
challenge = 92.0
drop = 93.0
[identity]
trusted_hops = ["127.0.0.0/8"]
[telemetry.decision_log]
path = {log:?}
"#
    );
    fs::write(&config, text)?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_stillguard"));
    command.env_clear().env("STILLGUARD_LOG", "error");
    command.env("STILLGUARD_STORE", config.with_file_name("memory"));
    let (child, greeting) = greeted(command.args(["serve", "--config"]).arg(&config))?;
    let rest = greeting.split_once("listens on ").ok_or("stillguard did not start")?.1;
    let address = rest.split(',').next().unwrap_or_default().parse()?;
    Ok(peer("stillguard", address, child, Some(files)))
}

/// None where it is not installed.
fn nginx(upstream: SocketAddr) -> Result<Option<Peer>> {
    let found = Command::new("nginx").arg("-v").stderr(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        return Ok(None);
    }
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let files = tempfile::tempdir()?;
    let config = files.path().join("nginx.conf");
    fs::write(&config, nginx_config(files.path(), address, upstream)?)?;
    let mut command = Command::new("nginx");
    command.arg("-p").arg(files.path()).arg("-e").arg(files.path().join("log"));
    let child = command.arg("-c").arg(&config).stdout(Stdio::null()).spawn()?;
    // It says nothing when it is ready; the first round's warm-up would fail before.
    for _ in 0..10_000 {
        if std::net::TcpStream::connect(address).is_ok() {
            return Ok(Some(peer("nginx", address, child, Some(files))));
        }
        std::thread::yield_now();
    }
    Err("nginx did not start".into())
}

fn nginx_config(files: &Path, address: SocketAddr, upstream: SocketAddr) -> Result<String> {
    let (files, cores) = (files.display(), std::thread::available_parallelism()?);
    Ok(format!(
        "daemon off; worker_processes {cores}; pid {files}/pid;
events {{ worker_connections 1024; }}
http {{
    access_log off; keepalive_requests 1000000000;
    client_body_temp_path {files}/a; proxy_temp_path {files}/b; fastcgi_temp_path {files}/c;
    uwsgi_temp_path {files}/d; scgi_temp_path {files}/e;
    upstream endpoint {{ server {upstream}; keepalive 64; keepalive_requests 1000000000; }}
    server {{
        listen {address} reuseport;
        client_max_body_size 16m; client_body_buffer_size 256k;
        location / {{
            proxy_pass http://endpoint; proxy_http_version 1.1; proxy_set_header Connection \"\";
            proxy_buffering off; proxy_request_buffering off;
        }}
    }}
}}
"
    ))
}

fn peer(name: &'static str, address: SocketAddr, child: Child, files: Option<TempDir>) -> Peer {
    Peer { name, address, process: Process { child, _files: files } }
}

/// Starts a process and waits for the line with which it says where it listens.
fn greeted(command: &mut Command) -> Result<(Child, String)> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    Ok((child, line))
}
