//! The program as a process: start, traffic, reload, drain; and the solver against a small server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::thread;

use super::stand::{Proxy, get};

/// Answers one request after the other with what `answer` makes of its head and body.
fn server(answer: impl Fn(&str, &str) -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let (mut head, mut length) = (String::new(), 0);
            while !head.ends_with("\r\n\r\n") {
                if reader.read_line(&mut head).unwrap() == 0 {
                    break;
                }
            }
            for line in head.to_ascii_lowercase().lines() {
                if let Some(value) = line.strip_prefix("content-length: ") {
                    length = value.parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let answer = answer(&head, &String::from_utf8(body).unwrap());
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length";
            write!(reader.get_mut(), "{head}: {}\r\n\r\n{answer}", answer.len()).unwrap();
        }
    });
    address
}

#[test]
fn it_forwards_takes_a_changed_file_over_and_drains() {
    let endpoint = server(|head, _| format!("you asked {}", head.lines().next().unwrap()));
    let file = tempfile::NamedTempFile::new().unwrap();
    let write = |mode: &str| {
        let text = format!("upstream = \"http://{endpoint}\"\nmode = \"{mode}\"\n");
        std::fs::write(file.path(), text).unwrap();
    };
    write("shadow");
    let mut proxy = Proxy::start(file.path());
    assert!(get(&proxy.listen, "/health?x=1").ends_with("you asked GET /health?x=1 HTTP/1.1"));
    proxy.await_admin("/readyz", "200 OK");
    write("enforcing");
    proxy.signal("HUP");
    proxy.await_admin("/metrics", "stillguard_reloads_total{outcome=\"refused\"} 1");
    write("enforce");
    proxy.signal("HUP");
    proxy.await_admin("/metrics", "stillguard_reloads_total{outcome=\"taken\"} 1");
    proxy.signal("TERM");
    assert!(proxy.child.wait().unwrap().success());
    let mut rest = String::new();
    proxy.out.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "", "one line is all that is said on standard output");
}

#[test]
fn a_hangup_during_the_start_is_obeyed_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let (file, secret) = (folder.path().join("stillguard.toml"), folder.path().join("secret"));
    assert!(Command::new("mkfifo").arg(&secret).status().unwrap().success());
    let text = format!("upstream = \"http://127.0.0.1:9\"\nsecret_file = {secret:?}\n");
    std::fs::write(&file, text).unwrap();
    let program = Command::new(env!("CARGO_BIN_EXE_stillguard"));
    let quiet = (std::process::Stdio::null(), "warn");
    let starting = Proxy::begin(program, (&file, "off".as_ref()), quiet);
    // Opens once the program has come to where it reads it.
    let mut pipe = std::fs::OpenOptions::new().write(true).open(&secret).unwrap();
    starting.signal("HUP");
    writeln!(pipe, "{}", "5e".repeat(32)).unwrap();
    drop(pipe);
    let mut proxy = starting.greeted();
    proxy.await_admin("/metrics", "stillguard_reloads_total{outcome=\"taken\"} 1");
    proxy.end();
}

#[test]
fn endpoints_are_probed_while_nobody_asks_for_anything() {
    let endpoint = server(|_, _| String::new());
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = format!(
        "upstream = \"http://{endpoint}\"\n[[forward.groups]]\nname = \"g\"\nendpoints = [\
         {{ url = \"http://127.0.0.1:1\", name = \"gone\" }}, {{ url = \"http://{endpoint}\", name = \"here\" }}]\n\
         health = {{ probe_path = \"/health\", probe_interval_ms = 100, ill_after = 1 }}\n\
         [[forward.routes]]\nmodel = \"m\"\ngroup = \"g\"\n"
    );
    std::fs::write(file.path(), text).unwrap();
    let mut proxy = Proxy::start(file.path());
    proxy.await_admin("/metrics", "endpoint_up{group=\"g\",endpoint=\"gone\"} 0");
    let metrics = get(&proxy.admin, "/metrics");
    assert!(metrics.contains("endpoint_up{group=\"g\",endpoint=\"here\"} 1"), "{metrics}");
    proxy.end();
}

#[test]
fn an_address_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_stillguard"));
    command.args(["serve", "--upstream", "http://127.0.0.1:9", "--admin", "127.0.0.1:0"]);
    command.args(["--listen", &address, "--store", "off"]);
    let output = command.env_clear().output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains(&format!("can't listen on {address}")), "{said}");
}

#[test]
fn a_challenge_is_fetched_solved_and_answered() {
    let address = server(|head, body| {
        if head.starts_with("GET /.stillguard/c/abc ") {
            r#"{"algorithm":"sg-pow-v1","token":"abc","bits":6,"count":3,"submit":"elsewhere"}"#
                .into()
        } else {
            let answer: serde_json::Value = serde_json::from_str(body).unwrap();
            let solutions = answer["solution"].as_array().unwrap();
            assert!(head.starts_with("POST /.stillguard/c/abc "), "{head}");
            assert!(solutions.iter().all(|one| one.as_str().unwrap().len() == 16));
            format!(r#"{{"status":"cleared","seconds":3600,"requests":{}}}"#, solutions.len())
        }
    });
    let link = format!("http://{address}/.stillguard/c/abc");
    let mut command = Command::new(env!("CARGO_BIN_EXE_stillguard"));
    let output = command.args(["solve", &link]).env_clear().output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("cleared for 60 minutes or 3 requests"), "{said}");
    assert!(output.status.success());
}
