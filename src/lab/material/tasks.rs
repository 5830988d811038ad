//! A campaign's queue as a function of its number: task 17 is the same whoever sends it, and when.

use serde::Deserialize;

use super::campaign::{GRADING, PIPELINE_SYSTEM, PIPELINE_TOOLS, REASONING, TOOL_USE, WORDS};
use super::honest::{AGENT_TOOLS, EDITOR_TOOLS};
use super::{Call, Cohort, Conversation, Corpus, Harvest, Persona, ToolSpec, wordings};
use crate::lab::rng::Rng;
use std::sync::Arc;

/// How far one request's wording differs from the next.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Wording {
    /// A few templates, as they are.
    #[default]
    Fixed,
    /// The same, sentences moved and fillers put in.
    Edited,
    /// A wording of its own for each template number.
    Rotated,
    /// A wording of its own for each request.
    Paraphrased,
    /// No instruction at all: tasks as anybody could ask them.
    Bare,
    /// What real users ask: they are served, and their answers kept.
    Users,
}

/// The tasks of one campaign.
#[derive(Clone, Debug)]
pub struct Tasks {
    harvest: Vec<Harvest>,
    pub wording: Wording,
    /// Single turns only, nothing sent back.
    pub stripped: bool,
    kept: Vec<Vec<&'static str>>,
    /// Its pick of the corpus' templates; each stands in for one of its own wordings.
    lent: [usize; 2],
    systems: [Option<&'static str>; 2],
    rng: Rng,
    corpus: Option<Arc<Corpus>>,
}

/// Wordings of one harvest that a campaign works with.
const KEPT: usize = 3;

const LONG_SYSTEM: &str = "You write reference answers for a corpus. Each answer has to be complete, \
    exact and self-contained. Keep to the form that is asked for, in the language of the request.";

impl Tasks {
    pub fn new(harvest: &[Harvest], wording: Wording, rng: Rng) -> Self {
        let mut rng = rng;
        let kept = harvest.iter().map(|harvest| {
            let early: &[&str] = match harvest {
                Harvest::Reasoning => REASONING,
                Harvest::Grading => GRADING,
                Harvest::ToolUse => TOOL_USE,
                _ => &[],
            };
            let mut all: Vec<_> = early.iter().chain(wordings::of(*harvest)).copied().collect();
            while all.len() > KEPT {
                all.swap_remove(rng.below(all.len()));
            }
            all
        });
        let kept = kept.collect();
        let systems = [Some(PIPELINE_SYSTEM), Some(LONG_SYSTEM)];
        let systems = if rng.chance(0.3) { [None, systems[rng.below(2)]] } else { systems };
        let harvest = harvest.to_vec();
        let lent = [rng.below(1 << 16), rng.below(1 << 16)];
        Self { harvest, wording, stripped: false, kept, lent, systems, rng, corpus: None }
    }

    /// Lets stolen users and bare tasks come from `corpus`.
    pub fn reading(self, corpus: Option<Arc<Corpus>>) -> Self {
        Self { corpus, ..self }
    }

    /// Task `number`, worded after template `template` where wordings rotate.
    pub fn conversation(&self, number: u64, template: u64) -> Conversation {
        let mut rng = self.rng.split(number.wrapping_add(0x7a5c));
        let which = rng.below(self.harvest.len().max(1));
        let harvest = self.harvest.get(which).copied().unwrap_or(Harvest::Reasoning);
        if self.wording == Wording::Users {
            let cohort = if rng.chance(0.6) { Cohort::Chat } else { Cohort::Coding };
            // A new person each time: the relay has thousands.
            let person = Persona::new(cohort, rng.split(5)).reading(self.corpus.clone());
            return person.conversation_at(number);
        }
        let prompt = self.worded(which, template, &mut rng);
        let bare = matches!(self.wording, Wording::Bare);
        let call = Call {
            system: self.system(template, &mut rng).filter(|_| !bare),
            stream: rng.chance(0.3),
            tools: if self.stripped { &[] } else { tools(harvest, &mut rng) },
            max_tokens: if bare { 2048 } else { 4096 },
            temperature: Some(1.0),
            thinking: harvest == Harvest::Reasoning,
            ..Call::asking(prompt)
        };
        let more = match harvest {
            Harvest::Reasoning if !self.stripped && rng.chance(0.4) => {
                vec!["Now write out the reasoning again, in more detail.".to_owned()]
            }
            _ => Vec::new(),
        };
        Conversation::new(call, more, &mut rng)
    }

    fn system(&self, template: u64, rng: &mut Rng) -> Option<String> {
        match self.wording {
            Wording::Rotated => {
                let mut own = self.rng.split(template.wrapping_mul(31) + 7);
                own.chance(0.7).then(|| WORDS.fill("{demand} {form} {filler} {form}", &mut own))
            }
            Wording::Paraphrased => {
                rng.chance(0.5).then(|| WORDS.fill("{demand} {form} {filler}", rng))
            }
            _ => self.systems[rng.below(2)].map(str::to_owned),
        }
    }

    fn worded(&self, which: usize, template: u64, rng: &mut Rng) -> String {
        match self.wording {
            Wording::Fixed => self.fixed(which, rng),
            Wording::Edited => edited(&self.fixed(which, rng), rng),
            Wording::Paraphrased => WORDS.fill("{paraphrase}", rng),
            Wording::Rotated => {
                // The frame is the template's own, what it is filled with the task's.
                let frame =
                    ["{opening} ¤ {demand} {form}", "{demand} {form}\n¤\n{filler} {opening}"];
                let mut own = self.rng.split(template.wrapping_mul(17) + 3);
                let frame = WORDS.fill(own.pick(&frame), &mut own);
                frame.replace('¤', &WORDS.fill("{task}", rng))
            }
            Wording::Bare | Wording::Users => {
                let drawn = self.corpus.as_ref().filter(|_| rng.chance(0.5));
                let drawn =
                    drawn.and_then(|corpus| corpus.prompts.get(rng.below(corpus.prompts.len())));
                drawn.map_or_else(|| WORDS.fill("{task}", rng), |opening| opening.prompt.clone())
            }
        }
    }

    fn fixed(&self, which: usize, rng: &mut Rng) -> String {
        let lent =
            self.corpus.as_ref().filter(|corpus| !corpus.templates.is_empty() && rng.chance(0.5));
        let lent = lent.and_then(|corpus| {
            let template = self.lent[rng.below(2)] % corpus.templates.len();
            corpus.rendered(template, rng, |rng| WORDS.fill("{task}", rng))
        });
        if let Some(rendered) = lent {
            return rendered.prompt;
        }
        let kept = self.kept.get(which).filter(|kept| !kept.is_empty());
        kept.map_or_else(String::new, |kept| WORDS.fill(rng.pick(kept), rng))
    }
}

/// Sentences in another order, some fillers, an odd number.
fn edited(text: &str, rng: &mut Rng) -> String {
    let mut parts: Vec<String> = text.split_inclusive(". ").map(str::to_owned).collect();
    if parts.len() > 1 {
        let (a, b) = (rng.below(parts.len()), rng.below(parts.len()));
        parts.swap(a, b);
    }
    let at = rng.below(parts.len() + 1);
    parts.insert(at, format!(" {} ", WORDS.fill("{filler}", rng)));
    if rng.chance(0.5) {
        parts.push(WORDS.fill(" ({N})", rng));
    }
    parts.concat()
}

fn tools(harvest: Harvest, rng: &mut Rng) -> &'static [ToolSpec] {
    match harvest {
        Harvest::ToolUse if rng.chance(0.5) => AGENT_TOOLS,
        Harvest::ToolUse | Harvest::Analysis => PIPELINE_TOOLS,
        Harvest::Coding if rng.chance(0.4) => EDITOR_TOOLS,
        _ => &[],
    }
}
