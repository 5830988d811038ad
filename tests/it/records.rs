//! The operator's records from outside: attributes and regions that come by file, change while the
//! program runs, and reach the decision log.

use std::path::{Path, PathBuf};
use std::process::Command;

use stillguard::identity::Keyring;
use tempfile::TempDir;

use super::mmdb::{Value, database};
use super::stand::{Proxy, Stand, get, post};

/// Files of records, and a configuration that names them.
struct Files(TempDir);

const OPERATOR: &str = "a-token-of-operators";

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.write("secret", "0f".repeat(32).as_bytes());
        files.write("token", OPERATOR.as_bytes());
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Moves a new file into the place of the old one.
    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path("aside"), bytes).unwrap();
        std::fs::rename(self.path("aside"), self.path(name)).unwrap();
    }

    fn config(&self, identity: &str, rest: &str) -> String {
        let (secret, token) = (self.path("secret"), self.path("token"));
        let tokens = format!("[telemetry.admin]\ntoken_file = {token:?}\n");
        format!("secret_file = {secret:?}\n{rest}\n[identity]\n{identity}\n{tokens}")
    }
}

fn located(code: &str) -> Vec<u8> {
    let country = Value::map([("iso_code", code.into())]);
    database(&[("127.0.0.0/8", Value::map([("country", country)]))])
}

fn ask(stand: &Stand, headers: &str) -> String {
    let chat = br#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#;
    let json = "content-type: application/json\r\nauthorization: Bearer sk-recorded\r\n";
    let answer = post(stand.address(), "/v1/chat/completions", &format!("{json}{headers}"), chat);
    String::from_utf8(answer).unwrap()
}

/// The caller of the last ask in the decision log, once the program has ended.
fn last_caller(decisions: &Path) -> serde_json::Value {
    let log = std::fs::read_to_string(decisions).unwrap();
    let last = log.lines().rfind(|line| line.contains("\"kind\":\"ask\""));
    let mut ask: serde_json::Value = serde_json::from_str(last.unwrap()).unwrap();
    ask["ask"]["caller"].take()
}

fn replayed(stand: &Stand) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stillguard"));
    command.arg("replay").arg(stand.file("decisions.jsonl")).env_clear();
    let output = command.arg("--config").arg(stand.file("stillguard.toml")).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

const ROW: &str = r#"{"name":"sk-recorded","paid_invoices":3,"organisation":"Harbour Ltd"}"#;

#[test]
fn attributes_follow_their_file_and_an_order_goes_before_it() {
    let files = Files::new();
    files.write("attributes.jsonl", ROW.as_bytes());
    let identity = format!("attributes_file = {:?}", files.path("attributes.jsonl"));
    let mut stand = Stand::new(&files.config(&identity, "mode = \"enforce\""));
    let proxy = &stand.proxy;
    proxy.await_admin("/metrics", "stillguard_attributes_accounts 1\n");
    files.write("attributes.jsonl", format!("{ROW}\n{{\"paid\":1}}\n").as_bytes());
    let refused = "stillguard_records_reloads_total{file=\"attributes\",outcome=\"refused\"} 1\n";
    proxy.await_admin("/metrics", refused);
    assert!(get(&proxy.admin, "/metrics").contains("stillguard_attributes_accounts 1\n"));
    files.write(
        "attributes.jsonl",
        format!("{ROW}\n\n{}\n", ROW.replace("sk-", "sk-2-")).as_bytes(),
    );
    proxy.await_admin("/metrics", "stillguard_attributes_accounts 2\n");
    let log = std::fs::read_to_string(stand.file("log")).unwrap();
    assert!(log.contains("attributes.jsonl:2:7: unknown field `paid`"), "{log}");
    assert!(ask(&stand, "").starts_with("HTTP/1.1 200"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_stillguard"));
    let mut id = command.args(["id", "--config"]).arg(stand.file("stillguard.toml"));
    std::fs::write(files.path("key"), "sk-recorded").unwrap();
    id = id.env_clear().stdin(std::fs::File::open(files.path("key")).unwrap());
    let account = String::from_utf8(id.output().unwrap().stdout).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_stillguard"));
    command.args(["attributes", account.trim(), r#"{"paid_invoices": 0, "verified": true}"#]);
    command.args(["--owner", "ann", "--reason", "case 7", "--token-file"]).arg(files.path("token"));
    command.arg("--admin").arg(format!("http://{}", stand.proxy.admin)).env_clear();
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(ask(&stand, "").starts_with("HTTP/1.1 200"));
    stand.proxy.end();
    let caller = last_caller(&stand.file("decisions.jsonl"));
    assert_eq!(caller["attributes"]["paid_invoices"], 0, "the order's");
    assert_eq!(caller["attributes"]["verified"], true);
    assert!(caller["org"].is_string(), "the file's: {caller}");
    assert!(!caller.to_string().contains("Harbour"));
    let said = replayed(&stand);
    assert!(said.contains("2 verdicts as logged"), "live and replay agree: {said}");
}

#[test]
fn a_region_that_is_not_served_is_refused_in_the_callers_words_until_the_database_moves_it() {
    let files = Files::new();
    files.write("country.mmdb", &located("KP"));
    let identity = format!("country_file = {:?}", files.path("country.mmdb"));
    let policy = "[policy]\nregions = { not_served = [\"KP\"], refuse = true }";
    let mut stand = Stand::new(&files.config(&identity, policy));
    let refused = ask(&stand, "");
    assert!(refused.starts_with("HTTP/1.1 403"), "in shadow mode, too: {refused}");
    assert!(refused.contains("unsupported_country_region_territory"), "{refused}");
    files.write("country.mmdb", b"half a database");
    let outcome = "stillguard_records_reloads_total{file=\"regions\",outcome=\"refused\"} 1\n";
    stand.proxy.await_admin("/metrics", outcome);
    assert!(ask(&stand, "").starts_with("HTTP/1.1 403"), "the old one is kept");
    files.write("country.mmdb", &located("DE"));
    let taken = "stillguard_records_reloads_total{file=\"regions\",outcome=\"taken\"} 2\n";
    stand.proxy.await_admin("/metrics", taken);
    assert!(ask(&stand, "accept-language: de-AT,de;q=0.8\r\n").starts_with("HTTP/1.1 200"));
    stand.proxy.end();
    let trace = &last_caller(&stand.file("decisions.jsonl"))["trace"];
    assert_eq!((&trace["country"], &trace["locale"]), (&"DE".into(), &"AT".into()));
    assert!(replayed(&stand).contains("3 verdicts as logged"), "{}", replayed(&stand));
}

#[test]
fn what_was_told_of_an_account_outlives_a_kill() {
    let files = Files::new();
    let (store, config) = (files.path("store"), files.path("stillguard.toml"));
    std::fs::create_dir(&store).unwrap();
    let log = format!("[telemetry.decision_log]\npath = {:?}", files.path("decisions.jsonl"));
    let upstream = "upstream = \"http://127.0.0.1:9\"";
    std::fs::write(&config, files.config("", upstream) + &log).unwrap();
    let start = || Proxy::remembering(&config, &store, (std::process::Stdio::null(), "warn"));
    let keyring = Keyring::new([0x0f; 32]);
    let account = keyring.account("default", "key", b"sk-recorded");
    let mut proxy = start();
    let body = format!(
        r#"{{"account":"{account}","attributes":{{"verified":true}},"owner":"ann","reason":"case 7"}}"#
    );
    let head = format!("content-type: application/json\r\nauthorization: Bearer {OPERATOR}\r\n");
    let admin = proxy.admin.parse().unwrap();
    let answer = post(admin, "/admin/v1/attributes", &head, body.as_bytes());
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.contains("\"lasting\":true"), "{answer}");
    proxy.child.kill().unwrap();
    proxy.child.wait().unwrap();
    let mut proxy = start();
    let chat = br#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#;
    let json = "content-type: application/json\r\nauthorization: Bearer sk-recorded\r\n";
    // Nobody answers, but the ask is judged.
    post(proxy.listen.parse().unwrap(), "/v1/chat/completions", json, chat);
    proxy.end();
    let caller = last_caller(&files.path("decisions.jsonl"));
    assert_eq!(caller["attributes"]["verified"], true, "{caller}");
}

#[test]
fn broken_records_are_told_by_check_and_stop_a_start() {
    let files = Files::new();
    files.write(
        "attributes.jsonl",
        format!("{ROW}\n{{\"name\":\"a\",\"verified\":1}}\n").as_bytes(),
    );
    files.write("country.mmdb", &located("DE")[..100]);
    let config = files.path("stillguard.toml");
    let run = |verb: &[&str], file: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stillguard"));
        command.args(verb).arg(file).env_clear().env("STILLGUARD_STORE", "off");
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let upstream =
        "upstream = \"http://127.0.0.1:9\"\nlisten = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"";
    for (key, name, why) in [
        ("attributes_file", "attributes.jsonl", "attributes.jsonl:2:24: invalid type"),
        ("country_file", "country.mmdb", "country.mmdb: "),
        ("asn_file", "nowhere.mmdb", "can't read"),
    ] {
        let identity = format!("{key} = {:?}", files.path(name));
        std::fs::write(&config, files.config(&identity, upstream)).unwrap();
        for verb in [&["check"][..], &["serve", "--config"]] {
            let (code, said) = run(verb, &config);
            assert_eq!(code, Some(1), "{said}");
            assert!(said.contains(why), "{said}");
        }
    }
}
