//! Server-sent events, observed without re-framing.

/// One event: its `event:` name if it has one, and its `data:` lines joined by newlines.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event<'a> {
    pub name: Option<&'a str>,
    pub data: &'a str,
}

/// Splits a stream of chunks into events, whatever the chunk boundaries.
#[derive(Debug, Default)]
pub struct Splitter {}

impl Splitter {
    /// Takes the next chunk and hands every event it completes to `visit`.
    pub fn push(&mut self, _chunk: &[u8], _visit: impl FnMut(Event<'_>)) {
        todo!()
    }
}
