//! The ways in which APIs divide a streamed answer, behind one type.

use super::sse::Event;
use super::{array, eventstream, sse};

/// How a streamed answer is divided.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Framing {
    /// Server-sent events.
    #[default]
    Sse,
    /// AWS event streams.
    EventStream,
    /// Elements of one JSON array.
    JsonArray,
}

/// A stretch of a streamed answer. All stretches, in their order, are the answer, byte for byte.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Piece<'a> {
    /// One event as its framing writes it. Empty at the end of a stream that ends well.
    Event(&'a [u8]),
    /// What lies between events, or can't be read as one: too long, or damaged. May be empty.
    Between(&'a [u8]),
}

/// Splits a streamed answer, whatever its framing, into [`Event`]s for `Dialect::read_event`.
///
/// Holds no more than one unfinished event, at most 1 MiB of it.
#[derive(Debug)]
pub enum Frames {
    Sse(sse::Splitter),
    EventStream(eventstream::Splitter),
    JsonArray(array::Splitter),
}

impl Frames {
    /// How to split an answer of this `content-type`, where a streamed one would have `framing`.
    /// None if it is not streamed: such an answer is read whole.
    pub fn of(framing: Framing, content_type: &str) -> Option<Self> {
        let media = content_type.split(';').next().unwrap_or_default().trim();
        if media.eq_ignore_ascii_case("text/event-stream") {
            Some(Self::Sse(sse::Splitter::default()))
        } else if media.eq_ignore_ascii_case("application/vnd.amazon.eventstream") {
            Some(Self::EventStream(eventstream::Splitter::default()))
        } else if framing == Framing::JsonArray && media.eq_ignore_ascii_case("application/json") {
            Some(Self::JsonArray(array::Splitter::default()))
        } else {
            None
        }
    }

    /// The framing of this very answer.
    pub fn framing(&self) -> Framing {
        match self {
            Self::Sse(_) => Framing::Sse,
            Self::EventStream(_) => Framing::EventStream,
            Self::JsonArray(_) => Framing::JsonArray,
        }
    }

    /// Takes the next chunk and hands every event it completes to `visit`.
    pub fn push(&mut self, chunk: &[u8], visit: impl FnMut(Event<'_>)) {
        match self {
            Self::Sse(splitter) => splitter.push(chunk, visit),
            Self::EventStream(splitter) => splitter.push(chunk, visit),
            Self::JsonArray(splitter) => splitter.push(chunk, visit),
        }
    }

    /// Takes the next chunk and hands over what is complete of the answer so far, byte for byte.
    pub fn pieces(&mut self, chunk: &[u8], visit: impl FnMut(Piece<'_>)) {
        match self {
            Self::Sse(splitter) => splitter.pieces(chunk, visit),
            Self::EventStream(splitter) => splitter.pieces(chunk, visit),
            Self::JsonArray(splitter) => splitter.pieces(chunk, visit),
        }
    }

    /// Hands over what the end of the answer has cut off.
    pub fn last_piece(&mut self, mut visit: impl FnMut(Piece<'_>)) {
        match self {
            Self::Sse(splitter) => splitter.last_piece(visit),
            Self::EventStream(splitter) => visit(Piece::Between(&splitter.take_held())),
            Self::JsonArray(splitter) => visit(Piece::Between(&splitter.take_held())),
        }
    }

    /// Hands over an event that the end of the stream cut off, where it can still be read.
    pub fn finish(&mut self, visit: impl FnMut(Event<'_>)) {
        if let Self::Sse(splitter) = self {
            splitter.finish(visit);
        }
    }

    /// Bytes that have come since the last place where a stream can be ended: between two events.
    /// None while there is no such place.
    pub fn pending(&self) -> Option<usize> {
        match self {
            Self::Sse(splitter) => splitter.pending(),
            Self::EventStream(splitter) => splitter.pending(),
            Self::JsonArray(splitter) => splitter.pending(),
        }
    }

    /// Whether something was passed over: too long, or damaged.
    pub fn overflowed(&self) -> bool {
        match self {
            Self::Sse(splitter) => splitter.overflowed(),
            Self::EventStream(splitter) => splitter.overflowed(),
            Self::JsonArray(splitter) => splitter.overflowed(),
        }
    }
}

impl Default for Frames {
    fn default() -> Self {
        Self::Sse(sse::Splitter::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(framing: Framing, content_type: &str) -> Option<Framing> {
        Frames::of(framing, content_type).map(|frames| frames.framing())
    }

    #[test]
    fn the_content_type_says_how_an_answer_is_divided() {
        for expected in [Framing::Sse, Framing::EventStream, Framing::JsonArray] {
            let sse = framing(expected, "Text/Event-Stream; charset=utf-8");
            assert_eq!(sse, Some(Framing::Sse));
            let binary = framing(expected, "application/vnd.amazon.eventstream");
            assert_eq!(binary, Some(Framing::EventStream));
            assert_eq!(framing(expected, "text/html"), None);
        }
    }

    #[test]
    fn json_is_a_stream_only_where_arrays_are_streamed() {
        let json = "application/json; charset=UTF-8";
        assert_eq!(framing(Framing::JsonArray, json), Some(Framing::JsonArray));
        assert_eq!(framing(Framing::Sse, json), None);
        assert_eq!(framing(Framing::EventStream, json), None);
    }

    #[test]
    fn a_stream_can_be_ended_between_its_events_alone() {
        let binary = eventstream::frame(&[(":event-type", "e")], b"{}");
        let whole = |frames: &mut Frames, stream: &[u8]| {
            let mut ends = 0;
            let mut places = Vec::new();
            for (at, byte) in stream.iter().enumerate() {
                frames.push(&[*byte], |_| ends += 1);
                if frames.pending() == Some(0) && ends > 0 {
                    places.push(at + 1);
                }
            }
            places
        };
        let mut sse = Frames::default();
        assert_eq!(whole(&mut sse, b"data: a\n\n: b\r\ndata: c\r\n\r\ndata"), [9, 24, 25]);
        let mut frames = Frames::EventStream(eventstream::Splitter::default());
        let twice = [&binary[..], &binary[..]].concat();
        assert_eq!(whole(&mut frames, &twice), [binary.len(), 2 * binary.len()]);
        let mut array = Frames::JsonArray(array::Splitter::default());
        assert_eq!(whole(&mut array, b"[{\"a\":[]}\n, {}]"), [9, 14]);
        let mut bare = Frames::JsonArray(array::Splitter::default());
        assert_eq!(whole(&mut bare, b"{} {}"), [] as [usize; 0]);
        let mut lost = Frames::EventStream(eventstream::Splitter::default());
        lost.push(&[0xff; 40], |_| {});
        assert_eq!(lost.pending(), None);
    }

    #[test]
    fn every_framing_yields_its_events() {
        let binary = eventstream::frame(&[(":event-type", "e")], b"{}");
        for (mut frames, stream) in [
            (Frames::default(), &b"event: e\ndata: {}\n\n"[..]),
            (Frames::EventStream(eventstream::Splitter::default()), &binary[..]),
            (Frames::JsonArray(array::Splitter::default()), b"[{}"),
        ] {
            let mut data = Vec::new();
            frames.push(stream, |event| data.push(event.data.to_owned()));
            frames.finish(|_| panic!("nothing is left"));
            assert_eq!(data, ["{}"]);
            assert!(!frames.overflowed());
        }
    }
}
