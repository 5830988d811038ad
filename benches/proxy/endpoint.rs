//! The endpoint: one fixed answer, whole or in 200 chunks. It reads no more than it must.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::Result;
use crate::chat::STREAM;
use crate::load::{content_length, end_of_head};

const CHUNKS: usize = 200;
/// Apart enough that each chunk travels by itself.
const PAUSE: Duration = Duration::from_millis(1);

pub(crate) fn serve() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            // Ends with the connection, however that ends.
            tokio::spawn(async move { answer_all(stream).await.ok() });
        }
    })
}

async fn answer_all(mut stream: TcpStream) -> Result<()> {
    let whole = whole();
    let mut seen = Vec::with_capacity(256 << 10);
    loop {
        let head = loop {
            if let Some(end) = end_of_head(&seen) {
                break end;
            }
            if stream.read_buf(&mut seen).await? == 0 {
                return Ok(());
            }
        };
        let end = head + content_length(&seen[..head]).ok_or("a request without a length")?;
        while seen.len() < end {
            if stream.read_buf(&mut seen).await? == 0 {
                return Ok(());
            }
        }
        let streamed = seen[head..].starts_with(STREAM.as_bytes());
        seen.drain(..end);
        if streamed {
            stream_chunks(&mut stream).await?;
        } else {
            stream.write_all(whole.as_bytes()).await?;
        }
    }
}

fn whole() -> String {
    let text = "Water rises where the pull is strongest, and falls again as the planet turns. ";
    let body = format!(
        r#"{{"id":"chatcmpl-0123456789","object":"chat.completion","created":1750000000,"model":"m-1","choices":[{{"index":0,"message":{{"role":"assistant","content":"{}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":300,"completion_tokens":120,"total_tokens":420}}}}"#,
        text.repeat(8)
    );
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length";
    format!("{head}: {}\r\n\r\n{body}", body.len())
}

async fn stream_chunks(stream: &mut TcpStream) -> Result<()> {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    for number in 0..CHUNKS {
        let event = format!(
            "data: {{\"id\":\"chatcmpl-0123456789\",\"object\":\"chat.completion.chunk\",\"model\":\"m-1\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\" word{number}\"}},\"finish_reason\":null}}]}}\n\n"
        );
        stream.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).await?;
        tokio::time::sleep(PAUSE).await;
    }
    let last = "data: [DONE]\n\n";
    let end = format!("{:x}\r\n{last}\r\n0\r\n\r\n", last.len());
    Ok(stream.write_all(end.as_bytes()).await?)
}
