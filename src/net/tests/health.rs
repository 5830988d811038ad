use super::*;

/// Answers once and closes.
async fn answer(endpoint: &TcpListener, text: &str) {
    let mut served = accept(endpoint).await;
    head(&mut served).await;
    served.write_all(text.as_bytes()).await.unwrap();
}

#[tokio::test]
async fn an_endpoint_that_fails_in_a_row_gets_nothing_more_while_another_answers() {
    let (bad, good) = (listener().await, listener().await);
    let mut settings = to(&bad);
    settings.endpoints.extend(to(&good).endpoints);
    settings.endpoints[0].weight = 100;
    settings.health.failures = 2;
    settings.health.back_off_secs = 60;
    let endpoints = Endpoints::new(settings, &Telemetry::default()).unwrap();
    let proxy = Proxy::over(loopback(), endpoints.clone());
    let failed = "HTTP/1.1 503 Busy\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    for _ in 0..2 {
        assert!(endpoints.up().all(|up| up));
        let mut client = proxy.client().await;
        client.write_all(GET).await.unwrap();
        answer(&bad, failed).await;
        assert!(head(&mut client).await.starts_with("HTTP/1.1 503"));
    }
    assert_eq!(endpoints.up().collect::<Vec<_>>(), [false, true]);
    let mut client = proxy.client().await;
    client.write_all(GET).await.unwrap();
    answer(&good, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok").await;
    assert!(until(&mut client, "ok").await.starts_with("HTTP/1.1 200"));
    // Now nobody else is left.
    drop(good);
    client.write_all(GET).await.unwrap();
    answer(&bad, failed).await;
    assert!(head(&mut client).await.starts_with("HTTP/1.1 503"));
}

#[tokio::test]
async fn an_exchange_is_offered_to_two_endpoints_and_no_more() {
    let (first, second) = (listener().await.local_addr(), listener().await.local_addr());
    let third = listener().await;
    let mut settings = to(&third);
    for (weight, gone) in [(2, first), (3, second)] {
        let mut endpoint = to_url(&format!("http://{}", gone.unwrap())).endpoints.remove(0);
        endpoint.weight = weight;
        settings.endpoints.push(endpoint);
    }
    let proxy = Proxy::start(loopback(), settings);
    let mut client = proxy.client().await;
    client.write_all(GET).await.unwrap();
    assert!(head(&mut client).await.starts_with("HTTP/1.1 502"));
    nothing(third.accept()).await;
}
