use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::engine::{Line, Verdict};
use crate::policy::Action;
use crate::telemetry::fakes;

struct Served {
    address: SocketAddr,
    state: Arc<AdminState>,
    token: CancellationToken,
}

async fn served() -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let state = AdminState::new(Arc::default(), vec!["ours.example".into()]);
    let (state, token) = (Arc::new(state), CancellationToken::new());
    tokio::spawn(serve(listener, Arc::clone(&state), token.clone()));
    Served { address, state, token }
}

impl Served {
    /// Sends bytes as they are and reads until the connection ends.
    async fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    async fn get(&self, path: &str) -> String {
        self.raw(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")).await
    }

    async fn with(&self, headers: &str) -> String {
        self.raw(&format!("GET /healthz HTTP/1.1\r\n{headers}\r\n")).await
    }
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap()
}

#[tokio::test]
async fn readiness_follows_the_process_and_draining_is_final() {
    let served = served().await;
    assert_eq!(status(&served.get("/readyz").await), "503");
    served.state.serving();
    assert_eq!(status(&served.get("/readyz").await), "200");
    served.state.draining();
    served.state.serving();
    let answer = served.get("/readyz").await;
    assert_eq!(status(&answer), "503");
    assert!(answer.ends_with("draining\n"), "{answer}");
    assert_eq!(status(&served.get("/healthz").await), "200");
}

#[tokio::test]
async fn a_host_that_is_not_ours_is_refused() {
    let served = served().await;
    for host in ["localhost:1", "127.0.0.1", "[::1]:9464", "ours.example:80"] {
        assert_eq!(status(&served.with(&format!("host: {host}\r\n")).await), "200", "{host}");
    }
    for head in [
        "host: evil.example\r\n",
        "host: localhost.evil.example\r\n",
        "host: localhost\r\nhost: evil.example\r\n",
        "accept: text/plain\r\n",
    ] {
        assert_eq!(status(&served.with(head).await), "403", "{head}");
    }
    let absolute = "GET http://evil.example/metrics HTTP/1.1\r\nhost: localhost\r\n\r\n";
    assert_eq!(status(&served.raw(absolute).await), "400");
}

#[tokio::test]
async fn another_origin_is_refused_and_our_own_is_not() {
    let served = served().await;
    let with = |head: &str| format!("host: localhost:9464\r\n{head}\r\n");
    for ours in ["origin: http://localhost:9464", "sec-fetch-site: none"] {
        assert_eq!(status(&served.with(&with(ours)).await), "200", "{ours}");
    }
    for other in [
        "origin: http://localhost:3000",
        "origin: https://evil.example",
        "origin: null",
        "sec-fetch-site: cross-site",
    ] {
        assert_eq!(status(&served.with(&with(other)).await), "403", "{other}");
    }
}

#[tokio::test]
async fn only_reads_without_a_body_are_served() {
    let served = served().await;
    let post = "POST /metrics HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n";
    let answer = served.raw(post).await;
    assert_eq!(status(&answer), "405");
    assert!(answer.contains("allow: GET,HEAD"), "{answer}");
    let body = "GET /metrics HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\nhello";
    assert_eq!(status(&served.raw(body).await), "413");
}

#[tokio::test]
async fn a_decision_is_explained_by_its_id_in_json_or_words() {
    let served = served().await;
    let (ask, verdict) = (fakes::ask(0xa1), Verdict { action: Action::Drop, ..Verdict::default() });
    served.state.telemetry.decisions.asked(&ask, &verdict);
    let answer = served.get(&format!("/admin/v1/decisions/{}", ask.id)).await;
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(serde_json::from_str::<Line>(body).unwrap(), Line::ask(&ask, &verdict));
    let words = served.get(&format!("/admin/v1/decisions/{}?format=text", ask.id)).await;
    assert!(words.ends_with(&format!("{}\n", verdict.in_words())), "{words}");
    assert_eq!(status(&served.get("/admin/v1/decisions/sg_00000000000000ff").await), "404");
    assert_eq!(status(&served.get("/admin/v1/decisions/%0d%0a").await), "400");
}

#[tokio::test]
async fn metrics_and_the_count_of_accounts_are_there() {
    let served = served().await;
    served.state.telemetry.metrics.accounts(12);
    let metrics = served.get("/metrics").await;
    assert!(metrics.contains("content-type: application/openmetrics-text"), "{metrics}");
    assert!(metrics.contains("x-content-type-options: nosniff"), "{metrics}");
    assert!(metrics.contains("stillguard_accounts 12"), "{metrics}");
    assert!(served.get("/admin/v1/accounts").await.ends_with("{\"accounts\":12}"));
    assert!(served.get("/").await.contains("/metrics"));
}

#[tokio::test]
async fn cancelling_ends_the_listener_and_what_it_holds() {
    let served = served().await;
    let mut waiting = TcpStream::connect(served.address).await.unwrap();
    served.get("/healthz").await;
    served.token.cancel();
    let _ = waiting.read(&mut [0]).await;
    while TcpStream::connect(served.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_is_closed() {
    let served = served().await;
    let mut silent = TcpStream::connect(served.address).await.unwrap();
    let mut answer = Vec::new();
    silent.read_to_end(&mut answer).await.unwrap();
    assert!(!String::from_utf8_lossy(&answer).contains("200"));
}

#[test]
fn it_runs_on_a_thread_of_its_own_until_told_to_stop() {
    use std::io::{Read, Write};

    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let state = Arc::new(AdminState::new(Arc::default(), Vec::new()));
    let token = CancellationToken::new();
    let thread = spawn(listener, state, token.clone()).unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("alive\n"), "{answer}");
    token.cancel();
    thread.join().unwrap().unwrap();
}

const TOKEN: &str = "correct-horse-battery";

/// With a desk and the operators' token.
async fn served_with_desk(audit: Option<std::path::PathBuf>) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let engine = Arc::new(crate::engine::Engine::new(Default::default(), Default::default()));
    let token = Token::new(&zeroize::Zeroizing::new(TOKEN.to_owned())).unwrap();
    let desk = Desk {
        engine,
        clock: crate::time::Clock::start(),
        token: Some(token),
        audit: crate::telemetry::AuditLog::new(audit),
        keyring: crate::identity::Keyring::new([7; 32]),
        keep: Box::new(|| false),
    };
    let state = Arc::new(AdminState::new(Arc::default(), Vec::new()).with_desk(desk));
    let token = CancellationToken::new();
    tokio::spawn(serve(listener, Arc::clone(&state), token.clone()));
    Served { address, state, token }
}

const BLOCK: &str = r#"{"verb":{"rule":{"account":"acct_00000000000000000000000000000007","action":"drop","lasts_seconds":60}},"owner":"ann","reason":"case 7"}"#;

impl Served {
    async fn post(&self, headers: &str, body: &str) -> String {
        self.post_to("orders", headers, body).await
    }

    async fn post_to(&self, page: &str, headers: &str, body: &str) -> String {
        let length = body.len();
        self.raw(&format!(
            "POST /admin/v1/{page} HTTP/1.1\r\nhost: localhost\r\n{headers}content-length: {length}\r\n\r\n{body}"
        ))
        .await
    }

    fn provision(&self) -> Option<crate::identity::Provision> {
        let account = "acct_00000000000000000000000000000007".parse().unwrap();
        self.state.desk.as_ref().unwrap().engine.provision(account)
    }

    fn rulings(&self) -> usize {
        self.state.desk.as_ref().unwrap().engine.rulings().len()
    }
}

fn json_as(token: &str) -> String {
    format!("content-type: application/json\r\nauthorization: Bearer {token}\r\n")
}

#[tokio::test]
async fn an_order_needs_the_token_its_type_and_our_own_origin() {
    let served = served_with_desk(None).await;
    let right = json_as(TOKEN);
    for (headers, code) in [
        ("content-type: application/json\r\n".to_owned(), "401"),
        (json_as("correct-horse-batterz"), "403"),
        (format!("authorization: Bearer {TOKEN}\r\n"), "415"),
        (format!("{right}authorization: Bearer {TOKEN}\r\n"), "401"),
        (format!("{right}origin: https://evil.example\r\n"), "403"),
    ] {
        assert_eq!(status(&served.post(&headers, BLOCK).await), code, "{headers}");
    }
    assert_eq!(served.rulings(), 0);
    assert_eq!(status(&served.post(&right, BLOCK).await), "200");
    assert_eq!(served.rulings(), 1);
}

#[tokio::test]
async fn a_bad_order_says_what_is_wrong_and_does_nothing() {
    let served = served_with_desk(None).await;
    let endless = BLOCK.replace(":60", ":0");
    let flood = format!("{BLOCK}{}", " ".repeat(17 << 10));
    let unruled = r#"{"verb":{"lift":{"account":"acct_00000000000000000000000000000007"}},"owner":"a","reason":"r"}"#;
    for (body, code) in [("{}", "400"), (&*endless, "400"), (&*flood, "413"), (unruled, "404")] {
        let answer = served.post(&json_as(TOKEN), body).await;
        assert_eq!(status(&answer), code, "{answer}");
    }
    assert_eq!(served.rulings(), 0);
}

#[tokio::test]
async fn without_a_token_no_order_is_taken_and_reading_stays_open() {
    let bare = served().await;
    assert_eq!(status(&bare.post(&json_as(TOKEN), BLOCK).await), "403");
    let unknown = bare.get("/admin/v1/accounts/acct_00000000000000000000000000000007").await;
    assert_eq!(status(&unknown), "404");
}

#[tokio::test]
async fn what_names_an_account_is_for_the_tokens_bearers_and_health_is_for_all() {
    let served = served_with_desk(None).await;
    let account = "/admin/v1/accounts/acct_00000000000000000000000000000007";
    for path in [account, "/admin/v1/rulings", "/admin/v1/decisions/sg_00000000000000ff"] {
        assert_eq!(status(&served.get(path).await), "401", "{path}");
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n\r\n"
        );
        assert_ne!(status(&served.raw(&request).await), "401", "{path}");
    }
    for path in ["/healthz", "/metrics", "/admin/v1/accounts"] {
        assert_eq!(status(&served.get(path).await), "200", "{path}");
    }
}

#[tokio::test]
async fn an_order_that_can_not_be_audited_is_not_carried_out() {
    let served = served_with_desk(Some("/nowhere/at/all/audit.jsonl".into())).await;
    let answer = served.post(&json_as(TOKEN), BLOCK).await;
    assert_eq!(status(&answer), "503", "{answer}");
    assert_eq!(served.rulings(), 0);
}

#[tokio::test]
async fn campaigns_are_shown_to_the_tokens_bearers_and_wrong_ids_are_told_from_unknown_ones() {
    let served = served_with_desk(None).await;
    let get = async |path: &str, headers: &str| {
        let path = format!("/admin/v1/campaigns{path}");
        served.raw(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n")).await
    };
    let right = format!("authorization: Bearer {TOKEN}\r\n");
    assert_eq!(status(&get("", "").await), "401");
    assert_eq!(status(&get("/cmp_00000000000a", "").await), "401");
    assert!(get("", &right).await.ends_with("\r\n\r\n[]"));
    assert_eq!(status(&get("/cmp_00000000000a", &right).await), "404");
    for wrong in ["/cmp_a", "/sg_00000000000a", "/cmp_00000000000g", "/cmp_+0000000000a"] {
        assert_eq!(status(&get(wrong, &right).await), "400", "{wrong}");
    }
}

#[tokio::test]
async fn attributes_are_taken_as_an_order_and_audited_as_keyed_hashes() {
    let directory = tempfile::tempdir().unwrap();
    let audit = directory.path().join("audit.jsonl");
    let served = served_with_desk(Some(audit.clone())).await;
    let telling = |attributes: &str| {
        format!(
            r#"{{"account":"acct_00000000000000000000000000000007","attributes":{attributes},"owner":"ann","reason":"ticket 4"}}"#
        )
    };
    let told =
        telling(r#"{"paid_invoices":3,"payment_hash":"visa-4411","organisation":"Harbour"}"#);
    let post = async |headers: &str, body: &str| served.post_to("attributes", headers, body).await;
    assert_eq!(status(&post("content-type: application/json\r\n", &told).await), "401");
    for wrong in [r#"{"paid":3}"#, r#"{"account":"acct_1"}"#, r#"{"verified":"yes"}"#, "3"] {
        let answer = post(&json_as(TOKEN), &telling(wrong)).await;
        assert_eq!(status(&answer), "400", "{answer}");
    }
    assert_eq!(served.provision(), None);
    assert_eq!(status(&post(&json_as(TOKEN), &told).await), "200");
    let provision = served.provision().unwrap();
    assert_eq!(provision.attributes.paid_invoices, Some(3));
    assert!(provision.org.is_some() && provision.attributes.payment.is_some());
    let written = std::fs::read_to_string(&audit).unwrap();
    assert!(written.contains("ticket 4") && !written.contains("4411"), "{written}");
    assert!(!written.contains("Harbour"), "{written}");
    assert_eq!(status(&post(&json_as(TOKEN), &telling("{}")).await), "200");
    assert_eq!(served.provision(), None, "taken back");
}
