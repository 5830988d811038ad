//! What is wrong with a file, shown at the place where it is wrong.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use crate::policy::Gravity;

/// One mistake, or one warning.
#[derive(Clone, Debug, PartialEq)]
pub struct Mistake {
    pub gravity: Gravity,
    pub message: String,
    /// What to do instead, where that can be told.
    pub hint: Option<String>,
    /// Bytes of the file.
    pub span: Range<usize>,
}

/// Everything wrong with one file, from top to bottom. Its `Display` marks the lines.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub struct Mistakes {
    file: String,
    text: String,
    all: Vec<Mistake>,
}

impl Mistakes {
    pub(super) fn new(file: &str, text: &str, mut all: Vec<Mistake>) -> Self {
        all.sort_by_key(|mistake| (mistake.span.start, mistake.span.end));
        // A value that others inherit is wrong once.
        all.dedup();
        Self { file: file.to_owned(), text: text.to_owned(), all }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.all.iter()
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Line and column of a mistake, from 1; columns count characters.
    pub fn position(&self, mistake: &Mistake) -> (usize, usize) {
        let before = self.text.get(..mistake.span.start).unwrap_or(&self.text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        (before.matches('\n').count() + 1, line.chars().count() + 1)
    }

    /// As a compiler would print it; `styled` adds colours for a terminal.
    pub fn render(&self, styled: bool) -> String {
        let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
        let shown: Vec<_> = self.all.iter().map(|mistake| self.show(mistake, &renderer)).collect();
        shown.join("\n\n")
    }

    /// Each on one line, for logs: `file:line:column: what is wrong`.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.all.iter().map(|mistake| {
            let (line, column) = self.position(mistake);
            let hint = mistake.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!("{}:{line}:{column}: {}{hint}", self.file, mistake.message)
        })
    }

    fn show(&self, mistake: &Mistake, renderer: &Renderer) -> String {
        let level = match mistake.gravity {
            Gravity::Mistake => Level::ERROR,
            Gravity::Warning => Level::WARNING,
        };
        let mark = AnnotationKind::Primary.span(mistake.span.clone());
        let place = Snippet::source(&self.text).path(&self.file).annotation(mark);
        let mut group = level.primary_title(&mistake.message).element(place);
        if let Some(hint) = &mistake.hint {
            group = group.element(Level::HELP.message(hint));
        }
        renderer.render(&[group])
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl Mistake {
    pub(super) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { gravity: Gravity::Mistake, message: message.into(), hint: None, span }
    }

    /// A mistake from what serde says, in the file's words and with the likeliest spelling.
    pub(super) fn from_serde(span: Range<usize>, said: &str) -> Self {
        let quoted: Vec<&str> = said.split('`').skip(1).step_by(2).collect();
        let (Some(first), known) = (quoted.first(), quoted.get(1..).unwrap_or_default()) else {
            return Self::new(span, said);
        };
        let what = match said {
            _ if said.starts_with("unknown field") => "key",
            _ if said.starts_with("unknown variant") => "value",
            _ if said.starts_with("missing field") => {
                return Self::new(span, format!("`{first}` is missing here"));
            }
            _ => return Self::new(span, said),
        };
        let hint = match nearest(first, known) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("known here: {}", known.join(", ")),
        };
        Self { hint: Some(hint), ..Self::new(span, format!("unknown {what} `{first}`")) }
    }
}

/// The known name that a slip of the finger would turn into `name`.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let slips = (name.len() / 3).max(1);
    let distances = known.iter().map(|known| (distance(name, known), *known));
    distances.filter(|(distance, _)| *distance <= slips).min().map(|(_, known)| known)
}

/// Edits that lead from `a` to `b`, a swap of neighbours counted as one (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = change.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_key() {
        let known = ["mode", "ladder", "limits"];
        assert_eq!(nearest("moed", &known), Some("mode"));
        assert_eq!(nearest("limit", &known), Some("limits"));
        assert_eq!(nearest("banana", &known), None);
    }

    #[test]
    fn positions_count_characters_from_one() {
        let text = "a = 1\nmüde = 2\n";
        let at = text.find('2').unwrap();
        let mistakes = Mistakes::new("f.toml", text, vec![Mistake::new(at..at + 1, "no")]);
        assert_eq!(mistakes.position(&mistakes.all[0]), (2, 8));
        assert!(mistakes.to_string().contains("f.toml:2:8"), "{mistakes}");
        assert_eq!(mistakes.lines().collect::<Vec<_>>(), ["f.toml:2:8: no"]);
    }
}
