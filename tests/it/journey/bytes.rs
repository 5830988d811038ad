//! Bytes pass as they came, both ways, however they are cut: for every dialect.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use stillguard::engine::Verdict;
use stillguard::guard::Fault;
use stillguard::policy::Action;

use super::scene::Scene;
use super::shaping;
use super::wire::{Message, Wire, Writes, aws_frame};

/// How an answer is divided into events.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Json,
    Sse,
    Array,
    Frames,
}

/// A route, what is asked there, and what one event of its answer looks like.
type Route = (&'static str, &'static str, Kind, &'static str);

const CHAT: &str =
    r#"{ "model":"m-1", "messages" :[{"content":"h\u0069 é世🦀","role":"user"}], "vendor":1e2 }"#;
const TEXT: &str = r#"{"model":"m-1","prompt":["a","b"],"input":"a"}"#;
const CLAUDE: &str = "{\"max_tokens\":9,\"model\":\"m-1\",\r\n\t\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}]}]}";
const GOOGLE: &str = r#"{"contents":[{"parts":[{"text":"What  is?"}]}],"requests":[],"content":{"parts":[{"text":"x"}]}}"#;
const AMAZON: &str = r#"{"messages":[{"role":"user","content":[{"text":"x"}]}],"inferenceConfig":{"maxTokens":9.0}}"#;

const ROUTES: &[Route] = &[
    ("/v1/chat/completions", CHAT, Kind::Json, r#"{"choices":[{"message":{"content":"é"}}]}"#),
    ("/v1/chat/completions", CHAT, Kind::Sse, r#"{"choices":[{"delta":{"content":"世é"}}]}"#),
    ("/v1/responses", TEXT, Kind::Sse, r#"{"type":"response.output_text.delta","delta":"🦀"}"#),
    ("/v1/responses", TEXT, Kind::Json, r#"{"id":"resp_1","output":[]}"#),
    ("/v1/completions", TEXT, Kind::Sse, r#"{"choices":[{"text":"é"}]}"#),
    ("/v1/embeddings", TEXT, Kind::Json, r#"{"data":[{"embedding":[0.1,-1E-7]}]}"#),
    ("/openai/deployments/d/chat/completions", CHAT, Kind::Sse, r#"{"choices":[]}"#),
    ("/v1/messages", CLAUDE, Kind::Sse, r#"{"type":"content_block_delta","delta":{"text":"é"}}"#),
    (
        "/v1/messages",
        CLAUDE,
        Kind::Sse,
        r#"{"type":"content_block_delta","delta":{"thinking":"é"}}"#,
    ),
    ("/v1/messages", CLAUDE, Kind::Json, r#"{"id":"msg_1","content":[],"usage":null}"#),
    ("/v1/messages/count_tokens", CLAUDE, Kind::Json, r#"{"input_tokens":9}"#),
    ("/v1/messages/batches", r#"{"requests":[{"params":{}}]}"#, Kind::Json, r#"{"id":"b_1"}"#),
    ("/v1beta/models/m:generateContent", GOOGLE, Kind::Json, r#"{"candidates":[]}"#),
    ("/v1beta/models/m:streamGenerateContent?alt=sse", GOOGLE, Kind::Sse, r#"{"candidates":[]}"#),
    ("/v1beta/models/m:streamGenerateContent", GOOGLE, Kind::Array, r#"{"x":"[\"é"}"#),
    ("/v1beta/models/m:embedContent", GOOGLE, Kind::Json, r#"{"embedding":{}}"#),
    ("/model/m%3A0/converse", AMAZON, Kind::Json, r#"{"output":{}}"#),
    ("/model/m%3A0/converse-stream", AMAZON, Kind::Frames, r#"{"delta":{"text":"é"}}"#),
    ("/model/m%3A0/invoke", AMAZON, Kind::Json, r#"{"x":1}"#),
    ("/model/m/invoke-with-response-stream", AMAZON, Kind::Frames, r#"{"bytes":"e30="}"#),
    ("/v1/files", "--x\r\nnot { json \0\r\n--x--", Kind::Json, "not json either"),
    ("/v9/new", "", Kind::Sse, "whatever"),
];

/// What may stand before a route's path, and after it: nothing of it may be tidied up.
const PREFIXES: &[&str] = &["", "/", "/.", "/a%2Fb;c=1", "/x/../y", "/%7Eme"];
const QUERIES: &[&str] = &["", "?", "?a=1&a=2&&b", "?q=%20+%2f;x", "??", "?a=/../b"];

const FIELDS: &[(&str, &[u8])] = &[
    ("set-cookie", b"a=1; Path=/"),
    ("set-cookie", b"b=2, c"),
    ("Set-Cookie", b""),
    ("x-Empty", b""),
    ("x-text", b"caf\xe9 \xff \"q\""),
    ("x-text", b"a,b ,  c"),
    ("x-ratelimit-remaining-tokens", b"-1"),
    ("openai-processing-ms", b"7"),
    ("x-request-id", b"req_1"),
    ("etag", b"W/\"x\""),
    ("vary", b"origin"),
];

/// How long a body is said to be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Length {
    Declared,
    Chunked,
    /// As long as the connection lasts: answers only.
    Open,
}

#[derive(Clone, Debug)]
struct Case {
    route: Route,
    prefix: &'static str,
    query: &'static str,
    asked: Vec<(&'static str, &'static [u8])>,
    answered: Vec<(&'static str, &'static [u8])>,
    status: u16,
    lengths: (Length, Length),
    events: usize,
    end: &'static str,
    trailers: bool,
    /// Lengths of HTTP chunks, and of writes to the socket.
    chunks: Vec<usize>,
    cuts: Vec<usize>,
}

fn cases() -> impl Strategy<Value = Case> {
    let lengths = (
        select(vec![Length::Declared, Length::Chunked]),
        select(vec![Length::Declared, Length::Chunked, Length::Chunked, Length::Open]),
    );
    let fields = || vec(select(FIELDS), 0..6);
    let pieces =
        || prop_oneof![Just(vec![1; 4096]), vec(1..9_usize, 0..200), vec(1..400_usize, 0..9),];
    let target = (select(ROUTES), select(PREFIXES), select(QUERIES));
    let head = (fields(), fields(), select(vec![200, 200, 201, 299, 400, 429, 500, 529]));
    let body = (lengths, 0..6_usize, select(vec!["\n\n", "\r\n\r\n", "\r\r"]), any::<bool>());
    (target, head, body, (pieces(), pieces())).prop_map(|(target, head, body, cuts)| Case {
        route: target.0,
        prefix: target.1,
        query: target.2,
        asked: head.0,
        answered: head.1,
        status: head.2,
        lengths: body.0,
        events: body.1,
        end: body.2,
        trailers: body.3,
        chunks: cuts.0,
        cuts: cuts.1,
    })
}

impl Case {
    fn target(&self) -> String {
        let (path, has_query) = (self.route.0, self.route.0.contains('?'));
        let query = if has_query { "" } else { self.query };
        format!("{}{path}{query}", self.prefix)
    }

    fn answer_body(&self) -> (&'static str, Vec<u8>) {
        let (_, _, kind, event) = self.route;
        let many = |one: Vec<u8>| one.repeat(self.events);
        match kind {
            Kind::Json => ("application/json", event.as_bytes().to_vec()),
            Kind::Sse => (
                "text/event-stream; charset=utf-8",
                many(format!("data: {event}{}", self.end).into()),
            ),
            Kind::Array => {
                ("application/json", [b"[", &many([event, ",\r\n"].concat().into())[..]].concat())
            }
            Kind::Frames => {
                let frame = aws_frame("contentBlockDelta", event.as_bytes());
                ("application/vnd.amazon.eventstream", many(frame))
            }
        }
    }

    fn request(&self) -> Writes {
        let mut bytes = format!(
            "POST {} HTTP/1.1\r\nHost: api.example\r\nTE: trailers\r\nconnection: te\r\n\
             Authorization: Bearer sk-bytes\r\nContent-Type: application/json\r\n",
            self.target()
        );
        if self.route.0 == "/v1/files" {
            bytes = bytes.replace("application/json", "multipart/form-data; boundary=x");
        }
        let mut bytes = bytes.into_bytes();
        put(&mut bytes, &self.asked);
        self.finish(bytes, self.lengths.0, self.route.1.as_bytes(), false)
    }

    fn answer(&self) -> Writes {
        let (kind, body) = self.answer_body();
        let mut bytes = format!(
            "HTTP/1.1 {} Whatever\r\ndate: Tue, 24 Nov 2020 00:00:00 GMT\r\nserver: vllm/0.1\r\n\
             content-type: {kind}\r\n",
            self.status
        )
        .into_bytes();
        put(&mut bytes, &self.answered);
        let trailers = self.trailers && self.lengths.1 == Length::Chunked;
        if trailers {
            bytes.extend_from_slice(b"trailer: x-sum\r\n");
        }
        self.finish(bytes, self.lengths.1, &body, trailers)
    }

    fn finish(&self, mut head: Vec<u8>, length: Length, body: &[u8], trailers: bool) -> Writes {
        match length {
            Length::Declared => {
                head.extend(format!("content-length: {}\r\n\r\n", body.len()).bytes());
                head.extend_from_slice(body);
            }
            Length::Open => {
                head.extend_from_slice(b"\r\n");
                head.extend_from_slice(body);
            }
            Length::Chunked => {
                head.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
                let mut rest = body;
                let mut sizes = self.chunks.iter();
                while !rest.is_empty() {
                    let size = sizes.next().map_or(rest.len(), |&size| size.min(rest.len()));
                    let (chunk, after) = rest.split_at(size);
                    head.extend(format!("{size:x}\r\n").bytes());
                    head.extend_from_slice(chunk);
                    head.extend_from_slice(b"\r\n");
                    rest = after;
                }
                let last = if trailers { "0\r\nx-sum: \"1\"\r\n\r\n" } else { "0\r\n\r\n" };
                head.extend_from_slice(last.as_bytes());
            }
        }
        Writes { bytes: head, cuts: self.cuts.clone(), close: length == Length::Open }
    }
}

fn put(bytes: &mut Vec<u8>, fields: &[(&str, &[u8])]) {
    for (name, value) in fields {
        for piece in [name.as_bytes(), b":", value, b"\r\n"] {
            bytes.extend_from_slice(piece);
        }
    }
}

/// Fields with equal names in their order, names sorted; without those that may differ.
fn kept(message: &Message, may_differ: &[&str]) -> Vec<(String, Vec<u8>)> {
    let fields = message.fields.iter().filter(|(name, _)| !may_differ.contains(&name.as_str()));
    let mut fields: Vec<_> = fields.cloned().collect();
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    fields
}

fn sent(fields: &[(&str, &[u8])], more: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    let more = more.iter().map(|(name, value)| (*name, value.as_bytes()));
    let fields = more.chain(fields.iter().copied());
    let mut fields: Vec<_> =
        fields.map(|(name, value)| (name.to_ascii_lowercase(), value.to_vec())).collect();
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    fields
}

const OF_REQUESTS: &[&str] = &[
    "accept-encoding",
    "content-length",
    "forwarded",
    "host",
    "transfer-encoding",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
];
const OF_ANSWERS: &[&str] =
    &["connection", "content-length", "transfer-encoding", "x-stillguard-request-id"];

fn check(case: &Case, asked: &Message, answered: &Message) -> Result<(), TestCaseError> {
    prop_assert_eq!(&asked.start, &format!("POST {} HTTP/1.1", case.target()), "{:?}", answered);
    prop_assert_eq!(asked.body.as_slice(), case.route.1.as_bytes());
    let kind = if case.route.0 == "/v1/files" {
        "multipart/form-data; boundary=x"
    } else {
        "application/json"
    };
    let own = [("authorization", "Bearer sk-bytes"), ("content-type", kind)];
    prop_assert_eq!(kept(asked, OF_REQUESTS), sent(&case.asked, &own));
    let (kind, body) = case.answer_body();
    let status = case.status.to_string();
    prop_assert_eq!(answered.start.split(' ').nth(1), Some(status.as_str()));
    prop_assert_eq!(&answered.body, &body);
    let mut own = vec![
        ("date", "Tue, 24 Nov 2020 00:00:00 GMT"),
        ("server", "vllm/0.1"),
        ("content-type", kind),
    ];
    let trailers = case.trailers && case.lengths.1 == Length::Chunked;
    if trailers {
        own.push(("trailer", "x-sum"));
    }
    prop_assert_eq!(kept(answered, OF_ANSWERS), sent(&case.answered, &own));
    let sum = trailers.then(|| ("x-sum".to_owned(), b"\"1\"".to_vec()));
    prop_assert_eq!(&answered.trailers, &Vec::from_iter(sum));
    Ok(())
}

#[test]
fn bytes_pass_unchanged_both_ways_in_every_dialect_and_chunking() {
    pass_unchanged(&Scene::new(), 400);
}

#[test]
fn so_they_do_where_shaping_would_change_them_but_is_in_shadow_or_has_nothing_to_change() {
    let scene = Scene::with(shaping::all, |_| {});
    let verdict = Verdict { action: Action::Shape, ..Verdict::default() };
    scene.fault(Fault::Judges(Box::new(verdict)));
    pass_unchanged(&scene, 100);
    let scene = Scene::new();
    scene.judge(Action::Shape, 0.0);
    pass_unchanged(&scene, 100);
}

fn pass_unchanged(scene: &Scene, cases: u32) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let wire = runtime.block_on(Wire::before(scene));
    let config = ProptestConfig { cases, failure_persistence: None, ..Default::default() };
    proptest!(config, |(case in self::cases())| {
        let exchange = wire.exchange(case.request(), case.answer());
        let within = std::time::Duration::from_secs(10);
        let exchanged = runtime.block_on(async { tokio::time::timeout(within, exchange).await });
        let (asked, answered) = exchanged.expect("an exchange takes no time");
        check(&case, &asked, &answered)?;
    });
}
