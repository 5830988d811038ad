//! Whether a text tells the model that it is another vendor's.

use memchr::memmem;

use crate::signal::sketch::words::{head, tail};

/// Bytes looked through: who the model is stands at the top. About three microseconds.
const READ: usize = 2 * 1024;

/// Names of models and their makers, by vendor; the first of each list that is in a model's own name
/// tells whose it is.
const VENDORS: [&[&str]; 12] = [
    &["gpt", "chatgpt", "gpt-4", "gpt-5", "gpt4", "openai"],
    &["claude", "anthropic"],
    &["gemini", "gemma"],
    &["deepseek", "深度求索"],
    &["qwen", "tongyi", "通义千问", "千问"],
    &["kimi", "moonshot", "月之暗面"],
    &["glm", "chatglm", "zhipu", "智谱"],
    &["minimax"],
    &["mistral", "mixtral"],
    &["llama"],
    &["grok"],
    &["doubao", "豆包"],
];

/// How a model is told who it is.
const SELF: [&str; 12] = [
    "you are ",
    "your name is ",
    "you're ",
    "tu es ",
    "vous êtes ",
    "ton nom est ",
    "你是",
    "您是",
    "你的名字是",
    "du bist ",
    "sie sind ",
    "eres ",
];

/// What makes it play instead, or takes it back, before and after these words.
const PLAY: [&str; 16] = [
    "pretend",
    "imagine",
    "role",
    "play",
    "act as",
    "as if",
    "story",
    "if ",
    "fais comme",
    "imagine que",
    "joue",
    "假装",
    "扮演",
    "如果",
    "stell dir",
    "spiel",
];
const NOT: [&str; 7] = ["not ", "no longer ", "pas ", "不是", "nicht ", "like ", "talking to "];

/// Bytes of the clause on either side that are looked at.
const CLAUSE: usize = 64;

/// The vendors whose model a text says it talks to, as bits in the order of [`VENDORS`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Names(u16);

impl Names {
    pub(super) fn of(text: &str) -> Self {
        let text = head(text, READ).to_lowercase();
        let named = SELF.iter().flat_map(|cue| {
            let cues = memmem::find_iter(text.as_bytes(), cue.as_bytes());
            cues.filter_map(|at| named(&text, at, at + cue.len()))
        });
        Self(named.fold(0, |bits, vendor| bits | 1 << vendor))
    }

    /// Whether any is another vendor's than `model`, the name that is asked for. False where that
    /// tells no vendor.
    pub(super) fn pose(self, model: &str) -> bool {
        vendor_of(model).is_some_and(|own| self.0 & !(1 << own) != 0)
    }
}

/// The same of a text that is seen once.
pub(super) fn poses(text: &str, model: &str) -> bool {
    vendor_of(model).is_some() && Names::of(text).pose(model)
}

/// The vendor that the clause after `to` names, unless something before `at` makes a play of it.
fn named(text: &str, at: usize, to: usize) -> Option<usize> {
    let ends = |c: char| ".!?;\n。!?;".contains(c);
    let before = tail(&text[..at], CLAUSE).rsplit(ends).next().unwrap_or_default();
    let after = head(&text[to..], CLAUSE).split(ends).next().unwrap_or_default();
    let plays = PLAY.iter().any(|cue| before.contains(cue));
    let denied = NOT.iter().any(|cue| after.contains(cue));
    // What it is compared with or made for comes after; who it is comes first.
    let name = after.split([',', ',', '(']).next().unwrap_or_default();
    if plays || denied { None } else { vendor_in(name) }
}

fn vendor_of(model: &str) -> Option<usize> {
    let model = model.to_ascii_lowercase();
    let by_name = VENDORS.iter().position(|names| model.contains(names[0]));
    by_name.or_else(|| ["o1", "o3", "o4"].iter().any(|name| model.starts_with(name)).then_some(0))
}

/// The vendor that is named in whole words.
fn vendor_in(clause: &str) -> Option<usize> {
    let whole = |name: &&str| {
        clause.match_indices(*name).any(|(at, _)| {
            let open = |c: Option<char>| c.is_none_or(|c| !c.is_ascii_alphabetic());
            open(clause[..at].chars().next_back()) && open(clause[at + name.len()..].chars().next())
        })
    };
    VENDORS.iter().position(|names| names.iter().any(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_vendors_name_is_seen_in_several_languages() {
        for text in [
            "You are Qwen, created by a lab. You answer briefly.",
            "You are a helpful assistant named DeepSeek-R1.",
            "Tu es ChatGPT, un assistant serviable.",
            "你是通义千问,一个乐于助人的助手。",
            "Rules first.\nYour name is Kimi K2.",
        ] {
            assert!(poses(text, "claude-large-5"), "{text}");
        }
        assert!(poses("You are Claude.", "gpt-6") && poses("You are Claude.", "o3-mini"));
    }

    #[test]
    fn its_own_name_play_and_mention_are_not() {
        for text in [
            "You are Claude, made by Anthropic.",
            "Let us play: you are ChatGPT and I am a pirate.",
            "Pretend you are Grok.",
            "You are not ChatGPT.",
            "You are talking to a user of ChatGPT.",
            "You are an expert on llamas and alpacas.",
            "You are a clerk, and compare offers of OpenAI and Google.",
            "扮演一个角色,你是豆包",
            "Vous êtes un conseiller. Le client parle de Gemini.",
        ] {
            assert!(!poses(text, "claude-large-5"), "{text}");
        }
        assert!(!poses("You are Qwen.", "large-1"), "whose model it is isn't known");
    }
}
