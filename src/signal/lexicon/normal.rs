//! Text brought to one spelling before it is searched.

use super::veil::Veil;
use crate::signal::sketch::words::{head, is_invisible, is_unspaced, tail};

/// Bytes of a clause that are looked at on either side of a phrase.
pub(super) const CLAUSE: usize = 160;

/// Lower-case words without accents, one separator between them: a space inside a clause, a comma
/// between clauses, a full stop between sentences. Characters that show nothing are gone; colons,
/// brackets and slashes stay. Starts and ends with a full stop.
pub(super) struct Normal {
    text: String,
    /// Line breaks since the last character that shows.
    breaks: u32,
    pub(super) veil: Veil,
}

impl Normal {
    pub(super) fn of(text: &str) -> Self {
        Self::around("", text).0
    }

    /// `before` and `after` in one, and where `after` starts.
    pub(super) fn around(before: &str, after: &str) -> (Self, usize) {
        let text = String::with_capacity(before.len() + after.len() + 8);
        let mut normal = Self { text, breaks: 0, veil: Veil::default() };
        normal.text.push('.');
        normal.read(before);
        let at = normal.text.len();
        normal.read(after);
        normal.veil.end();
        normal.separate('.');
        (normal, at)
    }

    fn read(&mut self, text: &str) {
        for c in text.chars() {
            if c.is_ascii_alphanumeric() {
                self.text.push(c.to_ascii_lowercase());
                self.breaks = 0;
                self.veil.letter(c);
                continue;
            }
            let c = narrow(c);
            self.breaks =
                if c == '\n' { self.breaks + 1 } else { self.breaks * u32::from(c == ' ') };
            match c {
                _ if c.is_alphanumeric() => self.veil.letter(c),
                _ if is_invisible(c) => self.veil.invisible(c),
                _ => self.veil.end(),
            }
            match c {
                '\n' if self.breaks > 1 => self.separate('.'),
                '.' | '!' | '?' | '。' => self.separate('.'),
                ',' | ';' | '(' | ')' | '—' | '–' | '、' => self.separate(','),
                ':' | '<' | '>' | '/' | '[' | ']' => self.mark(c),
                _ if c.is_alphanumeric() => self.letter(c),
                _ if is_invisible(c) => {}
                _ => self.separate(' '),
            }
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// Where a word, a mark or a character of an unspaced script starts.
    pub(super) fn starts(&self) -> impl Iterator<Item = usize> {
        let mut after = true;
        self.as_bytes().iter().enumerate().filter_map(move |(at, &byte)| {
            let within = match byte {
                0..0x80 => byte.is_ascii_alphanumeric(),
                0x80..0xc0 => return None,
                _ => !self.text[at..].starts_with(is_unspaced),
            };
            let start = std::mem::replace(&mut after, !within) || !within;
            (start && !matches!(byte, b' ' | b',' | b'.')).then_some(at)
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
        let before = tail(&self.text[..at], CLAUSE);
        before.rfind([',', '.', ':']).map_or(before, |cut| &before[cut + 1..])
    }

    /// The text after `at`, on to where its clause or sentence ends.
    pub(super) fn clause_after(&self, at: usize) -> &str {
        let after = head(&self.text[at..], CLAUSE);
        after.find([',', '.']).map_or(after, |cut| &after[..cut])
    }

    /// Of two separators in a row the stronger one stays.
    fn separate(&mut self, by: char) {
        let strength = |c: u8| [b' ', b',', b'.'].iter().position(|&s| s == c);
        let before = self.as_bytes().last().copied().and_then(strength);
        if before.is_none() {
            self.text.push(by);
        } else if before < strength(by as u8) {
            self.text.pop();
            self.text.push(by);
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
