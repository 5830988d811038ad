//! How the program ends when it can't do what it was asked.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

pub(crate) const EXIT_CODES: &str = "Exit codes: 0 done, 1 mistakes in the configuration, \
    2 unreadable file or wrong usage, 3 an address can't be listened on, 4 anything else.";

/// Prints as the last words; none of its texts quotes a key or the secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Mistakes(String),
    #[error("{0}")]
    Unreadable(String),
    #[error("can't listen on {address}: {}", reason(why))]
    Listen { address: SocketAddr, why: io::Error },
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Mistakes(_) => 1,
            Self::Unreadable(_) => 2,
            Self::Listen { .. } => 3,
            Self::Other(_) => 4,
        }
        .into()
    }
}

fn reason(why: &io::Error) -> String {
    match why.kind() {
        io::ErrorKind::AddrInUse => "another program does already".into(),
        io::ErrorKind::PermissionDenied => "ports below 1024 need a permission".into(),
        io::ErrorKind::AddrNotAvailable => "this machine doesn't have the address".into(),
        _ => why.to_string(),
    }
}
