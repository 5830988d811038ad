//! HTTP/2 frames that ask for work and carry nothing: a connection may send only so many.
//!
//! h2 bounds what such frames hold, and how many streams are reset or headers are continued. How many
//! pings, settings, priorities and window updates it answers, nobody bounds.

use std::time::Duration;

use tokio::time::Instant;

/// Frames that a connection may send at once, and per second from then on.
const BURST: u64 = 1000;
const PER_SECOND: u64 = 100;
/// Bytes sent to a client that earn it one frame more: a window update, or a ping that measures.
const BYTES_PER_FRAME: u64 = 32;

const PREFACE: u64 = 24;
const HEAD: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;

/// Follows what a client sends. Holds no more than a frame's head.
#[derive(Debug)]
pub(super) struct Frames {
    head: [u8; HEAD],
    /// Bytes of the head seen so far.
    seen: usize,
    /// Bytes of the payload to come.
    left: u64,
    /// Thousandths of a frame that may yet come.
    credit: u64,
    earned_at: Instant,
}

impl Frames {
    pub(super) fn new() -> Self {
        let credit = BURST * 1000;
        Self { head: [0; HEAD], seen: 0, left: PREFACE, credit, earned_at: Instant::now() }
    }

    /// Takes in what was read. False: too many frames.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> bool {
        self.earn(PER_SECOND * millis(self.earned_at.elapsed()));
        self.earned_at = Instant::now();
        while !bytes.is_empty() {
            let skipped = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
            self.left -= skipped as u64;
            bytes = &bytes[skipped..];
            let wanted = &mut self.head[self.seen..];
            let taken = if self.left == 0 { wanted.len().min(bytes.len()) } else { 0 };
            wanted[..taken].copy_from_slice(&bytes[..taken]);
            self.seen += taken;
            bytes = &bytes[taken..];
            if self.seen == HEAD && !self.begin() {
                return false;
            }
        }
        true
    }

    pub(super) fn sent(&mut self, bytes: usize) {
        self.earn(bytes as u64 * 1000 / BYTES_PER_FRAME);
    }

    /// A frame's head is whole.
    fn begin(&mut self) -> bool {
        let [a, b, c, kind, flags, ..] = self.head;
        self.seen = 0;
        self.left = u64::from(u32::from_be_bytes([0, a, b, c]));
        let carries = match kind {
            DATA => self.left > 0 || flags & END_STREAM != 0,
            HEADERS => true,
            _ => false,
        };
        let after = self.credit.checked_sub(if carries { 0 } else { 1000 });
        self.credit = after.unwrap_or(0);
        after.is_some()
    }

    fn earn(&mut self, thousandths: u64) {
        self.credit = self.credit.saturating_add(thousandths).min(BURST * 1000);
    }
}

/// Whole milliseconds times a rate per second are thousandths.
fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX / PER_SECOND)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PING: u8 = 6;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], &vec![0; payload]].concat()
    }

    fn begun() -> Frames {
        let mut frames = Frames::new();
        assert!(frames.feed(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
        frames
    }

    #[tokio::test(start_paused = true)]
    async fn frames_that_carry_nothing_are_counted_and_time_and_answers_earn_more() {
        for empty in [frame(PING, 0, 8), frame(4, 0, 0), frame(8, 0, 4), frame(DATA, 0, 0)] {
            let mut frames = begun();
            assert!((0..BURST).all(|_| frames.feed(&empty)));
            tokio::time::advance(Duration::from_secs(1)).await;
            assert!((0..PER_SECOND).all(|_| frames.feed(&empty)));
            frames.sent(64);
            assert!(frames.feed(&empty) && frames.feed(&empty) && !frames.feed(&empty));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_carries_something_is_free() {
        let mut frames = begun();
        for carrying in [frame(DATA, 0, 100), frame(HEADERS, 5, 20), frame(DATA, END_STREAM, 0)] {
            assert!((0..BURST * 2).all(|_| frames.feed(&carrying)));
        }
    }

    proptest! {
        #[test]
        fn however_they_are_cut_as_many_are_counted(cut in 1..40_usize) {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async {
                let mut frames = begun();
                let all = [frame(PING, 0, 8), frame(DATA, 0, 33), frame(4, 0, 6)].concat().repeat(500);
                assert!(all.chunks(cut).all(|piece| frames.feed(piece)));
                assert!(!frames.feed(&frame(PING, 0, 8)));
            });
        }
    }
}
