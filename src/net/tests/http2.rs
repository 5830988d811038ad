use http_body_util::BodyExt;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::*;

async fn client(proxy: &Proxy) -> SendRequest<Full<Bytes>> {
    let io = TokioIo::new(proxy.client().await);
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn post(uri: &str) -> Request<Full<Bytes>> {
    Request::post(uri).body(Full::from("{}")).unwrap()
}

/// An endpoint that speaks HTTP/2 by prior knowledge and echoes what it was asked.
fn echo(endpoint: TcpListener) {
    let service = hyper::service::service_fn(|request: Request<Incoming>| async move {
        let asked = format!("{:?} {}", request.version(), request.uri());
        let body = request.into_body().collect().await?.to_bytes();
        Ok::<_, hyper::Error>(
            Response::builder().header("x-asked", asked).body(Full::new(body)).unwrap(),
        )
    });
    tokio::spawn(async move {
        while let Ok((socket, _)) = endpoint.accept().await {
            let io = TokioIo::new(socket);
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(builder.serve_connection(io, service));
        }
    });
}

#[tokio::test]
async fn http2_comes_in_by_prior_knowledge_and_goes_out_as_http1() {
    let endpoint = listener().await;
    let proxy = Proxy::before(&endpoint).await;
    let mut sender = client(&proxy).await;
    let answer = sender.send_request(post("http://api.example/v1/messages?beta"));
    let serve = async {
        let mut served = accept(&endpoint).await;
        let seen = until(&mut served, "{}").await;
        served.write_all(OK).await.unwrap();
        seen
    };
    let (answer, seen) = within(async { tokio::join!(answer, serve) }).await;
    let body = answer.unwrap().into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "ok");
    assert!(seen.starts_with("POST /v1/messages?beta HTTP/1.1\r\n"), "{seen}");
    assert_eq!(seen.matches("\r\nhost: ").count(), 1);
    assert!(seen.contains("x-forwarded-host: api.example\r\n"), "{seen}");
}

#[tokio::test]
async fn a_stream_that_is_reset_stops_the_endpoint() {
    let endpoint = listener().await;
    let proxy = Proxy::before(&endpoint).await;
    let mut sender = client(&proxy).await;
    let answer = tokio::spawn(sender.send_request(post("http://a/")));
    let mut served = accept(&endpoint).await;
    until(&mut served, "{}").await;
    answer.abort();
    let mut rest = [0; 8];
    assert!(matches!(within(served.read(&mut rest)).await, Ok(0) | Err(_)));
}

#[tokio::test]
async fn http2_goes_out_where_the_endpoint_speaks_it() {
    let endpoint = listener().await;
    let settings = upstream::Settings { h2: true, ..to(&endpoint) };
    let address = endpoint.local_addr().unwrap();
    echo(endpoint);
    let proxy = Proxy::start(loopback(), settings);
    for _ in 0..2 {
        let mut client = proxy.client().await;
        client.write_all(POST).await.unwrap();
        let got = until(&mut client, "{}").await;
        let asked = format!("x-asked: HTTP/2.0 http://{address}/v1/messages\r\n");
        assert!(got.starts_with("HTTP/1.1 200") && got.contains(&asked), "{got}");
    }
}

#[tokio::test]
async fn a_truncated_answer_resets_its_stream_alone() {
    let endpoint = listener().await;
    let proxy = Proxy::before(&endpoint).await;
    let mut sender = client(&proxy).await;
    let answer = sender.send_request(post("http://a/"));
    let serve = async {
        let mut served = accept(&endpoint).await;
        until(&mut served, "{}").await;
        let part = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n";
        served.write_all(part).await.unwrap();
    };
    let (answer, ()) = within(async { tokio::join!(answer, serve) }).await;
    assert!(answer.unwrap().into_body().collect().await.is_err());
    let _second = tokio::spawn(sender.send_request(post("http://a/again")));
    assert!(until(&mut accept(&endpoint).await, "{}").await.starts_with("POST /again"));
}

#[tokio::test]
async fn an_unused_connection_is_told_to_go() {
    let endpoint = listener().await;
    let mut settings = loopback();
    settings.deadlines.h2_idle_secs = 0;
    settings.deadlines.head_ms = 100;
    let proxy = Proxy::start(settings, to(&endpoint));
    let mut client = proxy.client().await;
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut got = Vec::new();
    within(client.read_to_end(&mut got)).await.unwrap();
    let goaway = got.windows(2).any(|frame| frame == [7, 0]);
    assert!(goaway, "{got:?}");
}
