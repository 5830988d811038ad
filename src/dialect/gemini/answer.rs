//! An answer and an event of a streamed one: they have the same shape.

use serde::Deserialize;

use super::content::Content;
use crate::dialect::found::Found;
use crate::dialect::given::{Given, Many, Take, many};
use crate::dialect::{Delta, Finish, Kind, Usage};

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub(super) struct Answer<'a> {
    candidates: Many<'a, Candidate<'a>, Candidates<'a>>,
    usage_metadata: Given<'a, Tokens<'a>>,
    prompt_feedback: Given<'a, Feedback<'a>>,
    response_id: Given<'a>,
    error: Given<'a>,
}

impl<'a> Answer<'a> {
    pub(super) fn into_delta(self) -> Delta<'a> {
        let candidates = many(self.candidates);
        let blocked = !self.prompt_feedback.object().unwrap_or_default().block_reason.is_null();
        let mut found = Found::default();
        found.id(self.response_id);
        found.append(candidates.found, Kind::Text);
        let mut delta = Delta {
            usage: self.usage_metadata.object().map(Tokens::into_usage),
            finish: candidates.finish.or_else(|| blocked.then_some(Finish::Filter)),
            error: !self.error.is_null(),
            ..Delta::default()
        };
        found.issue(&mut delta);
        delta
    }
}

/// All candidates together: each was paid for.
#[derive(Debug, Default)]
struct Candidates<'a> {
    found: Found<'a>,
    finish: Option<Finish>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Candidate<'a> {
    content: Given<'a, Content<'a>>,
    finish_reason: Given<'a>,
}

impl<'de: 'a, 'a> Take<'de> for Candidates<'a> {
    type Item = Given<'a, Candidate<'a>>;

    fn take(&mut self, item: Self::Item) {
        let Some(candidate) = item.object() else { return };
        if let Given::Object(content) = candidate.content {
            content.tell(&mut self.found);
        }
        let reason = candidate.finish_reason.text();
        self.finish = reason.map(|reason| finish(&reason)).or(self.finish);
    }
}

fn finish(reason: &str) -> Finish {
    match reason {
        "STOP" => Finish::Stop,
        "MAX_TOKENS" => Finish::Length,
        "SAFETY" | "RECITATION" | "LANGUAGE" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" => {
            Finish::Filter
        }
        reason if reason.starts_with("IMAGE_") => Finish::Filter,
        _ => Finish::Other,
    }
}

/// The prompt itself was found wanting.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Feedback<'a> {
    block_reason: Given<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Tokens<'a> {
    prompt_token_count: Given<'a>,
    tool_use_prompt_token_count: Given<'a>,
    cached_content_token_count: Given<'a>,
    candidates_token_count: Given<'a>,
    thoughts_token_count: Given<'a>,
}

impl Tokens<'_> {
    /// Thoughts are counted apart from candidates, what tools gave back apart from the prompt; ours
    /// are sums.
    fn into_usage(self) -> Usage {
        let reasoning = self.thoughts_token_count.count();
        Usage {
            input: sum(self.prompt_token_count.count(), self.tool_use_prompt_token_count.count()),
            output: sum(self.candidates_token_count.count(), reasoning),
            cached: self.cached_content_token_count.count(),
            reasoning,
        }
    }
}

/// The sum of what is known.
fn sum(one: Option<u32>, other: Option<u32>) -> Option<u32> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.saturating_add(other)),
        _ => one.or(other),
    }
}
