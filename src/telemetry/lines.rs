//! Lines for a reader who may be slow, or stuck: a full pipe holds up neither exchanges nor the thread
//! that obeys signals.

use std::io::{self, Write};
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;

/// Lines that may wait, some 200 bytes each. Further ones are lost and counted.
const WAITING: usize = 1024;
/// How long what waits at the end may take.
const LAST: Duration = Duration::from_secs(1);

/// Lines lost by this process.
pub(super) static LOST: LazyLock<Counter> = LazyLock::new(Counter::default);

/// Takes a line a call, and never blocks.
#[derive(Clone, Debug)]
pub(super) struct Lines(SyncSender<Message>);

enum Message {
    Line(Vec<u8>),
    /// All before it has been written.
    End(SyncSender<()>),
}

/// Whoever drops it waits, for no longer than a second, until what was logged is written.
#[derive(Debug)]
#[must_use = "the last lines are lost without"]
pub struct LastLines(Lines);

impl Lines {
    /// Starts the thread that writes to `sink`.
    pub(super) fn to(sink: impl Write + Send + 'static) -> io::Result<(Self, LastLines)> {
        let (lines, waiting) = sync_channel(WAITING);
        thread::Builder::new().name("log".into()).spawn(move || write(sink, &waiting))?;
        let lines = Self(lines);
        Ok((lines.clone(), LastLines(lines)))
    }
}

fn write(mut sink: impl Write, waiting: &Receiver<Message>) {
    for message in waiting {
        match message {
            Message::Line(line) => {
                if sink.write_all(&line).is_err() {
                    LOST.inc();
                }
            }
            Message::End(written) => drop(written),
        }
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.0.try_send(Message::Line(line.to_vec())).is_err() {
            LOST.inc();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LastLines {
    fn drop(&mut self) {
        let (written, all) = sync_channel(0);
        if self.0.0.try_send(Message::End(written)).is_ok() {
            let _or_stuck = all.recv_timeout(LAST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::logging::tests::Sink;

    #[test]
    fn all_that_was_said_is_written_in_its_order_before_the_end() {
        let sink = Sink::default();
        let (mut lines, last) = Lines::to(sink.clone()).unwrap();
        let said: Vec<_> = (0..500).map(|n| format!("{n}\n")).collect();
        for line in &said {
            lines.write_all(line.as_bytes()).unwrap();
        }
        drop(last);
        assert_eq!(*sink.0.lock().unwrap(), said.concat().into_bytes());
    }

    #[test]
    fn a_sink_that_is_stuck_costs_lines_and_nothing_else() {
        let (reader, writer) = io::pipe().unwrap();
        let (mut lines, _last) = Lines::to(writer).unwrap();
        let before = LOST.get();
        for _ in 0..WAITING + 500 {
            lines.write_all(&[b'x'; 1000]).unwrap();
        }
        assert!(LOST.get() > before);
        drop(reader);
    }
}
