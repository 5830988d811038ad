//! HTTP/2 endpoints that do not take a stream: it is sent once more only if they did nothing with it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::ends::{Rig, post, until, within};
use super::scene::{CHAT, Scene};
use super::wire::read;

/// What is done with one stream.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Answer,
    /// RST_STREAM with this code.
    Reset(u8),
    /// GOAWAY whose last stream is so much below this one; then the connection is closed.
    GoAway(u32),
    Nothing,
}

const REFUSED_STREAM: u8 = 7;
const INTERNAL_ERROR: u8 = 2;
const CANCEL: u8 = 8;

/// An endpoint that does one deed after the other, in frames of its own, and counts.
struct Frames {
    listener: TcpListener,
    deeds: Mutex<VecDeque<Deed>>,
    seen: Mutex<Vec<usize>>,
}

async fn serve(frames: Arc<Frames>) {
    while let Ok((socket, _)) = frames.listener.accept().await {
        tokio::spawn(converse(socket, Arc::clone(&frames)));
    }
}

async fn converse(mut socket: TcpStream, frames: Arc<Frames>) -> std::io::Result<()> {
    let mut preface = [0; 24];
    socket.read_exact(&mut preface).await?;
    socket.write_all(&frame(4, 0, 0, &[])).await?;
    let mut bytes = 0;
    loop {
        let mut head = [0; 9];
        socket.read_exact(&mut head).await?;
        let [_, high, low, kind, flags, id @ ..] = head;
        let (id, end) = (u32::from_be_bytes(id), flags & 1 == 1);
        let mut payload = vec![0; usize::from(high) << 8 | usize::from(low)];
        socket.read_exact(&mut payload).await?;
        match kind {
            4 if !end => socket.write_all(&frame(4, 1, 0, &[])).await?,
            0 => bytes += payload.len(),
            _ => {}
        }
        if !(matches!(kind, 0 | 1) && end) {
            continue;
        }
        frames.seen.lock().unwrap().push(std::mem::take(&mut bytes));
        let deed = frames.deeds.lock().unwrap().pop_front().unwrap();
        match deed {
            Deed::Answer => {
                // The static table's eighth entry is `:status: 200`.
                socket.write_all(&frame(1, 4, id, &[0x88])).await?;
                socket.write_all(&frame(0, 1, id, b"{}")).await?;
            }
            Deed::Nothing => {}
            Deed::Reset(code) => socket.write_all(&frame(3, 0, id, &[0, 0, 0, code])).await?,
            Deed::GoAway(below) => {
                let last = (id - below).to_be_bytes();
                socket.write_all(&frame(7, 0, 0, &[last, [0; 4]].concat())).await?;
                socket.shutdown().await?;
                // What is left unread would reset the connection, and the GOAWAY with it.
                return tokio::io::copy(&mut socket, &mut tokio::io::sink()).await.map(drop);
            }
        }
    }
}

fn frame(kind: u8, flags: u8, id: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0, 0, payload.len() as u8, kind, flags];
    frame.extend_from_slice(&id.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// A proxy before an endpoint that will do these deeds.
async fn rig(scene: &Scene, deeds: &[Deed]) -> (Rig, Arc<Frames>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let forward = format!(
        "h2 = true\nendpoints = [{{ url = \"http://{}\", name = \"a\" }}]",
        listener.local_addr().unwrap()
    );
    let deeds = Mutex::new(deeds.iter().copied().collect());
    let frames = Arc::new(Frames { listener, deeds, seen: Mutex::default() });
    tokio::spawn(serve(Arc::clone(&frames)));
    (Rig::new(scene, 1, &forward), frames)
}

/// The status a caller gets, the sizes of the bodies the endpoint saw, and how often one was sent again.
async fn done(deeds: &[Deed], head: &str, body: &str) -> (String, Vec<usize>, u64) {
    let scene = Scene::new();
    let (rig, frames) = rig(&scene, deeds).await;
    let answer = rig.ask(head, body).await;
    let series =
        "stillguard_endpoint_retries_total{group=\"default\",endpoint=\"a\",reason=\"refused\"}";
    let seen = frames.seen.lock().unwrap().clone();
    (answer.start[9..12].to_owned(), seen, scene.count(series))
}

#[tokio::test]
async fn a_stream_the_endpoint_did_nothing_with_is_sent_once_more() {
    let (chat, whole) = (post("/v1/chat/completions", "k"), CHAT.len());
    for first in [Deed::Reset(REFUSED_STREAM), Deed::GoAway(1)] {
        let (status, seen, retries) = done(&[first, Deed::Answer], &chat, CHAT).await;
        assert_eq!((&status[..], seen, retries), ("200", vec![whole; 2], 1), "{first:?}");
        let again = [first, Deed::Reset(REFUSED_STREAM), Deed::Answer];
        let (status, seen, retries) = done(&again, &chat, CHAT).await;
        assert_eq!((&status[..], seen, retries), ("502", vec![whole; 2], 1), "once: {first:?}");
    }
}

#[tokio::test]
async fn a_stream_the_endpoint_may_have_worked_on_is_never_sent_again() {
    let chat = post("/v1/chat/completions", "k");
    for deed in [Deed::Reset(CANCEL), Deed::Reset(INTERNAL_ERROR), Deed::GoAway(0)] {
        let (status, seen, retries) = done(&[deed, Deed::Answer], &chat, CHAT).await;
        assert_eq!((&status[..], seen.len(), retries), ("502", 1, 0), "{deed:?}");
    }
}

#[tokio::test]
async fn a_body_that_was_not_kept_is_never_sent_again() {
    let refused = [Deed::Reset(REFUSED_STREAM), Deed::Answer];
    let (status, seen, _) = done(&refused, &post("/v1/files", "k"), "some bytes").await;
    assert_eq!((&status[..], seen.len()), ("502", 1));
    let head = "GET /v1/models HTTP/1.1\r\nauthorization: Bearer k";
    let (status, seen, _) = done(&refused, head, "").await;
    assert_eq!((&status[..], seen.len()), ("200", 2), "nothing to keep");
}

#[tokio::test]
async fn of_two_streams_only_the_one_beyond_a_goaway_is_sent_again() {
    let scene = Scene::new();
    let (rig, frames) = rig(&scene, &[Deed::Nothing, Deed::GoAway(2), Deed::Answer]).await;
    let chat = post("/v1/chat/completions", "k");
    let mut worked_on = rig.send(&chat, CHAT).await;
    until(|| frames.seen.lock().unwrap().len() == 1).await;
    assert!(rig.ask(&chat, CHAT).await.start.contains(" 200 "));
    let lost = within(read(&mut worked_on, true)).await.unwrap();
    assert!(lost.start.contains(" 502 "), "{}", lost.start);
    assert_eq!(frames.seen.lock().unwrap().len(), 3);
}
