//! Floods: of frames, of connections, of keys.

use std::io::{Read, Write};

use super::frames::{
    CONTINUATION, Client, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PRIORITY, RESET,
    SETTINGS, WINDOW, block, frame, string,
};
use super::stage::{PATIENCE, Stage};

const GET: &[(&[u8], &[u8])] =
    &[(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/flood")];
const KIB: u64 = 1024;

/// What is sent again and again: the n-th piece of a flood.
type Flood = fn(u32) -> Vec<u8>;

fn ask(n: u32, flags: u8) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | flags, 2 * n + 1, &block(GET))
}

/// Each ends its connection before all of it was sent.
const FLOODS: &[(&str, u32, Flood)] = &[
    ("rapid reset", 20_000, |n| {
        [ask(n, END_STREAM), frame(RESET, 0, 2 * n + 1, &8_u32.to_be_bytes())].concat()
    }),
    ("MadeYouReset by a window of 0", 20_000, |n| {
        [ask(n, END_STREAM), frame(WINDOW, 0, 2 * n + 1, &[0; 4])].concat()
    }),
    ("MadeYouReset by a window too large", 20_000, |n| {
        let most = frame(WINDOW, 0, 2 * n + 1, &[0x7f, 0xff, 0xff, 0xff]);
        [ask(n, END_STREAM), most.clone(), most].concat()
    }),
    ("MadeYouReset by data after the end", 20_000, |n| {
        [ask(n, END_STREAM), frame(DATA, 0, 2 * n + 1, b"x")].concat()
    }),
    ("MadeYouReset by priority of itself", 20_000, |n| {
        let own = [&(2 * n + 1).to_be_bytes()[..], &[1]].concat();
        [ask(n, END_STREAM), frame(PRIORITY, 0, 2 * n + 1, &own)].concat()
    }),
    ("MadeYouReset by a short priority", 20_000, |n| {
        [ask(n, END_STREAM), frame(PRIORITY, 0, 2 * n + 1, &[0; 4])].concat()
    }),
    ("streams beyond their number", 20_000, |n| ask(n, 0)),
    ("malformed requests", 20_000, |n| {
        frame(HEADERS, 5, 2 * n + 1, &block(&[(b":method", b"GET"), (b"X", b"y")]))
    }),
    ("continuations", 20_000, |n| match n {
        0 => frame(HEADERS, END_STREAM, 1, &block(GET)),
        _ => frame(CONTINUATION, 0, 1, &block(&[(b"x", &[b'y'; 1000])])),
    }),
    ("empty continuations", 200_000, |n| match n {
        0 => frame(HEADERS, END_STREAM, 1, &block(GET)),
        _ => frame(CONTINUATION, 0, 1, &[]),
    }),
    ("pings", 200_000, |_| frame(PING, 0, 0, &[7; 8])),
    ("answers to no ping", 200_000, |_| frame(PING, 1, 0, &[7; 8])),
    ("settings", 200_000, |n| frame(SETTINGS, 0, 0, &[0, 4, 0, 0, (n >> 8) as u8, n as u8])),
    ("empty settings", 200_000, |_| frame(SETTINGS, 0, 0, &[])),
    ("priorities", 200_000, |n| frame(PRIORITY, 0, 2 * n + 3, &[0, 0, 0, 1, 9])),
    ("window updates", 200_000, |_| frame(WINDOW, 0, 0, &1_u32.to_be_bytes())),
    ("empty data", 200_000, |n| match n {
        0 => ask(0, 0),
        _ => frame(DATA, 0, 1, &[]),
    }),
    ("data of padding alone", 200_000, |n| match n {
        0 => ask(0, 0),
        _ => frame(DATA, 8, 1, &[3, 0, 0, 0]),
    }),
    ("frames nobody knows", 200_000, |_| frame(0x77, 0xff, 0, b"x")),
    ("goaways", 200_000, |_| frame(GOAWAY, 0, 0, &[0; 8])),
    ("resets of one stream", 200_000, |n| match n {
        0 => ask(0, 0),
        _ => frame(RESET, 0, 1, &8_u32.to_be_bytes()),
    }),
    ("a table filled and named again", 20_000, |n| {
        let mut bytes = block(GET);
        match n {
            0 => {
                bytes.push(0x40);
                string(&mut bytes, b"x");
                string(&mut bytes, &[b'y'; 4000]);
            }
            _ => bytes.extend([0xbe; 16_000]),
        }
        frame(HEADERS, 5, 2 * n + 1, &bytes)
    }),
    ("table sizes", 20_000, |n| {
        frame(
            HEADERS,
            5,
            2 * n + 1,
            &[&[0x20, 0x3f, 0xe1, 0x1f].repeat(2000)[..], &block(GET)].concat(),
        )
    }),
];

#[test]
fn every_flood_of_frames_ends_its_connection_and_nobody_elses() {
    let stage = Stage::new("");
    stage.serves();
    let before = stage.resident_kib();
    let (mut wrong, mut slowest) = (Vec::new(), 0);
    for (name, count, flood) in FLOODS {
        let mut client = Client::new(&stage, 65_535);
        let sent = (0..*count).take_while(|n| {
            if n % 64 == 0 {
                client.drain();
            }
            if n % 1000 == 500 {
                slowest = slowest.max(stage.serves());
            }
            client.send(&flood(*n))
        });
        let sent = sent.count();
        let outcome = client.outcome(PATIENCE);
        if !outcome.closed {
            wrong.push(format!("{name}: still open after {sent} of {count}: {outcome:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(slowest < 2000, "an honest caller waited for {slowest} ms");
    let reached = stage.forwarded("/flood").len();
    assert!(reached <= 2000, "{reached} streams reached the endpoint");
    stage.settles("stillguard_connections", 0);
    let after = stage.resident_kib();
    assert!(after <= before + 64 * KIB, "{before} KiB before, {after} KiB after");
    assert_eq!(stage.faults(), Vec::<String>::new());
}

#[test]
fn made_up_keys_buy_no_memory() {
    let stage = Stage::new("");
    let asks = |from: usize, to: usize| {
        let mut client = stage.connect();
        for n in from..to {
            write!(client, "GET /k HTTP/1.1\r\nhost: a\r\nauthorization: Bearer sk-{n:x}\r\n\r\n")
                .unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"\r\n\r\nok") {
                let mut byte = [0; 512];
                let read = client.read(&mut byte).unwrap();
                assert!(read > 0);
                answer.extend_from_slice(&byte[..read]);
            }
        }
    };
    asks(0, 500);
    let before = stage.resident_kib();
    asks(500, 5_500);
    let after = stage.resident_kib();
    assert!(after <= before + 16 * KIB, "{before} KiB before, {after} KiB after");
}
