//! Challenges over the wire: bad answers of every kind, and the operator's own verification.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use stillguard::guard::solve_puzzles;

use super::stand::{Stand, get, post};

/// Challenges everybody: the easier, the higher a tenant's rung is.
const EVERYBODY: &str = r#"
mode = "enforce"

# A debug build on a busy machine must not fail open.
[guard]
scoring_deadline_ms = 5000

[[identity.tenants]]
name = "worse"
path_prefix = "/worse"

[[tenants]]
name = "worse"
ladder = { shape = -12.5, throttle = -12.4, challenge = -12.3, drop = 50.0 }

[policy.ladder]
shape = -9.5
throttle = -9.4
challenge = -9.3
drop = 50.0

# What all accounts share that the endpoint has not accepted yet.
[policy.throttle]
requests_per_minute = 600000
burst = 10000

[guard.challenge]
bits = 1
most_bits = 22
"#;

fn stand(more: &str) -> Stand {
    Stand::new(&format!("{EVERYBODY}{more}"))
}

fn parsed(answer: &[u8]) -> (u16, Value) {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or_default();
    (status, serde_json::from_str(body).unwrap_or_default())
}

fn ask(stand: &Stand, path: &str, key: &str) -> (u16, Value) {
    let chat = br#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#;
    let headers = format!("content-type: application/json\r\nauthorization: Bearer {key}\r\n");
    parsed(&post(stand.address(), &format!("{path}/v1/chat/completions"), &headers, chat))
}

/// The path of the link that the account of `key` is refused with: it is known once the endpoint has
/// accepted it.
fn link(stand: &Stand, path: &str, key: &str) -> String {
    let refused = (0..20).map(|_| ask(stand, path, key)).find(|(status, _)| *status == 403);
    let message = refused.unwrap().1["error"]["message"].as_str().unwrap().to_owned();
    let link = message.split(' ').find(|word| word.starts_with("http://")).unwrap();
    link.strip_prefix(&format!("http://{}", stand.address())).unwrap().to_owned()
}

fn challenge(stand: &Stand, link: &str) -> (u16, Value) {
    parsed(get(&stand.address().to_string(), link).as_bytes())
}

fn solution(stand: &Stand, link: &str) -> String {
    let (status, told) = challenge(stand, link);
    assert_eq!(status, 200);
    let number = |name: &str| u8::try_from(told[name].as_u64().unwrap()).unwrap();
    let solved = solve_puzzles(told["token"].as_str().unwrap(), number("bits"), number("count"));
    json!({ "solution": solved }).to_string()
}

fn answer(address: SocketAddr, link: &str, body: &str) -> u16 {
    parsed(&post(address, link, "content-type: application/json\r\n", body.as_bytes())).0
}

fn pause(time: Duration) {
    // Nobody tells: this is a pause that needs no sleeping call.
    let (_tell, told) = channel::<()>();
    let _ = told.recv_timeout(time);
}

#[test]
fn a_solution_is_of_use_once_and_to_one_account() {
    let stand = stand("");
    let (mine, theirs) = (link(&stand, "", "sk-live-mine"), link(&stand, "", "sk-live-theirs"));
    let solved = solution(&stand, &mine);
    assert_eq!(answer(stand.address(), &theirs, &solved), 400, "transferred");
    assert_eq!(answer(stand.address(), &mine, &solved), 200);
    assert_eq!(answer(stand.address(), &mine, &solved), 409, "replayed");
    assert_eq!(ask(&stand, "", "sk-live-mine").0, 200);
    assert_eq!(ask(&stand, "", "sk-live-theirs").0, 403, "a clearance is of one account");
    // The same key at another tenant is another account.
    link(&stand, "/worse", "sk-live-mine");
    assert_eq!(ask(&stand, "/worse", "sk-live-mine").0, 403);
}

#[test]
fn forged_links_and_forged_solutions_are_refused() {
    let stand = stand("");
    let link = link(&stand, "", "sk-live-forger");
    let solved = solution(&stand, &link);
    for at in [21, 24, 40, link.len() - 1] {
        let mut forged = link.clone().into_bytes();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        assert_eq!(challenge(&stand, &forged).0, 404, "{forged}");
        assert_eq!(answer(stand.address(), &forged, &solved), 404, "{forged}");
    }
    let nothing = json!({ "solution": vec!["0123456789abcdef"; 16] }).to_string();
    assert_eq!(answer(stand.address(), &link, &nothing), 400);
    assert_eq!(answer(stand.address(), &link, "{}"), 400);
    assert_eq!(ask(&stand, "", "sk-live-forger").0, 403);
    assert_eq!(answer(stand.address(), &link, &solved), 200);
}

#[test]
fn an_expired_link_is_gone() {
    let stand = stand("lifetime_seconds = 4\n");
    let link = link(&stand, "", "sk-live-late");
    let solved = solution(&stand, &link);
    pause(Duration::from_millis(5100));
    assert_eq!(challenge(&stand, &link).0, 410);
    assert_eq!(answer(stand.address(), &link, &solved), 410);
    assert_eq!(ask(&stand, "", "sk-live-late").0, 403);
}

#[test]
fn of_a_thousand_solutions_at_once_one_is_taken() {
    let stand = stand("answers_per_minute = 10000\n");
    let link = link(&stand, "", "sk-live-racer");
    let (address, solved) = (stand.address(), solution(&stand, &link));
    let mut counts = BTreeMap::new();
    std::thread::scope(|scope| {
        let race = || [(); 50].map(|()| answer(address, &link, &solved));
        let racers: Vec<_> = (0..20).map(|_| scope.spawn(race)).collect();
        for status in racers.into_iter().flat_map(|racer| racer.join().unwrap()) {
            *counts.entry(status).or_insert(0) += 1;
        }
    });
    assert_eq!(counts, BTreeMap::from([(200, 1), (409, 999)]));
}

#[test]
fn an_address_looks_and_guesses_at_a_pace() {
    let stand = stand("answers_per_minute = 3\n");
    let link = link(&stand, "", "sk-live-hasty");
    let guesses: Vec<_> = (0..4).map(|_| answer(stand.address(), &link, "{}")).collect();
    assert_eq!(guesses, [400, 400, 400, 429]);
    // Whatever is looked at: a hundred a minute here.
    let (address, junk) = (stand.address().to_string(), "/.stillguard/c/junk");
    let first = (0..200).map(|_| get(&address, junk)).find(|said| said.contains(" 429 "));
    assert!(first.unwrap().contains("retry-after: "), "told how long to wait");
}

#[test]
fn a_higher_score_makes_a_harder_challenge() {
    let stand = stand("");
    let bits = |path| {
        let told = challenge(&stand, &link(&stand, path, "sk-live-high")).1;
        told["bits"].as_u64().unwrap()
    };
    let (mild, worse) = (bits(""), bits("/worse"));
    assert_eq!(worse, mild + 3, "three nats further above the rung");
}

#[test]
fn a_replay_sees_challenges_and_clearances_as_they_were() {
    let mut stand = stand("");
    for key in ["sk-live-a", "sk-live-b", "sk-live-c"] {
        let link = link(&stand, "", key);
        assert_eq!(answer(stand.address(), &link, "{}"), 400);
        if key != "sk-live-b" {
            assert_eq!(answer(stand.address(), &link, &solution(&stand, &link)), 200);
            assert_eq!(ask(&stand, "", key).0, 200);
        }
        assert_eq!(ask(&stand, "", key).0, if key == "sk-live-b" { 403 } else { 200 });
    }
    stand.proxy.end();
    let log = std::fs::read_to_string(stand.file("decisions.jsonl")).unwrap();
    let steps = |step: &str| log.matches(&format!(r#""step":"{step}""#)).count();
    assert_eq!((steps("solved"), steps("failed")), (2, 3), "{log}");
    let asks = log.matches(r#""kind":"ask""#).count();
    let mut command = Command::new(env!("CARGO_BIN_EXE_stillguard"));
    command.arg("replay").arg(stand.file("decisions.jsonl"));
    let output = command.arg("--config").arg(stand.file("stillguard.toml")).env_clear().output();
    let said = String::from_utf8(output.unwrap().stdout).unwrap();
    assert!(said.contains(&format!("{asks} verdicts as logged")), "{said}");
}

const SECRET: &str = "whsec_c3RpbGxndWFyZCB0ZXN0cyBzaWduIHdpdGggdGhpcw==";

/// What the operator's system was sent: path, fields and body.
struct Told {
    path: String,
    fields: BTreeMap<String, String>,
    body: String,
}

/// The operator's system: answers with each status in turn, then with the last.
fn operator(statuses: &'static [u16]) -> (SocketAddr, Receiver<Told>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, (tell, told)) = (listener.local_addr().unwrap(), channel());
    std::thread::spawn(move || {
        for (n, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let message = read(&mut BufReader::new(&stream));
            let status = statuses[n.min(statuses.len() - 1)];
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            if tell.send(message).is_err() {
                break;
            }
        }
    });
    (address, told)
}

fn read(stream: &mut BufReader<&TcpStream>) -> Told {
    let mut lines = stream.by_ref().lines().map(|line| line.unwrap());
    let path = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
    let lines = lines.take_while(|line| !line.is_empty());
    let pair =
        |line: String| line.split_once(": ").map(|(name, value)| (name.into(), value.into()));
    let fields: BTreeMap<String, String> = lines.filter_map(pair).collect();
    let mut body = vec![0; fields["content-length"].parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    Told { path, fields, body: String::from_utf8(body).unwrap() }
}

/// As any library for Standard Webhooks signs.
fn signature(id: &str, seconds: &str, body: &str) -> String {
    let key = STANDARD.decode(SECRET.strip_prefix("whsec_").unwrap()).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let tag = hmac::sign(&key, format!("{id}.{seconds}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(tag))
}

fn with_operator(statuses: &'static [u16]) -> (Stand, Receiver<Told>) {
    let (operator, told) = operator(statuses);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, SECRET).unwrap();
    let webhook = format!(
        "[guard.challenge.webhook]\nurl = \"http://{operator}/challenged?from=test\"\n\
         secret_file = {file:?}\n"
    );
    // The file is read while the proxy starts.
    (stand(&webhook), told)
}

fn report(stand: &Stand, id: &str, seconds: u64, body: &str) -> u16 {
    let signed = signature(id, &seconds.to_string(), body);
    let headers = format!(
        "content-type: application/json\r\nwebhook-id: {id}\r\nwebhook-timestamp: {seconds}\r\n\
         webhook-signature: {signed}\r\n"
    );
    parsed(&post(stand.address(), "/.stillguard/attest", &headers, body.as_bytes())).0
}

#[test]
fn the_operators_system_is_told_and_its_word_clears_the_account() {
    let (stand, told) = with_operator(&[503, 204]);
    link(&stand, "", "sk-live-stepped-up");
    let wait = Duration::from_secs(60);
    let (failed, told) = (told.recv_timeout(wait).unwrap(), told.recv_timeout(wait).unwrap());
    assert_eq!(failed.fields["webhook-id"], told.fields["webhook-id"], "tried again");
    assert_eq!(told.path, "/challenged?from=test");
    let field = |name: &str| told.fields[name].as_str();
    let (id, seconds) = (field("webhook-id"), field("webhook-timestamp"));
    assert_eq!(field("webhook-signature"), signature(id, seconds, &told.body));
    let notice: Value = serde_json::from_str(&told.body).unwrap();
    // Nothing in it is the caller's: it sent a host, but the file names none.
    assert!(notice["data"]["link"].as_str().unwrap().starts_with("/.stillguard/c/"), "{notice}");
    assert!(!told.body.contains("hello") && !told.body.contains("sk-live"), "{}", told.body);
    stand.proxy.await_admin("/metrics", "stillguard_webhooks_total{outcome=\"delivered\"} 1");

    let (account, now) = (notice["data"]["account"].clone(), notice["timestamp"].as_u64().unwrap());
    let word = |result: &str| json!({ "account": account, "result": result }).to_string();
    assert_eq!(report(&stand, "evt_1", now - 400, &word("verified")), 401, "stale");
    let mut bent = word("verified");
    bent.push(' ');
    let headers = format!(
        "webhook-id: evt_2\r\nwebhook-timestamp: {now}\r\nwebhook-signature: {}\r\n",
        signature("evt_2", &now.to_string(), &word("verified"))
    );
    let forged = post(stand.address(), "/.stillguard/attest", &headers, bent.as_bytes());
    assert_eq!(parsed(&forged).0, 401, "forged");
    assert_eq!(ask(&stand, "", "sk-live-stepped-up").0, 403);
    assert_eq!(report(&stand, "evt_3", now, &word("verified")), 200);
    assert_eq!(ask(&stand, "", "sk-live-stepped-up").0, 200);
    assert_eq!(report(&stand, "evt_3", now, &word("verified")), 409, "replayed");
    let stranger = json!({ "account": format!("acct_{:032x}", 5), "result": "verified" });
    assert_eq!(report(&stand, "evt_4", now, &stranger.to_string()), 404);
    assert_eq!(report(&stand, "evt_5", now, &word("denied")), 200);
    let link = link(&stand, "", "sk-live-stepped-up");
    assert_eq!(answer(stand.address(), &link, &solution(&stand, &link)), 403, "denied");
}
