use super::*;

const ASK: &[u8] = b"GET /v1/realtime HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\n\
    upgrade: websocket\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
const SWITCH: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n\
    upgrade: websocket\r\n\r\n";

#[tokio::test]
async fn bytes_pass_both_ways_after_a_101_and_a_drain_waits_for_them() {
    let endpoint = listener().await;
    let mut settings = loopback();
    settings.deadlines.keep_alive_secs = 0; // Must not strike an open tunnel.
    let proxy = Proxy::start(settings, to(&endpoint));
    let mut client = proxy.client().await;
    client.write_all(ASK).await.unwrap();
    let mut served = accept(&endpoint).await;
    assert!(head(&mut served).await.contains("upgrade: websocket\r\n"));
    served.write_all(SWITCH).await.unwrap();
    assert!(head(&mut client).await.contains("upgrade: websocket\r\n"));
    client.write_all(b"\x81\x84maskping").await.unwrap();
    served.read_exact(&mut [0; 10]).await.unwrap();
    let stopped = tokio::spawn(proxy.stopped());
    served.write_all(b"pong").await.unwrap();
    until(&mut client, "pong").await;
    drop(client);
    assert_eq!(to_end(&mut served).await, "");
    drop(served);
    within(stopped).await.unwrap();
}

#[tokio::test]
async fn no_tunnel_where_policy_forbids_it_or_the_endpoint_declines() {
    let endpoint = listener().await;
    let settings = Settings { upgrade_websocket: false, ..loopback() };
    let proxy = Proxy::start(settings, to(&endpoint));
    let mut client = proxy.client().await;
    client.write_all(ASK).await.unwrap();
    let mut served = accept(&endpoint).await;
    assert!(!head(&mut served).await.contains("upgrade"));
    served.write_all(SWITCH).await.unwrap();
    assert!(head(&mut client).await.starts_with("HTTP/1.1 502"), "a 101 nobody asked for");

    let proxy = Proxy::before(&endpoint).await;
    let mut client = proxy.client().await;
    client.write_all(ASK).await.unwrap();
    let mut served = accept(&endpoint).await;
    head(&mut served).await;
    served.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno").await.unwrap();
    assert!(until(&mut client, "no").await.starts_with("HTTP/1.1 403"));
    client.write_all(GET).await.unwrap();
    head(&mut served).await;
}

#[tokio::test]
async fn no_other_protocol_is_let_through() {
    let endpoint = listener().await;
    let proxy = Proxy::before(&endpoint).await;
    let mut client = proxy.client().await;
    let ask = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings\r\n\
        upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n";
    client.write_all(ask).await.unwrap();
    let seen = head(&mut accept(&endpoint).await).await;
    assert!(!seen.contains("h2c") && !seen.contains("http2-settings"), "{seen}");
}

#[tokio::test]
async fn a_websocket_gets_http1_from_an_endpoint_that_speaks_http2_otherwise() {
    let endpoint = listener().await;
    let settings = upstream::Settings { h2: true, ..to(&endpoint) };
    let proxy = Proxy::start(loopback(), settings);
    let mut other = proxy.client().await;
    other.write_all(GET).await.unwrap();
    let mut http2 = accept(&endpoint).await;
    until(&mut http2, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    let mut client = proxy.client().await;
    client.write_all(ASK).await.unwrap();
    let mut served = accept(&endpoint).await;
    let seen = head(&mut served).await;
    assert!(seen.starts_with("GET /v1/realtime HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("upgrade: websocket\r\n"), "{seen}");
    served.write_all(SWITCH).await.unwrap();
    head(&mut client).await;
    served.write_all(b"pong").await.unwrap();
    until(&mut client, "pong").await;
}
