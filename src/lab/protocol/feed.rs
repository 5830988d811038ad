//! Making traffic on one core while it is judged on another, in an order that never depends on
//! which is faster.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

/// Items handed over at a time, and how many hand-overs may wait.
const CHUNK: usize = 64;
const AHEAD: usize = 16;

/// What another thread makes, in the order it is made.
pub(super) struct Feed<T> {
    from: Receiver<Vec<T>>,
    now: std::vec::IntoIter<T>,
    next: Option<T>,
}

impl<T: Send> Feed<T> {
    /// Runs `items` on a thread of its own, until they end or the feed is dropped.
    pub(super) fn of<'s, I>(scope: &'s Scope<'s, '_>, items: I) -> Self
    where
        I: Iterator<Item = T> + Send + 's,
        T: 's,
    {
        let (to, from) = sync_channel(AHEAD);
        scope.spawn(move || pour(items, &to));
        let mut feed = Self { from, now: Vec::new().into_iter(), next: None };
        feed.next = feed.draw();
        feed
    }

    fn draw(&mut self) -> Option<T> {
        if let Some(item) = self.now.next() {
            return Some(item);
        }
        self.now = self.from.recv().ok()?.into_iter();
        self.now.next()
    }

    pub(super) fn peek(&self) -> Option<&T> {
        self.next.as_ref()
    }
}

impl<T: Send> Iterator for Feed<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let next = self.draw();
        std::mem::replace(&mut self.next, next)
    }
}

fn pour<T>(items: impl Iterator<Item = T>, to: &SyncSender<Vec<T>>) {
    let mut chunk = Vec::with_capacity(CHUNK);
    for item in items {
        chunk.push(item);
        if chunk.len() == CHUNK
            && to.send(std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK))).is_err()
        {
            return;
        }
    }
    // Nobody may be there any more to take the rest.
    drop(to.send(chunk));
}
