use tokio::io::{AsyncReadExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;

const CAPS: Caps =
    Caps { idle: Duration::from_secs(60), total: Duration::from_secs(1000), bytes: 1000 };

type Tunnel = JoinHandle<io::Result<()>>;

fn tunnel(caps: Caps) -> (DuplexStream, DuplexStream, Tunnel) {
    let (client, left) = duplex(64);
    let (endpoint, right) = duplex(64);
    (client, endpoint, tokio::spawn(pass(left, right, Meter::new(caps, None))))
}

/// A frame from the endpoint with a payload of `size`, at most 125.
fn frame(size: u8) -> Vec<u8> {
    [vec![0x82, size], vec![b'x'; size.into()]].concat()
}

async fn everything(client: &mut DuplexStream) -> Vec<u8> {
    let mut got = Vec::new();
    client.read_to_end(&mut got).await.unwrap();
    got
}

/// A frame from the client, as long.
fn asked(size: u8) -> Vec<u8> {
    [vec![0x82, 0x80 | size], vec![b'y'; 4 + usize::from(size)]].concat()
}

fn closed_with(code: u16, said: &[u8]) -> bool {
    said.len() > 4
        && said[0] == 0x88
        && usize::from(said[1]) == said.len() - 2
        && said[2..4] == code.to_be_bytes()
}

fn closed_by_policy(said: &[u8]) -> bool {
    closed_with(1008, said)
}

#[tokio::test(start_paused = true)]
async fn a_silent_tunnel_is_closed_and_a_talking_one_is_not() {
    let (mut client, mut endpoint, tunnel) = tunnel(CAPS);
    let start = Instant::now();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(50)).await;
        client.write_all(&asked(0)).await.unwrap();
        let mut got = [0; 6];
        endpoint.read_exact(&mut got).await.unwrap();
    }
    let end = tunnel.await.unwrap().unwrap_err();
    assert_eq!(end.kind(), io::ErrorKind::TimedOut);
    assert_eq!(start.elapsed().as_secs(), 150 + 60);
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_that_lasts_too_long_is_closed_in_words_both_sides_and_at_once() {
    let caps = Caps { idle: CAPS.total, total: Duration::from_secs(30), ..CAPS };
    let (mut client, mut endpoint, tunnel) = tunnel(caps);
    let start = Instant::now();
    endpoint.write_all(&frame(7)).await.unwrap();
    let said = everything(&mut client).await;
    assert_eq!(said[..9], frame(7));
    assert!(closed_by_policy(&said[9..]), "{said:?}");
    assert_eq!(start.elapsed().as_secs(), 30);
    assert_eq!(endpoint.read(&mut [0]).await.unwrap(), 0, "the endpoint's side is closed, too");
    drop(client);
    assert_eq!(tunnel.await.unwrap().unwrap_err().kind(), io::ErrorKind::QuotaExceeded);
}

#[tokio::test(start_paused = true)]
async fn a_frame_under_way_at_the_cap_is_sent_whole_and_the_next_is_not() {
    let (mut client, mut endpoint, _tunnel) = tunnel(CAPS);
    let sending = tokio::spawn(async move {
        let endless = frame(98).repeat(30);
        // Ends with an error, when the tunnel has closed.
        let _ = endpoint.write_all(&endless).await;
    });
    let said = everything(&mut client).await;
    assert_eq!(said[..1000], frame(98).repeat(10));
    assert!(closed_by_policy(&said[1000..]), "{said:?}");
    sending.await.unwrap();

    let (mut client, mut endpoint, _tunnel) = tunnel(Caps { bytes: 950, ..CAPS });
    tokio::spawn(async move {
        let _ = endpoint.write_all(&frame(98).repeat(30)).await;
    });
    let said = everything(&mut client).await;
    assert_eq!(said[..1000], frame(98).repeat(10));
    assert!(closed_by_policy(&said[1000..]), "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_client_sends_counts_and_a_frame_that_never_ends_is_cut_off() {
    let (mut client, mut endpoint, _tunnel) = tunnel(CAPS);
    endpoint.write_all(&frame(50)[..20]).await.unwrap();
    let mut got = [0; 20];
    client.read_exact(&mut got).await.unwrap();
    let start = Instant::now();
    let taking = tokio::spawn(async move {
        let mut all = Vec::new();
        let _ = endpoint.read_to_end(&mut all).await;
        all.len()
    });
    client.write_all(&asked(94).repeat(20)).await.unwrap();
    assert_eq!(everything(&mut client).await, b"", "nothing is put inside a frame");
    assert_eq!(start.elapsed(), GRACE);
    assert!((900..1100).contains(&taking.await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_frame_reaches_nobody_and_is_told_to_its_client() {
    let (mut client, mut endpoint, tunnel) = tunnel(CAPS);
    client.write_all(&asked(7)).await.unwrap();
    let mut got = [0; 13];
    endpoint.read_exact(&mut got).await.unwrap();
    client.write_all(b"GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let said = everything(&mut client).await;
    assert!(closed_with(1002, &said), "{said:?}");
    drop(client);
    assert_eq!(everything(&mut endpoint).await, b"");
    assert!(tunnel.await.unwrap().is_err());
}
