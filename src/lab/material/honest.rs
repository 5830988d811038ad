//! What honest people send, and the software they send it with.

use std::sync::Arc;

use serde::Deserialize;

use super::corpus::Corpus;
use super::grammar::Grammar;
use super::lexicon::{CHAT, WORLD};
use super::{Call, Conversation, ToolSpec, trades};
use crate::lab::rng::Rng;

/// Kinds of honest users. Each has something in common with a campaign; together they have not.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "kebab-case")]
pub enum Cohort {
    /// People with questions, in several languages.
    Chat,
    /// People with an editor: a system prompt that very many share, and tools.
    Coding,
    /// One fixed template around always new texts.
    Translation,
    /// A help desk: a fixed template, but people ask the same things over and over.
    Rag,
    /// An agent framework: one long system prompt and one tool set under many accounts.
    Agent,
    /// An evaluation harness: few-shot, step by step, one account.
    Evaluation,
    /// A class: one assignment, one room, one network, many accounts. The hardest.
    Classroom,
    /// Somebody's product: one of sixty system prompts under many accounts.
    Product,
    /// Judges of a product's answers.
    Judge,
    /// Data for a small model of their own, with the templates that everybody has.
    Synthetic,
    /// Lessons, step by step.
    Tutor,
    /// Neutral wordings for heated posts.
    Moderation,
    /// Rows of a table, sorted one by one.
    Batch,
    /// What a model said elsewhere, pasted.
    Pasting,
    /// The same few prompts, over and over.
    Runner,
}

impl Cohort {
    pub const ALL: [Self; 15] = [
        Self::Chat,
        Self::Coding,
        Self::Translation,
        Self::Rag,
        Self::Agent,
        Self::Evaluation,
        Self::Classroom,
        Self::Product,
        Self::Judge,
        Self::Synthetic,
        Self::Tutor,
        Self::Moderation,
        Self::Batch,
        Self::Pasting,
        Self::Runner,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Coding => "coding",
            Self::Translation => "translation",
            Self::Rag => "help desk (RAG)",
            Self::Agent => "agent framework",
            Self::Evaluation => "evaluation",
            Self::Classroom => "classroom",
            Self::Product => "product",
            Self::Judge => "judge",
            Self::Synthetic => "synthetic data",
            Self::Tutor => "tutoring",
            Self::Moderation => "moderation",
            Self::Batch => "batch",
            Self::Pasting => "pasting",
            Self::Runner => "runner",
        }
    }
}

/// One honest user: a cohort and the traits that stay the same.
#[derive(Clone, Debug)]
pub struct Persona {
    cohort: Cohort,
    rng: Rng,
    /// Language, target language, shop: whatever the cohort makes of it.
    trait_of_theirs: usize,
    /// Prompts from outside, for cohorts that any prompt fits.
    corpus: Option<Arc<Corpus>>,
}

const WORLD_ONLY: Grammar<'static> = Grammar(&[WORLD]);

const EDITOR: &str = "You are the assistant inside a code editor. Answer with the smallest change \
    that works, name files by their path, and say so when you have not run the code. Never touch \
    files that the person has not mentioned.";

const FRAMEWORK: &str = "You are an autonomous agent working for the person who wrote the goal \
    below. Work in rounds: look at what is known, pick one tool, wait for its result, then decide \
    again. Do not invent results. Stop as soon as the goal is met and sum up what was done in \
    plain words. If a tool fails twice, say so and propose another way. Keep private data out of \
    tool arguments.";

const SHOPS: &[&str] = &["Fennel Bikes", "the Quay Library", "Lumen Power", "Oakline Bank"];

const DESK_QUESTIONS: &[&str] = &[
    "How do I return something I bought?",
    "When do you open on Sundays?",
    "I forgot my password, what now?",
    "Can I pay in instalments?",
    "Where is my parcel?",
    "Do you ship abroad?",
    "How do I close my account?",
    "Is there a student price?",
    "My invoice is wrong.",
    "Can somebody call me back?",
    "What does the warranty cover?",
    "How do I change my address?",
    "Do you repair old models?",
    "Can I reserve a slot online?",
    "Why was I charged twice?",
    "Is the entrance step-free?",
];

const TARGETS: &[&str] = &["French", "Polish", "Swahili", "Portuguese", "Korean"];

/// Tools of the editor.
pub(super) const EDITOR_TOOLS: &[ToolSpec] = &[
    ToolSpec {
        name: "read_file",
        says: "Read a file of the project.",
        params: &[("path", "string")],
    },
    ToolSpec {
        name: "run_tests",
        says: "Run the tests of one module.",
        params: &[("module", "string")],
    },
];

/// Tools of the agent framework.
pub(super) const AGENT_TOOLS: &[ToolSpec] = &[
    ToolSpec {
        name: "web_search",
        says: "Search the web.",
        params: &[("query", "string"), ("limit", "integer")],
    },
    ToolSpec { name: "open_page", says: "Open a page.", params: &[("url", "string")] },
    ToolSpec {
        name: "write_note",
        says: "Keep a note.",
        params: &[("title", "string"), ("text", "string")],
    },
];

impl Persona {
    pub fn new(cohort: Cohort, rng: Rng) -> Self {
        let mut rng = rng;
        let trait_of_theirs = rng.below(1 << 16);
        Self { cohort, rng, trait_of_theirs, corpus: None }
    }

    /// Lets people who chat ask what is in `corpus` instead.
    pub fn reading(self, corpus: Option<Arc<Corpus>>) -> Self {
        Self { corpus, ..self }
    }

    /// The next thing this user wants.
    pub fn conversation(&mut self) -> Conversation {
        let rng = self.rng.split(1);
        self.rng.draw();
        self.wanting(rng)
    }

    /// What this user wants the `number`th time, whatever was asked before.
    pub fn conversation_at(&self, number: u64) -> Conversation {
        self.wanting(self.rng.split(number.wrapping_add(1_000)))
    }

    fn wanting(&self, rng: Rng) -> Conversation {
        let mut rng = rng;
        let own = self.trait_of_theirs;
        let (call, follow_ups) = match self.cohort {
            Cohort::Chat => self.chat(&mut rng),
            Cohort::Coding => coding(&mut rng),
            Cohort::Translation => (self.translation(&mut rng), Vec::new()),
            Cohort::Rag => (self.desk(&mut rng), Vec::new()),
            Cohort::Agent => agent(&mut rng),
            Cohort::Evaluation => (self.evaluation(&mut rng), Vec::new()),
            Cohort::Classroom => classroom(&mut rng),
            Cohort::Product => {
                // Popularity after Zipf, by the square of an even draw.
                let (call, more) = self.chat(&mut rng);
                let rank = ((own % 256) * (own % 256) * 60) >> 16;
                (trades::product(rank, self.corpus.as_deref(), Call { system: None, ..call }), more)
            }
            Cohort::Judge => (trades::judge(own, &mut rng), Vec::new()),
            Cohort::Synthetic => {
                (trades::synthetic(own, self.corpus.clone(), &mut rng), Vec::new())
            }
            Cohort::Tutor => (trades::tutor(own, &mut rng), Vec::new()),
            Cohort::Moderation => (trades::moderation(&mut rng), Vec::new()),
            Cohort::Batch => (trades::batch(own, &mut rng), Vec::new()),
            Cohort::Pasting => (trades::pasting(&mut rng), Vec::new()),
            Cohort::Runner => (trades::runner(own, &mut rng), Vec::new()),
        };
        Conversation::new(call, follow_ups, &mut rng)
    }

    fn chat(&self, rng: &mut Rng) -> (Call, Vec<String>) {
        let tongue = [CHAT[self.trait_of_theirs % CHAT.len()], WORLD];
        let grammar = Grammar(&tongue);
        let more = (0..rng.below(3)).map(|_| grammar.fill("{more}", rng)).collect();
        let drawn = self.corpus.as_ref().and_then(|corpus| corpus.draw(rng));
        let asked = drawn.unwrap_or_else(|| Call::asking(grammar.fill("{chat}", rng)));
        (Call { stream: true, max_tokens: 1024, ..asked }, more)
    }

    fn evaluation(&self, rng: &mut Rng) -> Call {
        let lent = self.corpus.as_ref().filter(|_| self.trait_of_theirs.is_multiple_of(2));
        let lent = lent.and_then(|corpus| corpus.evals.get(rng.below(corpus.evals.len())));
        let Some(lent) = lent else { return evaluation(rng) };
        Call { max_tokens: 256, temperature: Some(0.0), ..Call::asking(lent.clone()) }
    }

    fn translation(&self, rng: &mut Rng) -> Call {
        let target = TARGETS[self.trait_of_theirs % TARGETS.len()];
        let text = WORLD_ONLY.fill("{question} {problem}", rng);
        let prompt = format!(
            "Translate the text between the lines into {target}. Keep numbers and \
            names as they are and return only the translation.\n---\n{text}\n---"
        );
        Call { max_tokens: 800, temperature: Some(0.0), ..Call::asking(prompt) }
    }

    fn desk(&self, rng: &mut Rng) -> Call {
        let shop = SHOPS[self.trait_of_theirs % SHOPS.len()];
        let rank = rng.zipf(DESK_QUESTIONS.len());
        let mut facts = Rng::new(rank as u64);
        let fact = WORLD_ONLY
            .fill("Rule {n}: {thing} are handled at {place} within {n} days.", &mut facts);
        let prompt = format!(
            "Context:\n{fact}\n\nAnswer the customer from the context alone. If it \
            is not there, say that a colleague will reply.\n\nCustomer: {}",
            DESK_QUESTIONS[rank]
        );
        let system = format!("You answer for {shop}. Be brief and kind, and never promise money.");
        Call { system: Some(system), max_tokens: 400, ..Call::asking(prompt) }
    }
}

fn coding(rng: &mut Rng) -> (Call, Vec<String>) {
    let asked = [
        "This breaks:\n```\n{code}\n```\nwith `{error}`. Use a tool if you have to look.",
        "{coding} It has to fit what is in src/store_{n}.",
        "Why does `{code}` say `{error}`?",
    ];
    let first = WORLD_ONLY.fill(rng.pick(&asked), rng);
    let more = (0..rng.below(3)).map(|_| WORLD_ONLY.fill("Now it says `{error}`.", rng)).collect();
    let call = Call {
        system: Some(EDITOR.into()),
        tools: EDITOR_TOOLS,
        stream: true,
        max_tokens: 2048,
        ..Call::asking(first)
    };
    (call, more)
}

fn agent(rng: &mut Rng) -> (Call, Vec<String>) {
    let goals = [
        "Goal: find out how {place} could save on {thing} and write a note. Use the tools.",
        "Goal: compare two makers of {thing} for {who}, with a tool for each page you open.",
        "Goal: collect what is new in {field} this week. Use the search tool first.",
    ];
    let first = WORLD_ONLY.fill(rng.pick(&goals), rng);
    let call = Call {
        system: Some(FRAMEWORK.into()),
        tools: AGENT_TOOLS,
        max_tokens: 1500,
        temperature: Some(0.2),
        ..Call::asking(first)
    };
    (call, Vec::new())
}

/// Items of the benchmark.
const SUITE: usize = 1_000;

fn evaluation(rng: &mut Rng) -> Call {
    let mut shots = String::new();
    // The same two examples lead every prompt of the suite: they come from a seed of their own.
    let mut fixed = Rng::new(11);
    for _ in 0..2 {
        let shot = WORLD_ONLY
            .fill("Q: {problem}\nA: We go step by step. The answer is {n}.\n\n", &mut fixed);
        shots.push_str(&shot);
    }
    // A benchmark is the same for everybody who runs it.
    let mut item = fixed.split(rng.below(SUITE) as u64);
    let asked = format!("{shots}Q: {{problem}}\nA: We go step by step.");
    let prompt = WORLD_ONLY.fill(&asked, &mut item);
    Call { max_tokens: 256, temperature: Some(0.0), ..Call::asking(prompt) }
}

fn classroom(rng: &mut Rng) -> (Call, Vec<String>) {
    let mine =
        WORLD_ONLY.fill("{who} thinks the {quality} part of {field} is the {quality} one", rng);
    let prompt = format!(
        "Assignment 4. Read the claim and help me find two arguments for it and two \
        against it, with a source I can look up at the library. My claim: {mine}."
    );
    let more = (0..1 + rng.below(2))
        .map(|_| WORLD_ONLY.fill("Which of them is the more {quality} one for {place}?", rng))
        .collect();
    (Call { stream: true, max_tokens: 900, ..Call::asking(prompt) }, more)
}

/// What a tool of the caller's says.
pub(super) fn tool_result(name: &str, rng: &mut Rng) -> String {
    let template = match name {
        "read_file" => "{code}",
        "run_tests" => "{n} passed, 1 failed: {error}",
        "open_page" => "{question} {who} writes from {place}: {problem}",
        "write_note" => "note {N} kept",
        _ => "{n} results. First: {question}",
    };
    WORLD_ONLY.fill(template, rng)
}

impl Call {
    /// A call with one user turn.
    pub fn asking(prompt: String) -> Self {
        Self { turns: vec![super::Turn::User(prompt)], max_tokens: 512, ..Self::default() }
    }
}
