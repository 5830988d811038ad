//! What a model says over a websocket: any number of responses, each with its usage.

use crate::dialect::websocket::Splitter;
use crate::dialect::{Usage, read_message};
use crate::signal::{Answer, Completion, Prompt, UsageSource};

/// Reads a socket's messages. Holds one unfinished message and no text of others.
#[derive(Debug)]
pub(super) struct Spoken {
    splitter: Splitter,
    /// The response under way.
    answer: Answer,
    /// All that have ended.
    whole: Completion,
    /// Responses that have ended.
    pub(super) responses: u32,
    /// Something could be read.
    readable: bool,
}

impl Spoken {
    pub(super) fn new(answer: Answer) -> Self {
        let (splitter, whole) = (Splitter::default(), Completion::default());
        Self { splitter, answer, whole, responses: 0, readable: false }
    }

    /// Takes the next bytes. The tokens of the responses that have ended with them, if any have.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Option<Usage> {
        let (before, responses) = (self.whole.usage, self.responses);
        let Self { splitter, answer, whole, responses: ended, readable } = self;
        splitter.push(bytes, |text| {
            let Ok(delta) = read_message(text) else { return };
            *readable |= !delta.error;
            answer.take(&delta);
            if delta.last {
                let next = answer.anew();
                add(whole, std::mem::replace(answer, next).finish());
                *ended = ended.saturating_add(1);
            }
        });
        let since = |now: Option<u32>, before: Option<u32>| {
            Some(now.unwrap_or_default() - before.unwrap_or_default())
        };
        (self.responses > responses).then(|| Usage {
            input: since(self.whole.usage.input, before.input),
            output: since(self.whole.usage.output, before.output),
            ..Usage::default()
        })
    }

    /// Everything, with what the response under way has said so far.
    pub(super) fn finish(self) -> Completion {
        let mut whole = self.whole;
        if self.answer.counted() > 0 {
            add(&mut whole, self.answer.finish());
        }
        if self.readable {
            // One that said nothing has used nothing.
            whole.usage.input.get_or_insert_default();
            whole.usage.output.get_or_insert_default();
        }
        whole
    }
}

/// Adds a response to those before it. All are only as sure as the least sure of them.
fn add(whole: &mut Completion, one: Completion) {
    let first = whole.usage == Usage::default();
    let sum = |total: &mut Option<u32>, more: Option<u32>| {
        if let Some(more) = more {
            *total = Some(total.unwrap_or_default().saturating_add(more));
        }
    };
    sum(&mut whole.usage.input, one.usage.input);
    sum(&mut whole.usage.output, one.usage.output);
    sum(&mut whole.usage.cached, one.usage.cached);
    sum(&mut whole.usage.reasoning, one.usage.reasoning);
    whole.source = match (first, whole.source, one.source) {
        (true, _, source) => source,
        (_, UsageSource::Reported, UsageSource::Reported) => UsageSource::Reported,
        _ => UsageSource::Counted,
    };
    for tag in one.issued {
        if whole.issued.len() < Prompt::MAX_IDS && !whole.issued.contains(&tag) {
            whole.issued.push(tag);
        }
    }
    whole.finish = one.finish;
    whole.thinking |= one.thinking;
}
