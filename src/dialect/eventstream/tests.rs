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

fn event(kind: &str, payload: &str) -> Vec<u8> {
    let headers = [(":event-type", kind), (":message-type", "event")];
    frame(&headers, payload.as_bytes())
}

fn named(name: &str, data: &str) -> Owned {
    (Some(name.to_owned()), data.to_owned())
}

#[test]
fn the_checksum_is_the_one_everybody_knows() {
    assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    assert_eq!(crc32(b""), 0);
}

#[test]
fn an_empty_frame_is_sixteen_bytes_as_the_format_says() {
    let empty = b"\0\0\0\x10\0\0\0\0\x05\xC2\x48\xEB\x7D\x98\xC8\xFF";
    assert_eq!(frame(&[], b""), empty);
    assert_eq!(split([&empty[..]]).0, [(None, String::new())]);
}

#[test]
fn frames_are_named_by_their_event_exception_or_error() {
    let exception = [(":message-type", "exception"), (":exception-type", "throttlingException")];
    let error = [(":message-type", "error"), (":error-code", "InternalFailure")];
    let stream =
        [event("chunk", "{}"), frame(&exception, b"slow"), frame(&error, b""), frame(&[], b"x")];
    let (events, splitter) = split([&stream.concat()[..]]);
    let expected = [
        named("chunk", "{}"),
        named("throttlingException", "slow"),
        named("error", ""),
        (None, "x".to_owned()),
    ];
    assert_eq!(events, expected);
    assert!(!splitter.overflowed());
}

#[test]
fn headers_of_every_type_are_passed_over() {
    let mut lines = Vec::new();
    for (kind, length) in [(0, 0), (1, 0), (2, 1), (3, 2), (4, 4), (5, 8), (8, 8), (9, 16)] {
        lines.extend_from_slice(&[1, b'h', kind]);
        lines.resize(lines.len() + length, 7);
    }
    lines.extend_from_slice(b"\x01b\x06\0\x02zz\x0B:event-type\x07\0\x01e");
    assert_eq!(Headers::read(&lines).and_then(|headers| headers.event), Some("e"));
    assert!(Headers::read(b"\x01h\x0A").is_none());
}

#[test]
fn a_damaged_frame_is_passed_over_and_told() {
    let mut damaged = event("chunk", "payload");
    let at = damaged.len() - 6;
    damaged[at] ^= 1;
    let (events, splitter) = split([&[damaged, event("chunk", "after")].concat()[..]]);
    assert_eq!(events, [named("chunk", "after")]);
    assert!(splitter.overflowed());
}

#[test]
fn nothing_is_believed_after_a_damaged_length() {
    let mut damaged = event("chunk", "payload");
    damaged[3] ^= 1;
    let stream = [event("chunk", "before"), damaged, event("chunk", "after")].concat();
    for chunk in [stream.len(), 5] {
        let (events, splitter) = split(stream.chunks(chunk));
        assert_eq!(events, [named("chunk", "before")]);
        assert!(splitter.overflowed() && splitter.held.is_empty());
    }
}

#[test]
fn overlong_frames_are_passed_over_in_bounded_memory() {
    let long = event("chunk", &"x".repeat(Splitter::MAX_FRAME));
    let stream = [long, event("chunk", "after")].concat();
    for chunk in [stream.len(), 1 << 16, 7] {
        let mut splitter = Splitter::default();
        let mut events = Vec::new();
        for chunk in stream.chunks(chunk) {
            splitter.push(chunk, |event| events.push(event.data.to_owned()));
            assert!(splitter.held.capacity() <= 1 << 12);
        }
        assert_eq!(events, ["after"]);
        assert!(splitter.overflowed());
    }
}

#[test]
fn a_long_frame_leaves_no_memory_behind() {
    let long = event("chunk", &"x".repeat(1 << 19));
    let (events, splitter) = split(long.chunks(1 << 12));
    assert_eq!(events.len(), 1);
    assert!(splitter.held.capacity() <= Splitter::KEPT);
}

#[test]
fn a_frame_in_one_chunk_is_not_copied() {
    let chunk = event("chunk", "whole");
    let mut splitter = Splitter::default();
    splitter.push(&chunk, |event| assert_eq!(event.data, "whole"));
    assert_eq!(splitter.held.capacity(), 0);
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => ("[a-z]{1,9}", "[a-zé{}\"]{0,30}").prop_map(|(kind, data)| event(&kind, &data)),
        1 => prop::collection::vec(any::<u8>(), 0..24),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_chunking_yields_the_same_frames(
        stream in stream(),
        cuts in prop::collection::vec(0..40_usize, 1..20),
    ) {
        let mut rest = &stream[..];
        let mut chunks = Vec::new();
        for cut in cuts {
            let (chunk, after) = rest.split_at(cut.min(rest.len()));
            chunks.push(chunk);
            rest = after;
        }
        chunks.push(rest);
        let (whole, splitter) = split([&stream[..]]);
        for (events, other) in [split(chunks), split(stream.chunks(1))] {
            prop_assert_eq!(&events, &whole);
            prop_assert_eq!(other.overflowed(), splitter.overflowed());
        }
    }

    #[test]
    fn what_is_framed_is_read_back(kind in "[!-~]{1,40}", data in "\\PC{0,80}") {
        prop_assert_eq!(split([&event(&kind, &data)[..]]).0, [named(&kind, &data)]);
    }
}
