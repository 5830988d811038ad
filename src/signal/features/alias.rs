//! Tools whose names are made to say nothing.

use crate::dialect::Tool;

/// Fewest tools, and the share of them in tenths, that make it a habit.
const FEWEST: usize = 3;
const TENTHS: usize = 8;

/// Words that any tool could be called by.
const HOLLOW: [&str; 14] = [
    "act", "action", "api", "call", "cmd", "command", "func", "function", "item", "method", "op",
    "proc", "tool", "util",
];

/// Whether most tools have opaque names. About 20 ns a tool.
pub(super) fn opaque(tools: &[Tool<'_>]) -> bool {
    let opaque = tools.iter().filter(|tool| says_nothing(&tool.name)).count();
    tools.len() >= FEWEST && opaque * 10 >= tools.len() * TENTHS
}

/// A name none of whose parts is a word: three letters or more, a vowel among them, digits at the end
/// left out. What is not ASCII is taken for a word.
fn says_nothing(name: &str) -> bool {
    let parts = name.split(|c: char| !c.is_alphanumeric());
    !name.is_empty() && !parts.into_iter().any(is_word)
}

fn is_word(part: &str) -> bool {
    if !part.is_ascii() {
        return true;
    }
    let part = part.trim_end_matches(|c: char| c.is_ascii_digit());
    let vowels = |c: char| "aeiouyAEIOUY".contains(c);
    let hollow = || HOLLOW.iter().any(|hollow| hollow.eq_ignore_ascii_case(part));
    let whole = part.len() >= 3 && part.chars().all(|c| c.is_ascii_alphabetic());
    whole && part.contains(vowels) && !hollow()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(names: &[&'static str]) -> bool {
        let tool = |name: &&'static str| Tool { name: (*name).into(), ..Tool::default() };
        opaque(&names.iter().map(tool).collect::<Vec<_>>())
    }

    #[test]
    fn aliases_are_opaque() {
        assert!(says(&["t1", "t2", "t3"]));
        assert!(says(&["tool_01", "tool_02", "tool_03", "tool_04"]));
        assert!(says(&["a8f3c2d1", "9be41f00", "x_77d2"]));
    }

    #[test]
    fn names_are_not_however_short() {
        assert!(!says(&["bash", "read", "edit"]));
        assert!(!says(&["sql", "get_weather", "search2"]));
        assert!(!says(&["rechercher", "lire_fichier", "écrire"]));
        assert!(!says(&["查询天气", "读取", "写入"]));
        assert!(!says(&["f1", "f2"]), "two are none");
    }
}
