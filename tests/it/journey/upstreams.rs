//! Several endpoints: which are well, which have their fill, and what becomes of the rest.

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::ends::{End, Mood, Rig, post, until, within};
use super::scene::{CHAT, MESSAGES, Scene};
use super::wire::read;

fn health(more: &str) -> String {
    format!(
        "health = {{ probe_path = \"/health\", probe_interval_ms = 100, probe_timeout_ms = 5000, \
         failures = 1000, {more} }}\n"
    )
}

/// `[forward]` with these endpoints, named by their letter.
fn before(ends: &[&End], more: &str) -> String {
    let mut text = String::from("endpoints = [\n");
    for (letter, end) in ('a'..).zip(ends) {
        text.push_str(&format!(
            "{{ url = \"http://{}\", name = \"{letter}\"{more} }},\n",
            end.address
        ));
    }
    text + "]\n"
}

fn up(rig: &Rig) -> String {
    rig.endpoints.up().map(|up| if up { '+' } else { '-' }).collect()
}

/// How many of `count` chats go to each of the ends.
async fn spread(rig: &Rig, ends: &[&End], count: usize) -> Vec<usize> {
    ends.iter().for_each(|end| drop(end.take()));
    for _ in 0..count {
        rig.chat("k", "m-1").await;
    }
    ends.iter().map(|end| end.asked()).collect()
}

#[tokio::test]
async fn probes_take_an_endpoint_out_and_bring_it_back_beside_the_traffic() {
    let (scene, a, b) = (Scene::new(), End::new("a").await, End::new("b").await);
    let rig = Rig::new(&scene, 1, &(before(&[&a, &b], "") + &health("ill_after = 2")));
    assert_eq!(spread(&rig, &[&a, &b], 8).await, [4, 4]);
    a.well(false);
    until(|| up(&rig) == "-+").await;
    assert_eq!(spread(&rig, &[&a, &b], 8).await, [0, 8]);
    let ill = "stillguard_endpoint_probes_total{group=\"default\",endpoint=\"a\",outcome=\"ill\"}";
    assert!(scene.count(ill) >= 2);
    rig.endpoints.report();
    let series = |end| format!("stillguard_endpoint_up{{group=\"default\",endpoint=\"{end}\"}}");
    assert_eq!((scene.count(&series("a")), scene.count(&series("b"))), (0, 1));
    a.well(true);
    until(|| up(&rig) == "++").await;
    assert_eq!(spread(&rig, &[&a, &b], 8).await, [4, 4], "it is not flooded");
}

#[tokio::test]
async fn when_too_few_are_well_all_share_the_load_and_that_is_counted() {
    let (scene, a, b) = (Scene::new(), End::new("a").await, End::new("b").await);
    let c = End::new("c").await;
    let all = [&a, &b, &c];
    let rig = Rig::new(&scene, 1, &(before(&all, "") + &health("ill_after = 1")));
    let calm = Scene::new();
    let calm_rig = Rig::new(&calm, 1, &(before(&all, "") + &health("panic_below = 0.0")));
    let panics = "stillguard_endpoint_panics_total{group=\"default\"}";
    a.well(false);
    until(|| up(&rig) == "-++" && up(&calm_rig) == "-++").await;
    assert_eq!(spread(&rig, &all, 8).await, [0, 4, 4]);
    assert_eq!(scene.count(panics), 0);
    b.well(false);
    until(|| up(&rig) == "--+" && up(&calm_rig) == "--+").await;
    assert_eq!(spread(&rig, &all, 9).await, [3, 3, 3]);
    assert_eq!(scene.count(panics), 9);
    assert_eq!(spread(&calm_rig, &all, 9).await, [0, 0, 9]);
    assert_eq!(calm.count(panics), 0);
}

/// Begins `count` chats at once, each on a connection of its own: the answers' heads.
async fn burst(rig: &Rig, count: usize) -> Vec<(String, TcpStream)> {
    let begin = async || {
        let mut client = rig.send(&post("/v1/chat/completions", "k"), CHAT).await;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.unwrap());
        }
        (String::from_utf8(head).unwrap(), client)
    };
    futures_util::future::join_all((0..count).map(|_| begin())).await
}

/// Reads to the last chunk.
async fn whole(client: &mut TcpStream) {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n0\r\n\r\n") {
        text.push(client.read_u8().await.unwrap());
    }
}

fn in_flight(scene: &Scene, end: &str) -> u64 {
    scene.count(&format!("stillguard_endpoint_in_flight{{group=\"default\",endpoint=\"{end}\"}}"))
}

#[tokio::test]
async fn what_an_endpoint_carries_at_once_is_exact_over_all_workers_and_given_back() {
    let (scene, a) = (Scene::new(), End::new("a").await);
    let rig = Rig::new(&scene, 4, &before(&[&a], ", max_concurrency = 3"));
    a.mood(Mood::Streams);
    for round in 0..4 {
        a.take();
        let mut held = within(burst(&rig, 24)).await;
        assert_eq!(a.asked(), 3, "round {round}");
        held.retain(|(head, _)| head.starts_with("HTTP/1.1 200"));
        assert_eq!((held.len(), in_flight(&scene, "a")), (3, 3));
        if round % 2 == 0 {
            drop(held);
        } else {
            a.go_on();
            for (_, client) in &mut held {
                within(whole(client)).await;
            }
        }
        until(|| in_flight(&scene, "a") == 0).await;
    }
    for mood in [Mood::Breaks, Mood::Hangs, Mood::Fails, Mood::Answers] {
        a.mood(mood);
        for _ in 0..5 {
            let mut client = rig.send(&post("/v1/chat/completions", "k"), CHAT).await;
            if mood == Mood::Hangs {
                until(|| in_flight(&scene, "a") == 1).await;
            } else {
                within(client.read_u8()).await.unwrap();
            }
            drop(client);
            until(|| in_flight(&scene, "a") == 0).await;
        }
    }
    let left = "stillguard_endpoint_requests_total{group=\"default\",endpoint=\"a\",outcome=\"cancelled\"}";
    assert_eq!(scene.count(left), 5);
    assert_eq!(spread(&rig, &[&a], 5).await, [5]);
}

#[tokio::test]
async fn a_full_endpoint_passes_on_to_the_next_and_the_last_one_says_so_in_the_callers_words() {
    let (scene, a, b) = (Scene::new(), End::new("a").await, End::new("b").await);
    let rig = Rig::new(&scene, 2, &before(&[&a, &b], ", max_concurrency = 2"));
    [&a, &b].iter().for_each(|end| end.mood(Mood::Streams));
    let held = within(burst(&rig, 9)).await;
    assert_eq!((a.asked(), b.asked()), (2, 2));
    let refused: Vec<_> = held.iter().filter(|(head, _)| !head.contains(" 200 ")).collect();
    assert_eq!(refused.len(), 5);
    assert!(
        refused.iter().all(
            |(head, _)| head.starts_with("HTTP/1.1 503") && head.contains("retry-after: 1\r\n")
        )
    );
    for (path, body, kind) in [
        ("/v1/chat/completions", CHAT, "/error/message"),
        ("/v1/messages", MESSAGES, "/error/type"),
    ] {
        let mut client = rig.send(&post(path, "k"), body).await;
        let answer = within(read(&mut client, true)).await.unwrap();
        let said: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert!(answer.start.contains(" 503 ") && said.pointer(kind).is_some(), "{said}");
    }
    let full =
        "stillguard_endpoint_requests_total{group=\"default\",endpoint=\"a\",outcome=\"full\"}";
    assert!(scene.count(full) >= 7);
    drop(held);
    until(|| in_flight(&scene, "a") + in_flight(&scene, "b") == 0).await;
}
