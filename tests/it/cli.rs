//! The program as operators and scripts meet it: words and exit codes.

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const SECRET: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn stillguard(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stillguard"));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).env_clear();
    command.env("STILLGUARD_STORE", "off");
    command
}

/// Exit code, standard output and standard error.
fn ended(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn run(arguments: &[&str]) -> (i32, String, String) {
    ended(stillguard(arguments).output().unwrap())
}

#[test]
fn check_shows_what_a_good_file_means() {
    let (code, out, err) = run(&["check", "config/staging.toml"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("mode               enforce"), "{out}");
    assert!(out.contains("30 requests per minute, bursts of 5"), "{out}");
    assert!(out.ends_with("config/staging.toml: ok, 0 warnings\n"), "{out}");
    let (_, out, _) = run(&["check", "tests/fixtures/config/good/routes.toml"]);
    assert!(out.contains("group large          https://api.example, https://api.example"), "{out}");
    assert!(out.contains("to large             tenant acme, model large-*\n"), "{out}");
    assert!(!out.contains("sk-one"), "{out}");
}

#[test]
fn check_marks_the_mistake_and_exits_with_1() {
    let file = "tests/fixtures/config/bad/unknown-key.toml";
    let (code, out, err) = run(&["check", file]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains(&format!("{file}:2:1")), "{err}");
    assert!(err.contains("did you mean `mode`?") && err.contains("1 mistake"), "{err}");
    assert!(!err.contains('\u{1b}'), "no colours where there is no terminal: {err}");
}

#[test]
fn a_file_that_is_not_there_exits_with_2() {
    for verb in [&["check", "nowhere.toml"][..], &["serve", "--config", "nowhere.toml"]] {
        let (code, _, err) = run(verb);
        assert_eq!(code, 2);
        assert!(err.starts_with("can't read nowhere.toml"), "{err}");
    }
}

#[test]
fn a_webhook_without_its_secret_is_not_served_and_the_ways_to_give_it_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stillguard.toml");
    let webhook =
        "upstream = \"http://127.0.0.1:9\"\n[guard.challenge.webhook]\nurl = \"http://x/\"\n";
    std::fs::write(&file, webhook).unwrap();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--config"];
    let (code, _, err) = ended(stillguard(&serve).arg(&file).output().unwrap());
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("secret_file") && err.contains("STILLGUARD_WEBHOOK_SECRET"), "{err}");
    let mut weak = stillguard(&serve);
    weak.arg(&file).env("STILLGUARD_WEBHOOK_SECRET", "short");
    let (code, _, err) = ended(weak.output().unwrap());
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("16 bytes") && !err.contains("short"), "{err}");
}

#[test]
fn without_an_upstream_nothing_is_served_and_the_ways_to_say_one_are_named() {
    let (code, _, err) = run(&["serve"]);
    assert_eq!(code, 1);
    assert!(err.contains("--upstream URL") && err.contains("STILLGUARD_UPSTREAM"), "{err}");
}

#[test]
fn an_upstream_that_is_none_is_refused() {
    let (code, _, err) = run(&["serve", "--upstream", "localhost:8000"]);
    assert_eq!(code, 1);
    assert!(err.contains("is not an endpoint"), "{err}");
}

#[test]
fn an_address_in_use_exits_with_3() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, _, err) = run(&["serve", "--upstream", "http://127.0.0.1:9", "--admin", &address]);
    assert_eq!(code, 3);
    assert_eq!(err, format!("can't listen on {address}: another program does already\n"));
}

fn id(arguments: &[&str], secret: &str, key: &str) -> (i32, String, String) {
    let mut command = stillguard(&[&["id"], arguments].concat());
    command.env("STILLGUARD_SECRET", secret).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    // A program that ends before it reads closes the pipe; its exit code is what counts then.
    let _ = child.stdin.take().unwrap().write_all(key.as_bytes());
    ended(child.wait_with_output().unwrap())
}

#[test]
fn an_id_depends_on_key_tenant_and_secret_and_on_nothing_else() {
    let (code, first, _) = id(&[], SECRET, "sk-one");
    assert!(code == 0 && first.starts_with("acct_") && first.len() == 38, "{first}");
    assert_eq!(id(&[], SECRET, " sk-one\n").1, first);
    assert_eq!(id(&["--tenant", "default"], SECRET, "sk-one").1, first);
    assert_ne!(id(&[], SECRET, "sk-two").1, first);
    assert_ne!(id(&["--tenant", "acme"], SECRET, "sk-one").1, first);
    assert_ne!(id(&[], &SECRET.replace('f', "e"), "sk-one").1, first);
}

#[test]
fn a_bad_secret_is_refused_and_not_repeated() {
    let (code, _, err) = id(&[], "hunter2", "sk-one");
    assert_eq!(code, 1);
    assert!(err.contains("64 hex digits") && !err.contains("hunter2"), "{err}");
    let (code, _, err) = run(&["id"]);
    assert_eq!(code, 1);
    assert!(err.contains("secret"), "{err}");
}

#[test]
fn the_schema_is_json_and_names_the_keys() {
    let (code, out, _) = run(&["schema"]);
    let schema: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, 0);
    assert!(schema["properties"]["upstream"].is_object());
}

#[test]
fn the_catalogue_lists_every_signal() {
    let (code, out, _) = run(&["signals"]);
    assert_eq!(code, 0);
    for spec in stillguard::signal::CATALOGUE {
        assert!(out.contains(spec.name), "{}", spec.name);
    }
}

#[test]
fn shipped_files_pass_their_own_check() {
    for file in ["config/stillguard.toml", "config/shadow.toml", "config/staging.toml"] {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(file).exists());
        assert_eq!(run(&["check", file]).0, 0, "{file}");
    }
}

#[test]
fn replay_tries_an_exchange_log_of_another_gateway() {
    let directory = tempfile::tempdir().unwrap();
    let (log, report) = (directory.path().join("log.jsonl"), directory.path().join("report.json"));
    let line = |t: u32, label: &str| {
        format!(
            r#"{{"t":{t},"id":"{t}","account":"a","messages":[{{"role":"user","content":"hello"}}],"label":"{label}"}}"#
        )
    };
    std::fs::write(&log, [line(1, "benign"), line(2, "campaign:x")].join("\n")).unwrap();
    let (log, to) = (log.to_str().unwrap(), report.to_str().unwrap());
    let (code, said, errors) = run(&["replay", log, "--report", to]);
    assert_eq!(code, 0, "{errors}");
    assert!(said.contains("campaign:x"), "{said}");
    let report: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(report).unwrap()).unwrap();
    assert_eq!(report["sides"]["benign"]["served"], 1);
    let packed = directory.path().join("log.jsonl.zst");
    let plain = std::fs::read(log).unwrap();
    std::fs::write(&packed, zstd::encode_all(&*plain, 3).unwrap()).unwrap();
    let (code, of_packed, errors) = run(&["replay", packed.to_str().unwrap()]);
    assert_eq!((code, of_packed), (0, said), "{errors}");
    std::fs::write(&packed, &zstd::encode_all(&*plain, 3).unwrap()[..20]).unwrap();
    assert_ne!(run(&["replay", packed.to_str().unwrap()]).0, 0, "cut short");
    let (code, _, errors) = run(&["replay", "no-such-file"]);
    assert!(code != 0 && errors.contains("no-such-file"), "{errors}");
}
