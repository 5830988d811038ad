//! Where requests go: by tenant, model and path, each with the key that belongs there.

use std::sync::Arc;

use stillguard::identity::{self, Identifier};
use stillguard::policy::{Bodies, TenantSettings};

use super::ends::{End, Mood, Rig, ended, is_probe, post, until, within};
use super::scene::Scene;

/// Keys that begin `sk-acme-` are the tenant acme's.
fn scene(tenant: impl FnOnce(&mut TenantSettings)) -> Scene {
    let scene = Scene::with(tenant, |_| {});
    let rules = "tenants = [{ name = \"acme\", key_prefix = \"sk-acme-\" }]";
    let rules: identity::Settings = toml::from_str(rules).unwrap();
    let identifier = Identifier::new(&rules, scene.shared.keyring.clone()).unwrap();
    scene.shared.identifier.store(Arc::new(identifier));
    scene
}

async fn ends<const N: usize>(names: [&str; N]) -> [End; N] {
    let mut ends = Vec::new();
    for name in names {
        ends.push(End::new(name).await);
    }
    ends.try_into().unwrap()
}

fn forward([shared, large, vectors, talk]: &[End; 4]) -> String {
    format!(
        r#"
        endpoints = [{{ url = "http://{}" }}]
        groups = [
            {{ name = "large", endpoints = [{{ url = "http://{}" }}] }},
            {{ name = "vectors", endpoints = [{{ url = "http://{}" }}] }},
            {{ name = "talk", endpoints = [{{ url = "http://{}" }}] }},
        ]
        routes = [
            {{ tenant = "acme", model = "grove-large-*", group = "large" }},
            {{ path_prefix = "/v1/embeddings", group = "vectors" }},
            {{ tenant = "acme", path_prefix = "/v1/realtime", group = "talk" }},
            {{ model = "grove-embed", group = "vectors" }},
        ]
        "#,
        shared.address, large.address, vectors.address, talk.address
    )
}

const ACME: &str = "sk-acme-1";
const OTHER: &str = "sk-other-1";

#[tokio::test]
async fn tenant_model_and_path_lead_to_a_group_and_all_else_to_the_shared_endpoints() {
    let (scene, ends) = (scene(|_| {}), ends(["shared", "large", "vectors", "talk"]).await);
    let rig = Rig::new(&scene, 1, &forward(&ends));
    assert_eq!(rig.chat(ACME, "grove-large-2").await, "large");
    assert_eq!(rig.chat(OTHER, "grove-large-2").await, "shared");
    assert_eq!(rig.chat(ACME, "grove-small").await, "shared");
    assert_eq!(rig.chat(OTHER, "grove-embed").await, "vectors");
    let embed = r#"{"model":"grove-large-2","input":"x"}"#;
    let led = async |path: &str, key, body| ended(&rig.ask(&post(path, key), body).await);
    assert_eq!(led("/v1//%65mbeddings", OTHER, embed).await, "vectors");
    assert_eq!(led("/v1/embeddings", ACME, embed).await, "large", "the first route that fits");
    let gemini = r#"{"contents":[{"parts":[{"text":"x"}]}]}"#;
    let path = "/v1beta/models/grove-large-2:generateContent";
    assert_eq!(led(path, ACME, gemini).await, "large", "some APIs have the model in the path");
    // Where a deployment is named, Azure looks past the model of the body.
    let chat = r#"{"model":"grove-embed","messages":[]}"#;
    let path = "/openai/deployments/grove-large-2/chat/completions";
    assert_eq!(led(path, ACME, chat).await, "large");
}

#[tokio::test]
async fn no_route_trusts_a_model_that_the_endpoint_may_read_otherwise() {
    let (scene, ends) = (scene(|_| {}), ends(["shared", "large", "vectors", "talk"]).await);
    let rig = Rig::new(&scene, 1, &forward(&ends));
    let small = r#"{"model":"grove-small","messages":[]}"#;
    for odd in [
        post("/v1/chat/completions?model=grove-large-2", ACME),
        format!("{}\r\nx-model: grove-large-2", post("/v1/chat/completions", ACME)),
    ] {
        assert_eq!(ended(&rig.ask(&odd, small).await), "shared");
    }
    let batch = r#"{"requests":[{"custom_id":"a","params":{"model":"grove-large-2","max_tokens":1,
        "messages":[]}},{"custom_id":"b","params":{"model":"grove-small","messages":[]}}]}"#;
    let batches = post("/v1/messages/batches", ACME);
    assert_eq!(ended(&rig.ask(&batches, batch).await), "shared", "each line names its own");
    let unread = post("/v1/files", ACME);
    assert_eq!(ended(&rig.ask(&unread, r#"{"model":"grove-large-2"}"#).await), "shared");
    let chat = post("/v1/chat/completions", ACME);
    let twice = [
        r#"{"model":"grove-small","model":"grove-large-2","messages":[]}"#,
        r#"{"model":"grove-large-2","messages":[],"model":"grove-small"}"#,
        r#"{"model":"grove-large-2","messages":[],"mod\u0065l":"grove-small"}"#,
        r#"{"model":"grove-large-2","messages":[],"x":{"y":1,"y":2}}"#,
    ];
    for twice in twice {
        assert_eq!(ended(&rig.ask(&chat, twice).await), "400");
    }
    assert!(ends[1].take().is_empty());
    let lenient = self::scene(|tenant| tenant.bodies = Some(Bodies::Lenient));
    let rig = Rig::new(&lenient, 1, &forward(&ends));
    for twice in twice {
        assert_eq!(ended(&rig.ask(&chat, twice).await), "shared");
    }
    assert_eq!(rig.chat(ACME, "grove-large-2").await, "large");
}

#[tokio::test]
async fn a_websocket_is_led_by_tenant_and_path() {
    let (scene, ends) = (scene(|_| {}), ends(["shared", "large", "vectors", "talk"]).await);
    let rig = Rig::new(&scene, 1, &forward(&ends));
    let in_flight = |end: &End, group: &str| {
        let (series, url) = ("stillguard_endpoint_in_flight", end.address);
        scene.count(&format!("{series}{{group=\"{group}\",endpoint=\"http://{url}\"}}"))
    };
    for (key, path, end) in [
        (ACME, "/v1/realtime?model=grove-large-2", "talk"),
        (OTHER, "/v1/realtime?model=grove-large-2", "shared"),
        (ACME, "/v1/responses?model=grove-large-2", "shared"),
    ] {
        let head = format!(
            "GET {path} HTTP/1.1\r\nauthorization: Bearer {key}\r\nconnection: upgrade\r\n\
             upgrade: websocket"
        );
        let switched = rig.send(&head, "").await;
        let mut text = [0; 200];
        let mut length = 0;
        within(async {
            while !text[..length].ends_with(b"\r\n\r\n") {
                switched.readable().await.unwrap();
                length += switched.try_read(&mut text[length..]).unwrap_or_default();
            }
        })
        .await;
        let text = String::from_utf8_lossy(&text[..length]);
        assert!(text.contains(" 101 ") && text.contains(&format!("x-end: {end}\r\n")), "{text}");
        if end == "talk" {
            assert_eq!(in_flight(&ends[3], "talk"), 1);
            drop(switched);
            until(|| in_flight(&ends[3], "talk") == 0).await;
        }
    }
}

#[tokio::test]
async fn each_endpoint_gets_its_own_key_and_none_another_ones() {
    let scene = scene(|_| {});
    let ends = ends(["first", "second", "large", "plain"]).await;
    let [first, second, large, plain] = &ends;
    let forward = format!(
        r#"
        health = {{ failures = 1, back_off_secs = 0, probe_path = "/health", probe_interval_ms = 100 }}
        endpoints = [
            {{ url = "http://{}", key = {{ header = "authorization", value = "key-first" }} }},
            {{ url = "http://{}", key = {{ header = "x-api-key", value = "key-second" }} }},
            {{ url = "http://127.0.0.1:1", weight = 9, key = {{ header = "api-key", value = "key-gone" }} }},
        ]
        groups = [
            {{ name = "large", endpoints = [{{ url = "http://{}", key = {{ header = "authorization", value = "key-large" }} }}] }},
            {{ name = "plain", endpoints = [{{ url = "http://{}" }}] }},
        ]
        routes = [{{ model = "large", group = "large" }}, {{ model = "plain", group = "plain" }}]
        "#,
        first.address, second.address, large.address, plain.address
    );
    let rig = Rig::new(&scene, 2, &forward);
    for round in 0..20 {
        first.mood(if round % 3 == 0 { Mood::Fails } else { Mood::Answers });
        for model in ["small", "large", "plain"] {
            rig.chat(ACME, model).await;
        }
    }
    assert!(rig.endpoints.reread_keys().is_ok());
    rig.chat(ACME, "plain").await;
    until(|| ends.iter().all(End::is_probed)).await;
    let keys = ["key-first", "key-second", "key-gone", "key-large", ACME];
    for (end, own) in ends.iter().zip(["key-first", "key-second", "key-large", ACME]) {
        let seen = end.take();
        assert!(seen.iter().any(|message| message.start.starts_with("POST")), "{own}");
        for message in seen {
            let probe = is_probe(&message);
            let text = format!("{:?}", message.fields.iter().map(text).collect::<Vec<_>>());
            for key in keys {
                let there = text.contains(key);
                assert_eq!(there, key == own && !(probe && own == ACME), "{key} in {text}");
            }
        }
    }
}

fn text((name, value): &(String, Vec<u8>)) -> String {
    format!("{name}: {}", String::from_utf8_lossy(value))
}
