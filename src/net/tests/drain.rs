use super::*;

const BEGUN: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n";

#[tokio::test]
async fn a_stream_under_way_may_finish() {
    let endpoint = listener().await;
    let proxy = Proxy::before(&endpoint).await;
    let mut idle = proxy.client().await;
    let mut client = proxy.client().await;
    client.write_all(GET).await.unwrap();
    let mut served = accept(&endpoint).await;
    head(&mut served).await;
    served.write_all(BEGUN).await.unwrap();
    until(&mut client, "one\r\n").await;
    let address = proxy.address;
    let stopped = tokio::spawn(proxy.stopped());
    assert_eq!(to_end(&mut idle).await, "", "who asks nothing is let go");
    // Nobody new comes in, once the listener is gone.
    within(async { while TcpStream::connect(address).await.is_ok() {} }).await;
    served.write_all(b"3\r\ntwo\r\n0\r\n\r\n").await.unwrap();
    assert_eq!(to_end(&mut client).await, "3\r\ntwo\r\n0\r\n\r\n");
    within(stopped).await.unwrap();
}

#[tokio::test]
async fn a_stream_that_lasts_is_cut_at_the_deadline_visibly() {
    let endpoint = listener().await;
    let mut settings = loopback();
    settings.deadlines.drain_secs = 0;
    let proxy = Proxy::start(settings, to(&endpoint));
    let mut client = proxy.client().await;
    client.write_all(GET).await.unwrap();
    let mut served = accept(&endpoint).await;
    head(&mut served).await;
    served.write_all(BEGUN).await.unwrap();
    until(&mut client, "one\r\n").await;
    within(proxy.stopped()).await;
    assert_eq!(to_end(&mut client).await, "");
}

#[tokio::test]
async fn workers_share_one_port() {
    let endpoint = listener().await;
    let proxy = Proxy::start(Settings { workers: 3, ..loopback() }, to(&endpoint));
    for _ in 0..8 {
        let mut client = proxy.client().await;
        client.write_all(GET).await.unwrap();
        head(&mut accept(&endpoint).await).await;
    }
    within(proxy.stopped()).await;
}
