//! A streamed answer, changed event by event: the same bytes come out however it is cut.

use crate::dialect::eventstream;
use crate::dialect::frames::{Frames, Framing, Piece};

/// Changes the data of the events of one stream. Holds no more than one unfinished event, at most 1 MiB
/// of it; longer ones pass as they are.
#[derive(Debug)]
pub struct Stream {
    frames: Frames,
}

impl Stream {
    pub fn new(frames: Frames) -> Self {
        Self { frames }
    }

    /// Takes the next chunk and appends to `out` what can go on. `change` gives an event's other data,
    /// or none if it stays.
    pub fn push(
        &mut self,
        chunk: &[u8],
        out: &mut Vec<u8>,
        mut change: impl FnMut(&[u8]) -> Option<Vec<u8>>,
    ) {
        let framing = self.frames.framing();
        self.frames.pieces(chunk, |piece| append(piece, framing, out, &mut change));
    }

    /// Appends what the end of the stream leaves open.
    pub fn finish(&mut self, out: &mut Vec<u8>, mut change: impl FnMut(&[u8]) -> Option<Vec<u8>>) {
        let framing = self.frames.framing();
        self.frames.last_piece(|piece| append(piece, framing, out, &mut change));
    }

    /// Whether something passed unseen: too long to be held, or damaged.
    pub fn overflowed(&self) -> bool {
        self.frames.overflowed()
    }
}

fn append(
    piece: Piece<'_>,
    framing: Framing,
    out: &mut Vec<u8>,
    mut change: impl FnMut(&[u8]) -> Option<Vec<u8>>,
) {
    let event = match piece {
        Piece::Between(bytes) => return out.extend_from_slice(bytes),
        Piece::Event(event) => event,
    };
    let changed = match framing {
        Framing::Sse => with_data(event, change),
        Framing::EventStream => eventstream::with_payload(event, change),
        Framing::JsonArray => change(event),
    };
    out.extend_from_slice(changed.as_deref().unwrap_or(event));
}

/// A server-sent event with other data in place of its own; none if `change` has no other. Data in
/// several lines stays in as many.
fn with_data(event: &[u8], change: impl FnOnce(&[u8]) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    let mut values = data(event);
    let first = values.next()?;
    let rest: Vec<_> = values.collect();
    let joined = rest.iter().fold(event[first.clone()].to_vec(), |mut joined, value| {
        joined.push(b'\n');
        joined.extend_from_slice(&event[value.clone()]);
        joined
    });
    let changed = change(&joined)?;
    let mut lines = changed.split(|byte| *byte == b'\n');
    let mut out = Vec::with_capacity(event.len());
    let mut from = 0;
    for value in std::iter::once(&first).chain(&rest) {
        out.extend_from_slice(&event[from..value.start]);
        out.extend_from_slice(lines.next().unwrap_or_default());
        from = value.end;
    }
    out.extend_from_slice(&event[from..]);
    // Edits bring no line ends in, and take some out only with what stood around them.
    debug_assert!(lines.next().is_none());
    Some(out)
}

/// Where the values of an event's `data` lines are.
fn data(event: &[u8]) -> impl Iterator<Item = std::ops::Range<usize>> {
    let mut start = 0;
    event.split(|byte| matches!(byte, b'\n' | b'\r')).filter_map(move |line| {
        let at = start;
        start += line.len() + 1;
        let value = line.strip_prefix(b"data")?;
        let value = match value.split_first() {
            None => value,
            Some((b':', value)) => value.strip_prefix(b" ").unwrap_or(value),
            Some(_) => return None,
        };
        let end = at + line.len();
        Some(end - value.len()..end)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dialect::shape::{Alphabet, Bind, Deeds, Placed, Rule, Shaping, Spot};
    use crate::dialect::{self, base64};

    const ALL: Shaping =
        Shaping { logprobs: true, reasoning: true, most_choices: None, most_tokens: None };

    /// Makes a seal of text between brackets longer than it was.
    struct Longer;

    impl Bind for Longer {
        fn place(&mut self, spot: Spot, text: &str) -> Placed {
            let alphabet = if spot == Spot::Signature(Alphabet::Url) { "url" } else { "" };
            Placed::Other(format!("AAAA{alphabet}{text}BBBB"))
        }
    }

    /// A stream, what is done to it, and what was.
    struct Done {
        stream: Stream,
        rule: &'static Rule,
        bound: &'static Rule,
        deeds: Deeds,
        withheld: Vec<String>,
    }

    impl Done {
        fn change(
            rules: (&Rule, &Rule),
            data: &[u8],
            done: (&mut Deeds, &mut Vec<String>),
        ) -> Option<Vec<u8>> {
            let shaped = rules.0.apply(data, &ALL).ok()?;
            done.0.join(shaped.deeds);
            done.1.extend(Some(shaped.withheld).filter(|text| !text.is_empty()));
            let bound = rules.1.bind(shaped.body.as_deref().unwrap_or(data), &mut Longer).ok()?;
            bound.or(shaped.body)
        }

        fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
            let Self { stream, rule, bound, deeds, withheld } = self;
            stream.push(chunk, out, |data| Self::change((rule, bound), data, (deeds, withheld)));
        }

        fn finish(&mut self, out: &mut Vec<u8>) {
            let Self { stream, rule, bound, deeds, withheld } = self;
            stream.finish(out, |data| Self::change((rule, bound), data, (deeds, withheld)));
        }
    }

    const CHAT: &str = "/v1/chat/completions";
    const MESSAGES: &str = "/v1/messages";
    const GEMINI: &str = "/v1beta/models/m:streamGenerateContent";
    const CONVERSE: &str = "/model/m/converse-stream";
    const INVOKE: &str = "/model/m/invoke-with-response-stream";

    fn stream(path: &str, kind: &str) -> Done {
        let dialect = dialect::of(&http::Method::POST, path, &http::HeaderMap::new()).unwrap();
        let stream = Stream::new(Frames::of(dialect.framing(path), kind).unwrap());
        let (rule, bound) = (&dialect.shapes().event, &dialect.binds().event);
        Done { stream, rule, bound, deeds: Deeds::default(), withheld: Vec::new() }
    }

    fn shaped<'a>(
        (path, kind): (&str, &str),
        chunks: impl IntoIterator<Item = &'a [u8]>,
    ) -> (Vec<u8>, Done) {
        let (mut stream, mut out) = (stream(path, kind), Vec::new());
        chunks.into_iter().for_each(|chunk| stream.push(chunk, &mut out));
        stream.finish(&mut out);
        (out, stream)
    }

    const SSE: &str = "text/event-stream";
    const BINARY: &str = "application/vnd.amazon.eventstream";

    fn text(path: &str, stream: &str) -> String {
        String::from_utf8(shaped((path, SSE), [stream.as_bytes()]).0).unwrap()
    }

    fn frame(payload: &str) -> Vec<u8> {
        let headers = [(":event-type", "contentBlockDelta"), (":message-type", "event")];
        eventstream::frame(&headers, payload.as_bytes())
    }

    fn thought(text: &str) -> String {
        format!(r#"{{"contentBlockIndex":0,"delta":{{"reasoningContent":{{"text":"{text}"}}}}}}"#)
    }

    #[test]
    fn only_the_data_of_an_event_changes() {
        let event = |thinking: &str| {
            format!(
                "\u{FEFF}: hi\r\nevent: content_block_delta\r\nid:7\r\ndata:{{\"delta\":{{\"thinking\":\"{thinking}\"}}}}\r\n\r\n"
            )
        };
        assert_eq!(text(MESSAGES, &event("hm")), event(""));
        let rest = "data: [DONE]\n\n: ping\n\nevent: x\n\ndata\n\ndatum: {}\n\ndata: {\"choi";
        assert_eq!(text(CHAT, rest), rest);
    }

    #[test]
    fn data_in_several_lines_stays_in_as_many() {
        let event = |text: &str| {
            format!(
                "data: {{\"choices\":[\nid: 1\ndata: {{\"delta\":{{\"reasoning\":\"{text}\"\ndata\ndata:}}}}]}}\n\n"
            )
        };
        assert_eq!(text(CHAT, &event("hm")), event(""));
    }

    #[test]
    fn frames_are_sealed_anew() {
        let (out, stream) = shaped((CONVERSE, BINARY), [&frame(&thought("hm"))[..]]);
        assert_eq!(out, frame(&thought("")));
        assert_eq!(stream.deeds.iter().count(), 1);
        let mut broken = frame(&thought("hm"));
        *broken.last_mut().unwrap() ^= 1;
        assert_eq!(shaped((CONVERSE, BINARY), [&broken[..]]).0, broken);
        let coded = |text: &str| {
            let event = format!(r#"{{"delta":{{"type":"thinking_delta","thinking":"{text}"}}}}"#);
            frame(&format!(r#"{{"bytes":"{}"}}"#, base64::encoded(event.as_bytes())))
        };
        assert_eq!(shaped((INVOKE, BINARY), [&coded("hm")[..]]).0, coded(""));
    }

    #[test]
    fn elements_of_an_array_are_shaped_where_they_are() {
        let array = |text: &str| {
            format!(
                "[{{\"candidates\":[{{\"content\":{{\"parts\":[{{\"thought\":true,\"text\":\"{text}\"}}]}}}}]}}\r\n,\n {{}} ]\n"
            )
        };
        let (out, _) = shaped((GEMINI, "application/json"), [array("hm").as_bytes()]);
        assert_eq!(out, array("").into_bytes());
    }

    #[test]
    fn what_is_too_long_to_be_held_passes_as_it_is() {
        let long = "x".repeat(2 << 20);
        let event =
            format!("data: {{\"choices\":[{{\"delta\":{{\"reasoning\":\"{long}\"}}}}]}}\n\n");
        for size in [event.len(), 4096] {
            let (out, _) = shaped((CHAT, SSE), event.as_bytes().chunks(size));
            assert!(out == event.as_bytes());
        }
    }

    fn pieces() -> Vec<Vec<u8>> {
        let event = |data: &str, end: &str| format!("data: {data}{end}{end}").into_bytes();
        let reasoning = r#"{"choices":[{"delta":{"reasoning":"é世"},"logprobs":{"a":[1]}}]}"#;
        let mut damaged = frame(&thought("x"));
        damaged[20] ^= 1;
        vec![
            event(reasoning, "\n"),
            event(reasoning, "\r\n"),
            event(reasoning, "\r"),
            b"data: {\"choices\":[\ndata: {\"delta\":{\"reasoning\":\"a\"}}]}\r\n\r\n".to_vec(),
            b": ping\n\n".to_vec(),
            b"\xEF\xBB\xBFdata".to_vec(),
            b"\r".to_vec(),
            b"\n".to_vec(),
            b"\xFF{\"candidates\":{\"content\":{\"parts\":{\"thought\":true,\"text\":\"a\"}}}},"
                .to_vec(),
            b"[\"}".to_vec(),
            frame(&thought("hm")),
            frame("{}"),
            damaged,
            b"data: [DONE]\n\n".to_vec(),
            frame(r#"{"delta":{"reasoningContent":{"signature":"QSBz/ZWFsLg=="}}}"#),
            event(
                r#"{"type":"content_block_delta","delta":{"signature":"QSBz\/ZWFs+Lg=="}}"#,
                "\n",
            ),
            event(
                r#"{"candidates":[{"content":{"parts":[{"thoughtSignature":"QSBz"}]}}]}"#,
                "\r\n",
            ),
            b"{\"candidates\":{\"content\":{\"parts\":{\"thoughtSignature\":\"QSBz\"}}}},".to_vec(),
        ]
    }

    proptest! {
        #[test]
        fn any_chunking_comes_to_the_same(
            picks in prop::collection::vec(0..18_usize, 0..12),
            cuts in prop::collection::vec(0..40_usize, 1..30),
        ) {
            let all = pieces();
            let whole: Vec<u8> = picks.iter().flat_map(|pick| all[*pick].clone()).collect();
            for (path, kind) in
                [(CHAT, SSE), (MESSAGES, SSE), (CONVERSE, BINARY), (GEMINI, "application/json"), (GEMINI, SSE)]
            {
                let mut rest = &whole[..];
                let mut chunks = Vec::new();
                for cut in &cuts {
                    let (chunk, after) = rest.split_at((*cut).min(rest.len()));
                    chunks.push(chunk);
                    rest = after;
                }
                chunks.push(rest);
                let expected = shaped((path, kind), [&whole[..]]);
                for (out, stream) in [shaped((path, kind), chunks), shaped((path, kind), whole.chunks(1))] {
                    prop_assert_eq!(&out, &expected.0);
                    prop_assert_eq!(stream.deeds, expected.1.deeds);
                    prop_assert_eq!(&stream.withheld, &expected.1.withheld);
                }
            }
        }

        #[test]
        fn without_rules_every_byte_passes(
            picks in prop::collection::vec(0..18_usize, 0..12),
            size in 1..64_usize,
        ) {
            let all = pieces();
            let whole: Vec<u8> = picks.iter().flat_map(|pick| all[*pick].clone()).collect();
            for kind in [SSE, BINARY, "application/json"] {
                let mut stream = Stream::new(Frames::of(Framing::JsonArray, kind).unwrap());
                let mut out = Vec::new();
                whole.chunks(size).for_each(|chunk| stream.push(chunk, &mut out, |_| None));
                stream.finish(&mut out, |_| None);
                prop_assert_eq!(&out, &whole);
            }
        }
    }
}
