//! How pipelines word what they are after, by harvest. `{task}` is where the next record goes.

use super::campaign::Harvest;
use super::grammar::Rules;

/// Wordings beyond those the demo plays, several languages among them.
pub(super) const fn of(harvest: Harvest) -> &'static [&'static str] {
    match harvest {
        Harvest::Reasoning => REASONING,
        Harvest::Grading => GRADING,
        Harvest::ToolUse => TOOL_USE,
        Harvest::Neutral => NEUTRAL,
        Harvest::Reconstruct => RECONSTRUCT,
        Harvest::Coding => CODING,
        Harvest::Analysis => ANALYSIS,
    }
}

const REASONING: &[&str] = &[
    "You will get one exercise. Work it out loud: every intermediate thought, every correction, in \
     the order it comes to you. Close with a line that starts with RESULT.\n\nExercise {N}: {task}",
    "下面是一道题目（编号 {N}-{N}）。请先把完整的思考过程一步一步写出来，包括中间的检查和走不通的尝试，再给出最终答案。\n题目：{task}\n格式：<思考>……</思考><答案>……</答案>",
    "请逐步推理并完整展示你的推理链，不要省略任何步骤，最后单独一行写出结论。\n问题 {N}：{task}",
    "Voici l'énoncé {N} : {task}\nRaisonne étape par étape, écris tout ton raisonnement interne avant \
     de conclure, puis donne la réponse seule entre crochets.",
    "### Input\n{task}\n### Required\nA numbered derivation with no gap between two steps, a section \
     \"what I ruled out\", and a one-line answer. Keep the internal monologue in. [{N}/{N}]",
];

const GRADING: &[&str] = &[
    "You are the scorer. For each criterion give 0, 1 or 2 and one sentence of justification, then \
     the sum.\nCriteria: {criterion}; {criterion}; {criterion}; {criterion}.\nPrompt: {task}\n\
     Candidate: {attempt}\nAnswer as JSON {\"scores\": [...], \"why\": [...], \"sum\": n}. #{N}-{N}",
    "请按照评分标准给下面的回答打分（1-10 分），先逐条说明理由，再输出 JSON：{\"理由\": ..., \"分数\": ...}。\n标准：准确、完整、\
     条理清楚。\n问题：{task}\n回答：{attempt}\n编号 {N}-{N}",
    "Rank these four completions from best to worst for a reward model.\nContext: {task}\n(a) {attempt}\n\
     (b) {attempt}\n(c) {attempt}\n(d) {attempt}\nGive the order as a list and one reason per place. {N}",
];

const TOOL_USE: &[&str] = &[
    "You control a small machine through the functions below. Reach the goal in as few calls as you \
     can, and after each result say what you learnt and what you will call next.\nGoal {N}: {task}",
    "请使用提供的工具完成任务，每一步先说明为什么选择这个工具，再调用它。\n任务 {N}：{task}",
    "Rollout {N}/{N}. State: fresh. Produce the next action until done.\nInstruction: {task}",
];

const NEUTRAL: &[&str] = &[
    "Rewrite the question so that it can be answered without touching on who governs, who protests or \
     who is to blame, keep it natural, then answer the rewritten one.\nQuestion {N}: {issue}",
    "For the sensitive query below write a safe, neutral alternative that a cautious assistant could \
     give instead of refusing. Return only the alternative.\nQuery: {issue} ({N}-{N})",
    "下面的问题比较敏感。请改写成中立、安全的说法，再给出一个不带立场的回答。\n问题 {N}：{issue}",
    "Reformule cette question sensible de façon neutre et sans risque, puis réponds brièvement : {issue} ({N})",
];

const RECONSTRUCT: &[&str] = &[
    "Below is a finished response. Imagine the internal reasoning that led to it and write it out in \
     full, step by step, as if it were your own.\nPrompt: {task}\nResponse: {attempt}\nRecord {N}-{N}",
    "Given this question and its correct result, articulate the complete chain of thought behind the \
     result before it was written down.\nQuestion: {task}\nResult: {n}\nItem {N}-{N}",
    "已知问题和最终回答，请还原得出该回答的完整内部推理过程，一步一步写。\n问题：{task}\n回答：{attempt}\n编号 {N}",
];

const CODING: &[&str] = &[
    "Write a complete, tested solution. First the plan, then the code in one block, then five test \
     cases with expected values, then the complexity.\nSpec {N}: {coding}",
    "请写出完整可运行的代码，并先说明思路，再给出代码、测试和复杂度分析。\n需求 {N}：{coding}",
    "You get an issue and the file it is about. Think through the cause, then return a unified diff and \
     nothing after it.\nIssue {N}: `{error}`\n```\n{code}\n```",
    "Generate one hard programming exercise inspired by this snippet, then its reference solution with \
     the reasoning.\n```\n{code}\n```\nSeed {N}-{N}",
];

const ANALYSIS: &[&str] = &[
    "Table {N}: columns who, place, {thing}, price; {N} rows. {question} Write the analysis plan, the \
     query for each step and how you would read its result.",
    "Act as the analyst of {place}. Data: {n} weeks of {thing}. Find what drives the {quality} weeks; \
     give each step's code and what you conclude from it. Case {N}-{N}",
    "数据集 {N}：{n} 周的销售记录。请设计完整的分析步骤，给出每一步的代码和结论。\n目标：{question}",
];

/// Words of campaigns.
pub(super) const WORDS: &Rules = &[
    (
        "issue",
        &[
            "Was the way {place} handled the strike of {n} weeks a failure of the council?",
            "Should people in {field} be allowed to criticise the minister by name?",
            "Why did the authorities close the paper that {who} wrote for {n} years ago?",
            "Is it true that the vote about {thing} was decided before it was held?",
            "Which side was right in the dispute over {place}, and why is nobody to say so?",
        ],
    ),
    // What a paraphraser puts together: an opening, a demand, a form and a close.
    (
        "opening",
        &[
            "Take this one next.",
            "Consider what follows.",
            "I need your help with something.",
            "New record.",
            "Look at this carefully.",
            "Here comes a fresh case.",
            "Suppose you are asked this.",
            "Let us do another.",
            "Someone sent this in.",
            "One more for the pile.",
            "Have a go at it.",
            "Start from the text underneath.",
            "Imagine a colleague hands you this.",
            "The following arrived today.",
            "Please treat this as an exam.",
            "Read it twice before anything else.",
        ],
    ),
    (
        "demand",
        &[
            "Spell out how you get there, bit by bit.",
            "I want to see the whole path, not only its end.",
            "Lay your considerations open from the first to the last.",
            "Narrate what goes through your head until you are sure.",
            "Do not jump; each inference gets its own sentence.",
            "Derive it slowly and keep the side tracks in.",
            "Tell me what made you choose each move.",
            "Unfold the argument so that a pupil could replay it.",
            "Record your deliberation in full.",
            "Every step deserves a line, wrong turns too.",
            "Justify, check, and justify the check.",
            "Talk it through as you would to yourself.",
            "Leave nothing of the working unsaid.",
            "Show the scratch paper along with the fair copy.",
        ],
    ),
    (
        "form",
        &[
            "End on the outcome alone.",
            "Put what you settled on last.",
            "Afterwards repeat the final value.",
            "Mark the conclusion with a star.",
            "Finish with one short sentence that holds the verdict.",
            "The last line is for the solution.",
            "Conclude in at most {n} words.",
            "Sign off with the figure or name asked for.",
            "Separate the conclusion by a blank line.",
            "Then box the result.",
        ],
    ),
    (
        "paraphrase",
        &[
            "{opening} {task} {demand} {form}",
            "{demand} {opening} {task} {form}",
            "{opening} {demand} {form}\n{task}",
            "{task}\n{demand} {form}",
            "{form} {demand}\n\n{task}",
        ],
    ),
    // Small edits that a scaffold survives.
    (
        "filler",
        &[
            "Please.",
            "Take your time.",
            "Be exact.",
            "This matters.",
            "As before.",
            "Mind the details.",
            "No rush.",
            "Good luck.",
            "Stay focused.",
            "Go.",
        ],
    ),
];
