//! Clients that send slowly, read slowly or only connect; and an endpoint that does the same.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use super::frames::{Client, END_HEADERS, END_STREAM, HEADERS, PREFACE, SETTINGS, block, frame};
use super::stage::{PATIENCE, Stage, pause, rest};

const SHORT: &str = "[guard]\nbody_seconds = 1\n[net.deadlines]\nfirst_byte_ms = 500\nhead_ms = 500\n\
    keep_alive_secs = 1\nh2_idle_secs = 1\nwrite_stall_secs = 1\n\
    [forward.deadlines]\nbetween_chunks_secs = 1\ntotal_secs = 4\n";
const OPEN: &str = "stillguard_connections";

const POST: &str =
    "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n";

/// What is sent at once, what is sent byte by byte after it, and what the end of the wait may be.
const TRICKLES: &[(&str, &str, &str)] = &[
    ("nothing at all", "", ""),
    ("a preface that never ends", "PRI * HTTP/2.0\r\n", ""),
    ("a head that never ends", "GET / HTTP/1.1\r\nhost: a\r\nx: ", "y"),
    ("empty lines that never end", "", "\r\n"),
    ("no body", "content-length: 9\r\n\r\n", ""),
    ("a body byte by byte", "content-length: 90000\r\n\r\n{\"x\":\"", "y"),
    ("a chunk byte by byte", "transfer-encoding: chunked\r\n\r\nffff\r\n{\"x\":\"", "y"),
    ("an extension byte by byte", "transfer-encoding: chunked\r\n\r\n1;", "y"),
    ("a trailer byte by byte", "transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nx: ", "y"),
];

#[test]
fn no_trickle_keeps_a_connection() {
    let stage = Stage::new(SHORT);
    let kept: Vec<_> = std::thread::scope(|scope| {
        let runs: Vec<_> = TRICKLES
            .iter()
            .map(|&(name, begun, drop)| {
                let stage = &stage;
                scope.spawn(move || (!ends(stage, begun, drop)).then_some(name))
            })
            .collect();
        runs.into_iter().filter_map(|run| run.join().unwrap()).collect()
    });
    assert!(kept.is_empty(), "{kept:?}");
    stage.settles(OPEN, 0);
    stage.serves();
}

/// Whether a connection is closed within some seconds, though something comes every 50 ms.
fn ends(stage: &Stage, begun: &str, drop: &str) -> bool {
    let mut client = stage.connect();
    let of_body = begun.starts_with("content-") || begun.starts_with("transfer-");
    let head = if of_body { POST } else { "" };
    client.write_all(format!("{head}{begun}").as_bytes()).unwrap();
    (0..200).any(|_| {
        let _ = client.write_all(drop.as_bytes());
        rest(&mut client, Duration::from_millis(50)).1
    })
}

#[test]
fn no_trickle_of_frames_keeps_one_either() {
    let stage = Stage::new(SHORT);
    let get: &[(&[u8], &[u8])] =
        &[(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/x")];
    let block = block(get);
    let settings = frame(SETTINGS, 0, 0, &[]);
    for (name, bytes) in [
        ("a preface alone", PREFACE.to_vec()),
        ("settings alone", [PREFACE, &settings].concat()),
        ("half a frame", [PREFACE, &settings, &[0, 0, 9]].concat()),
        (
            "half a header block",
            [PREFACE, &settings, &frame(HEADERS, END_STREAM, 1, &block)].concat(),
        ),
        ("no body", [PREFACE, &settings, &frame(HEADERS, END_HEADERS, 1, &block)].concat()),
    ] {
        let mut client = stage.connect();
        client.write_all(&bytes).unwrap();
        assert!(rest(&mut client, PATIENCE).1, "{name}");
    }
    stage.settles(OPEN, 0);
    stage.serves();
}

#[test]
fn who_takes_nothing_frees_its_endpoint_and_its_place() {
    let stage = Stage::new(SHORT);
    let mut first = stage.connect();
    first.write_all(b"GET /large/50000000 HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    let mut second = Client::new(&stage, 0);
    let path = b"/large/50000000";
    let get: &[(&[u8], &[u8])] =
        &[(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", path)];
    second.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(get)));
    let refused: &[(&[u8], &[u8])] =
        &[(b":method", b"TRACE"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/")];
    let mut third = Client::new(&stage, 0);
    third.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(refused)));
    stage.settles(OPEN, 3);
    stage.settles(OPEN, 0);
    let mut space = [0; 12];
    first.read_exact(&mut space).unwrap();
    assert_eq!(&space, b"HTTP/1.1 200");
    stage.serves();
}

#[test]
fn hundreds_that_only_connect_keep_nobody_out() {
    let stage = Stage::new("[net.limits]\nmax_connections = 600");
    let before = stage.resident_kib();
    let idle: Vec<_> = (0..500).map(|_| stage.connect()).collect();
    let half: Vec<_> = (0..90)
        .map(|_| {
            let mut client = stage.connect();
            client.write_all(b"GET / HTTP/1.1\r\nhost:").unwrap();
            client
        })
        .collect();
    assert!(stage.serves() < 2000);
    let over: Vec<_> = (0..50).map(|_| stage.connect()).collect();
    let closed = over.into_iter().filter_map(|mut client| {
        let (got, closed) = rest(&mut client, Duration::from_millis(200));
        (closed && got.is_empty()).then_some(())
    });
    assert!(closed.count() >= 40, "who is too many is closed, not queued");
    assert!(stage.resident_kib() < before + (32 << 10));
    drop((idle, half));
    stage.settles(OPEN, 0);
    stage.serves();
}

#[test]
fn without_descriptors_it_waits_and_goes_on() {
    let stage = Stage::new("");
    stage.serves();
    let limit = |number: usize| {
        let id = stage.proxy.child.id().to_string();
        let number = format!("--nofile={number}:20000");
        assert!(Command::new("prlimit").args(["--pid", &id, &number]).status().unwrap().success());
    };
    limit(48);
    let flood: Vec<_> = (0..100).map(|_| TcpStream::connect(stage.address()).unwrap()).collect();
    pause(Duration::from_millis(300));
    let before = processor(&stage);
    pause(Duration::from_millis(500));
    assert!(processor(&stage) - before < 30, "it must not spin while it waits");
    drop(flood);
    stage.settles(OPEN, 0);
    stage.serves();
    limit(20_000);
    assert!(stage.metric("stillguard_connections_refused_total{reason=\"accept\"}") > 0);
}

/// Hundredths of seconds of processor time that the proxy has used.
fn processor(stage: &Stage) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", stage.proxy.child.id())).unwrap();
    let after = stat.rsplit_once(')').unwrap().1;
    after.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}
