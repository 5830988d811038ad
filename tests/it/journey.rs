//! The guard around a made-up endpoint, with the real rooms and a clock that only tests move.

mod ends;
mod scene;
mod wire;

mod binding;
mod bodies;
mod bound;
mod bytes;
mod challenges;
mod cuts;
mod endings;
mod failures;
mod hangups;
mod limits;
mod links;
mod refusals;
mod refused;
mod routes;
mod shaped_streams;
mod shaping;
mod slow;
mod sockets;
mod scopes;
mod told;
mod types;
mod tokens;
mod upstreams;

pub(crate) use self::scene::encoded;
