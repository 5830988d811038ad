use super::*;

const CLIENTS: &str = "sk-client";

fn keyed(endpoint: &TcpListener, key: serde_json::Value) -> upstream::Settings {
    let mut settings = to(endpoint);
    settings.endpoints[0].key = Some(serde_json::from_value(key).unwrap());
    settings
}

#[tokio::test]
async fn the_clients_key_never_gets_to_an_endpoint_with_a_key_of_its_own() {
    let endpoint = listener().await;
    let key = serde_json::json!({ "header": "x-api-key", "value": "sk-provider" });
    let proxy = Proxy::start(loopback(), keyed(&endpoint, key));
    for spelling in [
        "authorization: Bearer sk-client",
        "authorization: Basic c2stY2xpZW50\r\nauthorization: sk-client",
        "x-api-key: sk-client\r\nX-Api-Key: sk-client",
        "api-key: sk-client",
        "x-goog-api-key: sk-client",
        "connection: x-api-key\r\nx-api-key: sk-client",
        "sec-websocket-protocol: realtime, openai-insecure-api-key.sk-client, v1",
    ] {
        let mut client = proxy.client().await;
        let request = format!(
            "GET /v1?key=sk-client&a=%20&k%65y=sk-client HTTP/1.1\r\nhost: a\r\n{spelling}\r\n\r\n"
        );
        client.write_all(request.as_bytes()).await.unwrap();
        let seen = head(&mut accept(&endpoint).await).await;
        assert!(seen.starts_with("GET /v1?a=%20 HTTP/1.1\r\n"), "{seen}");
        assert!(!seen.contains(CLIENTS) && !seen.contains("c2stY2xpZW50"), "{seen}");
        assert_eq!(seen.matches("x-api-key: sk-provider\r\n").count(), 1, "{seen}");
        assert!(!seen.contains("protocol") || seen.contains("protocol: realtime, v1\r\n"));
    }
}

#[tokio::test]
async fn a_key_is_swapped_while_running_and_never_goes_to_another_endpoint() {
    let endpoint = listener().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "first\n").unwrap();
    let key = serde_json::json!({ "header": "authorization", "file": file.path() });
    let settings = keyed(&endpoint, key);
    let endpoints = Endpoints::new(settings.clone(), &Telemetry::default()).unwrap();
    let proxy = Proxy::over(loopback(), endpoints.clone());
    let sends = async |key: &str| {
        let mut client = proxy.client().await;
        client.write_all(GET).await.unwrap();
        let seen = head(&mut accept(&endpoint).await).await;
        assert!(seen.contains(&format!("authorization: Bearer {key}\r\n")), "{seen}");
    };
    sends("first").await;
    std::fs::write(file.path(), "second").unwrap();
    let keys = settings.keys().unwrap();
    let moved =
        upstream::Settings { endpoints: to_url("http://other").endpoints, ..settings.clone() };
    endpoints.rekey(&moved, keys.clone());
    sends("first").await;
    endpoints.rekey(&settings, keys);
    sends("second").await;
    std::fs::write(file.path(), "").unwrap();
    assert!(endpoints.reread_keys().is_err());
    sends("second").await;
    std::fs::write(file.path(), "third").unwrap();
    endpoints.reread_keys().unwrap();
    sends("third").await;
}

#[tokio::test]
async fn a_groups_key_is_swapped_where_its_name_stands_and_nowhere_else() {
    let endpoint = listener().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "first").unwrap();
    let key = serde_json::json!({ "header": "authorization", "file": file.path() });
    let keyed = keyed(&endpoint, key);
    let group = serde_json::json!({ "name": "g", "endpoints": to(&endpoint).endpoints });
    let mut group: upstream::Group = serde_json::from_value(group).unwrap();
    group.endpoints[0].key = keyed.endpoints[0].key.clone();
    let route = serde_json::json!({ "path_prefix": "/v1", "group": "g" });
    let routes = vec![serde_json::from_value(route).unwrap()];
    let settings = upstream::Settings { groups: vec![group], routes, ..to(&endpoint) };
    let endpoints = Endpoints::new(settings.clone(), &Telemetry::default()).unwrap();
    let proxy = Proxy::over(loopback(), endpoints.clone());
    let sends = async |path: &str, key: Option<&str>| {
        let mut client = proxy.client().await;
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let seen = head(&mut accept(&endpoint).await).await;
        let sent = seen.split("authorization: Bearer ").nth(1);
        assert_eq!(sent.and_then(|rest| rest.split('\r').next()), key, "{seen}");
    };
    sends("/v1/models", Some("first")).await;
    std::fs::write(file.path(), "second").unwrap();
    let mut renamed = settings.clone();
    renamed.groups[0].name = "h".to_owned();
    endpoints.rekey(&renamed, renamed.keys().unwrap());
    sends("/v1/models", Some("first")).await;
    endpoints.rekey(&settings, settings.keys().unwrap());
    sends("/v1/models", Some("second")).await;
    sends("/health", None).await;
}
