//! The operator's own verification: what it is told, and what its word does.

use super::*;

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

fn scene() -> Scene {
    let mut scene = Scene::new();
    let webhook = r#"{"url": "https://ops.test/challenged", "clear_seconds": 7200}"#;
    let mut webhook: Webhook = serde_json::from_str(webhook).unwrap();
    webhook.secret = Some(Secret::parse(SECRET).unwrap());
    scene.settings.webhook = Some(webhook);
    scene
}

impl Scene {
    /// A callback with this id and body, signed now by `secret`.
    fn signed(&self, secret: &str, id: &str, body: &str) -> Request<Full<Bytes>> {
        let notice = Notice { id: id.into(), body: body.into() };
        let fields = notice.fields(&Secret::parse(secret).unwrap(), self.challenges.clock.now());
        let mut request = Request::post("/.stillguard/attest");
        for (name, value) in fields {
            request = request.header(name, value);
        }
        request.body(Full::new(Bytes::from(body.to_owned()))).unwrap()
    }

    async fn word(&self, id: &str, body: &str) -> u16 {
        self.send(self.signed(SECRET, id, body), HOME).await.status().as_u16()
    }
}

fn says(account: u8, result: &str) -> String {
    let account = format!("acct_{}", format!("{account:02x}").repeat(16));
    format!(r#"{{"account":"{account}","result":"{result}"}}"#)
}

#[tokio::test(start_paused = true)]
async fn a_verified_account_is_cleared_for_as_long_as_the_file_or_the_word_says() {
    let scene = scene();
    assert_eq!(scene.word("a", &says(1, "verified")).await, 200);
    let more = says(2, "verified").replace('}', r#","seconds":60,"requests":5}"#);
    assert_eq!(scene.word("b", &more).await, 200);
    let tried = scene.tried.lock().unwrap().clone();
    let now = scene.challenges.clock.now();
    let earned = |trial: &Trial| {
        let Clearance { until, requests } = trial.clearance.unwrap();
        (trial.account, trial.step, until.since(now).as_secs(), requests)
    };
    assert_eq!(earned(&tried[0]), (AccountId([1; 16]), Step::Verified, 7200, 20_000));
    assert_eq!(earned(&tried[1]), (AccountId([2; 16]), Step::Verified, 60, 5));
}

#[tokio::test(start_paused = true)]
async fn a_denied_account_cant_clear_itself_by_work_until_it_is_verified_or_time_has_passed() {
    let scene = scene();
    let (token, solution) = {
        let token = scene.issue(1, 10);
        (token.clone(), scene.solved(&token))
    };
    assert_eq!(scene.word("a", &says(1, "denied")).await, 200);
    assert_eq!(scene.tried.lock().unwrap()[0].step, Step::Denied);
    assert_eq!(scene.post(&token, &solution).await, 403);
    assert_eq!(scene.word("b", &says(1, "verified")).await, 200);
    assert_eq!(scene.post(&token, &solution).await, 200);

    assert_eq!(scene.word("c", &says(1, "denied")).await, 200);
    tokio::time::advance(Duration::from_secs(7201)).await;
    let token = scene.issue(1, 11);
    assert_eq!(scene.post(&token, &scene.solved(&token)).await, 200);
}

#[tokio::test(start_paused = true)]
async fn a_word_is_taken_once() {
    let scene = scene();
    let word = says(1, "verified");
    assert_eq!(scene.word("a", &word).await, 200);
    assert_eq!(scene.word("a", &word).await, 409);
    tokio::time::advance(Duration::from_secs(299)).await;
    assert_eq!(scene.word("a", &word).await, 409);
    assert_eq!(scene.granted().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn of_words_that_race_one_is_taken() {
    let scene = scene();
    let request = scene.signed(SECRET, "a", &says(1, "verified"));
    let (head, body) = request.into_parts();
    let now = scene.challenges.clock.now();
    let secret = Secret::parse(SECRET).unwrap();
    let body = body.collect().await.unwrap().to_bytes();
    let (id, word) = webhook::read(&secret, &head.headers, &body, now).unwrap();
    let hook = scene.settings.webhook.as_ref().unwrap();
    let hear = || {
        let visit = scene.visit(HOME, &|_| true);
        scene.challenges.hear((id, &word), hook, &visit).status()
    };
    let heard: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| [(); 25].map(|()| hear()))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(heard.iter().filter(|status| **status == StatusCode::OK).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn forged_stale_and_misshapen_words_are_refused_alike() {
    let scene = scene();
    let stale = scene.signed(SECRET, "a", &says(1, "verified"));
    tokio::time::advance(Duration::from_secs(301)).await;
    let forged = scene.signed("another secret altogether", "b", &says(1, "verified"));
    let unsigned = Request::post("/.stillguard/attest");
    let unsigned = unsigned.body(Full::new(Bytes::from(says(1, "verified")))).unwrap();
    let misshapen = scene.signed(SECRET, "c", r#"{"type":"account.challenged"}"#);
    let mut answers = Vec::new();
    for request in [stale, forged, unsigned, misshapen] {
        let answer = scene.send(request, HOME).await;
        answers.push((answer.status().as_u16(), text(answer).await));
    }
    assert_eq!(answers[0].0, 401);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert!(scene.tried.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_a_webhook_there_is_no_such_endpoint() {
    let scene = Scene::new();
    assert_eq!(scene.word("a", &says(1, "verified")).await, 404);
}

#[tokio::test(start_paused = true)]
async fn where_a_word_is_required_work_is_of_no_use() {
    let mut scene = scene();
    let token = scene.issue(1, 10);
    let solution = scene.solved(&token);
    scene.settings.webhook.as_mut().unwrap().required = true;
    let answer = scene.send(request(Method::GET, &token, ""), HOME).await;
    assert_eq!(answer.status(), 403);
    assert!(text(answer).await.contains("verifies this account itself"));
    assert_eq!(scene.post(&token, &solution).await, 403);
    assert_eq!(scene.word("a", &says(1, "verified")).await, 200);
    assert_eq!(scene.granted().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_account_is_told_of_once_while_its_link_lives() {
    let scene = scene();
    let queue = scene.challenges.notices().unwrap();
    let tell = |account| {
        let expires = scene.challenges.clock.now() + scene.settings.lifetime();
        scene.challenges.tell(&ask(account, 7), &Verdict::default(), ("/c/x", expires))
    };
    assert!((0..50).all(|_| tell(1)) && tell(2));
    assert_eq!(queue.len(), 2);
    tokio::time::advance(Duration::from_secs(1800)).await;
    assert!(tell(1));
    assert_eq!(queue.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_drops_and_says_so() {
    let scene = scene();
    let _queue = scene.challenges.notices().unwrap();
    let expires = scene.challenges.clock.now() + scene.settings.lifetime();
    let tell = |n: u32| {
        let mut ask = ask(0, n.into());
        ask.caller.account.0[..4].copy_from_slice(&n.to_be_bytes());
        scene.challenges.tell(&ask, &Verdict::default(), ("/c/x", expires))
    };
    assert_eq!((0..2000).filter(|n| tell(*n)).count(), delivery::QUEUE);
}
