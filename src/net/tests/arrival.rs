use super::*;

#[tokio::test]
async fn what_could_be_read_in_two_ways_is_refused_and_the_connection_closed() {
    let endpoint = listener().await;
    let proxy = Proxy::before(&endpoint).await;
    let chunked = "transfer-encoding: chunked\r\n";
    let smuggled = "\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n";
    let cases = [
        (400, format!("POST / HTTP/1.1\r\nhost: a\r\n{chunked}{chunked}{smuggled}")),
        (400, format!("POST / HTTP/1.0\r\nhost: a\r\n{chunked}{smuggled}")),
        (
            400,
            format!("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n{smuggled}"),
        ),
        (400, format!("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n{smuggled}")),
        (400, format!("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding : chunked\r\n{smuggled}")),
        (400, "GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n".into()),
        (400, "GET / HTTP/1.1\r\n\r\n".into()),
        (400, "GET / HTTP/1.1\r\nhost: a/?\r\n\r\n".into()),
        (400, "GET http://b/ HTTP/1.1\r\nhost: a\r\n\r\n".into()),
        (
            400,
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}".into(),
        ),
        (400, format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n{chunked}{smuggled}")),
        (400, format!("POST / HTTP/1.1\r\nhost: a\r\n{chunked}content-length: 4\r\n{smuggled}")),
        (400, "GET /a#b HTTP/1.1\r\nhost: a\r\n\r\n".into()),
        (405, "CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n".into()),
        (405, "TRACE / HTTP/1.1\r\nhost: a\r\n\r\n".into()),
        (414, format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "x".repeat(9_000))),
        (431, format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "x".repeat(40_000))),
    ];
    for (status, request) in cases {
        let got = proxy.ask(request.as_bytes()).await;
        assert!(
            got.starts_with(&format!(
                "HTTP/1.{} {status} ",
                u8::from(!got.starts_with("HTTP/1.0"))
            )),
            "{request:?}: {got:?}"
        );
        assert_eq!(got.matches("HTTP/1.").count(), 1, "{request:?}: answered twice");
    }
    nothing(endpoint.accept()).await;
}

#[tokio::test]
async fn in_a_pipeline_what_came_before_is_answered_and_what_has_two_readings_is_not() {
    let endpoint = listener().await;
    let proxy = Proxy::before(&endpoint).await;
    let (length, chunked) = ("content-length: 4", "transfer-encoding: chunked");
    for both in [[length, chunked], [chunked, length]] {
        let mut client = proxy.client().await;
        let both = both.join("\r\n");
        let request = format!("POST / HTTP/1.1\r\nhost: a\r\n{both}\r\n\r\n0\r\n\r\n");
        let text = std::str::from_utf8(GET).unwrap();
        client.write_all(format!("{text}{request}{text}").as_bytes()).await.unwrap();
        let mut served = accept(&endpoint).await;
        head(&mut served).await;
        served.write_all(OK).await.unwrap();
        let got = to_end(&mut client).await;
        assert_eq!(got.matches("HTTP/1.1 200").count(), 1, "{got}");
        nothing(served.read_u8()).await;
    }
}

#[tokio::test]
async fn silence_and_trickling_end_with_their_deadlines() {
    let endpoint = listener().await;
    let mut settings = loopback();
    settings.deadlines.first_byte_ms = 50;
    settings.deadlines.head_ms = 50;
    let proxy = Proxy::start(settings, to(&endpoint));
    for begun in ["", "PRI * HT", "GET / HTTP/1.1\r\nhost"] {
        assert_eq!(proxy.ask(begun.as_bytes()).await, "", "{begun:?}");
    }
}

#[tokio::test]
async fn a_kept_connection_ends_with_its_own_deadline() {
    let endpoint = listener().await;
    let mut settings = loopback();
    settings.deadlines.keep_alive_secs = 0;
    let proxy = Proxy::start(settings, to(&endpoint));
    let mut client = proxy.client().await;
    client.write_all(POST).await.unwrap();
    let mut served = accept(&endpoint).await;
    until(&mut served, "{}").await;
    served.write_all(OK).await.unwrap();
    assert!(to_end(&mut client).await.ends_with("ok"));
}

#[tokio::test]
async fn a_panic_ends_its_own_connection_only() {
    let endpoint = listener().await;
    let proxy = Proxy::before(&endpoint).await;
    let mut bystander = proxy.client().await;
    bystander.write_all(GET).await.unwrap();
    let mut served = accept(&endpoint).await;
    head(&mut served).await;
    assert_eq!(proxy.ask(b"GET /panic HTTP/1.1\r\nhost: a\r\n\r\n").await, "");
    served.write_all(OK).await.unwrap();
    until(&mut bystander, "ok").await;
}

#[tokio::test]
async fn connections_above_the_cap_are_closed_and_places_come_back() {
    let endpoint = listener().await;
    let mut settings = loopback();
    settings.limits.max_connections = 1;
    let proxy = Proxy::start(settings, to(&endpoint));
    let mut first = proxy.client().await;
    first.write_all(GET).await.unwrap();
    let mut served = accept(&endpoint).await;
    assert_eq!(proxy.ask(GET).await, "");
    drop(first);
    let _cut_off = within(served.read_to_end(&mut Vec::new())).await;
    let mut next = proxy.client().await;
    next.write_all(GET).await.unwrap();
    accept(&endpoint).await;
}

#[tokio::test]
async fn the_client_is_who_a_listed_balancer_says() {
    let endpoint = listener().await;
    let mut settings = loopback();
    settings.proxy_protocol.mode = ProxyMode::Required;
    settings.proxy_protocol.trusted = vec!["127.0.0.0/8".parse().unwrap()];
    let proxy = Proxy::start(settings.clone(), to(&endpoint));
    let text = b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 80\r\n".to_vec();
    let addresses = [192, 0, 2, 7, 10, 0, 0, 1, 0x12, 0x67, 0, 80];
    let binary = [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".as_slice(), &addresses].concat();
    for preamble in [text.clone(), binary] {
        let mut client = proxy.client().await;
        client.write_all(&[&preamble, GET].concat()).await.unwrap();
        let seen = head(&mut accept(&endpoint).await).await;
        assert!(seen.contains("x-forwarded-for: 192.0.2.7\r\n"), "{seen}");
    }
    assert_eq!(proxy.ask(GET).await, "", "without a preamble");
    settings.proxy_protocol.trusted = vec!["10.0.0.0/8".parse().unwrap()];
    let stranger = Proxy::start(settings, to(&endpoint));
    assert_eq!(stranger.ask(&[&text, GET].concat()).await, "", "from a stranger");
}

#[tokio::test]
async fn a_body_that_turns_out_broken_is_the_clients_fault() {
    let endpoint = listener().await;
    let proxy = Proxy::before(&endpoint).await;
    let mut client = proxy.client().await;
    let begun = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n";
    client.write_all(begun).await.unwrap();
    let mut served = accept(&endpoint).await;
    until(&mut served, "one\r\n").await;
    client.write_all(b"0x3\r\ntwo\r\n0\r\n\r\n").await.unwrap();
    let got = to_end(&mut client).await;
    assert!(got.starts_with("HTTP/1.1 400"), "{got:?}");
    assert!(!to_end(&mut served).await.contains("0\r\n\r\n"), "the endpoint sees it cut");
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    let endpoint = listener().await;
    let proxy = Proxy::before(&endpoint).await;
    let mut client = proxy.client().await;
    let length = 4 << 20;
    let head = format!("TRACE / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    within(client.write_all(&vec![b'x'; length])).await.unwrap();
    let got = until(&mut client, "\r\n\r\n").await;
    assert!(got.starts_with("HTTP/1.1 405"), "{got:?}");
}
