//! One linear scan that refuses a body two readers could read differently.
//!
//! JSON readers disagree about duplicate keys, letter case, encodings, depth and numbers. Whatever
//! passes here means the same to the usual readers of Python, Go, JavaScript and Rust, so the text
//! that is scored is the text the model sees.

mod camel;
mod keys;
#[cfg(test)]
mod tests;

use self::keys::Keys;

/// Why a body has no single meaning. The name is a metric label.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct Ambiguity {
    pub what: &'static str,
    pub label: &'static str,
    pub at: usize,
}

/// Objects and arrays open at once.
pub const MAX_DEPTH: usize = 128;

/// Characters of one number.
pub const MAX_NUMBER: usize = 300;

/// Passes bodies that every JSON reader reads alike: one object in strict JSON and valid UTF-8, at
/// most [`MAX_DEPTH`] deep, numbers finite and at most [`MAX_NUMBER`] long, no key twice in an
/// object, and none that differs from a key we score by letter case alone.
///
/// Time is linear in the body but for sorting the keys of each object; memory is the keys of the
/// objects open at one time.
pub fn vet(body: &[u8]) -> Result<(), Ambiguity> {
    const MARKS: [&[u8]; 3] = [b"\xEF\xBB\xBF", b"\xFF\xFE", b"\xFE\xFF"];
    if MARKS.iter().any(|mark| body.starts_with(mark)) {
        return Err(BYTE_ORDER_MARK.at(0));
    }
    let text = std::str::from_utf8(body).map_err(|error| ENCODING.at(error.valid_up_to()))?;
    Scan { text, bytes: body, at: 0, open: Vec::new(), keys: Keys::default() }.document()
}

/// A kind of ambiguity: metric label and what is wrong.
struct Fault(&'static str, &'static str);

const BYTE_ORDER_MARK: Fault = Fault("byte-order-mark", "the body begins with a byte order mark");
const ENCODING: Fault = Fault("encoding", "the body is not valid UTF-8");
const NUL: Fault = Fault("nul", "the body holds a NUL byte");
const NOT_AN_OBJECT: Fault = Fault("not-an-object", "the body is not a JSON object");
const DEPTH: Fault = Fault("depth", "values are nested more than 128 deep");
const TRAILING: Fault = Fault("trailing", "something follows the JSON object");
const SYNTAX: Fault = Fault("syntax", "the body is not strict JSON");
const CONTROL: Fault = Fault("control", "a string holds a raw control character");
const ESCAPE: Fault = Fault("escape", "a string holds an escape that JSON does not have");
const SURROGATE: Fault = Fault("surrogate", "a string escapes half of a surrogate pair");
const NUMBER: Fault = Fault("number", "a number is not finite, or longer than 300 characters");
const DUPLICATE: Fault = Fault("duplicate", "an object has the same key twice");
const ALIAS: Fault = Fault("alias", "a key differs from a known one only in the case of letters");

impl Fault {
    const fn at(&self, at: usize) -> Ambiguity {
        Ambiguity { label: self.0, what: self.1, at }
    }
}

/// At the top of a body it holds items that are read; in a call, an object of the model's making.
const INPUT: &str = "input";

struct Scan<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// What is open around `at`, outermost first. At most [`MAX_DEPTH`]: there is no recursion.
    open: Vec<Open>,
    /// Keys of every open object.
    keys: Keys<'a>,
}

struct Open {
    object: bool,
    /// Whether a dialect reads it: there, no key may be an alias of a scored one.
    scored: bool,
    /// Where its own keys begin.
    keys: usize,
}

/// A string between its quotes.
struct Body {
    start: usize,
    end: usize,
    escaped: bool,
}

impl<'a> Scan<'a> {
    fn document(mut self) -> Result<(), Ambiguity> {
        self.space();
        if self.peek() != Some(b'{') {
            return Err(self.unless_nul(NOT_AN_OBJECT));
        }
        let mut scored = true;
        while self.value(scored)? || self.next()? {
            scored = self.lead()?;
        }
        self.space();
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.unless_nul(TRAILING)) }
    }

    /// Reads a scalar or an empty container whole. True when it opened one that has elements.
    fn value(&mut self, scored: bool) -> Result<bool, Ambiguity> {
        self.space();
        match self.peek() {
            Some(b'{') => self.enter(true, scored),
            Some(b'[') => self.enter(false, scored),
            Some(b'"') => self.string().map(|_| false),
            Some(b'-' | b'0'..=b'9') => self.number().map(|()| false),
            _ => self.literal().map(|()| false),
        }
    }

    fn enter(&mut self, object: bool, scored: bool) -> Result<bool, Ambiguity> {
        if self.open.len() == MAX_DEPTH {
            return Err(DEPTH.at(self.at));
        }
        self.at += 1;
        self.space();
        if self.peek() == Some(if object { b'}' } else { b']' }) {
            self.at += 1;
            return Ok(false);
        }
        self.open.push(Open { object, scored, keys: self.keys.len() });
        Ok(true)
    }

    /// Moves past a finished value and all it closes. False when that was the whole document.
    fn next(&mut self) -> Result<bool, Ambiguity> {
        while let Some(innermost) = self.open.last() {
            let (object, keys) = (innermost.object, innermost.keys);
            self.space();
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    return Ok(true);
                }
                Some(b'}') if object => {
                    self.keys.close(keys).map_err(|twice| DUPLICATE.at(twice))?;
                }
                Some(b']') if !object => {}
                _ => return Err(self.unless_nul(SYNTAX)),
            }
            self.at += 1;
            self.open.pop();
        }
        Ok(false)
    }

    /// Reads the key before the next value, if an object is innermost. Says whether a dialect reads
    /// that value.
    fn lead(&mut self) -> Result<bool, Ambiguity> {
        let Some(&Open { object, scored, .. }) = self.open.last() else { return Ok(false) };
        if !object {
            return Ok(scored);
        }
        self.space();
        if self.peek() != Some(b'"') {
            return Err(self.unless_nul(SYNTAX));
        }
        let body = self.string()?;
        let key = self.decoded(&body)?;
        if scored && keys::is_alias(&key) {
            return Err(ALIAS.at(body.start));
        }
        let outermost = self.open.len() == 1;
        let scored = scored && (keys::leads_to_scored(&key) || (outermost && key == INPUT));
        self.keys.push(key, body.start);
        self.space();
        if self.peek() != Some(b':') {
            return Err(self.unless_nul(SYNTAX));
        }
        self.at += 1;
        Ok(scored)
    }

    fn string(&mut self) -> Result<Body, Ambiguity> {
        let start = self.at + 1;
        let mut escaped = false;
        self.at = start;
        loop {
            self.at += plain(&self.bytes[self.at..]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Body { start, end: self.at - 1, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.unless_nul(CONTROL)),
                None => return Err(SYNTAX.at(self.at)),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Ambiguity> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => match (self.unit(self.at)?, self.at + 6) {
                (0xD800..=0xDBFF, low) => {
                    let paired = self.bytes[low..].starts_with(b"\\u")
                        && matches!(self.unit(low)?, 0xDC00..=0xDFFF);
                    if !paired {
                        return Err(SURROGATE.at(self.at));
                    }
                    self.at += 12;
                }
                (0xDC00..=0xDFFF, _) => return Err(SURROGATE.at(self.at)),
                (_, after) => self.at = after,
            },
            _ => return Err(ESCAPE.at(self.at)),
        }
        Ok(())
    }

    /// The UTF-16 unit of the `\uXXXX` that begins at `at`.
    fn unit(&self, at: usize) -> Result<u32, Ambiguity> {
        let digits = self.bytes.get(at + 2..at + 6).ok_or_else(|| ESCAPE.at(at))?;
        digits.iter().try_fold(0, |unit, &digit| {
            let value = char::from(digit).to_digit(16).ok_or_else(|| ESCAPE.at(at))?;
            Ok(unit << 4 | value)
        })
    }

    fn number(&mut self) -> Result<(), Ambiguity> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        let exponent = matches!(self.peek(), Some(b'e' | b'E'));
        if exponent {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        // Without an exponent, 300 characters stay below 1e300.
        let number = &self.text[start..self.at];
        let finite = !exponent || number.parse().is_ok_and(f64::is_finite);
        if finite && number.len() <= MAX_NUMBER { Ok(()) } else { Err(NUMBER.at(start)) }
    }

    fn digits(&mut self) -> Result<(), Ambiguity> {
        let rest = &self.bytes[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count > 0 { Ok(()) } else { Err(self.unless_nul(SYNTAX)) }
    }

    fn literal(&mut self) -> Result<(), Ambiguity> {
        let rest = &self.bytes[self.at..];
        let known =
            [&b"true"[..], b"false", b"null"].into_iter().find(|word| rest.starts_with(word));
        self.at += known.ok_or_else(|| self.unless_nul(SYNTAX))?.len();
        Ok(())
    }

    fn decoded(&self, body: &Body) -> Result<std::borrow::Cow<'a, str>, Ambiguity> {
        if !body.escaped {
            return Ok(self.text[body.start..body.end].into());
        }
        let quoted = &self.text[body.start - 1..=body.end];
        let key: String = serde_json::from_str(quoted).map_err(|_| ESCAPE.at(body.start))?;
        Ok(key.into())
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn unless_nul(&self, fault: Fault) -> Ambiguity {
        if self.peek() == Some(0) { NUL.at(self.at) } else { fault.at(self.at) }
    }
}

/// Bytes before the first quote, backslash or control character. Bodies are mostly long strings: 32
/// bytes at a time, as the compiler's vectors go, then eight.
fn plain(bytes: &[u8]) -> usize {
    let (chunks, _) = bytes.as_chunks::<32>();
    let ends = |byte: &u8| (*byte == b'"') | (*byte == b'\\') | (*byte < 0x20);
    let whole = chunks.iter().take_while(|chunk| {
        // Without a branch for each byte, or it is not done in vectors.
        !chunk.iter().fold(false, |any, byte| any | ends(byte))
    });
    let start = whole.count() * 32;
    let (words, rest) = bytes[start..].as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let ends = string_ends(u64::from_le_bytes(*word));
        if ends != 0 {
            return start + index * 8 + ends.trailing_zeros() as usize / 8;
        }
    }
    let tail = rest.iter().position(ends);
    start + words.len() * 8 + tail.unwrap_or(rest.len())
}

/// Marks the top bit of every byte that is a quote, a backslash or below 0x20. Borrows may mark
/// more bytes above the lowest true one, never below it, and only the lowest is used.
fn string_ends(word: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word;
    let quote = below(word ^ (ONES * u64::from(b'"')), 1);
    let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
    (quote | backslash | below(word, 0x20)) & (ONES << 7)
}
