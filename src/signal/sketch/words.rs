//! From text to stems: one pass, bounded.

use super::stem::{is_stop, stem};

/// Texts up to this length, in bytes, are read whole.
pub(super) const WHOLE: usize = 8 * 1024;

/// Of longer ones the head and the tail are read: instructions stand at either end of a document.
const HEAD: usize = 12 * 1024;
const TAIL: usize = 4 * 1024;

/// Bytes of a word that count. Longer ones are encoded data, of which the start tells enough.
const LONGEST: usize = 40;

/// Visits the stem of every word, stop words left out. Scripts without spaces yield pairs of
/// neighbouring characters instead.
pub(super) fn each(text: &str, mut visit: impl FnMut(&[u8])) {
    let mut word = Word::default();
    if text.len() <= HEAD + TAIL {
        word.read(text, &mut visit);
    } else {
        word.read(head(text, HEAD), &mut visit);
        word.read(tail(text, TAIL), &mut visit);
    }
}

/// Reads a text that comes in pieces, cut anywhere.
#[derive(Debug, Default)]
pub(in crate::signal) struct Reader(Word);

impl Reader {
    pub(in crate::signal) fn read(&mut self, piece: &str, mut visit: impl FnMut(&[u8])) {
        self.0.feed(piece, &mut visit);
    }

    /// The last word, which nothing has ended yet.
    pub(in crate::signal) fn finish(mut self, mut visit: impl FnMut(&[u8])) {
        self.0.end(&mut visit);
    }
}

/// The longest prefix of at most `bytes` bytes.
pub(in crate::signal) fn head(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The longest suffix of at most `bytes` bytes.
pub(in crate::signal) fn tail(text: &str, bytes: usize) -> &str {
    let mut start = text.len().saturating_sub(bytes);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

/// Characters that show nothing and split nothing: put inside words to hide them from filters.
pub(in crate::signal) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2064}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// Scripts written without spaces: Han, kana, Thai, Lao, Khmer, Burmese.
pub(in crate::signal) fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}'
        | '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}')
}

/// Characters of Chinese and Japanese that carry grammar only.
fn is_particle(c: char) -> bool {
    "的了是在和与及也就都而着吗呢吧个这那我你他们请はがをにのでともやかへ".contains(c)
}

/// Letters and digits of ASCII, in lower case; nothing else.
static SMALL: [u8; 256] = {
    let mut small = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        if (byte as u8).is_ascii_alphanumeric() {
            small[byte] = (byte as u8).to_ascii_lowercase();
        }
        byte += 1;
    }
    small
};

/// The word being read, or the last character of an unspaced run.
#[derive(Debug)]
struct Word {
    bytes: [u8; LONGEST],
    len: usize,
    last: Option<char>,
}

impl Default for Word {
    fn default() -> Self {
        Self { bytes: [0; LONGEST], len: 0, last: None }
    }
}

impl Word {
    fn read(&mut self, text: &str, visit: &mut impl FnMut(&[u8])) {
        self.feed(text, visit);
        self.end(visit);
    }

    fn feed(&mut self, text: &str, visit: &mut impl FnMut(&[u8])) {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let small = SMALL[usize::from(bytes[at])];
            if small != 0 {
                self.last = None;
                if let Some(place) = self.bytes.get_mut(self.len) {
                    *place = small;
                    self.len += 1;
                }
                at += 1;
            } else if bytes[at].is_ascii() {
                self.end(visit);
                at += 1;
            } else if let Some(c) = text[at..].chars().next() {
                self.wide(c, visit);
                at += c.len_utf8();
            }
        }
    }

    fn wide(&mut self, c: char, visit: &mut impl FnMut(&[u8])) {
        if is_unspaced(c) {
            self.pair(c, visit);
        } else if c.is_alphanumeric() {
            self.last = None;
            c.to_lowercase().for_each(|lower| self.push(lower));
        } else if !is_invisible(c) {
            self.end(visit);
        }
    }

    fn push(&mut self, c: char) {
        if self.len + c.len_utf8() <= LONGEST {
            self.len += c.encode_utf8(&mut self.bytes[self.len..]).len();
        }
    }

    fn end(&mut self, visit: &mut impl FnMut(&[u8])) {
        self.last = None;
        let len = std::mem::take(&mut self.len);
        if len > 1 && !(len <= 8 && is_stop(self.packed(len))) {
            visit(stem(&self.bytes[..len]));
        }
    }

    /// The word's first bytes, at most eight, as [`is_stop`] wants them.
    fn packed(&self, len: usize) -> u64 {
        let whole = self.bytes.first_chunk().map_or(0, |first| u64::from_le_bytes(*first));
        whole & (u64::MAX >> (64 - 8 * len.clamp(1, 8)))
    }

    fn pair(&mut self, c: char, visit: &mut impl FnMut(&[u8])) {
        if self.len > 0 {
            self.end(visit);
        }
        if is_particle(c) {
            self.last = None;
        } else if let Some(before) = self.last.replace(c) {
            let mut pair = [0; 8];
            let first = before.encode_utf8(&mut pair).len();
            let second = c.encode_utf8(&mut pair[first..]).len();
            visit(&pair[..first + second]);
        }
    }
}
