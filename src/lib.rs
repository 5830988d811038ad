//! Stillguard: a reverse proxy that recognises the distillation of an inference API.
//!
//! The journey of one exchange, in the order the code runs it:
//!
//! | stage    | question                                   | where |
//! |----------|--------------------------------------------|-------|
//! | accept   | may this connection come in?               | `net::accept`, `net::tls` |
//! | identify | who is calling?                            | [`identity`] |
//! | inspect  | what do they ask, in which dialect?        | [`dialect`], `guard::bind`, then [`signal::Prompt`] |
//! | assess   | what does it look like, and so what?       | [`engine`]: [`signal`], then [`policy`] |
//! | enforce  | allow, throttle, challenge, shape or drop? | `guard::enforce`, `guard::shape` |
//! | forward  | what does the model say?                   | `net::upstream` |
//! | observe  | what was given away?                       | `guard::observe` |
//! | learn    | what do we know now?                       | [`engine`] |
//!
//! What the engine knows outlives the process in [`store`], beside the journey: nothing waits for it.
//!
//! The pure rooms (identity, dialect, signal, policy, engine) hold no socket, thread, clock or
//! file: time, seeds and environment are arguments, so the live proxy, a replay and a simulation
//! run the very same engine. `cargo check --no-default-features --lib` builds them alone.

pub mod time;

pub mod identity;
pub mod dialect;
pub mod signal;
pub mod policy;
pub mod engine;

#[cfg(feature = "proxy")]
pub mod store;
#[cfg(feature = "proxy")]
pub mod guard;
#[cfg(feature = "proxy")]
pub mod net;
#[cfg(feature = "proxy")]
pub mod telemetry;
#[cfg(feature = "proxy")]
pub mod config;

pub mod lab;
