//! Hostile bytes against the whole program, over raw sockets.
//!
//! Cases are tables: a name, bytes, and what must come of them. The endpoint behind the proxy reads as
//! strictly as anything could and remembers every byte, so that whatever reaches it has one meaning.

pub(crate) mod stage;
mod strict;

mod bodies;
mod chunks;
mod floods;
mod frames;
mod heads;
mod http2;
mod lines;
mod slow;
