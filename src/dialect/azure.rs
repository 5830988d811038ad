//! Azure's routes to OpenAI's models: the same bodies, other paths, and errors of its own.

mod refusal;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{HeaderMap, Method};

use super::shape::Shapes;
use super::{Api, Delta, Dialect, Malformed, Request, Standings, Worded, Wording, route, sse};
use crate::time::Timestamp;

/// A dialect of OpenAI's as Azure speaks it.
#[derive(Debug)]
pub(super) struct Azure<D>(pub(super) D);

impl<D: Dialect> Dialect for Azure<D> {
    fn api(&self) -> Api {
        self.0.api()
    }

    fn speaks(&self, method: &Method, path: &str, headers: &HeaderMap) -> bool {
        // Azure's front door may look past the case of letters; nothing must slip by unread.
        serves(path, headers)
            && self.0.speaks(method, &route::canonical(path).to_ascii_lowercase(), headers)
    }

    fn read_request<'a>(&self, body: &'a [u8]) -> Result<Request<'a>, Malformed> {
        self.0.read_request(body)
    }

    /// A deployment stands for a model, whatever the body names: there, Azure looks past it.
    fn read_call<'a>(&self, path: &'a str, body: &'a [u8]) -> Result<Request<'a>, Malformed> {
        let request = self.0.read_request(body)?;
        Ok(match deployment(path) {
            Some(model) => Request { model, ..request },
            None => request,
        })
    }

    fn read_answer<'a>(&self, body: &'a [u8]) -> Result<Delta<'a>, Malformed> {
        self.0.read_answer(body)
    }

    fn read_event<'a>(&self, event: sse::Event<'a>) -> Result<Delta<'a>, Malformed> {
        self.0.read_event(event)
    }

    fn shapes(&self) -> &'static Shapes {
        self.0.shapes()
    }

    fn binds(&self) -> &'static Shapes {
        self.0.binds()
    }

    fn refuse(&self, wording: &Wording<'_>) -> Worded {
        refusal::refuse(wording)
    }

    /// The SDKs read Azure's streams as OpenAI's.
    fn break_stream(&self, wording: &Wording<'_>) -> Bytes {
        self.0.break_stream(wording)
    }

    fn announce(&self, standings: &Standings, now: Timestamp, headers: &mut HeaderMap) {
        self.0.announce(standings, now, headers);
    }
}

const DEPLOYMENTS: &str = "/openai/deployments/";

/// Whether a path is Azure's: below a deployment, or below `/openai/` and asked for with Azure's own
/// spelling of the key, or by its SDK, which may bear a token instead. Other hosts have an `/openai/`
/// too; without these they can't be told apart, and OpenAI's own words are read by the clients of all.
pub(super) fn serves(path: &str, headers: &HeaderMap) -> bool {
    let path = route::canonical(path);
    let marked = || {
        let agent = headers.get(USER_AGENT).map(http::HeaderValue::as_bytes);
        let ours = |agent: &[u8]| agent.windows(SDK.len()).any(|part| part == SDK);
        headers.contains_key("api-key") || agent.is_some_and(ours)
    };
    position(&path, DEPLOYMENTS).is_some() || (position(&path, "/openai/").is_some() && marked())
}

/// In the user agents of its SDKs, `AzureOpenAI/Python 3.54.0` and `AsyncAzureOpenAI/..` alike.
const SDK: &[u8] = b"AzureOpenAI/";

/// The deployment that a path names. It stands for a model.
fn deployment(path: &str) -> Option<Cow<'_, str>> {
    let end = |path: &str| Some(position(path, DEPLOYMENTS)? + DEPLOYMENTS.len());
    let name =
        |path: &str, start: usize| path[start..].find('/').map(|length| start..start + length);
    match route::canonical(path) {
        Cow::Borrowed(path) => name(path, end(path)?).map(|range| path[range].into()),
        Cow::Owned(path) => name(&path, end(&path)?).map(|range| path[range].to_owned().into()),
    }
}

/// Where `part` is in `path`, whatever the case of letters. `part` is ASCII, so both ends of a match
/// are character boundaries.
fn position(path: &str, part: &str) -> Option<usize> {
    let mut windows = path.as_bytes().windows(part.len());
    windows.position(|window| window.eq_ignore_ascii_case(part.as_bytes()))
}
