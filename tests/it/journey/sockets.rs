//! Exchanges that switch protocols: they last as long as their bytes pass.

use std::num::NonZeroU32;
use std::time::Duration;

use http::{Request, Response};
use stillguard::guard::Socket;
use stillguard::policy::{Action, Limits, TenantSettings};

use super::scene::{Plan, Scene, Script, post};
use super::wire::{Wire, Writes};

fn one_at_once(tenant: &mut TenantSettings) {
    tenant.limits = Some(Limits { concurrency: NonZeroU32::new(1), ..Limits::default() });
}

fn upgrade(path: &str) -> Request<Script> {
    let named =
        [("authorization", "Bearer k"), ("connection", "upgrade"), ("upgrade", "websocket")];
    let (mut head, _) = post(path, &named, "").into_parts();
    head.method = http::Method::GET;
    head.headers.remove("content-type");
    Request::from_parts(head, Script::default())
}

/// Has the endpoint switch, and takes the socket it was given.
async fn open(scene: &Scene, path: &str) -> Socket {
    scene.plan(Plan::Answer(Response::builder().status(101).body(Script::default()).unwrap()));
    let (status, headers, body) = scene.ask(upgrade(path)).await;
    assert_eq!((status, &body[..]), (101, ""));
    assert!(headers.contains_key("x-stillguard-request-id"));
    scene.last_forwarded().0.extensions.remove::<Socket>().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_socket_keeps_its_permit_and_its_end_until_it_closes() {
    let scene = Scene::with(one_at_once, |_| {});
    scene.introduce("k").await;
    let ends = scene.lines("end").len();
    let socket = open(&scene, "/v1/realtime").await;
    assert_eq!(scene.in_flight("k"), 1);
    tokio::time::advance(Duration::from_secs(90)).await;
    assert_eq!(scene.lines("end").len(), ends, "it has not ended");
    socket.received(300);
    socket.sent(4000);
    drop(socket);
    assert_eq!(scene.in_flight("k"), 0);
    let end = scene.last_end();
    assert_eq!((&end["ending"], &end["status"]), (&"complete".into(), &101.into()));
    let completion = &end["completion"];
    assert_eq!((&completion["received"], &completion["bytes"]), (&300.into(), &4000.into()));
    let begun = scene.lines("ask").pop().unwrap()["ask"]["at"].clone();
    let lasted = end["ended"].as_u64().unwrap() - begun.as_u64().unwrap();
    assert_eq!(lasted, 90_000);
}

#[tokio::test(start_paused = true)]
async fn a_switch_that_is_declined_ends_with_its_answer() {
    let scene = Scene::with(one_at_once, |_| {});
    scene.introduce("k").await;
    let declined = Response::builder().status(403).body(Script::text("no")).unwrap();
    scene.plan(Plan::Answer(declined));
    assert_eq!(scene.ask(upgrade("/v1/realtime")).await.0, 403);
    assert_eq!(scene.last_end()["status"], 403);
    assert_eq!(scene.in_flight("k"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_switch_is_refused_in_the_words_of_its_api_before_it_is_forwarded() {
    let scene = Scene::with(one_at_once, |_| {});
    scene.introduce("k").await;
    let _open = open(&scene, "/v1/realtime").await;
    let forwarded = scene.forwarded();
    for (judged, status) in [(Action::Allow, 429), (Action::Drop, 403)] {
        scene.judge(judged, 0.0);
        let (said, _, body) = scene.ask(upgrade("/v1/realtime")).await;
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(said, status);
        assert!(
            body["error"]["message"].is_string() && body["error"]["code"].is_string(),
            "{body}"
        );
    }
    assert_eq!(scene.forwarded(), forwarded);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_only_opens_sockets_is_known_once_one_has_carried_an_answer() {
    for path in ["/v1/realtime?model=m-1", "/v1/responses"] {
        let scene = Scene::with(one_at_once, |_| {});
        let socket = open(&scene, path).await;
        socket.sent(4095);
        assert_eq!(
            scene.shared.engine.accounts(),
            0,
            "an endpoint may switch before it sees a key"
        );
        socket.sent(1);
        assert_eq!(scene.shared.engine.accounts(), 1, "while the socket is open");
        let second = open(&scene, path).await;
        assert_eq!(scene.ask(upgrade(path)).await.0, 429, "limits hold");
        drop((socket, second));
        assert_eq!(scene.lines("accepted").len(), 1);
        assert_eq!(scene.lines("ask")[0]["ask"]["prompt"]["api"], "openai-realtime");
    }
}

#[tokio::test(start_paused = true)]
async fn a_socket_on_any_other_route_or_one_that_says_little_proves_nothing() {
    let scene = Scene::new();
    for (path, bytes) in [("/chatter", 10_000), ("/v1/realtime", 800)] {
        let socket = open(&scene, path).await;
        socket.sent(bytes);
        drop(socket);
    }
    assert_eq!(scene.ask(upgrade("/v1/realtime")).await.0, 200, "unswitched");
    assert_eq!(scene.shared.engine.accounts(), 0);
}

#[tokio::test]
async fn a_socket_over_the_wire_is_counted_both_ways_and_given_back() {
    let scene = Scene::with(one_at_once, |_| {});
    scene.introduce("k").await;
    let wire = Wire::before(&scene).await;
    let switch =
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    let hello = "hello from the endpoint";
    let request = "GET /v1/realtime HTTP/1.1\r\nhost: a\r\nauthorization: Bearer k\r\n\
        connection: upgrade\r\nupgrade: websocket\r\n\r\nhi there";
    let writes = |text: &str, close| Writes { bytes: text.into(), cuts: vec![], close };
    let answer = writes(&format!("{switch}{hello}"), true);
    let (_, answered) = wire.exchange(writes(request, false), answer).await;
    assert_eq!(answered.start, "HTTP/1.1 101 Switching Protocols");
    assert_eq!(answered.body, hello.as_bytes());
    for _ in 0..500 {
        if scene.in_flight("k") == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(scene.in_flight("k"), 0);
    assert_eq!(scene.last_end()["status"], 101);
    assert_eq!(scene.last_end()["completion"]["bytes"], hello.len());
    assert_eq!(scene.last_end()["completion"]["received"], 8);
}
