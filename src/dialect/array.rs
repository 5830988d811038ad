//! A JSON array that arrives piece by piece, observed element by element.

use memchr::memchr2;

use super::frames::Piece;
use super::sse::Event;

/// Splits a stream of chunks into the objects of one JSON array, whatever the chunk boundaries.
/// Objects without an array around them are elements, too.
///
/// Brackets are counted, not matched: whoever reads an element judges it. An element that lies in
/// one chunk is not copied.
#[derive(Debug, Default)]
pub struct Splitter {
    /// The beginning of an element whose end has not come.
    held: Vec<u8>,
    /// Brackets open, the array's own not counted.
    depth: u32,
    /// The array's own bracket has come.
    opened: bool,
    in_string: bool,
    /// The last byte was a backslash in a string.
    escaped: bool,
    /// The current element is too long: it is passed over up to its end.
    skipping: bool,
    overflowed: bool,
    /// Bytes that have come since the end of an element, once there was one.
    after: Option<usize>,
}

impl Splitter {
    /// Longest element in bytes; longer ones are passed over.
    pub const MAX_ELEMENT: usize = 1 << 20;

    /// Bytes of buffer that stay allocated between elements.
    const KEPT: usize = 16 << 10;

    /// Takes the next chunk and hands every element it completes to `visit`.
    pub fn push(&mut self, chunk: &[u8], mut visit: impl FnMut(Event<'_>)) {
        self.pieces(chunk, |piece| {
            if let Piece::Event(element) = piece {
                visit(Event { name: None, data: &String::from_utf8_lossy(element) });
            }
        });
    }

    /// Takes the next chunk and hands over what is complete of the stream so far, byte for byte.
    pub fn pieces(&mut self, chunk: &[u8], mut visit: impl FnMut(Piece<'_>)) {
        // Where the current element, or what lies before it, begins in this chunk.
        let mut start = 0;
        let mut at = 0;
        self.after = self.after.map(|after| after.saturating_add(chunk.len()));
        while at < chunk.len() {
            if self.in_string {
                at = self.past_string(chunk, at);
                continue;
            }
            let outside = self.depth == 0;
            match chunk[at] {
                b'"' => self.in_string = true,
                b'[' if outside && !self.opened => self.opened = true,
                b'{' | b'[' => {
                    if outside {
                        visit(Piece::Between(&chunk[start..at]));
                        start = at;
                    }
                    self.depth = self.depth.saturating_add(1);
                }
                b'}' | b']' if !outside => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        self.complete(&chunk[start..=at], &mut visit);
                        start = at + 1;
                        self.after = Some(chunk.len() - at - 1);
                    }
                }
                _ => {}
            }
            at += 1;
        }
        if self.depth > 0 {
            self.hold(&chunk[start..], &mut visit);
        } else {
            visit(Piece::Between(&chunk[start..]));
        }
    }

    /// Whether an element was passed over because it is longer than [`Splitter::MAX_ELEMENT`].
    pub fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// What has come of an element that does not come to its end.
    pub(super) fn take_held(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    /// Bytes that have come since the array could have ended: at its last element's end.
    pub fn pending(&self) -> Option<usize> {
        self.after.filter(|_| self.opened && !self.skipping)
    }

    /// Moves from `at`, inside a string, past its end or that of the chunk.
    fn past_string(&mut self, chunk: &[u8], mut at: usize) -> usize {
        if self.escaped {
            self.escaped = false;
            return at + 1;
        }
        let Some(length) = memchr2(b'"', b'\\', &chunk[at..]) else { return chunk.len() };
        at += length;
        self.in_string = chunk[at] != b'"';
        self.escaped = self.in_string;
        at + 1
    }

    fn complete(&mut self, last: &[u8], visit: &mut impl FnMut(Piece<'_>)) {
        if self.skipping || self.held.len() + last.len() > Self::MAX_ELEMENT {
            self.overflowed = true;
            visit(Piece::Between(&self.held));
            visit(Piece::Between(last));
        } else if self.held.is_empty() {
            visit(Piece::Event(last));
        } else {
            self.held.extend_from_slice(last);
            visit(Piece::Event(&self.held));
        }
        self.skipping = false;
        self.held.clear();
        // One long element must not weigh on the rest of a stream that may last for hours.
        self.held.shrink_to(Self::KEPT);
    }

    fn hold(&mut self, part: &[u8], visit: &mut impl FnMut(Piece<'_>)) {
        if self.skipping || self.held.len() + part.len() > Self::MAX_ELEMENT {
            self.skipping = true;
            self.overflowed = true;
            visit(Piece::Between(&std::mem::take(&mut self.held)));
            visit(Piece::Between(part));
        } else {
            self.held.extend_from_slice(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, Splitter) {
        let mut splitter = Splitter::default();
        let mut elements = Vec::new();
        for chunk in chunks {
            splitter.push(chunk, |event| elements.push(event.data.to_owned()));
        }
        (elements, splitter)
    }

    fn elements(stream: &str) -> Vec<String> {
        split([stream.as_bytes()]).0
    }

    #[test]
    fn elements_come_one_by_one_before_the_array_ends() {
        let stream = "[{\"a\":[1,{}]}\n,\r\n{\"b\":\"}]\\\"{\"}\n,{\"c\":";
        assert_eq!(elements(stream), [r#"{"a":[1,{}]}"#, r#"{"b":"}]\"{"}"#]);
    }

    #[test]
    fn an_object_alone_is_an_element() {
        assert_eq!(elements(" {\"a\":1}\n"), [r#"{"a":1}"#]);
    }

    #[test]
    fn what_is_no_object_is_passed_over() {
        assert_eq!(elements("[7, \"{\", null, {}]]"), ["{}"]);
    }

    #[test]
    fn overlong_elements_are_passed_over_in_bounded_memory() {
        let stream = format!("[{{\"a\":\"{}\"}},{{}}]", "x".repeat(Splitter::MAX_ELEMENT));
        for chunk in [stream.len(), 1 << 16] {
            let (elements, splitter) = split(stream.as_bytes().chunks(chunk));
            assert_eq!(elements, ["{}"]);
            assert!(splitter.overflowed() && splitter.held.capacity() <= Splitter::KEPT);
        }
        let mut splitter = Splitter::default();
        for _ in 0..64 {
            splitter.push(&[b'['; 1 << 16], |_| {});
            assert!(splitter.held.capacity() <= 2 * Splitter::MAX_ELEMENT);
        }
    }

    #[test]
    fn an_element_in_one_chunk_is_not_copied() {
        let chunk = b"[{\"whole\":true},";
        let mut splitter = Splitter::default();
        splitter.push(chunk, |event| assert!(chunk.as_ptr_range().contains(&event.data.as_ptr())));
        assert_eq!(splitter.held.capacity(), 0);
    }

    proptest! {
        #[test]
        fn any_chunking_yields_the_same_elements(
            stream in "[\\[\\]{}\",:\\\\aé]{0,60}",
            size in 1..9_usize,
        ) {
            let whole = split([stream.as_bytes()]).0;
            prop_assert_eq!(split(stream.as_bytes().chunks(size)).0, whole);
        }
    }
}
