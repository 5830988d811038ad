//! What an answer gives away, gathered while it passes.

use std::borrow::Cow;
use std::sync::Arc;

use super::chain::{Chain, Said, continued};
use super::rates::{self, Passed, Rates};
use super::tags;
use super::tokens::{Profile, SCRIPTS, script};
use crate::dialect::{Api, Delta, Kind};
use crate::identity::{Keyring, Tag};
use crate::signal::exchange::{Completion, Model, Prompt, UsageSource};
use crate::signal::sketch::chunks::Listener;

/// Gathers an answer's features, delta by delta. Holds no text: hashes and counts.
#[derive(Debug)]
pub struct Answer {
    completion: Completion,
    thread: Chain,
    said: Said,
    /// What it says in words, thinking included.
    heard: Box<Listener>,
    emitted: Emitted,
    /// What had passed when the provider last told its count of output.
    told: Emitted,
    /// All that has passed is text.
    plain: bool,
    model: (Api, Model),
    rates: Arc<Rates>,
    /// Some delta could be read.
    readable: bool,
    keyring: Keyring,
    /// What an id is, if it leaves as another.
    own: Option<fn(&str) -> Option<String>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Emitted {
    text: Profile,
    events: u32,
    /// Bytes by the script of their piece.
    scripts: [u32; SCRIPTS],
}

impl Emitted {
    fn take(&mut self, piece: &str) {
        self.text.take(piece);
        let bytes = &mut self.scripts[usize::from(script(piece))];
        *bytes = bytes.saturating_add(u32::try_from(piece.len()).unwrap_or(u32::MAX));
    }

    fn since(&self, earlier: &Self) -> Passed {
        let most = self.scripts.iter().enumerate().max_by_key(|(_, bytes)| **bytes);
        let script = most.filter(|(_, bytes)| **bytes > 0).map_or(0, |(script, _)| script as u8);
        Passed {
            parts: self.text.since(&earlier.text),
            events: self.events - earlier.events,
            script,
        }
    }
}

impl Answer {
    /// `prompt.thread` is the tag of all turns: what a continuation's prefix starts with.
    pub fn new(prompt: &Prompt, keyring: Keyring) -> Self {
        Self {
            completion: Completion::default(),
            thread: Chain::from_tag(prompt.thread),
            said: Said::new(&keyring),
            heard: listener(),
            emitted: Emitted::default(),
            told: Emitted::default(),
            plain: true,
            model: rates::key(prompt),
            rates: Arc::default(),
            readable: false,
            keyring,
            own: None,
        }
    }

    /// Ids leave as others: `own` says what one is, unless it is as it was.
    pub fn with_own_ids(self, own: fn(&str) -> Option<String>) -> Self {
        Self { own: Some(own), ..self }
    }

    /// Counts by what `rates` know of the model, and teaches them.
    pub fn with_rates(self, rates: &Arc<Rates>) -> Self {
        Self { rates: Arc::clone(rates), ..self }
    }

    /// Another answer to the same caller, of which nothing has passed yet.
    pub fn anew(&self) -> Self {
        let (keyring, thread) = (self.keyring.clone(), Chain::from_tag(Tag::default()));
        Self {
            completion: Completion::default(),
            thread,
            said: Said::new(&keyring),
            heard: listener(),
            emitted: Emitted::default(),
            told: Emitted::default(),
            plain: true,
            model: self.model.clone(),
            rates: Arc::clone(&self.rates),
            readable: false,
            keyring,
            own: self.own,
        }
    }

    /// Takes in one delta, in order.
    pub fn take(&mut self, delta: &Delta<'_>) {
        self.readable |= !delta.error;
        for (kind, piece) in &delta.pieces {
            self.said.take(*kind, piece);
            self.emitted.take(piece);
            if matches!(kind, Kind::Text | Kind::Thinking) {
                self.heard.take(piece, &self.keyring);
            }
            self.plain &= *kind == Kind::Text;
            self.completion.thinking |= *kind == Kind::Thinking && !piece.is_empty();
        }
        let says = delta.pieces.iter().any(|(_, piece)| !piece.is_empty());
        self.emitted.events += u32::from(says);
        if !delta.issued.is_empty() {
            self.issue(delta);
        }
        if let Some(usage) = delta.usage {
            self.completion.usage.update(usage);
            if usage.output.is_some() {
                self.told = self.emitted;
            }
        }
        self.completion.finish = delta.finish.or(self.completion.finish);
    }

    /// Counts an event's text that does not reach the caller: it was made, and is paid for.
    pub fn withhold(&mut self, text: &str) {
        self.emitted.take(text);
        self.emitted.events += 1;
        self.plain = false;
    }

    /// Counts bytes that went to the caller.
    pub fn passed(&mut self, bytes: usize) {
        self.completion.bytes += bytes as u64;
    }

    /// What the answer gave away.
    pub fn finish(mut self) -> Completion {
        let (counted, told) = (self.counted(), self.completion.usage.output);
        // Where a stream was cut, what its first events reported is less than what has passed.
        let cut = self.completion.finish.is_none() && told < Some(counted);
        self.completion.source = if told.is_some() && !cut {
            self.teach();
            UsageSource::Reported
        } else if self.readable {
            self.completion.usage.output = Some(counted);
            UsageSource::Counted
        } else {
            UsageSource::Unknown
        };
        self.completion.said = self.heard.finish(&self.keyring);
        if self.thread != Chain::from_tag(Tag::default()) {
            self.completion.continues = continued(self.thread, self.said).1;
        }
        self.completion
    }

    /// Output tokens that have passed: what was told, and what came after.
    pub fn counted(&self) -> u32 {
        let told = self.completion.usage.output.unwrap_or_default();
        let after = self.rates.count(&self.model, &self.emitted.since(&self.told));
        // What is told before anything was said is a placeholder.
        if self.told.events == 0 { told.max(after) } else { told.saturating_add(after) }
    }

    /// A whole answer without hidden words shows how its model cuts text.
    fn teach(&self) {
        let Completion { usage, finish, .. } = &self.completion;
        let hidden = usage.reasoning.unwrap_or_default() > 0;
        let tokens = usage.output.filter(|tokens| *tokens >= LEAST && finish.is_some());
        if let Some(tokens) = tokens.filter(|_| self.plain && !hidden) {
            self.rates.learn(&self.model, self.emitted.since(&Emitted::default()), tokens);
        }
    }

    fn issue(&mut self, delta: &Delta<'_>) {
        let issued = &mut self.completion.issued;
        let own = |own: fn(&str) -> Option<String>| {
            let of = |id: &Cow<'_, str>| own(id).unwrap_or_else(|| id.clone().into_owned());
            delta.issued.iter().map(|id| Cow::Owned(of(id))).collect::<Vec<_>>()
        };
        let ids = self.own.map(own);
        for tag in tags(ids.as_deref().unwrap_or(&delta.issued), &self.keyring) {
            if issued.len() < Prompt::MAX_IDS && !issued.contains(&tag) {
                issued.push(tag);
            }
        }
    }
}

fn listener() -> Box<Listener> {
    Box::new(Listener::new(Completion::MAX_SAID))
}

/// Tokens of the shortest answer that teaches: ends and frames weigh less than 1 in 16 of it.
const LEAST: u32 = 32;
