//! Parts that fail: the endpoint, the file, the log, the clock.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;

use proptest::prelude::*;
use stillguard::engine::{Engine, Settings};
use stillguard::identity::{AccountId, Caller, Client, Tag};
use stillguard::policy::{Action, Policies};
use stillguard::signal::{Ask, Completion, Ending, Exchange, ExchangeId, Prompt};
use stillguard::time::Timestamp;

use super::abuse::stage::{MOMENT, PATIENCE, Stage, rest};
use super::stand::{Proxy, get};

const SHORT: &str =
    "[forward.deadlines]\nfirst_answer_secs = 1\nbetween_chunks_secs = 1\ntotal_secs = 4\n";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// What an endpoint says, whether it then closes, and what a caller gets: a status, or a beginning of
/// an answer that is seen not to end.
#[derive(Clone, Copy, Debug)]
enum Told {
    Status(&'static str),
    Cut,
}
use Told::{Cut, Status};

const ANSWERS: &[(&str, &str, bool, Told)] = &[
    ("nothing", "", true, Status("502")),
    ("silence", "", false, Status("504")),
    ("half a head", "HTTP/1.1 200 OK\r\ncontent-", true, Status("502")),
    ("half a head, then silence", "HTTP/1.1 200 OK\r\ncontent-", false, Status("504")),
    ("another protocol", "220 ready\r\n\r\n", true, Status("502")),
    ("an answer without a head", "ok", true, Status("502")),
    ("another version", "HTTP/2.0 200 OK\r\ncontent-length: 2\r\n\r\nok", true, Status("502")),
    ("a status of letters", "HTTP/1.1 abc OK\r\ncontent-length: 2\r\n\r\nok", true, Status("502")),
    ("a status too low", "HTTP/1.1 099 OK\r\ncontent-length: 2\r\n\r\nok", true, Status("502")),
    (
        "NUL in a value",
        "HTTP/1.1 200 OK\r\nx: \0\r\ncontent-length: 2\r\n\r\nok",
        true,
        Status("502"),
    ),
    (
        "CR in a value",
        "HTTP/1.1 200 OK\r\nx: a\rb\r\ncontent-length: 2\r\n\r\nok",
        true,
        Status("502"),
    ),
    (
        "two lengths",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
        true,
        Status("502"),
    ),
    ("a length of letters", "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\nok", true, Status("502")),
    ("a negative length", "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\nok", true, Status("502")),
    (
        "a switch unasked",
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
        false,
        Status("502"),
    ),
    ("less than its length", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok", true, Cut),
    ("less, then silence", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok", false, Cut),
    ("half a chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nok", true, Cut),
    (
        "no last chunk",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n",
        true,
        Cut,
    ),
    (
        "a chunk of letters",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\nx\r\n",
        true,
        Cut,
    ),
    (
        "a second answer",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\npoisoned",
        false,
        Status("200"),
    ),
    (
        "an answer unasked",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokpoisoned",
        false,
        Status("200"),
    ),
];

fn answers() -> Vec<(&'static str, String, bool, Told)> {
    let mut all: Vec<_> = ANSWERS
        .iter()
        .map(|&(name, text, closes, told)| (name, text.to_owned(), closes, told))
        .collect();
    let long = |what: String| format!("HTTP/1.1 200 OK\r\n{what}content-length: 2\r\n\r\nok");
    all.extend([
        ("a field of 1 MiB", long(format!("x: {}\r\n", "y".repeat(1 << 20))), true, Status("502")),
        ("5,000 fields", long("x: y\r\n".repeat(5000)), true, Status("502")),
        ("a line of 1 MiB", "x".repeat(1 << 20), true, Status("502")),
        (
            "a storm of 100s",
            format!("{}{OK}", "HTTP/1.1 100 Continue\r\n\r\n".repeat(5000)),
            true,
            Status("200"),
        ),
    ]);
    all
}

/// Says what the target's number chooses: `/N`.
fn scripted(answers: Vec<String>, closes: Vec<bool>) -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let accepting = listener.try_clone().unwrap();
    thread::spawn(move || {
        for mut stream in accepting.incoming().flatten() {
            let (answers, closes) = (answers.clone(), closes.clone());
            thread::spawn(move || {
                let (mut head, mut byte) = (Vec::new(), [0]);
                while let Ok(1) = stream.read(&mut byte) {
                    head.push(byte[0]);
                    if !head.ends_with(b"\r\n\r\n") {
                        continue;
                    }
                    let text = String::from_utf8_lossy(&head).into_owned();
                    let number =
                        text.split(['/', ' ']).nth(2).and_then(|n| n.parse::<usize>().ok());
                    let said = number.map_or(OK, |number| answers[number].as_str());
                    let _ = stream.write_all(said.as_bytes());
                    if number.is_some_and(|number| closes[number]) {
                        return;
                    }
                    head.clear();
                }
            });
        }
    });
    listener
}

#[test]
fn whatever_an_endpoint_does_its_caller_is_told_and_the_next_one_served() {
    let answers = answers();
    let texts = answers.iter().map(|answer| answer.1.clone()).collect();
    let endpoint = scripted(texts, answers.iter().map(|answer| answer.2).collect());
    // Or else an endpoint that breaks so often would be taken out.
    let config = format!("{SHORT}[forward.health]\nfailures = 100000\n");
    let stage = Stage::to(endpoint.local_addr().unwrap(), &config);
    let mut wrong = Vec::new();
    for (number, (name, _, _, told)) in answers.iter().enumerate() {
        let mut client = stage.connect();
        write!(client, "GET /{number} HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        let patience = if matches!(told, Cut) { PATIENCE } else { MOMENT };
        let mut got = Vec::new();
        while got.is_empty() {
            let (more, closed) = rest(&mut client, patience);
            got = more;
            if closed {
                break;
            }
        }
        let text = String::from_utf8_lossy(&got).into_owned();
        let fine = match told {
            Status(status) => text.get(9..12) == Some(status),
            Cut => text.starts_with("HTTP/1.1 200") && !text.ends_with("0\r\n\r\n"),
        };
        if !fine || text.contains("poisoned") {
            wrong.push(format!("{name}: {told:?} but {:?}", &text[..text.len().min(80)]));
        }
        for _ in 0..2 {
            stage.serves();
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_broken_file_changes_what_is_in_force() {
    let endpoint = scripted(Vec::new(), Vec::new());
    let stage = Stage::to(endpoint.local_addr().unwrap(), "");
    stage.proxy.await_admin("/readyz", "200 OK");
    let good = std::fs::read_to_string(stage.config.path()).unwrap();
    let huge = format!("{good}{}", "# x\n".repeat(2 << 20));
    let refused = "stillguard_reloads_total{outcome=\"refused\"}";
    for (number, broken) in [
        "upstream = 7",
        &good[..good.len() / 2],
        "\0\0\0\0",
        "[net.limits]\nmax_connections = -1",
        "mode = \"enforce\"\nmode = \"shadow\"",
        &huge,
    ]
    .iter()
    .enumerate()
    {
        std::fs::write(stage.config.path(), broken).unwrap();
        stage.proxy.signal("HUP");
        stage.settles(refused, number as u64 + 1);
        stage.serves();
    }
    std::fs::remove_file(stage.config.path()).unwrap();
    stage.proxy.signal("HUP");
    stage.settles(refused, 7);
    std::fs::write(stage.config.path(), format!("{good}\nmode = \"enforce\"")).unwrap();
    stage.proxy.signal("HUP");
    stage.settles("stillguard_reloads_total{outcome=\"taken\"}", 1);
    stage.serves();
}

#[test]
fn a_log_that_nobody_empties_delays_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("decisions");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let endpoint = scripted(Vec::new(), Vec::new());
    let config = format!("[telemetry.decision_log]\npath = {pipe:?}\nqueue = 16\n");
    let mut stage = Stage::to(endpoint.local_addr().unwrap(), &config);
    for _ in 0..40 {
        assert!(stage.serves() < 2000);
    }
    assert!(stage.metric("stillguard_decision_log_dropped_total") > 0);
    stage.proxy.end();
}

#[test]
fn a_reader_of_errors_that_is_stuck_delays_nobody_and_keeps_nobody_from_stopping_it() {
    let endpoint = scripted(Vec::new(), Vec::new());
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = |n: usize| format!("upstream = \"http://{}\" # {n}", endpoint.local_addr().unwrap());
    std::fs::write(file.path(), text(0)).unwrap();
    let (_never_read, errors) = std::io::pipe().unwrap();
    // Full from the beginning.
    let mut filling = Command::new("timeout")
        .args(["1", "cat", "/dev/zero"])
        .stdout(errors.try_clone().unwrap())
        .spawn()
        .unwrap();
    filling.wait().unwrap();
    let mut proxy = Proxy::start_with(file.path(), errors.into(), "info");
    proxy.await_admin("/readyz", "200 OK");
    for n in 0..3 {
        std::fs::write(file.path(), format!("{}\nmode = \"wrong\"", text(n))).unwrap();
        proxy.signal("HUP");
        let refused = format!("stillguard_reloads_total{{outcome=\"refused\"}} {}", n + 1);
        proxy.await_admin("/metrics", &refused);
        assert!(get(&proxy.listen, "/").ends_with("ok"));
    }
    proxy.end();
}

#[test]
fn a_flood_of_connections_leaves_descriptors_for_endpoints_and_operators() {
    let endpoint = scripted(Vec::new(), Vec::new());
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = format!("upstream = \"http://{}\"", endpoint.local_addr().unwrap());
    std::fs::write(file.path(), text).unwrap();
    let mut few = Command::new("/bin/sh");
    few.args(["-c", "ulimit -n 128; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_stillguard")]);
    let mut proxy = Proxy::spawn(few, file.path(), "off".as_ref(), (Stdio::null(), "warn"));
    let flood: Vec<_> = (0..300).map(|_| TcpStream::connect(&proxy.listen).unwrap()).collect();
    proxy.await_admin("/metrics", "refused_total{reason=\"too_many\"}");
    let served = flood.iter().filter(|client| {
        let mut client = *client;
        let _closed_already = client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        let mut got = [0; 12];
        client.read_exact(&mut got).is_ok() && got == *b"HTTP/1.1 200"
    });
    let served = served.count();
    assert!((30..100).contains(&served), "{served}");
    assert!(get(&proxy.admin, "/healthz").starts_with("HTTP/1.1 200"));
    drop(flood);
    proxy.await_admin("/metrics", "stillguard_connections 0");
    proxy.end();
}

fn ask(account: u8, n: u64, at: u64) -> Ask {
    let caller = Caller {
        tenant: "default".into(),
        account: AccountId([account; 16]),
        org: None,
        end_user: None,
        egress: Tag(u64::from(account) + 1),
        client: Client::OpenaiPython,
        attributes: Default::default(),
        trace: Default::default(),
    };
    let prompt = Prompt { tokens: 200, turns: 1, last: Tag(n << 8 | 1), ..Prompt::default() };
    Ask { id: ExchangeId(Tag(n + 1)), at: Timestamp::from_millis(at), caller, prompt }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_clock_that_jumps_bans_nobody_and_stops_nothing(
        times in prop::collection::vec(
            (0..4_u8, prop_oneof![Just(0), Just(u64::MAX), 1_790_000_000_000..1_790_600_000_000_u64]),
            1..60,
        ),
    ) {
        let policy = serde_json::from_str(r#"{"defaults": {"mode": "enforce"}}"#).unwrap();
        let engine = Engine::new(Settings::default(), Policies::from(&policy));
        for (n, (account, at)) in times.into_iter().enumerate() {
            let ask = ask(account, n as u64, at);
            let verdict = engine.assess(&ask);
            prop_assert_eq!(verdict.action, Action::Allow);
            prop_assert!(verdict.score.is_finite());
            engine.accept(&ask);
            let ended = Timestamp::from_millis(at / 2);
            let completion = Completion::default();
            engine.learn(&Exchange { ask, ended, ending: Ending::Complete, status: 200, completion });
            engine.tick(Timestamp::from_millis(at));
        }
    }
}
