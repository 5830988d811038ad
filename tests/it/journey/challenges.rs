//! From a refusal to a solved challenge, with an unmodified client in between.

use http::Request;
use serde_json::{Value, json};
use stillguard::engine::Verdict;
use stillguard::guard::{Fault, solve_puzzles};
use stillguard::identity::Peer;
use stillguard::policy::{Action, Ladder, TenantSettings};

use super::scene::{Scene, Script, chat, messages};

/// Challenges every account the engine knows. A new account's score, without evidence, is -6.9.
fn challenge_everyone(tenant: &mut TenantSettings) {
    tenant.ladder =
        Some(Ladder { shape: -7.0, throttle: -7.0, challenge: -7.0, ..Ladder::default() });
}

fn scene() -> Scene {
    Scene::with(challenge_everyone, |guard| {
        guard.challenge.bits = 1;
        guard.challenge.most_bits = 4;
    })
}

/// The link in a refusal, as any client would find it.
fn link(body: &str) -> String {
    let body: Value = serde_json::from_str(body).unwrap();
    let message = body["error"]["message"].as_str().unwrap();
    message.split(' ').find(|word| word.starts_with("https://")).unwrap().to_owned()
}

async fn visit(scene: &Scene, method: &str, url: &str, body: &str) -> (u16, String) {
    let path = url.strip_prefix("https://api.example.test").unwrap();
    let peer = Peer { address: ([198, 51, 100, 9], 5).into(), tls: true };
    let request = Request::builder().method(method).uri(path).extension(peer);
    let request = request.header("host", "api.example.test").body(Script::text(body)).unwrap();
    let (status, _, body) = scene.ask(request).await;
    (status, body)
}

async fn solve(scene: &Scene, url: &str) -> String {
    let (status, challenge) = visit(scene, "GET", url, "").await;
    assert_eq!(status, 200);
    let challenge: Value = serde_json::from_str(&challenge).unwrap();
    assert_eq!((&challenge["algorithm"], &challenge["submit"]), (&"sg-pow-v1".into(), &url.into()));
    let number = |name: &str| u8::try_from(challenge[name].as_u64().unwrap()).unwrap();
    let token = challenge["token"].as_str().unwrap();
    json!({ "solution": solve_puzzles(token, number("bits"), number("count")) }).to_string()
}

#[tokio::test(start_paused = true)]
async fn a_solved_challenge_lets_the_same_client_go_on() {
    let scene = scene();
    scene.introduce("k").await;
    for ask in [chat, messages] {
        let (status, headers, body) = scene.ask(ask("k")).await;
        assert_eq!((status, &headers["x-should-retry"]), (403, &"false".parse().unwrap()));
        let url = link(&body);
        let solution = solve(&scene, &url).await;
        let (status, body) = visit(&scene, "POST", &url, &solution).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(scene.ask(ask("k")).await.0, 200);
        assert_eq!(visit(&scene, "POST", &url, &solution).await.0, 409);
        tokio::time::advance(std::time::Duration::from_secs(3601)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_clearance_is_of_one_account() {
    let scene = scene();
    scene.introduce("a").await;
    scene.introduce("b").await;
    let url = link(&scene.ask(chat("a")).await.2);
    let solution = solve(&scene, &url).await;
    assert_eq!(visit(&scene, "POST", &url, &solution).await.0, 200);
    assert_eq!(scene.ask(chat("a")).await.0, 200);
    assert_eq!(scene.ask(chat("b")).await.0, 403);
}

/// How hard the challenge is that follows from `verdict`.
async fn bits(scene: &Scene, score: f32) -> u64 {
    scene.judge(Action::Challenge, score);
    let url = link(&scene.ask(chat("k")).await.2);
    let told: Value = serde_json::from_str(&visit(scene, "GET", &url, "").await.1).unwrap();
    told["bits"].as_u64().unwrap()
}

#[tokio::test(start_paused = true)]
async fn difficulty_grows_by_a_bit_with_every_nat_up_to_the_cap() {
    let scene = Scene::new();
    scene.introduce("k").await;
    // The rung holds from 4.6.
    let mut asked = Vec::new();
    for score in [4.7, 5.7, 6.7, 30.0] {
        asked.push(bits(&scene, score).await);
    }
    assert_eq!(asked, [12, 13, 14, 20]);
}

#[tokio::test(start_paused = true)]
async fn the_log_says_whether_an_account_was_challenged_for_itself_or_for_its_crowd() {
    let scene = Scene::new();
    scene.introduce("k").await;
    for group in [0.0, 3.0] {
        let (action, enforced) = (Action::Challenge, true);
        let verdict = Verdict { action, score: 5.0, group, enforced, ..Verdict::default() };
        scene.fault(Fault::Judges(Box::new(verdict)));
        assert_eq!(scene.ask(chat("k")).await.0, 403);
    }
    let steps: Vec<_> = scene.lines("trial").iter().map(|line| line["step"].clone()).collect();
    assert_eq!(steps, ["issued", "issued-to-crowd"]);
    assert_eq!(scene.count("stillguard_challenges_total{outcome=\"issued\"}"), 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_below_the_prefix_is_forwarded() {
    let scene = scene();
    for (method, path, expected) in [
        ("GET", "/.stillguard/", 404),
        ("POST", "/.stillguard/v1/chat/completions", 404),
        ("GET", "/.stillguard/page.js", 200),
        ("GET", "/.stillguard/worker.js", 200),
        ("GET", "/.stillguard/page.css", 200),
        ("PUT", "/.stillguard/page.css", 405),
        ("POST", "/.stillguard/attest", 404),
    ] {
        let url = format!("https://api.example.test{path}");
        assert_eq!(visit(&scene, method, &url, "").await.0, expected, "{method} {path}");
    }
    assert_eq!(scene.forwarded(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_bent_host_bends_no_link() {
    let scene = scene();
    scene.introduce("k").await;
    let mut request = chat("k");
    request.headers_mut().insert("host", "evil.test/?q=".parse().unwrap());
    let (_, _, body) = scene.ask(request).await;
    assert!(!body.contains("evil"), "{body}");
}
