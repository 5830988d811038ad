//! Server-sent events, observed without re-framing.
//!
//! Follows the parsing rules of the HTML standard, section 9.2, as far as `event` and `data` go.

use std::borrow::Cow;

use memchr::memchr2;

use super::frames::Piece;

/// One event: its `event:` name if it has one, and its `data:` lines joined by newlines.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event<'a> {
    pub name: Option<&'a str>,
    pub data: &'a str,
}

/// Splits a stream of chunks into events, whatever the chunk boundaries.
///
/// An event that lies in one chunk is not copied. One that does not is held until it is whole, at
/// most [`Splitter::MAX_EVENT`] bytes of it.
#[derive(Debug, Default)]
pub struct Splitter {
    /// The beginning of an event whose end has not come.
    held: Vec<u8>,
    /// A part of the current line has come.
    in_line: bool,
    /// The last byte was a carriage return: a line feed that follows belongs to it.
    after_cr: bool,
    /// A byte order mark can no longer come.
    begun: bool,
    /// The current event is too long: it is passed over up to its end.
    skipping: bool,
    overflowed: bool,
}

impl Splitter {
    /// Longest event in bytes; longer ones are passed over.
    pub const MAX_EVENT: usize = 1 << 20;

    /// Bytes of buffer that stay allocated between events.
    const KEPT: usize = 16 << 10;

    /// Takes the next chunk and hands every event it completes to `visit`.
    pub fn push(&mut self, chunk: &[u8], mut visit: impl FnMut(Event<'_>)) {
        self.pieces(chunk, |piece| show(piece, &mut visit));
    }

    /// Hands over an event that the end of the stream cut off before its blank line. The standard
    /// drops it; servers that forget the blank line after their last event are common.
    pub fn finish(&mut self, mut visit: impl FnMut(Event<'_>)) {
        self.last_piece(|piece| show(piece, &mut visit));
    }

    /// Takes the next chunk and hands over what is complete of the stream so far, byte for byte.
    pub fn pieces(&mut self, chunk: &[u8], mut visit: impl FnMut(Piece<'_>)) {
        let mut rest = chunk;
        if self.after_cr && !rest.is_empty() {
            self.after_cr = false;
            if let Some(after) = rest.strip_prefix(b"\n") {
                rest = after;
                if self.held.is_empty() {
                    visit(Piece::Between(b"\n"));
                } else {
                    self.hold(b"\n", &mut visit);
                }
            }
        }
        while let Some(end) = self.end_of_event(rest) {
            let (last, after) = rest.split_at(end);
            self.complete(last, &mut visit);
            rest = after;
        }
        self.hold(rest, &mut visit);
    }

    /// Hands over what the end of the stream has cut off.
    pub fn last_piece(&mut self, mut visit: impl FnMut(Piece<'_>)) {
        self.complete(b"", &mut visit);
        self.in_line = false;
    }

    /// Whether an event was passed over because it is longer than [`Splitter::MAX_EVENT`].
    pub fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// Bytes that have come of an event whose end has not; none if the event is passed over.
    pub fn pending(&self) -> Option<usize> {
        (!self.skipping).then_some(self.held.len())
    }

    /// Bytes of `chunk` up to and including the blank line that ends the current event.
    fn end_of_event(&mut self, chunk: &[u8]) -> Option<usize> {
        let mut at = 0;
        loop {
            let Some(length) = memchr2(b'\n', b'\r', &chunk[at..]) else {
                self.in_line |= at < chunk.len();
                return None;
            };
            let blank = length == 0 && !self.in_line;
            let cr = chunk[at + length] == b'\r';
            at += length + 1;
            self.in_line = false;
            self.after_cr = cr && at == chunk.len();
            at += usize::from(cr && chunk.get(at) == Some(&b'\n'));
            if blank {
                return Some(at);
            }
        }
    }

    fn complete(&mut self, last: &[u8], visit: &mut impl FnMut(Piece<'_>)) {
        if self.skipping || self.held.len() + last.len() > Self::MAX_EVENT {
            self.overflowed = true;
            visit(Piece::Between(&self.held));
            visit(Piece::Between(last));
        } else if self.held.is_empty() {
            whole(last, self.begun, visit);
        } else {
            self.held.extend_from_slice(last);
            whole(&self.held, self.begun, visit);
        }
        self.begun = true;
        self.skipping = false;
        self.held.clear();
        // One long event must not weigh on the rest of a stream that may last for hours.
        self.held.shrink_to(Self::KEPT);
    }

    fn hold(&mut self, part: &[u8], visit: &mut impl FnMut(Piece<'_>)) {
        if self.skipping || self.held.len() + part.len() > Self::MAX_EVENT {
            self.skipping = true;
            self.overflowed = true;
            visit(Piece::Between(&std::mem::take(&mut self.held)));
            visit(Piece::Between(part));
        } else {
            self.held.extend_from_slice(part);
        }
    }
}

/// Hands over the lines of one event, without the mark that a stream may begin with.
fn whole(lines: &[u8], begun: bool, visit: &mut impl FnMut(Piece<'_>)) {
    const MARK: &[u8] = "\u{FEFF}".as_bytes();
    let marked = lines.strip_prefix(MARK).filter(|_| !begun);
    if marked.is_some() {
        visit(Piece::Between(MARK));
    }
    visit(Piece::Event(marked.unwrap_or(lines)));
}

/// Reads the lines of one event and shows it if it has data.
fn show(piece: Piece<'_>, visit: &mut impl FnMut(Event<'_>)) {
    let Piece::Event(lines) = piece else { return };
    let text = String::from_utf8_lossy(lines);
    let mut name = None;
    let mut data: Option<Cow<'_, str>> = None;
    for line in text.split(['\n', '\r']) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match (field, &mut data) {
            ("event", _) => name = Some(value).filter(|name| !name.is_empty()),
            ("data", None) => data = Some(value.into()),
            ("data", Some(data)) => {
                let data = data.to_mut();
                data.push('\n');
                data.push_str(value);
            }
            _ => {}
        }
    }
    if let Some(data) = &data {
        visit(Event { name, data });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Owned = (Option<String>, String);

    fn split<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Owned>, Splitter) {
        let mut splitter = Splitter::default();
        let mut events = Vec::new();
        for chunk in chunks {
            splitter.push(chunk, |event| {
                events.push((event.name.map(str::to_owned), event.data.to_owned()));
            });
        }
        (events, splitter)
    }

    fn data(stream: &str) -> Vec<String> {
        split([stream.as_bytes()]).0.into_iter().map(|(_, data)| data).collect()
    }

    #[test]
    fn names_data_and_joined_lines_are_read() {
        let (events, _) = split([&b"event: a\ndata: {\"x\":1}\n\ndata:p\ndata:  q\ndata\n\n"[..]]);
        let expected = [(Some("a".into()), "{\"x\":1}".into()), (None, "p\n q\n".into())];
        assert_eq!(events, expected);
    }

    #[test]
    fn comments_other_fields_and_events_without_data_say_nothing() {
        assert_eq!(data(": ping\n\nevent: x\n\nid: 7\nretry: 1\ndata: y\n\n"), ["y"]);
    }

    #[test]
    fn all_three_line_ends_may_mix() {
        assert_eq!(data("data:a\r\rdata:b\r\n\r\ndata:c\n\ndata:d\r\n\n"), ["a", "b", "c", "d"]);
    }

    #[test]
    fn a_byte_order_mark_is_passed_over_at_the_start_only() {
        assert_eq!(data("\u{FEFF}data: a\n\n\u{FEFF}data: b\n\ndata: c\n\n"), ["a", "c"]);
    }

    #[test]
    fn an_event_without_its_blank_line_waits_for_the_end() {
        let (mut events, mut splitter) = split([&b"data: a\n\ndata: [DO"[..], b"NE]\n"]);
        assert_eq!(events.len(), 1);
        splitter.finish(|event| events.push((None, event.data.to_owned())));
        splitter.finish(|_| panic!("it ends once"));
        assert_eq!(events[1].1, "[DONE]");
    }

    #[test]
    fn overlong_events_are_passed_over_and_told() {
        let long = "x".repeat(Splitter::MAX_EVENT + 1);
        let stream = format!("data: {long}\n\ndata: after\n\n");
        let whole = split([stream.as_bytes()]);
        let pieces = split(stream.as_bytes().chunks(1 << 16));
        for (events, splitter) in [whole, pieces] {
            assert_eq!(events, [(None, "after".to_owned())]);
            assert!(splitter.overflowed());
        }
    }

    #[test]
    fn an_endless_event_takes_bounded_memory() {
        let chunk = [b'x'; 1 << 16];
        let mut splitter = Splitter::default();
        for _ in 0..64 {
            splitter.push(&chunk, |_| {});
            assert!(splitter.held.capacity() <= 2 * Splitter::MAX_EVENT);
        }
        assert!(splitter.overflowed());
    }

    #[test]
    fn a_long_event_leaves_no_memory_behind() {
        let long = format!("data: {}\n\n", "x".repeat(1 << 19));
        let (events, splitter) = split(long.as_bytes().chunks(1 << 12));
        assert_eq!(events.len(), 1);
        assert!(splitter.held.capacity() <= Splitter::KEPT);
    }

    #[test]
    fn an_event_in_one_chunk_is_not_copied() {
        let chunk = b"data: whole\n\n";
        let mut splitter = Splitter::default();
        splitter.push(chunk, |event| assert!(chunk.as_ptr_range().contains(&event.data.as_ptr())));
        assert_eq!(splitter.held.capacity(), 0);
    }

    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let token = prop::sample::select(vec![
            &b"data: x"[..],
            b"data",
            b"event: e",
            b":",
            b"\n",
            b"\n\n",
            b"\r",
            b"\r\n",
            b"\r\n\r\n",
            "é".as_bytes(),
            b"\xFF",
            "\u{FEFF}".as_bytes(),
        ]);
        prop::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat())
    }

    proptest! {
        #[test]
        fn any_chunking_yields_the_same_events(
            stream in stream(),
            cuts in prop::collection::vec(0..12_usize, 1..20),
        ) {
            let mut rest = &stream[..];
            let mut chunks = Vec::new();
            for cut in cuts {
                let (chunk, after) = rest.split_at(cut.min(rest.len()));
                chunks.push(chunk);
                rest = after;
            }
            chunks.push(rest);
            prop_assert_eq!(split(chunks).0, split([&stream[..]]).0);
            prop_assert_eq!(split(stream.chunks(1)).0, split([&stream[..]]).0);
        }
    }
}
