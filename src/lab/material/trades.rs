//! Honest work that resembles a harvest: judging, generating data, tutoring, moderating, sorting.

use super::campaign::WORDS;
use super::honest::AGENT_TOOLS;
use super::{Call, Corpus, Harvest, Tasks, Wording};
use crate::lab::rng::Rng;
use std::sync::Arc;

/// A judge of one product's answers; each product has a rubric of its own, of a few in use.
pub(super) fn judge(product: usize, rng: &mut Rng) -> Call {
    let rubrics = [
        "You rate replies of our help desk. Rate the reply from 1 to 5 for tone and for correctness \
         and return JSON {\"tone\": n, \"correct\": n, \"reason\": \"...\"}.\nCustomer: {question}\nReply: {attempt}",
        "Compare answer A with answer B for helpfulness, depth and accuracy. Explain in two sentences, \
         then print [[A]] or [[B]].\nQuestion: {question}\nA: {attempt}\nB: {attempt}",
        "Does the answer stay within the passage? Say yes or no and give the score of faithfulness from \
         0 to 1.\nPassage: {who} keeps {n} {thing} in {place}.\nAnswer: {attempt}",
        "请给下面的客服回答打分（1-5 分），并用一句话说明理由。\n问题：{question}\n回答：{attempt}",
    ];
    let prompt = WORDS.fill(rubrics[product % rubrics.len()], rng);
    Call { max_tokens: 300, temperature: Some(0.0), ..Call::asking(prompt) }
}

/// Who trains a small model of their own under a contract: the very wordings of campaigns.
pub(super) fn synthetic(owner: usize, corpus: Option<Arc<Corpus>>, rng: &mut Rng) -> Call {
    let harvests = [Harvest::Reasoning, Harvest::Grading, Harvest::Coding, Harvest::ToolUse];
    let harvest = harvests[owner % harvests.len()];
    // Four template files go round; owners use one of them, as campaigns do.
    let tasks =
        Tasks::new(&[harvest], Wording::Fixed, Rng::new((owner / 4 % 4) as u64)).reading(corpus);
    let mut made = tasks.conversation(rng.draw(), 0).call;
    made.stream = false;
    made
}

/// Tutoring shows its steps to pupils, in the pupils' languages.
pub(super) fn tutor(school: usize, rng: &mut Rng) -> Call {
    let systems = [
        "You are a patient tutor. Explain step by step, ask a question back, never give the whole solution at once.",
        "Tu es un professeur de soutien. Explique étape par étape et termine par une question.",
        "你是一位耐心的辅导老师，请一步一步讲解，并在最后提一个问题。",
    ];
    let asks = [
        "{problem} I do not see how to begin, can you think it through with me step by step?",
        "My result for this is {n}, is that right? {problem}",
        "{question} Please show how you reason.",
    ];
    let prompt = WORDS.fill(rng.pick(&asks), rng);
    let system = Some(systems[school % systems.len()].to_owned());
    Call { system, stream: true, max_tokens: 900, ..Call::asking(prompt) }
}

/// A moderation vendor words posts neutrally.
pub(super) fn moderation(rng: &mut Rng) -> Call {
    let prompt = "Post {N}: {issue}\nLabel the post (fine, heated, abusive). If it is heated, propose a \
        neutral wording that keeps its meaning.";
    let system = "You help moderators of a regional newspaper's comment pages.";
    let prompt = WORDS.fill(prompt, rng);
    Call {
        system: Some(system.into()),
        max_tokens: 250,
        temperature: Some(0.0),
        ..Call::asking(prompt)
    }
}

/// Sorting rows of a table, always new ones.
pub(super) fn batch(owner: usize, rng: &mut Rng) -> Call {
    let templates = [
        "Classify the ticket into one of: billing, delivery, account, other. Return the word only.\nTicket: {question} {error}",
        "Extract name, amount and place as JSON with exactly these keys.\nText: {problem}",
        "Ordne die Meldung einer Kategorie zu (Technik, Vertrag, Lob, Sonstiges). Nur das Wort.\nMeldung: {question}",
        "Summarise in at most {n} words for an index card.\n\"{question} {problem}\"",
        "把下面的句子分类：投诉、咨询、表扬。只输出一个词。\n句子：{question}",
    ];
    let mut own = Rng::new(owner as u64);
    let template =
        templates[owner % templates.len()].replace("{n}", &(20 + own.below(40)).to_string());
    Call { max_tokens: 120, temperature: Some(0.0), ..Call::asking(WORDS.fill(&template, rng)) }
}

/// A product under many accounts: one of sixty system prompts, asked what people ask.
pub(super) fn product(rank: usize, corpus: Option<&Corpus>, asked: Call) -> Call {
    let lent = corpus.filter(|corpus| !corpus.systems.is_empty());
    if let Some(corpus) = lent {
        let system = corpus.systems[rank * rank % corpus.systems.len()].clone();
        return Call { system: Some(system), ..asked };
    }
    let mut own = Rng::new(9_000 + rank as u64);
    let system = WORDS.fill(
        "You are {who}, the assistant of a product for {field}. Users run {place}. Answer in a {quality} \
         and {quality} way, at most {N} words, and point them to {place} when they ask about {thing}. \
         Never discuss {field} or name other makers of {thing}. If something is {quality}, say so first.",
        &mut own,
    );
    let tools = if rank.is_multiple_of(5) { AGENT_TOOLS } else { &[] };
    Call { system: Some(system), tools, ..asked }
}

/// Pasting what a model said elsewhere, public and much copied, and asking about it.
pub(super) fn pasting(rng: &mut Rng) -> Call {
    let mut public = Rng::new(rng.zipf(40) as u64 + 500);
    let text: Vec<_> = (0..6).map(|_| WORDS.fill("{attempt}", &mut public)).collect();
    let prompt = WORDS.fill(
        &format!(
            "Another assistant told me this:\n\"{}\"\nIs that so? {{question}}",
            text.join(" ")
        ),
        rng,
    );
    Call { stream: true, max_tokens: 700, ..Call::asking(prompt) }
}

/// A runner's smoke test: the same few prompts at every commit.
pub(super) fn runner(owner: usize, rng: &mut Rng) -> Call {
    let mut own = Rng::new(owner as u64 * 8 + rng.below(6) as u64);
    let prompt =
        WORDS.fill("Smoke test: reply with the number {n} and the word {quality}.", &mut own);
    Call { max_tokens: 16, temperature: Some(0.0), ..Call::asking(prompt) }
}
