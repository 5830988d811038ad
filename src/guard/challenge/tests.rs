use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt, Full};

use super::*;
use crate::identity::{Caller, Tag};
use crate::signal::{ExchangeId, Prompt};

#[path = "tests/delivery.rs"]
mod delivered;
#[path = "tests/step_up.rs"]
mod step_up;

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

/// A desk, a challenged account and what has been granted so far.
struct Scene {
    challenges: Challenges,
    settings: Settings,
    tried: Mutex<Vec<Trial>>,
}

fn ask(account: u8, id: u64) -> Ask {
    Ask {
        id: ExchangeId(Tag(id)),
        at: Timestamp::default(),
        caller: Caller { egress: Tag::default(), ..Caller::sample(account) },
        prompt: Prompt::default(),
    }
}

impl Scene {
    fn new() -> Self {
        let clock = Clock::starting_at(Timestamp::from_millis(1_790_000_000_000));
        let settings = Settings { bits: 4, ..Settings::default() };
        let challenges = Challenges::new(&Keyring::new([5; 32]), clock);
        Self { challenges, settings, tried: Mutex::default() }
    }

    fn issue(&self, account: u8, id: u64) -> String {
        self.challenges.issue(&ask(account, id), 0.0, &self.settings).0
    }

    fn solved(&self, token: &str) -> String {
        let bits = self.challenges.open(token).unwrap().bits;
        serde_json::json!({ "solution": solve_puzzles(token, bits, PUZZLES) }).to_string()
    }

    async fn send(&self, request: Request<Full<Bytes>>, address: IpAddr) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let tried = |trial: &Trial| {
            self.tried.lock().unwrap().push(trial.clone());
            true
        };
        answer(&self.challenges, &head, body, self.visit(address, &tried)).await
    }

    fn visit<'a>(
        &'a self,
        address: IpAddr,
        tried: &'a (dyn Fn(&Trial) -> bool + Sync),
    ) -> Visit<'a> {
        Visit { settings: &self.settings, address, from: Tag(3), base: "https://sg.test", tried }
    }

    /// The accounts cleared so far.
    fn granted(&self) -> Vec<AccountId> {
        let tried = self.tried.lock().unwrap();
        let cleared = tried.iter().filter(|trial| trial.clearance.is_some());
        cleared.map(|trial| trial.account).collect()
    }

    async fn post(&self, token: &str, body: &str) -> u16 {
        self.send(request(Method::POST, token, body), HOME).await.status().as_u16()
    }
}

fn request(method: Method, token: &str, body: &str) -> Request<Full<Bytes>> {
    let request = Request::builder().method(method).uri(format!("/.stillguard/c/{token}"));
    request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap()
}

async fn text(response: Response<Full<Bytes>>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_solved_challenge_clears_its_account_once() {
    let scene = Scene::new();
    let token = scene.issue(1, 10);
    let solution = scene.solved(&token);
    let answer = scene.send(request(Method::POST, &token, &solution), HOME).await;
    assert_eq!(answer.status(), 200);
    let answer: serde_json::Value = serde_json::from_str(&text(answer).await).unwrap();
    assert_eq!(answer["status"], "cleared");
    assert_eq!((&answer["seconds"], &answer["requests"]), (&3600.into(), &500.into()));
    assert_eq!(scene.post(&token, &solution).await, 409);
    assert_eq!(scene.granted(), [AccountId([1; 16])]);
}

#[tokio::test(start_paused = true)]
async fn of_answers_that_race_one_gets_through() {
    let scene = Scene::new();
    let token = scene.issue(1, 10);
    let opened = scene.challenges.open(&token).unwrap();
    let solved = solve_puzzles(&token, opened.bits, PUZZLES);
    let solved: Vec<_> = solved.iter().map(String::as_str).collect();
    let grants = AtomicUsize::new(0);
    let settle = || {
        let tried = |_: &Trial| grants.fetch_add(1, Relaxed) < usize::MAX;
        let visit = scene.visit(HOME, &tried);
        scene.challenges.settle((&token, &opened), &solved, &visit).status()
    };
    let answers: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| [(); 25].map(|()| settle()))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let count = |status| answers.iter().filter(|answer| **answer == status).count();
    assert_eq!((count(StatusCode::OK), count(StatusCode::CONFLICT)), (1, 199));
    assert_eq!(grants.into_inner(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_solution_is_of_no_use_to_another_account() {
    let scene = Scene::new();
    let (mine, theirs) = (scene.issue(1, 10), scene.issue(2, 11));
    let solution = scene.solved(&mine);
    assert_eq!(scene.post(&theirs, &solution).await, 400);
    assert_eq!(scene.post(&mine, &solution).await, 200);
    assert_eq!(scene.granted(), [AccountId([1; 16])]);
}

#[tokio::test(start_paused = true)]
async fn an_expired_challenge_is_gone() {
    let scene = Scene::new();
    let token = scene.issue(1, 10);
    let solution = scene.solved(&token);
    // Made in the desk's first second, it counts as made after it.
    tokio::time::advance(Duration::from_secs(1800)).await;
    assert_eq!(scene.send(request(Method::GET, &token, ""), HOME).await.status(), 200);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(scene.send(request(Method::GET, &token, ""), HOME).await.status(), 410);
    assert_eq!(scene.post(&token, &solution).await, 410);
}

#[tokio::test(start_paused = true)]
async fn junk_and_forgeries_all_look_alike() {
    let scene = Scene::new();
    let foreign = Challenges::new(&Keyring::new([6; 32]), scene.challenges.clock);
    let foreign = foreign.issue(&ask(1, 10), 0.0, &scene.settings).0;
    let mut answers = Vec::new();
    for token in ["", "x", "../../etc", foreign.as_str(), "%00", &"A".repeat(59)] {
        for method in [Method::GET, Method::POST] {
            let answer = scene.send(request(method, token, "{}"), HOME).await;
            answers.push((answer.status().as_u16(), text(answer).await));
        }
    }
    assert_eq!(answers[0].0, 404);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[tokio::test(start_paused = true)]
async fn a_challenge_of_an_account_long_forgotten_is_unknown() {
    let scene = Scene::new();
    let token = scene.issue(1, 10);
    scene.challenges.memory().open = Expiring::new(1);
    assert_eq!(scene.post(&token, &scene.solved(&token)).await, 404);
}

#[tokio::test(start_paused = true)]
async fn opening_the_link_changes_nothing() {
    let scene = Scene::new();
    let token = scene.issue(1, 10);
    for method in [Method::GET, Method::HEAD] {
        for _ in 0..50 {
            let answer = scene.send(request(method.clone(), &token, ""), HOME).await;
            assert_eq!(answer.status(), 200);
        }
    }
    assert_eq!(scene.post(&token, &scene.solved(&token)).await, 200);
}

#[tokio::test(start_paused = true)]
async fn the_challenge_is_told_as_json_and_as_a_page() {
    let scene = Scene::new();
    let token = scene.issue(1, 0x7f3a);
    let json = scene.send(request(Method::GET, &token, ""), HOME).await;
    assert_eq!(json.headers()[header::CONTENT_TYPE], "application/json");
    let json: serde_json::Value = serde_json::from_str(&text(json).await).unwrap();
    assert_eq!(json["token"], token.as_str());
    assert_eq!(json["submit"], format!("https://sg.test/.stillguard/c/{token}"));
    assert_eq!((&json["bits"], &json["count"]), (&4.into(), &16.into()));
    assert_eq!(json["expires_at"], 1_790_000_001 + 1800);

    let mut browser = request(Method::GET, &token, "");
    browser.headers_mut().insert(header::ACCEPT, "text/html,*/*;q=0.8".parse().unwrap());
    let page = scene.send(browser, HOME).await;
    let policy = page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
    let page = text(page).await;
    assert!(page.contains(&format!("stillguard solve https://sg.test/.stillguard/c/{token}")));
    assert!(page.contains("sg_0000000000007f3a") && !page.contains("{{"));
    assert!(page.contains("role=\"status\"") && page.contains("<progress"));
}

#[tokio::test(start_paused = true)]
async fn a_form_is_taken_as_well() {
    let scene = Scene::new();
    for (account, separator) in [(1, "%0D%0A"), (2, "+"), (3, "%2C%20")] {
        let token = scene.issue(account, account.into());
        let solved = solve_puzzles(&token, 4, PUZZLES);
        let body = format!("x=1&solution={}&y=2", solved[..15].join(separator));
        assert_eq!(scene.post(&token, &body).await, 400, "one short, by {separator}");
        let body = format!("x=1&solution={}&y=2", solved.join(separator));
        assert_eq!(scene.post(&token, &body).await, 200, "by {separator}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_answer_is_refused() {
    let scene = Scene::new();
    let token = scene.issue(1, 10);
    assert_eq!(scene.post(&token, &"x".repeat(2049)).await, 413);
    assert_eq!(scene.post(&token, &"x".repeat(2048)).await, 400);
}

#[tokio::test(start_paused = true)]
async fn an_address_guesses_ten_times_a_minute() {
    let scene = Scene::new();
    let tokens: Vec<_> = (0..11).map(|n| scene.issue(n, n.into())).collect();
    for token in &tokens[..10] {
        assert_eq!(scene.post(token, "{}").await, 400);
    }
    let refused = scene.send(request(Method::POST, &tokens[10], "{}"), HOME).await;
    assert_eq!(refused.status(), 429);
    let wait: u64 = refused.headers()[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!((1..=30).contains(&wait));
    let elsewhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 8));
    let answer = scene.send(request(Method::POST, &tokens[10], "{}"), elsewhere).await;
    assert_eq!(answer.status(), 400);
    tokio::time::advance(Duration::from_secs(wait)).await;
    assert_eq!(scene.post(&tokens[10], "{}").await, 400);
}

#[tokio::test(start_paused = true)]
async fn a_link_made_before_the_process_started_has_expired() {
    let scene = Scene::new();
    let before = scene.issue(1, 10);
    let solution = scene.solved(&before);
    let clock = Clock::starting_at(Timestamp::from_millis(1_790_000_001_000));
    let later = Scene { challenges: Challenges::new(&Keyring::new([5; 32]), clock), ..scene };
    later.issue(1, 12);
    assert_eq!(later.post(&before, &solution).await, 410);
}

#[tokio::test(start_paused = true)]
async fn an_address_looks_three_hundred_times_a_minute_whatever_it_looks_at() {
    let scene = Scene::new();
    let look = async |path: &str, address| {
        scene.send(request(Method::GET, path, ""), address).await.status().as_u16()
    };
    for n in 0..300 {
        assert_eq!(look("junk", HOME).await, 404, "{n}");
    }
    assert_eq!(look(&scene.issue(1, 10), HOME).await, 429);
    assert_eq!(look("junk", IpAddr::V4(Ipv4Addr::new(192, 0, 2, 8))).await, 404);
}

#[tokio::test(start_paused = true)]
async fn steps_of_a_challenge_say_who_took_how_long_from_where() {
    let scene = Scene::new();
    let token = scene.issue(1, 10);
    assert_eq!(scene.post(&token, "{}").await, 400);
    tokio::time::advance(Duration::from_secs(90)).await;
    assert_eq!(scene.post(&token, &scene.solved(&token)).await, 200);
    let tried = scene.tried.lock().unwrap();
    let told = |trial: &Trial| (trial.account, trial.step, trial.from, trial.clearance.is_some());
    assert_eq!(told(&tried[0]), (AccountId([1; 16]), Step::Failed, Tag(3), false));
    assert_eq!(told(&tried[1]), (AccountId([1; 16]), Step::Solved, Tag(3), true));
    assert!((89..=90).contains(&tried[1].took), "{}", tried[1].took);
}

#[tokio::test(start_paused = true)]
async fn every_clearance_makes_the_next_one_harder() {
    let scene = Scene::new();
    for cleared in 0..3 {
        let token = scene.issue(1, cleared);
        let bits = scene.challenges.open(&token).unwrap().bits;
        assert_eq!(u64::from(bits), 4 + cleared);
        assert_eq!(scene.post(&token, &scene.solved(&token)).await, 200);
    }
    assert_eq!(scene.challenges.open(&scene.issue(2, 9)).unwrap().bits, 4);
}

#[tokio::test(start_paused = true)]
async fn other_methods_are_not_allowed() {
    let scene = Scene::new();
    let token = scene.issue(1, 10);
    assert_eq!(scene.send(request(Method::DELETE, &token, ""), HOME).await.status(), 405);
}

#[test]
fn only_the_prefix_is_ours() {
    assert!(owns("/.stillguard/c/x") && owns("/.stillguard/"));
    assert!(!owns("/.stillguardian") && !owns("/v1/.stillguard/") && !owns("/"));
}
