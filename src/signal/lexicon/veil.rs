//! Words hidden from filters: invisible letters in them, or letters that look like others.
//!
//! Joiners that a script needs are left alone: they count only between letters of scripts that
//! need none, Latin, Cyrillic and Han.

/// Hidden words from which it is no accident of copying.
const HIDDEN: u32 = 3;

/// Counts hidden words while a text is read. A few nanoseconds a character, of texts that are not
/// plain ASCII alone.
#[derive(Debug, Default)]
pub(super) struct Veil {
    hidden: u32,
    last: Option<Script>,
    /// Something invisible came since.
    covered: bool,
    /// The word so far: letters of Latin, Cyrillic ones that look Latin, and others.
    latin: u16,
    alike: u16,
    other: u16,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Script {
    Latin,
    /// Cyrillic, or a Greek one, that looks Latin.
    Alike,
    Cyrillic,
    Han,
    Other,
}

impl Veil {
    pub(super) fn letter(&mut self, c: char) {
        let script = script(c);
        let bare = |script| script != Script::Other;
        if self.covered && bare(script) && self.last.is_some_and(bare) {
            self.hidden += 1;
        }
        (self.covered, self.last) = (false, Some(script));
        match script {
            Script::Latin => self.latin = self.latin.saturating_add(1),
            Script::Alike => self.alike = self.alike.saturating_add(1),
            _ => self.other = self.other.saturating_add(1),
        }
    }

    pub(super) fn invisible(&mut self, c: char) {
        let hides = matches!(c, '\u{34f}' | '\u{180e}' | '\u{200b}'..='\u{200d}'
            | '\u{2060}'..='\u{2064}' | '\u{feff}');
        self.covered |= hides && self.last.is_some();
    }

    /// The word is over.
    pub(super) fn end(&mut self) {
        if self.latin >= 2 && self.alike > 0 && self.other == 0 {
            self.hidden += 1;
        }
        *self = Self { hidden: self.hidden, ..Self::default() };
    }

    pub(super) fn hides(&self) -> bool {
        self.hidden >= HIDDEN
    }
}

fn script(c: char) -> Script {
    match c {
        'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{24f}' => Script::Latin,
        'а' | 'е' | 'о' | 'р' | 'с' | 'у' | 'х' | 'і' | 'ј' | 'ѕ' | 'ԁ' | 'һ' | 'А' | 'В' | 'Е'
        | 'К' | 'М' | 'Н' | 'О' | 'Р' | 'С' | 'Т' | 'Х' | 'ο' | 'Ο' => Script::Alike,
        '\u{400}'..='\u{52f}' => Script::Cyrillic,
        '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' => Script::Han,
        _ => Script::Other,
    }
}
