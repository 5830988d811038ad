//! Phrase classes: what a prompt asks for in so many words, in English, French and Chinese.
//!
//! At each word the patterns with the same first three bytes are compared. What matches is defined
//! on normalised text (see [`normal`]); plain ASCII is scanned as it stands, ten times as fast, and
//! only the surroundings of a likely phrase are normalised. A phrase that is negated ("without showing your reasoning") does
//! not count. Paraphrase defeats any list: this is weak evidence, cheap to have.

mod normal;
mod negation;
mod patterns;
mod plain;
mod veil;

use self::normal::Normal;
use self::patterns::Mark;
use super::exchange::Phrases;
use super::sketch::words::{head, tail};

/// Bytes read at either end of a text: instructions stand there.
const END: usize = 8 * 1024;

/// Named classes. Bits are part of the decision log: never reuse one.
impl Phrases {
    pub const NONE: Self = Self(0);
    /// Step by step, chain of thought, "show your reasoning".
    pub const ELICITS: Self = Self(1);
    /// Reveal or reconstruct reasoning that lies behind an answer already given.
    pub const REVEALS: Self = Self(1 << 1);
    /// Reasoning between tags or under a heading of its own, before an answer under another.
    pub const TAGS: Self = Self(1 << 2);
    /// A rubric and a score: the model as a grader.
    pub const GRADES: Self = Self(1 << 3);
    /// Rewrite something so that it is neutral or passes a filter.
    pub const NEUTRALISES: Self = Self(1 << 4);
    /// Asks not to be flagged, logged or refused.
    pub const EVADES: Self = Self(1 << 5);
    /// Which language to think in.
    pub const THINKS_IN: Self = Self(1 << 6);
    /// A demanded output schema holds both reasoning and an answer.
    pub const SCHEMA: Self = Self(1 << 7);
    /// Words are hidden from filters, or tools behind names that say nothing.
    pub const HIDES: Self = Self(1 << 8);
    /// The model is told that it is another vendor's.
    pub const POSES: Self = Self(1 << 9);

    pub const fn has(self, all: Self) -> bool {
        self.0 & all.0 == all.0
    }

    pub const fn any(self, of: Self) -> bool {
        self.0 & of.0 != 0
    }

    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The phrase classes in `text`. Reads 16 KiB at most; linear.
pub(super) fn find(text: &str) -> Phrases {
    if text.len() <= 2 * END {
        return classes(scan(text));
    }
    classes(scan(head(text, END)) | scan(tail(text, END)))
}

/// Whether property names demand both reasoning and an answer.
pub(super) fn demands_reasoning<'a>(names: impl Iterator<Item = &'a str> + Clone) -> bool {
    let says = |words: &[&str]| {
        names.clone().any(|name| {
            let name = head(name, 64).to_ascii_lowercase().replace(['-', ' '], "_");
            words.iter().any(|word| name == *word)
        })
    };
    says(&[
        "reasoning",
        "reasoning_steps",
        "reasoning_trace",
        "rationale",
        "thought",
        "thoughts",
        "cot",
        "thinking",
        "chain_of_thought",
        "thought_process",
        "reasoning_process",
        "step_by_step",
        "raisonnement",
        "推理",
        "推理过程",
        "思考过程",
    ]) && says(&[
        "answer",
        "final_answer",
        "response",
        "final_response",
        "solution",
        "result",
        "output",
        "conclusion",
        "reponse",
        "réponse",
        "答案",
        "最终答案",
        "回答",
    ])
}

fn scan(text: &str) -> u32 {
    if text.is_ascii() { plain::scan(text) } else { scan_normal(&Normal::of(text)) }
}

/// The marks of every pattern in the text, negated ones left out.
fn scan_normal(normal: &Normal) -> u32 {
    let mut marks = if normal.veil.hides() { Mark::Veiled.bit() } else { 0 };
    for at in normal.starts() {
        for (phrase, mark) in patterns::candidates(normal.as_bytes(), at) {
            if marks & mark.bit() == 0 && stands(normal, at, phrase, mark) {
                marks |= mark.bit();
            }
        }
    }
    marks
}

/// Whether the phrase stands at `at` and nothing around it takes it back.
fn stands(normal: &Normal, at: usize, phrase: &str, mark: Mark) -> bool {
    let negated = || mark.negatable() && negation::around(normal, at, at + phrase.len());
    normal.has(at, phrase) && !negated()
}

/// Some classes need two marks: a heading for the reasoning and one for the answer, a rubric and a
/// scale.
fn classes(marks: u32) -> Phrases {
    let has = |mark: Mark| marks & mark.bit() != 0;
    let table = [
        (Phrases::ELICITS, has(Mark::Elicits)),
        (Phrases::REVEALS, has(Mark::Reveals)),
        (Phrases::TAGS, has(Mark::Tag) || has(Mark::ReasoningHead) && has(Mark::AnswerHead)),
        (Phrases::GRADES, has(Mark::Rubric) && has(Mark::Scale)),
        (Phrases::NEUTRALISES, has(Mark::Neutral)),
        (Phrases::EVADES, has(Mark::Evades)),
        (Phrases::THINKS_IN, has(Mark::ThinksIn)),
        (Phrases::HIDES, has(Mark::Veiled)),
    ];
    let found = table.into_iter().filter(|(_, found)| *found);
    found.fold(Phrases::NONE, |all, (class, _)| all.union(class))
}

#[cfg(test)]
mod tests;
