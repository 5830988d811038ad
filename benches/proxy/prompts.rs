//! What callers send: chat requests of a given size, each new, from many accounts.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use stillguard::lab::rng::Rng;

use crate::chat::{FRESH, body};

const ACCOUNTS: usize = 64;

pub(crate) struct Prompts {
    /// Whole requests, and where in each the count stands.
    requests: Vec<(Vec<u8>, usize)>,
    used: AtomicUsize,
}

impl Prompts {
    pub(crate) fn new(bytes: usize, count: usize, stream: bool) -> Self {
        let mut rng = Rng::new(bytes as u64);
        let request = |number| {
            let text = request(&body(&mut rng, bytes, stream), number % ACCOUNTS).into_bytes();
            let at = memchr::memmem::find(&text, FRESH.as_bytes()).unwrap_or_default();
            (text, at)
        };
        Self { requests: (0..count).map(request).collect(), used: AtomicUsize::new(0) }
    }

    pub(crate) fn next(&self) -> Vec<u8> {
        let number = self.used.fetch_add(1, Relaxed);
        let (request, at) = &self.requests[number % self.requests.len()];
        let mut request = request.clone();
        request[*at..*at + FRESH.len()].copy_from_slice(format!("{number:016}").as_bytes());
        request
    }
}

fn request(body: &str, account: usize) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: api.example.com\r\nuser-agent: OpenAI/Python 2.54.0\r\nauthorization: Bearer sk-bench-{account:04}-0123456789abcdef\r\nx-forwarded-for: 82.10.{account}.7\r\naccept: application/json\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}
