//! What they ask: one file per API dialect.
//!
//! A dialect reads a body into a [`Request`] or a [`Delta`], which borrow its text and live only
//! as long as the exchange is inspected, and words refusals the way its own clients expect. To add
//! one, write `dialect/<name>.rs` and list it in [`DIALECTS`].

pub mod array;
pub mod eventstream;
pub mod json;
pub mod shape;
pub mod sse;
pub mod websocket;
mod anthropic;
mod azure;
mod base64;
mod bedrock;
mod completions;
mod embeddings;
mod gemini;
mod openai;
mod responses;
mod found;
mod frames;
mod given;
mod inputs;
mod request;
mod response;
mod route;
mod schema;
mod standing;
mod wording;
#[cfg(test)]
mod tests;

use std::fmt::Debug;

use bytes::Bytes;
use http::HeaderMap;
use serde::{Deserialize, Serialize};

pub use self::frames::{Frames, Framing, Piece};
pub use self::request::{Effort, Kind, Params, Part, Request, Role, Tool};
pub use self::response::{Delta, Finish, Usage};
use self::shape::Shapes;
pub use self::standing::{Standing, Standings};
pub use self::wording::{Link, Reason, Scarce, Worded, Wording};
use crate::time::Timestamp;

/// Every dialect, in the order they are tried. The first that speaks the route wins.
pub const DIALECTS: &[&dyn Dialect] = &[
    &anthropic::Messages,
    &anthropic::CountTokens,
    &anthropic::Batches,
    &anthropic::vertex::MESSAGES,
    &anthropic::vertex::COUNT_TOKENS,
    &azure::Azure(openai::Chat),
    &azure::Azure(completions::Completions),
    &azure::Azure(embeddings::Embeddings),
    &azure::Azure(responses::Responses),
    &openai::Chat,
    &completions::Completions,
    &embeddings::Embeddings,
    &responses::Responses,
    &gemini::GENERATE,
    &gemini::EMBED,
    &gemini::COUNT,
    &bedrock::Converse,
    &bedrock::Invoke,
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
    GeminiGenerate,
    GeminiEmbed,
    GeminiCountTokens,
    BedrockConverse,
    BedrockInvoke,
    /// A websocket, to the realtime route or the one for responses: passed on unread.
    OpenaiRealtime,
    /// A route no dialect reads: forwarded untouched, still identified and limited.
    #[default]
    Other,
}

impl Api {
    /// Completions that a request asks for: what volume counts. None where the model says nothing.
    pub fn completions(self, params: &Params) -> u32 {
        match self {
            Self::AnthropicCountTokens | Self::GeminiCountTokens => 0,
            _ => params.completions(),
        }
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

    /// Reads such a body, given the path (and query, if at hand) it was sent to: some APIs name the
    /// model and whether to stream there alone.
    fn read_call<'a>(&self, path: &'a str, body: &'a [u8]) -> Result<Request<'a>, Malformed> {
        let _ = path;
        self.read_request(body)
    }

    /// How a streamed answer to this path and query is divided. [`Frames::of`] takes it.
    fn framing(&self, path: &str) -> Framing {
        let _ = path;
        Framing::default()
    }

    /// Reads a whole answer that was not streamed.
    fn read_answer<'a>(&self, body: &'a [u8]) -> Result<Delta<'a>, Malformed>;

    /// Reads one event of a streamed answer, whatever its framing.
    fn read_event<'a>(&self, event: sse::Event<'a>) -> Result<Delta<'a>, Malformed>;

    /// Where its bodies hold what shaping is about.
    fn shapes(&self) -> &'static Shapes {
        &Shapes::NONE
    }

    /// Where its bodies hold what the provider issues and its callers send back.
    fn binds(&self) -> &'static Shapes {
        &Shapes::NONE
    }

    /// A refusal a client of this API parses, raises and shows.
    fn refuse(&self, wording: &Wording<'_>) -> Worded;

    /// The frame that ends a running stream with an error every client of this API raises.
    fn break_stream(&self, wording: &Wording<'_>) -> Bytes;

    /// The same for an answer divided by `framing`, where the API has more than one.
    fn break_framed(&self, framing: Framing, wording: &Wording<'_>) -> Bytes {
        let _ = framing;
        self.break_stream(wording)
    }

    /// Tells of limits in the API's own fields, where it has any. Of these and those that the
    /// endpoint has put there, the tighter stay.
    fn announce(&self, standings: &Standings, now: Timestamp, headers: &mut HeaderMap) {
        let _ = (standings, now, headers);
    }
}

/// A body that is not what its route promises. The message is for the caller and quotes no value.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

/// The API that a request to switch to a websocket is for: messages, once it is open, that no
/// [`Dialect`] reads.
pub fn of_socket(method: &http::Method, path: &str, headers: &HeaderMap) -> Api {
    let upgrade = headers.get(http::header::UPGRADE);
    let asked = upgrade.is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let routed = || ["/realtime", "/responses"].iter().any(|route| route::leads_to(path, route));
    if asked && method == http::Method::GET && routed() { Api::OpenaiRealtime } else { Api::Other }
}

/// A path in its shortest spelling, as servers route it: decoded once, without a query, doubled
/// slashes or dot segments.
pub fn canonical_path(path: &str) -> std::borrow::Cow<'_, str> {
    route::canonical(path)
}

/// Reads one message of a model over a websocket: the realtime route and the one for responses share
/// the events that tell what was said and used.
pub fn read_message(text: &str) -> Result<Delta<'_>, Malformed> {
    responses::Responses.read_event(sse::Event { name: None, data: text })
}

/// The dialect of a route, or none: such a request passes through unread.
pub fn of(method: &http::Method, path: &str, headers: &HeaderMap) -> Option<&'static dyn Dialect> {
    DIALECTS.iter().copied().find(|dialect| dialect.speaks(method, path, headers))
}

/// The dialect whose words a refusal on an unread route should use, guessed from path and headers:
/// clients of Anthropic send `anthropic-version`, those of Azure `api-key`, those of Google and AWS
/// headers that no load balancer of theirs adds; everyone else parses OpenAI's error shape.
pub fn nearest(path: &str, headers: &HeaderMap) -> &'static dyn Dialect {
    let sends = |names: [&str; 2]| names.iter().any(|name| headers.contains_key(*name));
    if bedrock::owns(path) {
        &bedrock::Invoke
    } else if gemini::owns(path) {
        &gemini::GENERATE
    } else if headers.contains_key("anthropic-version") || path.contains("/v1/messages") {
        &anthropic::Messages
    } else if sends(["x-goog-api-key", "x-goog-api-client"]) {
        &gemini::GENERATE
    } else if sends(["x-amz-date", "amz-sdk-invocation-id"]) {
        &bedrock::Invoke
    } else if azure::serves(path, headers) {
        &azure::Azure(openai::Chat)
    } else {
        &openai::Chat
    }
}
