//! Label sets, and the one word each enum's variant has in metrics.

use prometheus_client::encoding::EncodeLabelSet;

use super::{FailOpen, Stage};
use crate::dialect::shape::Deed;
use crate::dialect::{Api, Reason};
use crate::signal::{Ending, UsageSource};

macro_rules! label_sets {
    ($($name:ident { $($label:ident),* })*) => { $(
        #[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
        pub(super) struct $name {
            $(pub(super) $label: &'static str,)*
        }
    )* };
}
label_sets! {
    ByApi { api }
    ByBond { api, outcome }
    ByDeed { deed, enforced }
    ByDirection { direction }
    ByEnding { api, ending }
    ByOutcome { outcome }
    ByReason { reason }
    ByRecord { file, outcome }
    BySignal { signal }
    ByStage { stage }
    ByState { state }
    BySource { source }
    ByTokens { direction, source }
}

impl From<Api> for ByApi {
    fn from(api: Api) -> Self {
        Self { api: word(api) }
    }
}

impl ByBond {
    pub(super) fn of(api: Api, outcome: &'static str) -> Self {
        Self { api: word(api), outcome }
    }
}

impl ByDeed {
    pub(super) fn of(deed: Deed, enforced: bool) -> Self {
        Self { deed: deed.name(), enforced: if enforced { "true" } else { "false" } }
    }
}

impl ByEnding {
    pub(super) fn of(api: Api, ending: Ending) -> Self {
        let ending = match ending {
            Ending::Complete => "complete",
            Ending::Truncated => "truncated",
            Ending::Cut => "cut",
            Ending::Cancelled => "cancelled",
            Ending::Refused => "refused",
            Ending::Failed => "failed",
        };
        Self { api: word(api), ending }
    }
}

impl ByTokens {
    pub(super) fn of(direction: &'static str, source: UsageSource) -> Self {
        Self { direction, source: BySource::from(source).source }
    }
}

impl From<UsageSource> for BySource {
    fn from(source: UsageSource) -> Self {
        let source = match source {
            UsageSource::Reported => "reported",
            UsageSource::Counted => "counted",
            UsageSource::Unknown => "unknown",
        };
        Self { source }
    }
}

impl From<Stage> for ByStage {
    fn from(stage: Stage) -> Self {
        let stage = match stage {
            Stage::Before => "before",
            Stage::After => "after",
            Stage::Stream => "stream",
        };
        Self { stage }
    }
}

impl From<FailOpen> for ByReason {
    fn from(why: FailOpen) -> Self {
        let reason = match why {
            FailOpen::Panic => "panic",
            FailOpen::Deadline => "deadline",
            FailOpen::UnreadableAnswer => "unreadable-answer",
            FailOpen::UnvettedBody => "unvetted-body",
        };
        Self { reason }
    }
}

impl From<Reason> for ByReason {
    fn from(reason: Reason) -> Self {
        let reason = match reason {
            Reason::Throttled => "throttled",
            Reason::Challenged => "challenged",
            Reason::Dropped => "dropped",
            Reason::Region => "region",
            Reason::Sweep => "sweep",
            Reason::Unbound => "unbound",
            Reason::Malformed => "malformed",
            Reason::Ambiguous => "ambiguous",
            Reason::BadRequest => "bad-request",
            Reason::MissingCredential => "missing-credential",
            Reason::BadCredential => "bad-credential",
            Reason::TwoCredentials => "two-credentials",
            Reason::NoTenant => "no-tenant",
            Reason::MethodNotAllowed => "method-not-allowed",
            Reason::RequestTimeout => "request-timeout",
            Reason::TooLarge => "too-large",
            Reason::UriTooLong => "uri-too-long",
            Reason::HeadersTooLarge => "headers-too-large",
            Reason::UnsupportedEncoding => "unsupported-encoding",
            Reason::Overloaded => "overloaded",
            Reason::UpstreamFailed => "upstream-failed",
            Reason::UpstreamTimeout => "upstream-timeout",
        };
        Self { reason }
    }
}

fn word(api: Api) -> &'static str {
    match api {
        Api::OpenaiChat => "openai-chat",
        Api::OpenaiResponses => "openai-responses",
        Api::OpenaiCompletions => "openai-completions",
        Api::OpenaiEmbeddings => "openai-embeddings",
        Api::AnthropicMessages => "anthropic-messages",
        Api::AnthropicCountTokens => "anthropic-count-tokens",
        Api::AnthropicBatches => "anthropic-batches",
        Api::GeminiGenerate => "gemini-generate",
        Api::GeminiEmbed => "gemini-embed",
        Api::GeminiCountTokens => "gemini-count-tokens",
        Api::BedrockConverse => "bedrock-converse",
        Api::BedrockInvoke => "bedrock-invoke",
        Api::OpenaiRealtime => "openai-realtime",
        Api::Other => "other",
    }
}
