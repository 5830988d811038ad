//! Memory that outlives the program, from outside: stopped, killed, and on disks that fail.

mod kill;
mod operators;

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use stillguard::guard::solve_puzzles;
use stillguard::lab::endpoint::{self, Endpoint};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use self::operators::{BEARER, admit_operators, see};
use super::stand::{Proxy, get};

/// Every account is held at a challenge once it is known; strangers pass, so a pass tells who is one.
/// However busy the machine, no judgement is given up for its time.
const EVERYBODY_CHALLENGED: &str = r#"mode = "enforce"
[policy.ladder]
shape = -40.0
throttle = -39.0
challenge = -38.0
drop = 50.0
[policy.throttle]
requests_per_minute = 600000
burst = 600000
[guard]
scoring_deadline_ms = 60000
[guard.challenge]
bits = 1
most_bits = 1
answers_per_minute = 600000
[store]
commit_ms = 20
evidence_seconds = 1
"#;

/// An endpoint, and a proxy that is started again and again in front of it.
struct Stage {
    endpoint: Endpoint,
    directory: TempDir,
    runtime: Runtime,
}

impl Stage {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let endpoint = runtime.block_on(Endpoint::start(endpoint::Settings::default())).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let stage = Self { endpoint, directory, runtime };
        let upstream = format!("upstream = \"http://{}\"\n", stage.endpoint.addr);
        std::fs::write(stage.config(), upstream + EVERYBODY_CHALLENGED).unwrap();
        std::fs::create_dir(stage.store()).unwrap();
        stage
    }

    fn config(&self) -> PathBuf {
        self.directory.path().join("stillguard.toml")
    }

    fn store(&self) -> PathBuf {
        self.directory.path().join("memory")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    fn start(&self) -> Proxy {
        self.start_by(Command::new(env!("CARGO_BIN_EXE_stillguard")))
    }

    fn start_by(&self, command: Command) -> Proxy {
        let log = File::options().create(true).append(true).open(self.directory.path().join("log"));
        Proxy::spawn(command, &self.config(), &self.store(), (log.unwrap().into(), "info"))
    }

    /// The program in a mount namespace of its own, once `before` was done in it.
    fn start_after(&self, before: &str) -> Proxy {
        let mut command = Command::new("unshare");
        let program = env!("CARGO_BIN_EXE_stillguard");
        let script = format!("{before} && exec {program} \"$@\"");
        command.args(["-rm", "/bin/sh", "-c", &script, "sh"]);
        self.start_by(command)
    }

    fn wait(&self, millis: u64) {
        self.runtime.block_on(async { tokio::time::sleep(Duration::from_millis(millis)).await });
    }
}

/// Status and body. None where the proxy is gone.
fn exchange(address: &str, path: &str, head: &str, body: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/json\r\n{head}content-length: {length}\r\n\r\n{body}"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.get(9..12)?.parse().ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    Some((status, body.to_owned()))
}

fn ask(address: &str, key: &str) -> Option<(u16, String)> {
    let head = format!("authorization: Bearer {key}\r\n");
    let chat = r#"{"model":"m","max_tokens":4,"messages":[{"role":"user","content":"hello"}]}"#;
    exchange(address, "/v1/chat/completions", &head, chat)
}

/// The path of the challenge that a refusal names, and its token.
fn challenge(refusal: &str) -> (String, String) {
    let error: serde_json::Value = serde_json::from_str(refusal).unwrap();
    let message = error["error"]["message"].as_str().unwrap();
    let link = message.split(' ').find(|word| word.starts_with("http://")).unwrap();
    let path = link.splitn(4, '/').nth(3).unwrap();
    (format!("/{path}"), path.rsplit('/').next().unwrap().to_owned())
}

fn solve(address: &str, (path, token): &(String, String)) -> Option<u16> {
    let solution = solve_puzzles(token, 1, 16);
    let body = serde_json::json!({ "solution": solution }).to_string();
    exchange(address, path, "", &body).map(|(status, _)| status)
}

#[test]
fn a_stop_writes_everything_and_accounts_keep_their_ids() {
    let stage = Stage::new();
    let mut proxy = stage.start();
    assert_eq!(ask(&proxy.listen, "sk-once").unwrap().0, 200);
    proxy.end();
    let mut proxy = stage.start();
    assert_eq!(ask(&proxy.listen, "sk-once").unwrap().0, 403, "{}", stage.log());
    proxy.await_admin("/metrics", "stillguard_store_keeping 1\n");
    let metrics = get(&proxy.admin, "/metrics");
    for metric in
        ["store_waiting", "store_commit_age_seconds", "store_bytes", "store_failures_total"]
    {
        assert!(metrics.contains(&format!("\nstillguard_{metric} ")), "no {metric}: {metrics}");
    }
    proxy.end();
}

#[test]
fn an_order_that_was_answered_outlives_a_kill_at_once() {
    let stage = Stage::new();
    admit_operators(&stage);
    let account = format!("acct_{:032x}", 7);
    let mut proxy = stage.start();
    let order = format!(
        r#"{{"verb":{{"rule":{{"account":"{account}","action":"drop","lasts_seconds":600}}}},"owner":"ann","reason":"case 7"}}"#
    );
    let (status, answer) = exchange(&proxy.admin, "/admin/v1/orders", BEARER, &order).unwrap();
    proxy.child.kill().unwrap();
    proxy.child.wait().unwrap();
    assert!(status == 200 && answer.contains("\"lasting\":true"), "{status} {answer}");
    let proxy = stage.start();
    let rulings = see(&proxy.admin, "/admin/v1/rulings");
    assert_eq!(rulings["rulings"][0]["account"], *account, "{rulings}");
}

#[test]
fn a_second_program_in_the_same_place_runs_without_memory() {
    let stage = Stage::new();
    let first = stage.start();
    let second = stage.start();
    assert_eq!(ask(&second.listen, "sk-once").unwrap().0, 200);
    second.await_admin("/metrics", "stillguard_store_keeping 0\n");
    first.await_admin("/metrics", "stillguard_store_keeping 1\n");
    assert!(stage.log().contains("another process keeps its memory"), "{}", stage.log());
}

#[test]
fn another_secret_sets_memory_aside_and_caps_verdicts_for_a_while() {
    let stage = Stage::new();
    let mut proxy = stage.start();
    assert_eq!(ask(&proxy.listen, "sk-once").unwrap().0, 200);
    proxy.end();
    std::fs::write(stage.store().join("secret"), "ab".repeat(32)).unwrap();
    let mut proxy = stage.start();
    proxy.await_admin("/metrics", "stillguard_store_learning 1\n");
    assert!(!get(&proxy.admin, "/metrics").contains("stillguard_store_lost 0\n"));
    let statuses = [(); 3].map(|()| ask(&proxy.listen, "sk-once").unwrap().0);
    assert_eq!(statuses, [200; 3], "throttled at worst, and the pace is generous");
    assert!(stage.log().contains("under another secret"), "{}", stage.log());
    proxy.end();
}

#[test]
fn nothing_that_is_kept_holds_a_prompt_an_answer_or_a_key() {
    let stage = Stage::new();
    let mut proxy = stage.start();
    let (key, prompt) = ("sk-needle-51c07be1", "quokka obsidian lighthouse meringue");
    let head = format!("authorization: Bearer {key}\r\n");
    let chat = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{prompt}"}}]}}"#);
    let answers = [(); 3].map(|()| exchange(&proxy.listen, "/v1/chat/completions", &head, &chat));
    let answer = answers[0].clone().unwrap().1;
    let spoken = &answer.split("\"content\":\"").nth(1).unwrap()[..20];
    proxy.end();
    let mut bytes = 0;
    for file in std::fs::read_dir(stage.store()).unwrap() {
        let kept = std::fs::read(file.unwrap().path()).unwrap();
        bytes += kept.len();
        for needle in prompt.split(' ').chain([&key[10..], spoken]) {
            let found = kept.windows(needle.len()).any(|window| window == needle.as_bytes());
            assert!(!found, "`{needle}` is kept");
        }
    }
    assert!(bytes > 500, "something is");
}

/// Whether a process may have mounts of its own here.
fn may_mount() -> bool {
    let mut command = Command::new("unshare");
    command.args(["-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]);
    let may = command.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !may {
        eprintln!("skipped: no user namespaces here");
    }
    may
}

fn secret_of_its_own(stage: &Stage) {
    let file = stage.directory.path().join("secret");
    std::fs::write(&file, "cd".repeat(32)).unwrap();
    let config = std::fs::read_to_string(stage.config()).unwrap();
    std::fs::write(stage.config(), format!("secret_file = {file:?}\n{config}")).unwrap();
}

#[test]
fn on_a_full_disk_traffic_flows_and_memory_is_written_once_there_is_room() {
    if !may_mount() {
        return;
    }
    let stage = Stage::new();
    secret_of_its_own(&stage);
    let store = stage.store();
    let store = store.display();
    let mut proxy = stage.start_after(&format!(
        "mount -t tmpfs -o size=1m tmpfs {store} && {{ cat /dev/zero > {store}/filler 2>/dev/null; true; }}"
    ));
    assert_eq!(ask(&proxy.listen, "sk-full").unwrap().0, 200);
    assert_eq!(ask(&proxy.listen, "sk-full").unwrap().0, 403);
    proxy.await_admin("/metrics", "stillguard_store_keeping 0\n");
    assert!(!get(&proxy.admin, "/metrics").contains("stillguard_store_failures_total 0"));
    let inside = |name: &str| {
        let root = format!("/proc/{}/root", proxy.child.id());
        Path::new(&root).join(stage.store().strip_prefix("/").unwrap()).join(name)
    };
    std::fs::remove_file(inside("filler")).unwrap();
    proxy.await_admin("/metrics", "stillguard_store_keeping 1\n");
    let written = |end: &str| {
        let files = std::fs::read_dir(inside("")).unwrap().flatten();
        let mut files = files.filter(|file| file.file_name().to_string_lossy().ends_with(end));
        files.any(|file| file.metadata().is_ok_and(|data| data.len() > 200))
    };
    assert!(written("journal"), "{}", stage.log());
    proxy.end();
}

#[test]
fn a_read_only_disk_is_read() {
    if !may_mount() {
        return;
    }
    let stage = Stage::new();
    let mut proxy = stage.start();
    assert_eq!(ask(&proxy.listen, "sk-before").unwrap().0, 200);
    proxy.end();
    let store = stage.store();
    let store = store.display();
    let mut proxy = stage
        .start_after(&format!("mount --bind {store} {store} && mount -o remount,bind,ro {store}"));
    assert_eq!(ask(&proxy.listen, "sk-before").unwrap().0, 403, "{}", stage.log());
    assert_eq!(ask(&proxy.listen, "sk-after").unwrap().0, 200);
    proxy.await_admin("/metrics", "stillguard_store_keeping 0\n");
    proxy.signal("TERM");
    assert!(proxy.child.wait().unwrap().success(), "it ends cleanly all the same");
}

#[test]
fn a_place_one_may_not_enter_costs_memory_alone() {
    let stage = Stage::new();
    let blocked = stage.directory.path().join("memory/file");
    std::fs::write(&blocked, "").unwrap();
    let log = File::create(stage.directory.path().join("log")).unwrap();
    let proxy = Proxy::remembering(&stage.config(), &blocked.join("x"), (log.into(), "info"));
    assert_eq!(ask(&proxy.listen, "sk-once").unwrap().0, 200);
    proxy.await_admin("/metrics", "stillguard_store_keeping 0\n");
    assert!(stage.log().contains("memory is not kept"), "{}", stage.log());
}
