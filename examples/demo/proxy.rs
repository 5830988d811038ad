//! The proxy: this very executable, run a second time as `stillguard serve --config FILE`.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A proxy that takes requests. Its process ends with this value.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    /// The admin listener, where decisions are explained.
    pub(crate) admin: SocketAddr,
    /// The configuration it runs with, as the operator would write it.
    pub(crate) config: String,
    process: Child,
    directory: PathBuf,
}

/// Everything at its default but these lines.
fn config(upstream: SocketAddr) -> String {
    format!(
        r#"upstream = "http://{upstream}"
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
mode = "enforce"

[identity]
# Everyone in this demo calls from this machine and says in x-forwarded-for where they would sit.
trusted_hops = ["127.0.0.0/8"]

[store]
enabled = false
"#
    )
}

/// Starts the proxy in front of `upstream`, on ports of the system's choice.
pub(crate) fn start(upstream: SocketAddr) -> Result<Running, Box<dyn Error>> {
    let directory = std::env::temp_dir().join(format!("stillguard-demo-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let config = config(upstream);
    let file = directory.join("stillguard.toml");
    fs::write(&file, &config)?;
    let mut process = Command::new(std::env::current_exe()?)
        .arg("serve")
        .arg("--config")
        .arg(&file)
        .stdout(Stdio::piped())
        .stderr(fs::File::create(directory.join("log"))?)
        .spawn()?;
    let mut greeting = String::new();
    if let Some(out) = process.stdout.take() {
        BufReader::new(out).read_line(&mut greeting)?;
    }
    let (addr, admin) = addresses(&greeting).ok_or_else(|| {
        let log = fs::read_to_string(directory.join("log")).unwrap_or_default();
        format!("the proxy did not start: {greeting}{log}")
    })?;
    Ok(Running { addr, admin, config, process, directory })
}

/// The two addresses in the line with which `serve` greets.
fn addresses(greeting: &str) -> Option<(SocketAddr, SocketAddr)> {
    let between = |after: &str, before: char| {
        let rest = greeting.split_once(after)?.1;
        rest.split_once(before)?.0.parse().ok()
    };
    Some((between("listens on ", ',')?, between("metrics on http://", '/')?))
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}
