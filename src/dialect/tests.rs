//! What the tests of every dialect need.

use std::borrow::Cow;

use super::{Delta, Dialect, Frames, Kind, Usage};

/// A streamed answer, folded.
pub(super) struct Streamed {
    /// Neighbours of one kind are joined.
    pub(super) pieces: Vec<(Kind, String)>,
    /// Neighbours that are equal count once.
    pub(super) issued: Vec<String>,
    pub(super) usage: Usage,
    /// Finish and error as the events told; `last` as the last one did.
    pub(super) end: Delta<'static>,
}

pub(super) fn streamed(dialect: &dyn Dialect, stream: &str) -> Streamed {
    framed(dialect, Frames::default(), stream.as_bytes())
}

pub(super) fn framed(dialect: &dyn Dialect, mut frames: Frames, stream: &[u8]) -> Streamed {
    let (mut pieces, mut issued) = (Vec::<(Kind, String)>::new(), Vec::new());
    let (mut usage, mut end) = (Usage::default(), Delta::default());
    frames.push(stream, |event| {
        let delta = dialect.read_event(event).expect("an event");
        for (kind, text) in delta.pieces {
            match pieces.last_mut() {
                Some((last, joined)) if *last == kind => joined.push_str(&text),
                _ => pieces.push((kind, text.into_owned())),
            }
        }
        issued.extend(delta.issued.into_iter().map(Cow::into_owned));
        usage.update(delta.usage.unwrap_or_default());
        end.finish = delta.finish.or(end.finish);
        end.error |= delta.error;
        end.last = delta.last;
    });
    issued.dedup();
    Streamed { pieces, issued, usage, end }
}
