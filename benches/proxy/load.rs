//! Callers: keep-alive connections that ask as soon as they are answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use stillguard::time::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Result;
use crate::prompts::Prompts;

pub(crate) struct Load {
    prompts: Arc<Prompts>,
    callers: usize,
}

impl Load {
    pub(crate) fn new(prompts: Prompts, callers: usize) -> Self {
        Self { prompts: Arc::new(prompts), callers }
    }

    pub(crate) fn next(&self) -> Vec<u8> {
        self.prompts.next()
    }

    pub(crate) async fn open(&self, address: SocketAddr) -> Result<Line> {
        Line::open(address).await
    }

    /// Asks for `time` with every caller at once. Returns how many requests were served.
    pub(crate) async fn saturate(&self, address: SocketAddr, time: Duration) -> Result<u64> {
        let (clock, nanos) = (Clock::start(), time.as_nanos() as u64);
        let mut callers = JoinSet::new();
        for _ in 0..self.callers {
            let prompts = Arc::clone(&self.prompts);
            callers.spawn(async move {
                let (mut line, mut served) = (Line::open(address).await?, 0);
                while clock.elapsed_nanos() < nanos {
                    line.ask(&prompts.next()).await?;
                    served += 1;
                }
                Ok::<u64, Box<dyn std::error::Error + Send + Sync>>(served)
            });
        }
        let mut served = 0;
        while let Some(caller) = callers.join_next().await {
            served += caller??;
        }
        Ok(served)
    }
}

/// One connection.
pub(crate) struct Line {
    stream: TcpStream,
    seen: Vec<u8>,
}

impl Line {
    async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, seen: Vec::with_capacity(64 << 10) })
    }

    /// Asks, and reads the answer to its end. Whatever is not a success ends the run.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Result<()> {
        self.stream.write_all(request).await?;
        self.seen.clear();
        while !self.is_whole() {
            if self.stream.read_buf(&mut self.seen).await? == 0 {
                return Err("an answer broke off".into());
            }
        }
        if self.seen.starts_with(b"HTTP/1.1 200") {
            return Ok(());
        }
        Err(format!("not served: {}", String::from_utf8_lossy(&self.seen)).into())
    }

    fn is_whole(&self) -> bool {
        let Some(head) = end_of_head(&self.seen) else { return false };
        match content_length(&self.seen[..head]) {
            Some(length) => self.seen.len() >= head + length,
            None => self.seen.ends_with(b"\r\n0\r\n\r\n"),
        }
    }
}

pub(crate) fn end_of_head(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

pub(crate) fn content_length(head: &[u8]) -> Option<usize> {
    let mut lines = head.split(|&byte| byte == b'\n');
    lines.find_map(|line| {
        let (name, value) = line.split_at_checked(15)?;
        let value = std::str::from_utf8(value).ok()?;
        name.eq_ignore_ascii_case(b"content-length:").then(|| value.trim().parse().ok())?
    })
}
