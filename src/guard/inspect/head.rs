//! What the head says of a body.

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

use super::super::coding::Coding;
use super::super::refusal::Refusal;
use super::super::settings::Settings;
use crate::dialect::Reason;
use crate::identity::{Keyring, Tag};
use crate::signal::{Prompt, SESSION_HEADERS, session_tag};

/// How a body is coded, if it is what an inspected route takes. Before a byte of it is read.
pub(super) fn form(headers: &HeaderMap, settings: &Settings) -> Result<Option<Coding>, Refusal> {
    if !is_json(headers) {
        return Err(Refusal::malformed("The content type must be application/json."));
    }
    let coding = Coding::of(headers.get_all(CONTENT_ENCODING));
    match coding {
        Ok(None) => Ok(None),
        Ok(Some(coding)) if settings.codings.contains(&coding) => Ok(Some(coding)),
        _ => Err(Refusal::unsupported(&settings.codings)),
    }
}

/// Refuses a body that says itself that it is too large.
pub(super) fn fits(headers: &HeaderMap, settings: &Settings) -> Result<(), Refusal> {
    let large = declared(headers).is_some_and(|bytes| bytes > settings.max_body as u64);
    if large { Err(Reason::TooLarge.into()) } else { Ok(()) }
}

/// Whether the body claims to be JSON in UTF-8. One that claims nothing is read as JSON.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let mut kinds = headers.get_all(CONTENT_TYPE).iter();
    kinds.all(|kind| {
        let mut pieces = kind.to_str().unwrap_or_default().split(';').map(str::trim);
        let essence =
            pieces.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
        let mut charsets = pieces.filter_map(|piece| piece.split_once('='));
        essence
            && charsets.all(|(name, value)| {
                let utf8 = value.trim_matches('"').eq_ignore_ascii_case("utf-8");
                !name.eq_ignore_ascii_case("charset") || utf8
            })
    })
}

pub(super) fn declared(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Which try of one call this is, by the client's own count: `x-stainless-retry-count: 2`, or
/// `amz-sdk-request: attempt=3; max=3`, where the first attempt is no retry.
pub(super) fn retry(headers: &HeaderMap) -> u8 {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let stainless = || text("x-stainless-retry-count")?.trim().parse().ok();
    let amazon = || {
        let mut pieces = text("amz-sdk-request")?.split(';').map(str::trim);
        let attempt: u8 = pieces.find_map(|piece| piece.strip_prefix("attempt="))?.parse().ok()?;
        Some(attempt.saturating_sub(1))
    };
    stainless().or_else(amazon).unwrap_or_default()
}

/// Adds the sessions that the head names to those of the body.
pub(super) fn name_sessions(headers: &HeaderMap, keyring: &Keyring, sessions: &mut Vec<Tag>) {
    let named = SESSION_HEADERS.iter().filter_map(|name| headers.get(*name)?.to_str().ok());
    for tag in named.filter_map(|id| session_tag(id, keyring)) {
        if sessions.len() < Prompt::MAX_SESSIONS && !sessions.contains(&tag) {
            sessions.push(tag);
        }
    }
}
