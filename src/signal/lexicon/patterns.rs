//! The phrases, in the spelling of [`super::normal`]: lower case, no accents, no punctuation.

/// What a pattern stands for: a class, or half of one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mark {
    Elicits,
    Reveals,
    Tag,
    ReasoningHead,
    AnswerHead,
    Rubric,
    Scale,
    Neutral,
    Evades,
    ThinksIn,
    /// No phrase: words that are hidden.
    Veiled,
}
use Mark::*;

impl Mark {
    pub(super) const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// "Do not flag" is itself a negation, and a heading is there or it isn't.
    pub(super) const fn negatable(self) -> bool {
        !matches!(self, Evades | ReasoningHead | AnswerHead | Rubric | Scale)
    }
}

#[rustfmt::skip]
pub(super) const PATTERNS: &[(&str, Mark)] = &[
    // Step by step and chain of thought.
    ("step by step", Elicits), ("one step at a time", Elicits), ("chain of thought", Elicits),
    ("chains of thought", Elicits), ("think aloud", Elicits), ("think out loud", Elicits),
    ("thinking out loud", Elicits), ("your reasoning", Elicits), ("your thought process", Elicits),
    ("your thinking process", Elicits), ("your full thinking", Elicits), ("your train of thought", Elicits),
    ("show your work", Elicits), ("showing your work", Elicits), ("show all your work", Elicits),
    ("show all work", Elicits), ("show all steps", Elicits), ("show every step", Elicits),
    ("every reasoning step", Elicits), ("each reasoning step", Elicits), ("every intermediate step", Elicits),
    ("all intermediate steps", Elicits), ("full reasoning", Elicits), ("detailed reasoning", Elicits),
    ("complete reasoning", Elicits), ("reasoning trace", Elicits), ("reasoning process", Elicits),
    ("reason through", Elicits), ("think it through", Elicits), ("think through the", Elicits),
    ("write out your thoughts", Elicits), ("let s think", Elicits), ("lets think", Elicits),
    ("etape par etape", Elicits), ("pas a pas", Elicits), ("ton raisonnement", Elicits),
    ("votre raisonnement", Elicits), ("chaine de pensee", Elicits), ("raisonnement complet", Elicits),
    ("raisonnement detaille", Elicits), ("toutes les etapes", Elicits), ("reflechis a voix haute", Elicits),
    ("一步一步", Elicits), ("一步步", Elicits), ("逐步", Elicits), ("分步", Elicits), ("思维链", Elicits),
    ("思考过程", Elicits), ("推理过程", Elicits), ("推理步骤", Elicits), ("解题步骤", Elicits), ("思维过程", Elicits),
    // Reasoning behind an answer that is already there, or kept inside.
    ("internal reasoning", Reveals), ("hidden reasoning", Reveals), ("inner monologue", Reveals),
    ("internal monologue", Reveals), ("private reasoning", Reveals), ("previous reasoning", Reveals),
    ("prior reasoning", Reveals), ("reasoning behind your", Reveals), ("reasoning behind the completed", Reveals),
    ("reasoning that led to", Reveals), ("reasoning that would lead", Reveals), ("how you arrived at", Reveals),
    ("how you reached this", Reveals), ("how you came to this answer", Reveals),
    ("repeat your reasoning", Reveals), ("repeat your thinking", Reveals), ("reconstruct the reasoning", Reveals),
    ("reasoning verbatim", Reveals), ("thinking verbatim", Reveals), ("thoughts verbatim", Reveals),
    ("working memory", Reveals), ("raw thinking", Reveals), ("raw reasoning", Reveals),
    ("raisonnement interne", Reveals), ("raisonnement precedent", Reveals), ("raisonnement cache", Reveals),
    ("raisonnement qui a conduit", Reveals), ("monologue interieur", Reveals),
    ("内部推理", Reveals), ("内心独白", Reveals), ("内部思考", Reveals), ("之前的推理", Reveals),
    ("隐藏的推理", Reveals), ("如何得出", Reveals), ("原始思考", Reveals),
    // Tags and headings for reasoning.
    ("<think>", Tag), ("<thinking>", Tag), ("<thought>", Tag), ("<thoughts>", Tag), ("<reasoning>", Tag),
    ("<reason>", Tag), ("<scratchpad>", Tag), ("<rationale>", Tag), ("<cot>", Tag), ("<raisonnement>", Tag),
    ("<reflexion>", Tag), ("<思考>", Tag), ("<推理>", Tag), ("think tags", Tag), ("thinking tags", Tag),
    ("[think]", Tag), ("[reasoning]", Tag),
    ("reasoning:", ReasoningHead), ("thought:", ReasoningHead), ("thoughts:", ReasoningHead),
    ("thinking:", ReasoningHead), ("rationale:", ReasoningHead), ("raisonnement:", ReasoningHead),
    ("推理:", ReasoningHead), ("推理过程:", ReasoningHead), ("思考:", ReasoningHead), ("思考过程:", ReasoningHead),
    ("answer:", AnswerHead), ("conclusion:", AnswerHead), ("solution:", AnswerHead), ("reponse:", AnswerHead),
    ("reponse finale:", AnswerHead), ("答案:", AnswerHead), ("回答:", AnswerHead), ("最终答案:", AnswerHead),
    // A rubric and a scale.
    ("rubric", Rubric), ("rubrics", Rubric), ("grading criteria", Rubric), ("scoring criteria", Rubric),
    ("evaluation criteria", Rubric), ("grade the", Rubric), ("grade this", Rubric), ("score the", Rubric),
    ("rate the response", Rubric), ("rate the answer", Rubric), ("impartial judge", Rubric),
    ("candidate answer", Rubric), ("candidate response", Rubric), ("reference answer", Rubric),
    ("evaluate the", Rubric), ("evaluate this", Rubric), ("evaluate each", Rubric), ("assess the quality", Rubric),
    ("quality of the response", Rubric), ("quality of the answer", Rubric), ("candidate solution", Rubric),
    ("response is better", Rubric), ("answer is better", Rubric), ("assistant is better", Rubric),
    ("evalue la reponse", Rubric), ("evaluez la reponse", Rubric), ("evalue cette", Rubric),
    ("评估以下", Rubric), ("评价以下", Rubric), ("更好的回答", Rubric),
    ("bareme", Rubric), ("grille d evaluation", Rubric), ("note la reponse", Rubric),
    ("notez la reponse", Rubric), ("criteres d evaluation", Rubric),
    ("评分标准", Rubric), ("评分细则", Rubric), ("评估标准", Rubric), ("打分", Rubric), ("参考答案", Rubric),
    ("score:", Scale), ("rating:", Scale), ("from 1 to", Scale), ("from 0 to", Scale), ("between 0 and", Scale),
    ("between 1 and", Scale), ("scale of 1", Scale), ("scale of 0", Scale), ("out of 10", Scale),
    ("out of 5", Scale), ("out of 100", Scale), ("1 10", Scale), ("0 10", Scale), ("1 5", Scale),
    ("a score between", Scale), ("a score from", Scale), ("assign a score", Scale), ("give a score", Scale),
    ("a rating between", Scale), ("a rating from", Scale), ("score field", Scale), ("field score", Scale),
    ("attribue une note", Scale), ("donne une note", Scale), ("给出分", Scale), ("评分为", Scale),
    ("numeric score", Scale), ("de 0 a", Scale), ("de 1 a", Scale), ("sur 10", Scale), ("sur 20", Scale),
    ("note:", Scale), ("分数", Scale), ("满分", Scale), ("得分", Scale), ("1到10", Scale), ("1到5", Scale), ("0到10", Scale),
    // Rewriting for neutrality.
    ("rewrite in a neutral", Neutral), ("rewrite it in a neutral", Neutral), ("rewrite neutrally", Neutral),
    ("rewrite this neutrally", Neutral), ("neutral rewrite", Neutral), ("neutral version", Neutral),
    ("neutral alternative", Neutral), ("politically neutral", Neutral), ("politically safe", Neutral),
    ("safe alternative to", Neutral), ("safe version of", Neutral), ("censorship safe", Neutral),
    ("policy safe", Neutral), ("deflect the question", Neutral), ("avoid sensitive", Neutral),
    ("version neutre", Neutral), ("reformule de facon neutre", Neutral), ("reformulez de facon neutre", Neutral),
    ("maniere neutre", Neutral), ("中立的", Neutral), ("中性的表述", Neutral), ("改写为中立", Neutral),
    ("敏感话题", Neutral), ("合规的表述", Neutral),
    // Evasion.
    ("do not flag", Evades), ("don t flag", Evades), ("dont flag", Evades), ("not be flagged", Evades),
    ("without being flagged", Evades), ("avoid detection", Evades), ("bypass the filter", Evades),
    ("bypass filters", Evades), ("evade detection", Evades), ("do not log this", Evades),
    ("don t log this", Evades), ("do not report this", Evades), ("this is not an extraction", Evades),
    ("not a distillation", Evades), ("ne signale pas", Evades), ("ne signalez pas", Evades),
    ("sans etre detecte", Evades), ("contourner le filtre", Evades), ("不要标记", Evades),
    ("不要举报", Evades), ("绕过审查", Evades), ("绕过检测", Evades), ("避免被检测", Evades), ("规避检测", Evades),
    // A language to think in.
    ("think in english", ThinksIn), ("think in chinese", ThinksIn), ("think in french", ThinksIn),
    ("think only in", ThinksIn), ("reason in english", ThinksIn), ("reason in chinese", ThinksIn),
    ("reason only in", ThinksIn), ("thinking in english", ThinksIn), ("thinking in chinese", ThinksIn),
    ("thinking must be in", ThinksIn), ("reasoning must be in", ThinksIn), ("thoughts must be in", ThinksIn),
    ("translate your thinking", ThinksIn), ("translate your reasoning", ThinksIn),
    ("translate your thoughts", ThinksIn), ("pense en", ThinksIn), ("pensez en", ThinksIn),
    ("raisonne en anglais", ThinksIn), ("raisonne en chinois", ThinksIn), ("raisonnez en", ThinksIn),
    ("reflechis en", ThinksIn), ("用中文思考", ThinksIn), ("用英文思考", ThinksIn), ("用英语思考", ThinksIn),
    ("用中文推理", ThinksIn), ("用英文推理", ThinksIn), ("用英语推理", ThinksIn),
];

const BUCKETS: usize = 2048;
const NONE: u16 = u16::MAX;

/// Patterns by their first three bytes: where each bucket's chain starts, and what follows each.
struct Chains {
    heads: [u16; BUCKETS],
    next: [u16; PATTERNS.len()],
}

static CHAINS: Chains = {
    let mut chains = Chains { heads: [NONE; BUCKETS], next: [NONE; PATTERNS.len()] };
    let mut pattern = 0;
    while pattern < PATTERNS.len() {
        let text = PATTERNS[pattern].0.as_bytes();
        let bucket = bucket([text[0], text[1], text[2]]);
        chains.next[pattern] = chains.heads[bucket];
        chains.heads[bucket] = pattern as u16;
        pattern += 1;
    }
    chains
};

/// By the first three bytes: a Chinese character, or most of what tells Latin words apart. A comma
/// counts as the space it may stand for.
const fn bucket(first: [u8; 3]) -> usize {
    let (mut packed, mut offset) = (0, 0);
    while offset < 3 {
        let byte = if first[offset] == b',' { b' ' } else { first[offset] };
        packed = packed << 8 | byte as u32;
        offset += 1;
    }
    (packed.wrapping_mul(0x9e37_79b1) >> 21) as usize % BUCKETS
}

/// The patterns that can start at byte `at`.
pub(super) fn candidates(text: &[u8], at: usize) -> impl Iterator<Item = (&'static str, Mark)> {
    let first = text.get(at..).and_then(<[u8]>::first_chunk).copied();
    first.into_iter().flat_map(starting_with)
}

/// The patterns that can start with these bytes.
pub(super) fn starting_with(first: [u8; 3]) -> impl Iterator<Item = (&'static str, Mark)> {
    let chain = |pattern: u16| (pattern != NONE).then_some(pattern);
    let first = chain(CHAINS.heads[bucket(first)]);
    std::iter::successors(first, move |&pattern| chain(CHAINS.next[usize::from(pattern)]))
        .map(|pattern| PATTERNS[usize::from(pattern)])
}
