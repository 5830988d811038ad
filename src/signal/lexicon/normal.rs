//! Text brought to one spelling before it is searched.

use crate::signal::sketch::words::{is_invisible, is_unspaced};

/// Lower-case words without accents, one separator between them: a space inside a clause, a comma
/// between clauses, a full stop between sentences. Characters that show nothing are gone; colons,
/// angle brackets and slashes stay. Starts and ends with a full stop.
pub(super) struct Normal {
    text: String,
}

impl Normal {
    pub(super) fn of(text: &str) -> Self {
        let mut normal = Self { text: String::with_capacity(text.len() + 8) };
        normal.text.push('.');
        let mut newlines = 0;
        for c in text.chars().map(narrow) {
            newlines =
                if c == '\n' { newlines + 1 } else { newlines * u32::from(c.is_whitespace()) };
            match c {
                '\n' if newlines > 1 => normal.separate('.'),
                '.' | '!' | '?' | '。' => normal.separate('.'),
                ',' | ';' | '(' | ')' | '—' | '–' | '、' => normal.separate(','),
                ':' | '<' | '>' | '/' | '[' | ']' => normal.mark(c),
                _ if is_invisible(c) => {}
                _ if c.is_alphanumeric() => normal.letter(c),
                _ => normal.separate(' '),
            }
        }
        normal.separate('.');
        normal
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// Where a word, a mark or a character of an unspaced script starts.
    pub(super) fn starts(&self) -> impl Iterator<Item = usize> {
        let mut after = true;
        self.text.char_indices().filter_map(move |(at, c)| {
            let start = after || !c.is_alphanumeric() || is_unspaced(c);
            after = !c.is_alphanumeric() || is_unspaced(c);
            (start && !is_separator(c)).then_some(at)
        })
    }

    /// Whether `phrase` stands at `at` and does not end inside a word.
    pub(super) fn has(&self, at: usize, phrase: &str) -> bool {
        let text = &self.as_bytes()[at..];
        let same = |(a, b): (&u8, &u8)| a == b || *b == b' ' && *a == b',';
        if text.len() < phrase.len() || !text.iter().zip(phrase.as_bytes()).all(same) {
            return false;
        }
        let last = phrase.chars().next_back();
        let open = last.is_some_and(|c| is_unspaced(c) || !c.is_alphanumeric());
        open || !self.text[at + phrase.len()..].starts_with(char::is_alphanumeric)
    }

    /// The text before `at`, back to where its clause or sentence starts.
    pub(super) fn clause_before(&self, at: usize) -> &str {
        let before = &self.text[..at];
        before.rfind([',', '.', ':']).map_or(before, |cut| &before[cut + 1..])
    }

    /// The text after `at`, on to where its clause or sentence ends.
    pub(super) fn clause_after(&self, at: usize) -> &str {
        let after = &self.text[at..];
        after.find([',', '.']).map_or(after, |cut| &after[..cut])
    }

    /// Of two separators in a row the stronger one stays.
    fn separate(&mut self, by: char) {
        let strength = |c: char| [' ', ',', '.'].iter().position(|&s| s == c);
        match self.text.chars().next_back().and_then(strength) {
            None => self.text.push(by),
            Some(before) if strength(by) > Some(before) => {
                self.text.pop();
                self.text.push(by);
            }
            Some(_) => {}
        }
    }

    /// Marks stick to what is before them: `reasoning :` reads as `reasoning:`.
    fn mark(&mut self, c: char) {
        if matches!(c, ':' | '>' | '/' | ']') && self.text.ends_with(' ') {
            self.text.pop();
        }
        self.text.push(c);
    }

    fn letter(&mut self, c: char) {
        let plain = unaccented(c);
        match self.text.chars().next_back() {
            // Unspaced scripts have no spaces to speak of: those there are get lost.
            Some(' ') if is_unspaced(c) && self.before_space().is_some_and(is_unspaced) => {
                self.text.pop();
                self.text.push(c);
            }
            _ if plain.is_ascii() || is_unspaced(plain) => {
                self.text.push(plain.to_ascii_lowercase())
            }
            _ => self.text.extend(plain.to_lowercase()),
        }
    }

    fn before_space(&self) -> Option<char> {
        self.text.chars().rev().nth(1)
    }
}

fn is_separator(c: char) -> bool {
    matches!(c, ' ' | ',' | '.')
}

/// Full-width forms read as their ASCII twins.
fn narrow(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        '\u{3000}' => ' ',
        _ => c,
    }
}

fn unaccented(c: char) -> char {
    match c {
        'à' | 'â' | 'ä' | 'á' | 'À' | 'Â' => 'a',
        'é' | 'è' | 'ê' | 'ë' | 'É' | 'È' | 'Ê' => 'e',
        'î' | 'ï' | 'í' | 'Î' => 'i',
        'ô' | 'ö' | 'ó' | 'Ô' => 'o',
        'ù' | 'û' | 'ü' | 'ú' => 'u',
        'ç' | 'Ç' => 'c',
        _ => c,
    }
}
