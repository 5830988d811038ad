//! An exchange that outlives its answer: a websocket. It is counted, and what the model says of its
//! tokens is read in passing.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::header::UPGRADE;
use http::request::Parts;

use super::observe::Watch;
use crate::signal::{Ending, Exchange};

/// Found among the extensions of a request that asks to switch protocols. An inner service that
/// switches keeps it as long as it passes bytes: the exchange ends, and gives back what it holds of
/// its account's limits, with the last clone.
#[derive(Clone, Debug)]
pub struct Socket {
    seat: Arc<Seat>,
}

#[derive(Debug, Default)]
struct Seat {
    /// Absent until the switch has been answered, and forever where it is not.
    watch: Mutex<Option<Box<Watch>>>,
    /// Bytes from the client, and to it.
    received: AtomicU64,
    sent: AtomicU64,
    broken: AtomicBool,
}

impl Socket {
    /// Leaves one in the request, if it asks for another protocol.
    pub(super) fn offer(head: &mut Parts) -> Option<Self> {
        head.headers.contains_key(UPGRADE).then(|| {
            let socket = Self { seat: Arc::default() };
            head.extensions.insert(socket.clone());
            socket
        })
    }

    /// The exchange is this socket's from here on.
    pub(super) fn take(self, watch: Box<Watch>) {
        *self.seat.watch() = Some(watch);
    }

    /// Bytes came from the client.
    pub fn received(&self, bytes: usize) {
        self.seat.received.fetch_add(bytes as u64, Relaxed);
    }

    /// Bytes went to the client. True when it has used up tokens that its account has no more of.
    pub fn sent(&self, bytes: &[u8]) -> bool {
        let length = bytes.len() as u64;
        let before = self.seat.sent.fetch_add(length, Relaxed);
        let mut watch = self.seat.watch();
        let Some(watch) = watch.as_mut() else { return false };
        if before < Exchange::SOCKET_PROOF && before + length >= Exchange::SOCKET_PROOF {
            watch.accepted();
        }
        watch.spoke(bytes)
    }

    /// It will not have ended by its own will.
    pub fn broken(&self) {
        self.seat.broken.store(true, Relaxed);
    }
}

impl Seat {
    fn watch(&self) -> MutexGuard<'_, Option<Box<Watch>>> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let watch = self.watch.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let ending = if *self.broken.get_mut() { Ending::Truncated } else { Ending::Complete };
        if let Some(watch) = watch {
            watch.closed(*self.received.get_mut(), *self.sent.get_mut(), ending);
        }
    }
}
