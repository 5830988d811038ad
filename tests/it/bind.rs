//! Seals that are bound, over sockets, in front of an endpoint that takes back none that it did not make.

use std::net::SocketAddr;
use std::process::Command;

use serde_json::{Value, json};

use super::stand::{Stand, get, post};

const BIND: &str = r#"
mode = "enforce"
[guard]
scoring_deadline_ms = 5000
[policy.bind]
signatures = "wrap"
tool_ids = "wrap"
foreign = "refuse"
altered = "refuse"
bare = "refuse"
"#;

/// Where an API is asked, how it is asked to think, and the same with what it has said.
struct Api {
    path: &'static str,
    streamed: &'static str,
    ask: fn() -> Value,
    go_on: fn(Value, &Value) -> Value,
    /// Where the seal is in an answer.
    seal: &'static str,
}

const APIS: [Api; 5] = [
    Api {
        path: "/v1/messages",
        streamed: "/v1/messages",
        ask: || {
            json!({"model": "m", "max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 1024},
            "tools": [{"name": "look", "input_schema": {"type": "object"}}], "tool_choice": {"type": "any"},
            "messages": [{"role": "user", "content": "Name a river."}]})
        },
        go_on: |mut ask, answer| {
            let content = answer["content"].as_array().unwrap();
            let results = content.iter().filter(|block| block["type"] == "tool_use").map(
                |call| json!({"type": "tool_result", "tool_use_id": call["id"], "content": "done"}),
            );
            let results: Vec<_> = results.collect();
            said(&mut ask, json!({"role": "assistant", "content": content}));
            said(&mut ask, json!({"role": "user", "content": results}));
            ask
        },
        seal: "/content/0/signature",
    },
    Api {
        path: "/v1/responses",
        streamed: "/v1/responses",
        ask: || {
            json!({"model": "m", "store": false, "include": ["reasoning.encrypted_content"],
            "reasoning": {"summary": "auto"}, "input": [{"role": "user", "content": "Name a river."}]})
        },
        go_on: |mut ask, answer| {
            let items = ask["input"].as_array_mut().unwrap();
            items.extend(answer["output"].as_array().unwrap().iter().cloned());
            items.push(json!({"role": "user", "content": "And another?"}));
            ask
        },
        seal: "/output/0/encrypted_content",
    },
    Api {
        path: "/v1beta/models/m:generateContent",
        streamed: "/v1beta/models/m:streamGenerateContent?alt=sse",
        ask: || {
            json!({"generationConfig": {"thinkingConfig": {"includeThoughts": true}},
            "contents": [{"role": "user", "parts": [{"text": "Name a river."}]}]})
        },
        go_on: |mut ask, answer| {
            let contents = ask["contents"].as_array_mut().unwrap();
            contents.push(answer["candidates"][0]["content"].clone());
            contents.push(json!({"role": "user", "parts": [{"text": "And another?"}]}));
            ask
        },
        seal: "/candidates/0/content/parts/1/thoughtSignature",
    },
    Api {
        path: "/model/m/converse",
        streamed: "/model/m/converse-stream",
        ask: || {
            json!({"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}},
            "messages": [{"role": "user", "content": [{"text": "Name a river."}]}]})
        },
        go_on: |mut ask, answer| {
            said(&mut ask, answer["output"]["message"].clone());
            said(&mut ask, json!({"role": "user", "content": [{"text": "And another?"}]}));
            ask
        },
        seal: "/output/message/content/0/reasoningContent/reasoningText/signature",
    },
    Api {
        path: "/model/m/invoke",
        streamed: "/model/m/invoke-with-response-stream",
        ask: || {
            json!({"anthropic_version": "v", "max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 1024},
            "messages": [{"role": "user", "content": "Name a river."}]})
        },
        go_on: |mut ask, answer| {
            said(&mut ask, json!({"role": "assistant", "content": answer["content"]}));
            said(&mut ask, json!({"role": "user", "content": "And another?"}));
            ask
        },
        seal: "/content/0/signature",
    },
];

fn said(ask: &mut Value, message: Value) {
    ask["messages"].as_array_mut().unwrap().push(message);
}

fn asks(
    address: SocketAddr,
    (key, mock): (&str, &str),
    path: &str,
    body: &Value,
) -> (u16, Vec<u8>) {
    let headers = format!(
        "content-type: application/json\r\nauthorization: Bearer sk-{key}\r\nx-mock: {mock}\r\n"
    );
    let answer = post(address, path, &headers, body.to_string().as_bytes());
    let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let chunked = answer[..end].to_ascii_lowercase().windows(7).any(|word| word == b"chunked");
    (status, if chunked { unchunked(&answer[end..]) } else { answer[end..].to_vec() })
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(line) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        body.extend_from_slice(&rest[line + 2..line + 2 + size]);
        rest = &rest[line + size + 4..];
    }
    body
}

fn whole(address: SocketAddr, key: &str, path: &str, body: &Value) -> (u16, Value) {
    let (status, answer) = asks(address, (key, ""), path, body);
    (status, serde_json::from_slice(&answer).unwrap())
}

/// A text that a wrapping, or an endpoint's own seal, begins with, as far as it goes in a stream.
fn found(stream: &[u8], begins: &str) -> Option<String> {
    let text = String::from_utf8_lossy(stream);
    let start = text.find(begins)?;
    Some(text[start..].split(['"', '\\']).next()?.to_owned())
}

#[test]
fn an_endpoint_that_knows_its_seals_takes_back_what_it_gave_to_this_account_and_nothing_else() {
    let stand = Stand::new(BIND);
    let (at, behind) = (stand.address(), stand.endpoint.addr);
    for api in &APIS {
        let ask = (api.ask)();
        let (status, answer) = whole(at, "own", api.path, &ask);
        assert_eq!(status, 200, "{answer}");
        let seal = answer.pointer(api.seal).unwrap_or_else(|| panic!("{answer}"));
        assert!(seal.as_str().unwrap().starts_with("sgb1"), "{answer}");
        let next = (api.go_on)(ask.clone(), &answer);
        let (status, said) = whole(at, "own", api.path, &next);
        assert_eq!(status, 200, "{said}");
        // The same to the endpoint itself, and from another account.
        assert_eq!(whole(behind, "own", api.path, &next).0, 400, "a wrapping is no seal of its");
        let (status, refused) = whole(at, "thief", api.path, &next);
        assert!(status == 400 && refused.to_string().contains("Invalid signature"), "{refused}");
        // One that never came through here.
        let (_, bare) = whole(behind, "own", api.path, &ask);
        let bare = (api.go_on)(ask.clone(), &bare);
        assert_eq!(whole(behind, "own", api.path, &bare).0, 200, "the endpoint knows its own");
        assert_eq!(whole(at, "own", api.path, &bare).0, 400);
        let mut stream = ask.clone();
        if !api.path.contains(':') && !api.path.contains("/model/") {
            stream["stream"] = json!(true);
        }
        let (status, told) = asks(at, ("own", ""), api.streamed, &stream);
        assert_eq!(status, 200);
        if !api.path.ends_with("/invoke") {
            let seal = found(&told, "sgb1").unwrap();
            let mut answer = answer.clone();
            *answer.pointer_mut(api.seal).unwrap() = seal.into();
            assert_eq!(whole(at, "own", api.path, &(api.go_on)(ask.clone(), &answer)).0, 200);
        }
    }
    let metrics = get(&stand.proxy.admin, "/metrics");
    for api in ["anthropic-messages", "openai-responses", "gemini-generate", "bedrock-converse"] {
        for outcome in ["wrapped", "verified", "foreign", "bare"] {
            let series = format!("stillguard_bound_total{{api=\"{api}\",outcome=\"{outcome}\"}}");
            assert!(metrics.contains(&series), "{series}");
        }
    }
    assert!(!metrics.contains("outcome=\"missed\""), "{metrics}");
    replays_alike(stand);
}

/// A replay of the log comes to every verdict that the program came to.
fn replays_alike(mut stand: Stand) {
    stand.proxy.end();
    let log = std::fs::read_to_string(stand.file("decisions.jsonl")).unwrap();
    let asks = log.matches(r#""kind":"ask""#).count();
    assert!(
        log.contains(r#""bonds":{"foreign":"#) && log.contains(r#""signal":"id_crossing""#),
        "{log}"
    );
    let mut command = Command::new(env!("CARGO_BIN_EXE_stillguard"));
    command.arg("replay").arg(stand.file("decisions.jsonl"));
    let output = command.arg("--config").arg(stand.file("stillguard.toml")).env_clear().output();
    let said = String::from_utf8(output.unwrap().stdout).unwrap();
    assert!(said.contains(&format!("{asks} verdicts as logged")), "{said}");
}

#[test]
fn thinking_that_comes_encrypted_goes_the_same_way() {
    let stand = Stand::new(BIND);
    for api in [&APIS[0], &APIS[3]] {
        let ask = (api.ask)();
        let (_, answer) = asks(stand.address(), ("own", "redacted"), api.path, &ask);
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let text = answer.to_string();
        assert!(text.contains("redacted") && text.contains("\"sgb1"), "{text}");
        let next = (api.go_on)(ask.clone(), &answer);
        let (status, said) = whole(stand.address(), "own", api.path, &next);
        assert_eq!(status, 200, "{said}");
        assert_eq!(whole(stand.address(), "thief", api.path, &next).0, 400);
    }
}

#[test]
fn keys_rotate_while_the_program_runs_and_a_broken_file_changes_nothing() {
    let keys = tempfile::NamedTempFile::new().unwrap();
    let (old, new) = ("0f".repeat(32), "a0".repeat(32));
    std::fs::write(keys.path(), &old).unwrap();
    let stand = Stand::new(&format!("{BIND}[guard.bind]\nkeys_file = {:?}\n", keys.path()));
    let api = &APIS[0];
    let ask = (api.ask)();
    let (_, answer) = whole(stand.address(), "own", api.path, &ask);
    let next = (api.go_on)(ask.clone(), &answer);
    let reload = |written: &str, outcome: &str| {
        let series = format!("stillguard_reloads_total{{outcome=\"{outcome}\"}} ");
        let count = |text: String| {
            let line = text.lines().find_map(|line| line.strip_prefix(&series)).map(str::to_owned);
            line.unwrap().trim().parse::<u32>().unwrap()
        };
        let before = count(get(&stand.proxy.admin, "/metrics"));
        std::fs::write(keys.path(), written).unwrap();
        stand.proxy.signal("HUP");
        stand.proxy.await_admin("/metrics", &format!("{series}{}", before + 1));
    };
    let bring = || whole(stand.address(), "own", api.path, &next);
    reload("no key", "refused");
    assert_eq!(bring().0, 200);
    reload(&format!("{new}\n{old}\n"), "taken");
    assert_eq!(bring().0, 200);
    reload(&new, "taken");
    let (status, said) = bring();
    assert!(status == 400 && said.to_string().contains("issued too long ago"), "{said}");
    assert!(get(&stand.proxy.admin, "/metrics").contains("outcome=\"retired\"} "));
}

#[test]
fn a_program_without_its_keys_is_not_served() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("stillguard.toml");
    let config = "upstream = \"http://127.0.0.1:9\"\n[guard.bind]\nkeys_file = \"/no/such/keys\"\n";
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_stillguard"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--config"]);
    let output = command.arg(&file).env("STILLGUARD_STORE", "off").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("keys that bind /no/such/keys"), "{said}");
}
