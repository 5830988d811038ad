//! One exchange's journey, as one tower layer around any inference service.

mod settings;

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http_body_util::{Either, Full};

pub use self::settings::Settings;
use crate::engine::Engine;
use crate::identity::{Identifier, Keyring};
use crate::telemetry::Telemetry;
use crate::time::Clock;

/// The layer: wraps any inference service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct GuardLayer {
    shared: Arc<Shared>,
}

/// What every exchange on every worker shares.
#[derive(Debug)]
pub struct Shared {
    pub settings: ArcSwap<Settings>,
    pub identifier: ArcSwap<Identifier>,
    pub engine: Arc<Engine>,
    pub telemetry: Arc<Telemetry>,
    pub keyring: Keyring,
    pub clock: Clock,
}

impl GuardLayer {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

/// The body handed to the inner service: read and vetted whole, or passed through unread.
pub type Outbound<B> = Either<Full<Bytes>, B>;

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
