//! A streamed answer, shaped event by event: the same bytes come out however it is cut.

use super::{Deeds, Rule, Shaped, Shaping};
use crate::dialect::eventstream;
use crate::dialect::frames::{Frames, Framing, Piece};

/// Shapes the events of one stream. Holds no more than one unfinished event, at most 1 MiB of it;
/// longer ones pass as they are.
#[derive(Debug)]
pub struct Stream {
    frames: Frames,
    rule: &'static Rule,
    shaping: Shaping,
    deeds: Deeds,
    withheld: Vec<String>,
}

impl Stream {
    pub fn new(frames: Frames, rule: &'static Rule, shaping: Shaping) -> Self {
        Self { frames, rule, shaping, deeds: Deeds::default(), withheld: Vec::new() }
    }

    /// Takes the next chunk and appends to `out` what can go on.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let Self { frames, rule, shaping, deeds, withheld } = self;
        let framing = frames.framing();
        frames.pieces(chunk, |piece| {
            let Some(shaped) = append(piece, (framing, rule, shaping), out) else { return };
            deeds.join(shaped.deeds);
            withheld.extend(Some(shaped.withheld).filter(|text| !text.is_empty()));
        });
    }

    /// Appends what the end of the stream leaves open.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let Self { frames, rule, shaping, deeds, withheld } = self;
        let framing = frames.framing();
        frames.last_piece(|piece| {
            let Some(shaped) = append(piece, (framing, rule, shaping), out) else { return };
            deeds.join(shaped.deeds);
            withheld.extend(Some(shaped.withheld).filter(|text| !text.is_empty()));
        });
    }

    /// What was done so far.
    pub fn deeds(&self) -> Deeds {
        self.deeds
    }

    /// Texts of events that were withheld since this was last asked.
    pub fn take_withheld(&mut self) -> Vec<String> {
        std::mem::take(&mut self.withheld)
    }
}

fn append(
    piece: Piece<'_>,
    (framing, rule, shaping): (Framing, &Rule, &Shaping),
    out: &mut Vec<u8>,
) -> Option<Shaped> {
    let event = match piece {
        Piece::Between(bytes) => {
            out.extend_from_slice(bytes);
            return None;
        }
        Piece::Event(event) => event,
    };
    let mut done = None;
    let mut change = |data: &[u8]| {
        let shaped = rule.apply(data, shaping).ok()?;
        done.insert(shaped).body.take()
    };
    let changed = match framing {
        Framing::Sse => with_data(event, change),
        Framing::EventStream => eventstream::with_payload(event, change),
        Framing::JsonArray => change(event),
    };
    out.extend_from_slice(changed.as_deref().unwrap_or(event));
    done
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
    use crate::dialect::{self, base64};

    const ALL: Shaping =
        Shaping { logprobs: true, reasoning: true, most_choices: None, most_tokens: None };

    const CHAT: &str = "/v1/chat/completions";
    const MESSAGES: &str = "/v1/messages";
    const GEMINI: &str = "/v1beta/models/m:streamGenerateContent";
    const CONVERSE: &str = "/model/m/converse-stream";
    const INVOKE: &str = "/model/m/invoke-with-response-stream";

    fn stream(path: &str, kind: &str) -> Stream {
        let dialect = dialect::of(&http::Method::POST, path, &http::HeaderMap::new()).unwrap();
        let frames = Frames::of(dialect.framing(path), kind).unwrap();
        Stream::new(frames, &dialect.shapes().event, ALL)
    }

    fn shaped<'a>(
        (path, kind): (&str, &str),
        chunks: impl IntoIterator<Item = &'a [u8]>,
    ) -> (Vec<u8>, Stream) {
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
        assert_eq!(stream.deeds().iter().count(), 1);
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
        ]
    }

    proptest! {
        #[test]
        fn any_chunking_comes_to_the_same(
            picks in prop::collection::vec(0..14_usize, 0..12),
            cuts in prop::collection::vec(0..40_usize, 1..30),
        ) {
            let all = pieces();
            let whole: Vec<u8> = picks.iter().flat_map(|pick| all[*pick].clone()).collect();
            for (path, kind) in
                [(CHAT, SSE), (CONVERSE, BINARY), (GEMINI, "application/json"), (GEMINI, SSE)]
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
                    prop_assert_eq!(stream.deeds(), expected.1.deeds());
                    prop_assert_eq!(&stream.withheld, &expected.1.withheld);
                }
            }
        }

        #[test]
        fn without_rules_every_byte_passes(
            picks in prop::collection::vec(0..12_usize, 0..12),
            size in 1..64_usize,
        ) {
            let all = pieces();
            let whole: Vec<u8> = picks.iter().flat_map(|pick| all[*pick].clone()).collect();
            for kind in [SSE, BINARY, "application/json"] {
                let frames = Frames::of(Framing::JsonArray, kind).unwrap();
                let mut stream = Stream::new(frames, &Rule::Nothing, ALL);
                let mut out = Vec::new();
                whole.chunks(size).for_each(|chunk| stream.push(chunk, &mut out));
                stream.finish(&mut out);
                prop_assert_eq!(&out, &whole);
            }
        }
    }
}
