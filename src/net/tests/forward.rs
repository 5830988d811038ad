use super::*;

#[tokio::test]
async fn one_connection_to_the_endpoint_serves_again_and_again() {
    let endpoint = listener().await;
    let proxy = Proxy::before(&endpoint).await;
    let mut client = proxy.client().await;
    client.write_all(POST).await.unwrap();
    let mut served = accept(&endpoint).await;
    for _ in 0..3 {
        until(&mut served, "{}").await;
        served.write_all(OK).await.unwrap();
        assert!(until(&mut client, "ok").await.starts_with("HTTP/1.1 200 OK\r\n"));
        client.write_all(POST).await.unwrap();
    }
    nothing(endpoint.accept()).await;
}

#[tokio::test]
async fn a_post_that_was_written_is_never_sent_again() {
    let endpoint = listener().await;
    let proxy = Proxy::before(&endpoint).await;
    let mut client = proxy.client().await;
    client.write_all(POST).await.unwrap();
    let mut served = accept(&endpoint).await;
    until(&mut served, "{}").await;
    served.write_all(OK).await.unwrap();
    until(&mut client, "ok").await;
    // The same connection again, but now it breaks after the request has been read.
    client.write_all(POST).await.unwrap();
    until(&mut served, "{}").await;
    drop(served);
    assert!(head(&mut client).await.starts_with("HTTP/1.1 502"));
    nothing(endpoint.accept()).await;
}

#[tokio::test]
async fn a_connection_that_went_stale_is_replaced() {
    let endpoint = listener().await;
    let proxy = Proxy::before(&endpoint).await;
    let mut client = proxy.client().await;
    for _ in 0..3 {
        client.write_all(POST).await.unwrap();
        let mut served = accept(&endpoint).await;
        until(&mut served, "{}").await;
        served.write_all(OK).await.unwrap();
        assert!(until(&mut client, "ok").await.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn every_chunk_is_passed_on_before_the_next_one_comes() {
    let endpoint = listener().await;
    let proxy = Proxy::before(&endpoint).await;
    let mut client = proxy.client().await;
    client.write_all(POST).await.unwrap();
    let mut served = accept(&endpoint).await;
    until(&mut served, "{}").await;
    served.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
    head(&mut client).await;
    for event in ["data: 1\n\n", "data: 2\n\n"] {
        served.write_all(format!("9\r\n{event}\r\n").as_bytes()).await.unwrap();
        until(&mut client, event).await;
    }
    served.write_all(b"0\r\n\r\n").await.unwrap();
    until(&mut client, "0\r\n\r\n").await;
}

#[tokio::test]
async fn a_truncated_answer_is_seen_truncated() {
    let endpoint = listener().await;
    let proxy = Proxy::before(&endpoint).await;
    for (framing, part) in
        [("content-length: 10", "12345"), ("transfer-encoding: chunked", "5\r\n12345\r\n")]
    {
        let mut client = proxy.client().await;
        client.write_all(GET).await.unwrap();
        let mut served = accept(&endpoint).await;
        head(&mut served).await;
        let answer = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{part}");
        served.write_all(answer.as_bytes()).await.unwrap();
        until(&mut client, "12345").await;
        drop(served);
        let rest = to_end(&mut client).await;
        assert!(!rest.contains("0\r\n\r\n"), "{framing}: ended cleanly");
    }
}

#[tokio::test]
async fn bytes_that_matter_pass_unchanged() {
    let endpoint = listener().await;
    let settings = upstream::Settings { preserve_host: true, ..to(&endpoint) };
    let proxy = Proxy::start(loopback(), settings);
    let mut client = proxy.client().await;
    let request = "GET //v1/./a%2Fb;c? HTTP/1.1\r\nhost: api.example\r\nx-b: 1\r\nx-b: 2\r\n\
        x-empty:\r\nconnection: keep-alive, x-hop\r\nx-hop: 1\r\nauthorization: Bearer k\r\n\r\n";
    client.write_all(request.as_bytes()).await.unwrap();
    let mut served = accept(&endpoint).await;
    let seen = head(&mut served).await;
    let expected = "GET //v1/./a%2Fb;c? HTTP/1.1\r\nhost: api.example\r\nx-b: 1\r\nx-b: 2\r\n\
        x-empty: \r\nauthorization: Bearer k\r\nx-forwarded-for: 127.0.0.1\r\n\
        x-forwarded-proto: http\r\nforwarded: for=127.0.0.1;host=\"api.example\";proto=http\r\n\
        x-forwarded-host: api.example\r\n\r\n";
    assert_eq!(seen, expected);
    let answer = "HTTP/1.1 418 Short And Stout\r\nset-cookie: a\r\ndate: Tue, 24 Nov 2026 00:00:00 \
        GMT\r\nserver: vllm\r\nset-cookie: b\r\ncontent-length: 0\r\n\r\n";
    served.write_all(answer.as_bytes()).await.unwrap();
    let got = head(&mut client).await;
    for line in answer.split("\r\n") {
        assert!(got.contains(line), "{line:?} is missing in {got:?}");
    }
    assert_eq!(got.matches("date:").count(), 1);
}

#[tokio::test]
async fn a_base_path_comes_first_and_the_host_is_the_endpoints() {
    let endpoint = listener().await;
    let address = endpoint.local_addr().unwrap();
    let proxy = Proxy::start(loopback(), to_url(&format!("http://{address}/base/")));
    let mut client = proxy.client().await;
    client.write_all(b"GET /a?b HTTP/1.1\r\nhost: api.example\r\n\r\n").await.unwrap();
    let seen = head(&mut accept(&endpoint).await).await;
    assert!(seen.starts_with(&format!("GET /base/a?b HTTP/1.1\r\nhost: {address}\r\n")), "{seen}");
}

#[tokio::test]
async fn a_tenant_may_have_an_endpoint_of_its_own() {
    let (shared, own) = (listener().await, listener().await);
    let url = format!("http://{}", own.local_addr().unwrap()).try_into().unwrap();
    let tenants = [("acme".to_owned(), url)].into();
    let proxy = Proxy::start(loopback(), upstream::Settings { tenants, ..to(&shared) });
    let mut client = proxy.client().await;
    client.write_all(b"GET /own HTTP/1.1\r\nhost: a\r\nx-tenant: acme\r\n\r\n").await.unwrap();
    assert!(head(&mut accept(&own).await).await.starts_with("GET /own "));
    nothing(shared.accept()).await;
}

#[tokio::test]
async fn an_endpoint_that_can_not_be_reached_is_passed_over() {
    let gone = listener().await.local_addr().unwrap();
    let endpoint = listener().await;
    let mut settings = to_url(&format!("http://{gone}"));
    settings.endpoints.extend(to(&endpoint).endpoints);
    let proxy = Proxy::start(loopback(), settings);
    let mut client = proxy.client().await;
    client.write_all(GET).await.unwrap();
    head(&mut accept(&endpoint).await).await;
    let nobody = Proxy::start(loopback(), to_url(&format!("http://{gone}")));
    let mut client = nobody.client().await;
    client.write_all(GET).await.unwrap();
    assert!(head(&mut client).await.starts_with("HTTP/1.1 502"));
}

#[tokio::test]
async fn a_full_endpoint_is_overloaded_not_queued_for_ever() {
    let endpoint = listener().await;
    let mut settings = upstream::Settings { max_connections: 1, ..to(&endpoint) };
    settings.deadlines.connect_ms = 100;
    let proxy = Proxy::start(loopback(), settings);
    let (mut first, mut second) = (proxy.client().await, proxy.client().await);
    first.write_all(GET).await.unwrap();
    let _served = accept(&endpoint).await;
    second.write_all(GET).await.unwrap();
    assert!(head(&mut second).await.starts_with("HTTP/1.1 503"));
}
