//! The whole program from outside: what it writes, what it does with bad input, what a replay says.

use std::io::Write;
use std::process::{Command, Stdio};

use super::stand::{Stand, get, post};

const JSON: &str = "content-type: application/json\r\n";

fn status(answer: &[u8]) -> &str {
    std::str::from_utf8(answer.get(9..12).unwrap_or(b"???")).unwrap()
}

fn body(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
}

#[test]
fn nothing_the_process_wrote_holds_a_prompt_an_answer_or_a_key() {
    let mut stand = Stand::new("mode = \"enforce\"");
    let keys = ["sk-needle-3f9a1c77e2", "sk-needle-d04b55aa19"];
    let prompt = "quokka obsidian lighthouse meringue";
    let mut answers = Vec::new();
    for (n, key) in keys.iter().enumerate() {
        let chat = format!(
            r#"{{"model":"{prompt}","stream":{},"user":"{prompt}","messages":[{{"role":"user","content":"{prompt}"}}]}}"#,
            n == 1
        );
        let headers = format!("{JSON}authorization: Bearer {key}\r\nuser-agent: {key}\r\n");
        let answer = post(stand.address(), "/v1/chat/completions", &headers, chat.as_bytes());
        assert_eq!(status(&answer), "200", "{}", body(&answer));
        answers.push(body(&answer));
        // What is refused, and what is passed unread, is as secret as what is judged.
        let broken = format!(r#"{{"model":"{prompt}","messages":"{prompt}","messages":1}}"#);
        let answer = post(stand.address(), "/v1/chat/completions", &headers, broken.as_bytes());
        assert_eq!(status(&answer), "400");
        let two = format!("{headers}x-api-key: {}\r\n", keys[1 - n]);
        let answer = post(stand.address(), "/v1/messages", &two, chat.as_bytes());
        assert_eq!(status(&answer), "400");
        let query = format!("/echo/{}?key={key}", prompt.replace(' ', "%20"));
        post(stand.address(), &query, "", prompt.as_bytes());
    }
    let metrics = get(&stand.proxy.admin, "/metrics");
    let accounts = get(&stand.proxy.admin, "/admin/v1/accounts");
    stand.proxy.end();
    std::fs::remove_file(stand.file("stillguard.toml")).unwrap();
    let mut written = vec![metrics, accounts];
    for file in std::fs::read_dir(stand.directory.path()).unwrap() {
        written.push(std::fs::read_to_string(file.unwrap().path()).unwrap());
    }
    let written = written.join("\n");
    assert!(written.contains("\"kind\":\"ask\""), "the decision log is part of it");
    let spoken = answers[0].split("\"content\":\"").nth(1).unwrap();
    let spoken: String = spoken.chars().take(40).collect();
    let mut needles = vec![spoken];
    needles.extend(prompt.split(' ').map(str::to_owned));
    needles.extend(keys.iter().flat_map(|key| {
        let plain = blake3::hash(key.as_bytes()).to_hex().to_string();
        [(*key)[10..].to_owned(), plain[..16].to_owned()]
    }));
    for needle in needles {
        assert!(!written.contains(&needle), "`{needle}` was written");
    }
}

#[test]
fn a_crash_would_leave_no_memory_behind() {
    let stand = Stand::new("");
    let own = format!("/proc/{}", stand.proxy.child.id());
    let limits = std::fs::read_to_string(format!("{own}/limits")).unwrap();
    let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size"));
    let core: Vec<_> = core.unwrap().split_whitespace().collect();
    assert_eq!(core[..2], ["0", "0"]);
}

#[test]
fn bad_input_is_refused_in_the_callers_own_words_and_the_process_stays_up() {
    let stand = Stand::new("mode = \"enforce\"\n[guard]\nmax_body = 1048576");
    let address = stand.address();
    let auth = "authorization: Bearer sk-live-bad-input\r\n";
    let openai = format!("{JSON}{auth}");
    let anthropic = format!("{openai}anthropic-version: 2023-06-01\r\n");
    let say = |path: &str, headers: &str, bytes: &[u8]| {
        let answer = post(address, path, headers, bytes);
        let value: serde_json::Value = serde_json::from_str(&body(&answer)).unwrap();
        (status(&answer).to_owned(), value)
    };
    let (code, error) = say("/v1/chat/completions", &openai, br#"{"model":"m","messages":[{"#);
    assert_eq!((code.as_str(), &error["error"]["type"]), ("400", &"invalid_request_error".into()));
    assert!(error["error"]["message"].as_str().unwrap().contains("byte"), "{error}");
    let (code, error) = say("/v1/messages", &anthropic, br#"{"model":"m","messages":[{"#);
    assert_eq!((code.as_str(), &error["type"]), ("400", &"error".into()));
    let text = format!("content-type: text/plain\r\n{auth}");
    let (code, error) = say("/v1/chat/completions", &text, b"{}");
    assert!(matches!(code.as_str(), "400" | "415"), "{code}");
    assert!(error["error"]["message"].is_string());
    let (code, error) = say("/v1/chat/completions", &openai, &vec![b' '; 2 << 20]);
    assert_eq!(code, "413");
    assert!(error["error"]["message"].is_string());
    let unknown = br#"{"model":"no-such-model","messages":[{"role":"user","content":"x"}]}"#;
    assert_eq!(say("/v1/chat/completions", &openai, unknown).0, "404");
    let known = br#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#;
    assert_eq!(say("/v1/chat/completions", JSON, known).0, "401");
    assert_eq!(say("/v1/chat/completions", &openai, known).0, "200");
}

#[test]
fn a_body_declared_larger_than_the_bound_is_refused_before_it_is_sent() {
    use std::io::Read;
    let stand = Stand::new("");
    let mut stream = std::net::TcpStream::connect(stand.address()).unwrap();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\n\
                authorization: Bearer sk-x\r\ncontent-length: 1073741824\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[test]
fn a_body_passes_through_byte_for_byte() {
    let stand = Stand::new("");
    let auth = "authorization: Bearer sk-live-bytes\r\n";
    // The endpoint gives back what it got; the routes are inspected all the same.
    for path in ["/echo/v1/chat/completions", "/echo/v1/messages", "/echo/elsewhere"] {
        let request = br#"{ "model" : "m",  "max_tokens":9, "messages":[{"content":"h\u0069","role":"user"}], "vendor":1e2 }"#;
        let headers = format!("{JSON}{auth}");
        let through = post(stand.address(), path, &headers, request);
        assert_eq!(stand.endpoint.last().unwrap().body, &request[..]);
        assert_eq!(body(&through).as_bytes(), request);
    }
}

#[test]
fn two_replays_of_one_decision_log_say_the_same() {
    let mut stand = Stand::new("mode = \"enforce\"");
    for n in 0..60 {
        let chat = format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"Think step by step about case {n} and give your reasoning in <think> tags."}}]}}"#
        );
        let headers = format!("{JSON}authorization: Bearer sk-live-{}\r\n", n % 7);
        post(stand.address(), "/v1/chat/completions", &headers, chat.as_bytes());
    }
    stand.proxy.end();
    let replay = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stillguard"));
        command.arg("replay").arg(stand.file("decisions.jsonl"));
        let config = stand.file("stillguard.toml");
        let output = command.arg("--config").arg(config).env_clear().output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let first = replay();
    assert!(first.contains(" 60 asks, 60 ends"), "{first}");
    assert!(first.contains("60 verdicts as logged"), "live and replay agree: {first}");
    assert_eq!(first, replay());
}

#[test]
fn a_challenged_account_goes_on_after_the_command_line_has_solved_it() {
    // Everybody is challenged.
    let stand = Stand::new(
        "mode = \"enforce\"\n[policy.ladder]\nshape = -40.0\nthrottle = -39.0\nchallenge = -38.0\ndrop = 50.0",
    );
    let chat = br#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#;
    let headers = format!("{JSON}authorization: Bearer sk-live-challenged\r\n");
    let ask = || post(stand.address(), "/v1/chat/completions", &headers, chat);
    // The account is known once the endpoint has accepted it.
    let refused = (0..20).map(|_| ask()).find(|answer| status(answer) == "403");
    let error: serde_json::Value = serde_json::from_str(&body(&refused.unwrap())).unwrap();
    let message = error["error"]["message"].as_str().unwrap();
    let link = message.split(' ').find(|word| word.starts_with("http://")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_stillguard"));
    let output = command.args(["solve", link]).env_clear().output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(status(&ask()), "200");
    // What is solved is spent.
    let again = Command::new(env!("CARGO_BIN_EXE_stillguard")).args(["solve", link]).output();
    assert!(!again.unwrap().status.success());
}

/// Runs a verb of the command line at the stand's admin listener, as its operator.
fn operate(stand: &Stand, words: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stillguard"));
    command.args(words).args(["--admin", &format!("http://{}", stand.proxy.admin)]);
    command.arg("--token-file").arg(stand.file("token")).env_clear();
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said)
}

#[test]
fn an_operators_word_is_carried_out_audited_explained_and_replayed() {
    let directory = tempfile::tempdir().unwrap();
    let (token, audit) = (directory.path().join("token"), directory.path().join("audit.jsonl"));
    let secret = directory.path().join("secret");
    std::fs::write(&token, "correct-horse-battery\n").unwrap();
    std::fs::write(&secret, "0f".repeat(32)).unwrap();
    let mut stand = Stand::new(&format!(
        "secret_file = {secret:?}\nmode = \"shadow\"\n[telemetry.admin]\ntoken_file = {token:?}\n[telemetry.audit]\npath = {audit:?}"
    ));
    std::fs::copy(&token, stand.file("token")).unwrap();
    let chat = br#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#;
    let headers = format!("{JSON}authorization: Bearer sk-live-ruled\r\n");
    let ask = || post(stand.address(), "/v1/chat/completions", &headers, chat);
    assert_eq!(status(&ask()), "200");
    let account = {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stillguard"));
        command.args(["id", "--config"]).arg(stand.file("stillguard.toml"));
        command.env_clear().stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"sk-live-ruled").unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap().trim().to_owned()
    };
    let word = ["--owner", "ann", "--reason", "case 7"];
    let rule = |verb: &[&str]| operate(&stand, &[verb, &word].concat());
    let (done, said) = rule(&["block", &account, "--for", "1h"]);
    assert!(done, "{said}");
    assert_eq!(status(&ask()), "403");
    let (_, rulings) = operate(&stand, &["rulings"]);
    assert!(rulings.contains(&account) && rulings.contains("case 7"), "{rulings}");
    let (_, said) = operate(&stand, &["explain", &account]);
    assert!(said.contains("Ruled: drop") && said.contains("case 7"), "{said}");
    let (done, said) = rule(&["lift", &account]);
    assert!(done, "{said}");
    assert_eq!(status(&ask()), "200");
    let (done, said) = rule(&["lift", &account]);
    assert!(!done && said.contains("no ruling"), "{said}");
    assert!(rule(&["review", &account, "wrong"]).0);
    std::fs::write(stand.file("token"), "something-else-altogether").unwrap();
    let (done, said) = rule(&["block", &account, "--for", "1h"]);
    assert!(!done && said.contains("not the operators' token"), "{said}");
    assert_eq!(status(&ask()), "200");
    stand.proxy.end();
    let audited = std::fs::read_to_string(&audit).unwrap();
    assert_eq!(audited.lines().count(), 8, "two lines for each of four orders: {audited}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_stillguard"));
    command.arg("replay").arg(stand.file("decisions.jsonl")).env_clear();
    let output = command.arg("--config").arg(stand.file("stillguard.toml")).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("4 verdicts as logged"), "{said}");
}

#[test]
fn a_slowed_stream_ends_at_its_deadline_and_says_why() {
    let stand = Stand::new(
        r#"mode = "enforce"
[policy]
ladder = { shape = -41.0, throttle = -40.0, challenge = 50.0, drop = 51.0 }
throttle = { requests_per_minute = 60000, burst = 100, stream_tokens_per_second = 1 }
[forward.deadlines]
total_secs = 1
"#,
    );
    let headers = format!("{JSON}authorization: Bearer sk-slow\r\n");
    let chat = |stream| {
        format!(r#"{{"model":"m","stream":{stream},"messages":[{{"role":"user","content":"x"}}]}}"#)
    };
    let ask =
        |stream| post(stand.address(), "/v1/chat/completions", &headers, chat(stream).as_bytes());
    let (whole, cut) = (body(&ask(false)), body(&ask(true)));
    assert!(whole.contains("\"finish_reason\":\"stop\""), "{whole}");
    assert!(cut.contains("\"content\":") && !cut.contains("[DONE]"), "{cut}");
    assert!(cut.contains("data: {\"error\":{"), "{cut}");
}
