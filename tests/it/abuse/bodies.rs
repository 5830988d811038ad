//! Bodies that readers disagree about: what is judged is what the endpoint gets, or nothing is.

use super::super::journey::encoded;
use super::heads::{Case, Must, run};
use super::stage::Stage;
use Must::{Refuse, Serve};

const PLAIN: &str = r#"{"messages":[{"role":"user","content":"a"}]}"#;

const JSON: &[(&str, &[u8], Must)] = &[
    ("plain", br#"{"messages":[{"role":"user","content":"a"}]}"#, Serve),
    ("blanks about it", b" \t\r\n{\"messages\":[]} \t\r\n", Serve),
    ("escapes", br#"{"messages":[{"role":"user","content":"\ud83d\ude00\u00e4\/"}]}"#, Serve),
    (
        "DEL and line separators in a string",
        "{\"messages\":[],\"x\":\"\x7f\u{2028}\"}".as_bytes(),
        Serve,
    ),
    ("a large number", br#"{"messages":[],"seed":12345678901234567890123}"#, Serve),
    (
        "messages twice",
        br#"{"messages":[],"messages":[{"role":"user","content":"a"}]}"#,
        Refuse(400),
    ),
    ("messages twice, once escaped", br#"{"messages":[],"mess\u0061ges":[]}"#, Refuse(400)),
    (
        "content twice",
        br#"{"messages":[{"role":"user","content":"a","content":"b"}]}"#,
        Refuse(400),
    ),
    ("a key nobody scores twice", br#"{"messages":[],"x":1,"x":2}"#, Refuse(400)),
    ("an empty key twice", br#"{"messages":[],"":1,"":2}"#, Refuse(400)),
    ("Messages beside messages", br#"{"messages":[],"Messages":[]}"#, Refuse(400)),
    ("MESSAGES alone", br#"{"MESSAGES":[]}"#, Refuse(400)),
    ("messages with a long s", "{\"me\u{17f}sages\":[]}".as_bytes(), Refuse(400)),
    ("a byte order mark", b"\xef\xbb\xbf{\"messages\":[]}", Refuse(400)),
    ("UTF-16, little end", b"{\0\"\0m\0\"\0:\x001\0}\0", Refuse(400)),
    ("UTF-16, big end", b"\0{\0\"\0m\0\"\0:\x001\0}", Refuse(400)),
    ("UTF-16 with its mark", b"\xff\xfe{\0}\0", Refuse(400)),
    ("UTF-32", b"\0\0\0{\0\0\0}", Refuse(400)),
    ("Latin 1", b"{\"messages\":[],\"x\":\"\xe4\"}", Refuse(400)),
    ("overlong slash", b"{\"messages\":[],\"x\":\"\xc0\xaf\"}", Refuse(400)),
    ("overlong NUL", b"{\"messages\":[],\"x\":\"\xc0\x80\"}", Refuse(400)),
    ("surrogates as bytes", b"{\"messages\":[],\"x\":\"\xed\xa0\xbd\xed\xb8\x80\"}", Refuse(400)),
    ("beyond Unicode", b"{\"messages\":[],\"x\":\"\xf4\x90\x80\x80\"}", Refuse(400)),
    ("half a letter", b"{\"messages\":[],\"x\":\"\xe2\x82\"}", Refuse(400)),
    ("half a pair, high", br#"{"messages":[],"x":"\ud83d"}"#, Refuse(400)),
    ("half a pair, low", br#"{"messages":[],"x":"\ude00"}"#, Refuse(400)),
    ("a pair the wrong way", br#"{"messages":[],"x":"\ude00\ud83d"}"#, Refuse(400)),
    ("half a pair in a key", br#"{"messages":[],"\ud83d":1}"#, Refuse(400)),
    ("NaN", br#"{"messages":[],"x":NaN}"#, Refuse(400)),
    ("Infinity", br#"{"messages":[],"x":Infinity}"#, Refuse(400)),
    ("-Infinity", br#"{"messages":[],"x":-Infinity}"#, Refuse(400)),
    ("1e999", br#"{"messages":[],"x":1e999}"#, Refuse(400)),
    ("1e999999999999", br#"{"messages":[],"x":1e999999999999}"#, Refuse(400)),
    ("a zero before digits", br#"{"messages":[],"x":01}"#, Refuse(400)),
    ("a minus before zeros", br#"{"messages":[],"x":-01}"#, Refuse(400)),
    ("a plus", br#"{"messages":[],"x":+1}"#, Refuse(400)),
    ("no digit before the point", br#"{"messages":[],"x":.5}"#, Refuse(400)),
    ("no digit after the point", br#"{"messages":[],"x":1.}"#, Refuse(400)),
    ("no exponent's digit", br#"{"messages":[],"x":1e}"#, Refuse(400)),
    ("hex", br#"{"messages":[],"x":0x10}"#, Refuse(400)),
    ("a digit of another script", "{\"messages\":[],\"x\":\u{661}}".as_bytes(), Refuse(400)),
    ("two documents", br#"{"messages":[]}{"messages":[]}"#, Refuse(400)),
    ("two documents in lines", b"{\"messages\":[]}\n{\"messages\":[]}", Refuse(400)),
    ("something after it", br#"{"messages":[]} x"#, Refuse(400)),
    ("NUL after it", b"{\"messages\":[]}\0", Refuse(400)),
    ("NUL in a string", b"{\"messages\":[],\"x\":\"\0\"}", Refuse(400)),
    ("a line end in a string", b"{\"messages\":[],\"x\":\"\n\"}", Refuse(400)),
    ("a tab in a string", b"{\"messages\":[],\"x\":\"\t\"}", Refuse(400)),
    ("a comma at the end", br#"{"messages":[],}"#, Refuse(400)),
    ("a comma at an array's end", br#"{"messages":[1,]}"#, Refuse(400)),
    ("two commas", br#"{"messages":[],,"x":1}"#, Refuse(400)),
    ("a comment", br#"{"messages":[]/* x */}"#, Refuse(400)),
    ("a comment to the line's end", b"{\"messages\":[]// x\n}", Refuse(400)),
    ("single quotes", br#"{'messages':[]}"#, Refuse(400)),
    ("no quotes", br#"{messages:[]}"#, Refuse(400)),
    ("an escape of x", br#"{"messages":[],"x":"\x41"}"#, Refuse(400)),
    ("a short escape of u", br#"{"messages":[],"x":"\u41"}"#, Refuse(400)),
    ("an escape in braces", br#"{"messages":[],"x":"\u{41}"}"#, Refuse(400)),
    ("an escape of a quote", br#"{"messages":[],"x":"\'"}"#, Refuse(400)),
    ("True", br#"{"messages":[],"x":True}"#, Refuse(400)),
    ("undefined", br#"{"messages":[],"x":undefined}"#, Refuse(400)),
    ("a vertical tab for a blank", b"{\"messages\":[]\x0b}", Refuse(400)),
    ("a no-break space for a blank", "{\"messages\":[]\u{a0}}".as_bytes(), Refuse(400)),
    ("an array at the top", b"[]", Refuse(400)),
    ("a string at the top", b"\"messages\"", Refuse(400)),
    ("null at the top", b"null", Refuse(400)),
    ("nothing", b"", Refuse(400)),
    ("blanks alone", b"   ", Refuse(400)),
    ("no end", br#"{"messages":["#, Refuse(400)),
    ("no end of a string", br#"{"messages":"x"#, Refuse(400)),
    ("the wrong bracket", br#"{"messages":[}]"#, Refuse(400)),
    ("a form", b"messages=%5B%5D&model=m", Refuse(400)),
    ("YAML", b"messages: []", Refuse(400)),
];

/// Fields about a plain body.
const FIELDS: &[(&str, &str, Must)] = &[
    ("no content type", "", Serve),
    ("json with charset", "content-type: application/json; charset=utf-8\r\n", Serve),
    ("json in capitals", "content-type: APPLICATION/JSON;CHARSET=\"UTF-8\"\r\n", Serve),
    ("identity", "content-type: application/json\r\ncontent-encoding: identity\r\n", Serve),
    ("utf-16 by charset", "content-type: application/json; charset=utf-16\r\n", Refuse(400)),
    ("utf-7 by charset", "content-type: application/json; charset=utf-7\r\n", Refuse(400)),
    ("latin 1 by charset", "content-type: application/json; charset=iso-8859-1\r\n", Refuse(400)),
    (
        "two charsets",
        "content-type: application/json; charset=utf-8; charset=utf-16\r\n",
        Refuse(400),
    ),
    ("text", "content-type: text/plain\r\n", Refuse(400)),
    ("a form by type", "content-type: application/x-www-form-urlencoded\r\n", Refuse(400)),
    ("multipart", "content-type: multipart/form-data; boundary=x\r\n", Refuse(400)),
    ("two types", "content-type: application/json\r\ncontent-type: text/plain\r\n", Refuse(400)),
    ("two types in a line", "content-type: application/json, text/plain\r\n", Refuse(400)),
    ("jsonp", "content-type: application/jsonp\r\n", Refuse(400)),
    ("another's json", "content-type: application/vnd.x+json\r\n", Refuse(400)),
    (
        "gzip that is none",
        "content-type: application/json\r\ncontent-encoding: gzip\r\n",
        Refuse(400),
    ),
    ("br that is none", "content-type: application/json\r\ncontent-encoding: br\r\n", Refuse(400)),
    (
        "zstd that is none",
        "content-type: application/json\r\ncontent-encoding: zstd\r\n",
        Refuse(400),
    ),
    ("deflate", "content-type: application/json\r\ncontent-encoding: deflate\r\n", Refuse(415)),
    ("x-gzip", "content-type: application/json\r\ncontent-encoding: x-gzip\r\n", Refuse(415)),
    ("compress", "content-type: application/json\r\ncontent-encoding: compress\r\n", Refuse(415)),
    (
        "gzip, gzip",
        "content-type: application/json\r\ncontent-encoding: gzip, gzip\r\n",
        Refuse(415),
    ),
    (
        "gzip twice",
        "content-type: application/json\r\ncontent-encoding: gzip\r\ncontent-encoding: gzip\r\n",
        Refuse(415),
    ),
    ("an empty coding", "content-type: application/json\r\ncontent-encoding:\r\n", Refuse(415)),
    (
        "two keys",
        "content-type: application/json\r\nauthorization: Bearer a\r\nx-api-key: b\r\n",
        Refuse(400),
    ),
    (
        "two keys in a line",
        "content-type: application/json\r\nauthorization: Bearer a, Bearer b\r\n",
        Refuse(401),
    ),
];

const PATHS: [&str; 8] = [
    "/v1/chat/completions",
    "//v1//chat///completions/",
    "/v1/%63hat/completion%73",
    "/v1/chat%2fcompletions",
    "/v1/./chat/x/../completions",
    "/x/openai/deployments/m/chat/completions?api-version=1",
    "/x/OpenAI/deployments/m/Chat/Completions?api-version=1",
    "/v1/chat;x/completions;y=z",
];

fn post(path: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST /CASE{path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{fields}content-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

const TYPE: &str = "content-type: application/json\r\n";

#[test]
fn a_body_with_two_readings_is_refused_and_one_with_one_arrives_as_it_came() {
    let stage = Stage::new("");
    let mut cases: Vec<Case> = Vec::new();
    for &(name, body, must) in JSON {
        cases.push((name, post(PATHS[0], TYPE, body), must));
    }
    for &(name, fields, must) in FIELDS {
        cases.push((name, post(PATHS[0], fields, PLAIN.as_bytes()), must));
    }
    for path in PATHS {
        cases.push((path, post(path, TYPE, br#"{"messages":[],"messages":[]}"#), Refuse(400)));
    }
    run(&stage, &cases);
    for (number, (name, bytes, must)) in cases.iter().enumerate() {
        if *must == Serve {
            let forwarded = stage.forwarded(&format!("/case-{number}-")).remove(0);
            assert!(bytes.ends_with(&forwarded.body) && !forwarded.body.is_empty(), "{name}");
        }
    }
}

#[test]
fn deep_long_and_coded_bodies_cost_little() {
    let stage = Stage::new("");
    stage.serves();
    let before = stage.resident_kib();
    let wrapped = |inside: String| format!("{{\"messages\":[],\"x\":{inside}}}");
    let deep = |open: &str, close: &str, depth: usize| {
        wrapped(format!("{}1{}", open.repeat(depth), close.repeat(depth)))
    };
    let keys = (0..50_000).map(|n| format!("\"k{n}\":1")).collect::<Vec<_>>().join(",");
    let lines = "{\"role\":\"user\",\"content\":\"a\"},".repeat(20_000);
    let mut cases: Vec<Case> = Vec::new();
    for (name, body, must) in [
        ("120 arrays", deep("[", "]", 120), Serve),
        ("128 arrays", deep("[", "]", 128), Refuse(400)),
        ("128 objects", deep("{\"a\":", "}", 128), Refuse(400)),
        ("100,000 arrays", deep("[", "]", 100_000), Refuse(400)),
        ("a million open arrays", format!("{{\"messages\":{}", "[".repeat(1 << 20)), Refuse(400)),
        ("100,000 open objects", "{\"a\":".repeat(100_000), Refuse(400)),
        ("a number of 400 digits", wrapped("1".repeat(400)), Refuse(400)),
        ("a number of 1 MiB", wrapped("1".repeat(1 << 20)), Refuse(400)),
        ("50,000 keys", wrapped(format!("{{{keys}}}")), Serve),
        ("50,000 keys, the last twice", wrapped(format!("{{{keys},\"k49999\":1}}")), Refuse(400)),
        ("20,000 messages", format!("{{\"messages\":[{}]}}", lines.trim_end_matches(',')), Serve),
        ("1 MiB of escapes", wrapped(format!("\"{}\"", "\\u0041".repeat(170_000))), Serve),
        ("1 MiB of backslashes", wrapped(format!("\"{}\"", "\\\\".repeat(500_000))), Serve),
        (
            "1 MiB of quotes without end",
            wrapped(format!("\"{}", "\\\"".repeat(500_000))),
            Refuse(400),
        ),
    ] {
        cases.push((name, post(PATHS[0], TYPE, body.as_bytes()), must));
    }
    for coding in ["gzip", "br", "zstd"] {
        let fields = format!("{TYPE}content-encoding: {coding}\r\n");
        let plain = encoded(coding, PLAIN.as_bytes());
        let bomb = encoded(
            coding,
            &[&b"{\"messages\":[],\"x\":\""[..], &vec![b'a'; 96 << 20], b"\"}"].concat(),
        );
        for (name, body, must) in [
            ("coded", plain.clone(), Serve),
            ("coded twice over", encoded(coding, &plain), Refuse(400)),
            ("two streams", plain.repeat(2), Refuse(400)),
            ("a tail", [&plain[..], b"{}"].concat(), Refuse(400)),
            ("cut short", plain[..plain.len() - 2].to_vec(), Refuse(400)),
            ("a bomb", bomb, Refuse(413)),
        ] {
            cases.push((name, post(PATHS[0], &fields, &body), must));
        }
    }
    run(&stage, &cases);
    let after = stage.resident_kib();
    // Less than one bomb comes to. The allocator keeps some of what it had for each thread.
    assert!(after <= before + (96 << 10), "{before} KiB before, {after} KiB after");
}
