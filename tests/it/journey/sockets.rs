//! Exchanges that switch protocols: they last as long as their bytes pass.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use http::Response;
use stillguard::guard::Socket;
use stillguard::policy::{Action, Limits, Quotas, TenantSettings};

use super::scene::{Plan, Scene, Script, upgrade};
use super::wire::{Wire, Writes};

fn one_at_once(tenant: &mut TenantSettings) {
    tenant.limits = Some(Limits { concurrency: NonZeroU32::new(1), ..Limits::default() });
}

/// Has the endpoint switch, and takes the socket it was given.
async fn open(scene: &Scene, path: &str) -> Socket {
    scene.plan(Plan::Answer(Response::builder().status(101).body(Script::default()).unwrap()));
    let (status, headers, body) = scene.ask(upgrade(path, "k")).await;
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
    socket.sent(&[0; 4000]);
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
    assert_eq!(scene.ask(upgrade("/v1/realtime", "k")).await.0, 403);
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
        let (said, _, body) = scene.ask(upgrade("/v1/realtime", "k")).await;
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
        socket.sent(&[0; 4095]);
        assert_eq!(
            scene.shared.engine.accounts(),
            0,
            "an endpoint may switch before it sees a key"
        );
        socket.sent(&[0]);
        assert_eq!(scene.shared.engine.accounts(), 1, "while the socket is open");
        let second = open(&scene, path).await;
        assert_eq!(scene.ask(upgrade(path, "k")).await.0, 429, "limits hold");
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
        socket.sent(&vec![0; bytes]);
        drop(socket);
    }
    assert_eq!(scene.ask(upgrade("/v1/realtime", "k")).await.0, 200, "unswitched");
    assert_eq!(scene.shared.engine.accounts(), 0);
}

/// A text message of a server.
fn text(event: &serde_json::Value) -> Vec<u8> {
    let text = event.to_string();
    let length = u16::try_from(text.len()).unwrap();
    let head = match u8::try_from(length) {
        Ok(short @ 0..126) => vec![0x81, short],
        _ => [&[0x81, 126][..], &length.to_be_bytes()].concat(),
    };
    [head, text.into_bytes()].concat()
}

fn delta(said: &str) -> Vec<u8> {
    text(&serde_json::json!({"type": "response.output_text.delta", "delta": said}))
}

fn done(input: u32, output: u32) -> Vec<u8> {
    let usage = serde_json::json!({"input_tokens": input, "output_tokens": output,
        "input_token_details": {"cached_tokens": 1}});
    text(&serde_json::json!({"type": "response.done",
        "response": {"id": "resp_8d1f0c2b7a6e4f3d9c5b1a0e", "status": "completed", "usage": usage}}))
}

fn daily(tokens: u64, cut_streams: bool) -> impl FnOnce(&mut TenantSettings) {
    let per_day = Quotas { tokens: NonZeroU64::new(tokens), ..Quotas::default() };
    let limits = Limits { per_day, cut_streams, ..Limits::default() };
    move |tenant| tenant.limits = Some(limits)
}

/// What a socket has reserved for the response to come.
const NEXT: u64 = 1024;

#[tokio::test(start_paused = true)]
async fn every_response_over_a_socket_is_charged_when_it_ends() {
    let scene = Scene::with(daily(10_000, false), |_| {});
    scene.introduce("k").await;
    let socket = open(&scene, "/v1/realtime").await;
    assert_eq!(scene.tokens_today("k"), NEXT);
    let said = [delta("Two lines"), done(100, 20), delta("and two more"), done(130, 30)].concat();
    for bytes in said.chunks(11) {
        assert!(!socket.sent(bytes));
    }
    assert_eq!(scene.tokens_today("k"), 280 + NEXT);
    drop(socket);
    assert_eq!(scene.tokens_today("k"), 280);
    assert_eq!(
        scene.pace("k").windows.lock().unwrap().as_ref().unwrap()[1].used,
        [2, 230, 50, 280]
    );
    let completion = &scene.last_end()["completion"];
    assert_eq!(
        (&completion["usage"]["input"], &completion["usage"]["output"]),
        (&230.into(), &50.into())
    );
    assert_eq!(completion["source"], "reported");
    assert_eq!(completion["issued"].as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_outlives_a_day_charges_each_day_with_its_own() {
    let scene = Scene::with(daily(10_000, false), |_| {});
    scene.introduce("k").await;
    let socket = open(&scene, "/v1/realtime").await;
    socket.sent(&done(100, 20));
    tokio::time::advance(Duration::from_secs(86_400)).await;
    socket.sent(&done(1, 2));
    assert_eq!(scene.tokens_today("k"), 3);
    drop(socket);
    assert_eq!(scene.tokens_today("k"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_broken_off_is_counted_by_what_it_said() {
    let scene = Scene::with(daily(10_000, false), |_| {});
    scene.introduce("k").await;
    let socket = open(&scene, "/v1/responses").await;
    socket.sent(&[done(100, 20), delta("one two three four five six seven eight")].concat());
    drop(socket);
    let completion = &scene.last_end()["completion"];
    assert_eq!(completion["source"], "counted");
    let output = completion["usage"]["output"].as_u64().unwrap();
    assert!((27..=29).contains(&output), "20 told and 8 counted, not {output}");
    assert_eq!(scene.tokens_today("k"), 100 + output);
}

#[tokio::test(start_paused = true)]
async fn a_socket_whose_account_has_nothing_left_is_ended_where_streams_are_cut_and_none_is_opened()
{
    for cut in [true, false] {
        let scene = Scene::with(daily(3_000, cut), |_| {});
        scene.introduce("k").await;
        let socket = open(&scene, "/v1/realtime").await;
        assert!(!socket.sent(&done(500, 100)));
        assert_eq!(socket.sent(&done(1_500, 100)), cut);
        drop(socket);
        assert_eq!(scene.tokens_today("k"), 2_200);
        let (status, _, body) = scene.ask(upgrade("/v1/realtime", "k")).await;
        assert!(status == 429 && body.contains("\"type\":\"tokens\""), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn messages_are_asked_for_uncoded_and_coded_ones_cost_what_policy_says() {
    for narrowed in [true, false] {
        let scene =
            Scene::with(daily(10_000, false), |guard| guard.narrow_accept_encoding = narrowed);
        scene.introduce("k").await;
        let mut request = upgrade("/v1/realtime", "k");
        let coding = "permessage-deflate".parse().unwrap();
        request.headers_mut().insert("sec-websocket-extensions", coding);
        scene.plan(Plan::Answer(Response::builder().status(101).body(Script::default()).unwrap()));
        assert_eq!(scene.ask(request).await.0, 101);
        let mut head = scene.last_forwarded().0;
        assert_eq!(head.headers.contains_key("sec-websocket-extensions"), !narrowed);
        let socket = head.extensions.remove::<Socket>().unwrap();
        drop(head);
        let mut coded = done(100, 20);
        coded[0] |= 0x40;
        socket.sent(&coded);
        drop(socket);
        assert_eq!(scene.last_end()["completion"]["source"], "unknown");
        assert_eq!(scene.tokens_today("k"), coded.len() as u64, "no more tokens than bytes");
    }
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
        connection: upgrade\r\nupgrade: websocket\r\n\r\n";
    let asked = [request.as_bytes(), b"\x81\x88maskhi there"].concat();
    let writes = |bytes: Vec<u8>, close| Writes { bytes, cuts: vec![], close };
    let answer = writes(format!("{switch}{hello}").into_bytes(), true);
    let (_, answered) = wire.exchange(writes(asked, false), answer).await;
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
    assert_eq!(scene.last_end()["completion"]["received"], 14);
}
