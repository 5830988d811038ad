//! The guard around a made-up endpoint, with the real rooms and a clock that only tests move.

mod scene;
mod wire;

mod bytes;
mod challenges;
mod endings;
mod failures;
mod limits;
mod refusals;
mod tokens;
