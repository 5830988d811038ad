use super::*;

/// The endpoint notices that nobody waits for it any more.
async fn cut_off(served: &mut TcpStream) {
    let mut rest = [0; 64];
    let end = within(served.read(&mut rest)).await;
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_stops_the_endpoint() {
    let endpoint = listener().await;
    let proxy = Proxy::before(&endpoint).await;
    let mut client = proxy.client().await;
    client.write_all(POST).await.unwrap();
    let mut served = accept(&endpoint).await;
    until(&mut served, "{}").await;
    nothing(served.read_u8()).await;
    drop(client);
    cut_off(&mut served).await;
}

#[tokio::test]
async fn a_client_that_leaves_mid_stream_stops_the_endpoint() {
    let endpoint = listener().await;
    let proxy = Proxy::before(&endpoint).await;
    let mut client = proxy.client().await;
    client.write_all(POST).await.unwrap();
    let mut served = accept(&endpoint).await;
    until(&mut served, "{}").await;
    let begun = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n";
    served.write_all(begun).await.unwrap();
    until(&mut client, "one").await;
    drop(client);
    cut_off(&mut served).await;
}

#[tokio::test]
async fn a_body_that_breaks_off_is_not_completed() {
    let endpoint = listener().await;
    let proxy = Proxy::before(&endpoint).await;
    let mut client = proxy.client().await;
    let begun = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n";
    client.write_all(begun).await.unwrap();
    let mut served = accept(&endpoint).await;
    until(&mut served, "one\r\n").await;
    drop(client);
    cut_off(&mut served).await;
}

#[tokio::test]
async fn an_answer_that_does_not_begin_in_time_is_given_up() {
    let endpoint = listener().await;
    let mut settings = to(&endpoint);
    settings.deadlines.first_answer_secs = 0;
    let proxy = Proxy::start(loopback(), settings);
    let mut client = proxy.client().await;
    client.write_all(POST).await.unwrap();
    assert!(head(&mut client).await.starts_with("HTTP/1.1 504"));
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_cut_visibly() {
    let endpoint = listener().await;
    let mut settings = to(&endpoint);
    settings.deadlines.between_chunks_secs = 0;
    let proxy = Proxy::start(loopback(), settings);
    let mut client = proxy.client().await;
    client.write_all(GET).await.unwrap();
    let mut served = accept(&endpoint).await;
    head(&mut served).await;
    let begun = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n";
    served.write_all(begun).await.unwrap();
    let got = to_end(&mut client).await;
    assert!(!got.contains("\r\n0\r\n"), "{got:?}");
    cut_off(&mut served).await;
}

#[tokio::test]
async fn a_request_given_up_while_it_is_written_is_not_written_on() {
    let endpoint = listener().await;
    let upstream = Endpoints::new(to(&endpoint), &Telemetry::default()).unwrap();
    let mut upstream = upstream.worker::<Incoming>();
    let length = 16 << 20;
    let body = Either::Left(Full::from(vec![b'x'; length]));
    let request = Request::post("/").header("host", "a").body(body).unwrap();
    let answer = tokio::spawn(upstream.call(request));
    let mut served = accept(&endpoint).await;
    head(&mut served).await;
    nothing(std::future::pending::<()>()).await; // The socket's buffers are full now.
    answer.abort();
    assert!(to_end(&mut served).await.len() < length, "it was written to its end");
}
