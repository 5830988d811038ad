//! What they ask: one file per API dialect.
//!
//! A dialect reads a body into a [`Request`] or a [`Delta`], which borrow its text and live only
//! as long as the exchange is inspected, and words refusals the way its own clients expect. To add
//! one, write `dialect/<name>.rs` and list it in [`DIALECTS`].

pub mod json;
pub mod sse;
mod anthropic;
mod azure;
mod completions;
mod embeddings;
mod openai;
mod responses;
mod found;
mod given;
mod inputs;
mod request;
mod response;
mod route;
mod schema;
mod wording;
#[cfg(test)]
mod testing;

use std::borrow::Cow;
use std::fmt::Debug;

use bytes::Bytes;
use http::HeaderMap;
use serde::{Deserialize, Serialize};

pub use self::request::{Effort, Kind, Params, Part, Request, Role, Tool};
pub use self::response::{Delta, Finish, Usage};
pub use self::wording::{Link, Reason, Worded, Wording};

/// Every dialect, in the order they are tried. The first that speaks the route wins.
pub const DIALECTS: &[&dyn Dialect] = &[
    &anthropic::Messages,
    &anthropic::CountTokens,
    &anthropic::Batches,
    &azure::Azure(openai::Chat),
    &azure::Azure(completions::Completions),
    &azure::Azure(embeddings::Embeddings),
    &azure::Azure(responses::Responses),
    &openai::Chat,
    &completions::Completions,
    &embeddings::Embeddings,
    &responses::Responses,
];

/// Stable names, used in metrics, logs and cohorts.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Api {
    OpenaiChat,
    OpenaiResponses,
    OpenaiCompletions,
    OpenaiEmbeddings,
    AnthropicMessages,
    /// Counts the tokens of messages; the model says nothing.
    AnthropicCountTokens,
    /// Many requests in one body, answered later and elsewhere.
    AnthropicBatches,
    /// A route no dialect reads: forwarded untouched, still identified and limited.
    #[default]
    Other,
}

impl Api {
    /// Completions that a request asks for: what volume counts. None where the model says nothing.
    pub fn completions(self, params: &Params) -> u32 {
        if self == Self::AnthropicCountTokens { 0 } else { params.completions() }
    }
}

/// An API style: how to read its requests and answers, and how to refuse in its own words.
pub trait Dialect: Debug + Sync {
    fn api(&self) -> Api;

    /// Whether a request to this path speaks this dialect. Paths match by suffix, so a prefix that
    /// selects a tenant does not hide the route.
    fn speaks(&self, method: &http::Method, path: &str, headers: &HeaderMap) -> bool;

    /// Reads a request body that [`json::vet`] has passed.
    fn read_request<'a>(&self, body: &'a [u8]) -> Result<Request<'a>, Malformed>;

    /// The model that a path names, for a body that names none.
    fn model_in<'p>(&self, _path: &'p str) -> Option<Cow<'p, str>> {
        None
    }

    /// Reads such a body, given the path (and query, if at hand) it was sent to: some APIs name the
    /// model and whether to stream there alone.
    fn read_call<'a>(&self, path: &'a str, body: &'a [u8]) -> Result<Request<'a>, Malformed> {
        let _ = path;
        self.read_request(body)
    }

    /// Reads a whole answer that was not streamed.
    fn read_answer<'a>(&self, body: &'a [u8]) -> Result<Delta<'a>, Malformed>;

    /// Reads one server-sent event of a streamed answer.
    fn read_event<'a>(&self, event: sse::Event<'a>) -> Result<Delta<'a>, Malformed>;

    /// A refusal a client of this API parses, raises and shows.
    fn refuse(&self, wording: &Wording<'_>) -> Worded;

    /// The frame that ends a running stream with an error every client of this API raises.
    fn break_stream(&self, wording: &Wording<'_>) -> Bytes;
}

/// A body that is not what its route promises. The message is for the caller and quotes no value.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

/// The dialect of a route, or none: such a request passes through unread.
pub fn of(method: &http::Method, path: &str, headers: &HeaderMap) -> Option<&'static dyn Dialect> {
    DIALECTS.iter().copied().find(|dialect| dialect.speaks(method, path, headers))
}

/// The dialect whose words a refusal on an unread route should use, guessed from headers and path:
/// clients of Anthropic send `anthropic-version`, those of Azure `api-key`; everyone else parses
/// OpenAI's error shape.
pub fn nearest(path: &str, headers: &HeaderMap) -> &'static dyn Dialect {
    if headers.contains_key("anthropic-version") || path.contains("/v1/messages") {
        &anthropic::Messages
    } else if azure::serves(path, headers) {
        &azure::Azure(openai::Chat)
    } else {
        &openai::Chat
    }
}
