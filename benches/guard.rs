//! The guard without sockets: what one exchange costs from its head to what is learnt of it, decision
//! log included. `cargo bench --bench guard`; below a minute. No question comes twice, system prompts do.
//!
//! With `-- --instructions` it counts instructions under valgrind instead of time. They are the same
//! from run to run, within a per cent, whatever else the machine does: compare those between commits.

#[path = "proxy/chat.rs"]
mod chat;

use std::convert::Infallible;
use std::error::Error;
use std::ops::Range;
use std::process::Command;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Either, Full, StreamBody};
use stillguard::engine::Engine;
use stillguard::guard::{self, GuardLayer, Outbound, Shared, UpstreamError};
use stillguard::identity::{self, Identifier, Keyring};
use stillguard::lab::rng::Rng;
use stillguard::policy::Policies;
use stillguard::telemetry::{self, DecisionLog, Telemetry};
use stillguard::time::Clock;
use tower::{ServiceBuilder, ServiceExt, service_fn};

use self::chat::FRESH;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const ACCOUNTS: u64 = 64;
/// Chunks of a streamed answer, as in the proxy's bench.
const CHUNKS: usize = 200;
/// Exchanges that are timed, in batches of which the median counts.
const BATCH: u64 = 400;
const BATCHES: usize = 9;
/// Exchanges by which two runs under valgrind differ.
const COUNTED: u64 = 600;

/// What is asked, in bytes, and whether the answer streams.
const CASES: [(&str, usize, bool); 5] = [
    ("1 KB", 1 << 10, false),
    ("8 KB", 8 << 10, false),
    ("10 KB", 10 << 10, false),
    ("100 KB", 100 << 10, false),
    ("1 KB, 200 chunks", 1 << 10, true),
];

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["--exchanges", case, count] => {
            let (_, bytes, stream) = CASES[case.parse::<usize>()?];
            let count = count.parse()?;
            runtime()?.block_on(asked(&scene(bytes, stream)?, 0..count))
        }
        _ if words.contains(&"--instructions") => table("instructions", |case, _| counted(case)),
        _ if words.contains(&"--bench") => {
            table("ns", |_, (bytes, stream)| runtime()?.block_on(timed(bytes, stream)))
        }
        // `cargo test --all-targets` runs benches without it.
        _ => Ok(()),
    }
}

fn table(unit: &str, cost: impl Fn(usize, (usize, bool)) -> Result<u64>) -> Result<()> {
    println!("| body | {unit} an exchange |\n|---|---|");
    for (case, (label, bytes, stream)) in CASES.into_iter().enumerate() {
        println!("| {label} | {} |", cost(case, (bytes, stream))?);
    }
    Ok(())
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_time().build()?)
}

async fn asked(ask: &impl AsyncFn(u64) -> Result<()>, numbers: Range<u64>) -> Result<()> {
    for number in numbers {
        ask(number).await?;
    }
    Ok(())
}

async fn timed(bytes: usize, stream: bool) -> Result<u64> {
    let (ask, clock) = (scene(bytes, stream)?, Clock::start());
    asked(&ask, 0..BATCH).await?;
    let mut batches = Vec::new();
    for batch in 1..=BATCHES as u64 {
        let began = clock.elapsed_nanos();
        asked(&ask, batch * BATCH..(batch + 1) * BATCH).await?;
        batches.push((clock.elapsed_nanos() - began) / BATCH);
    }
    batches.sort_unstable();
    Ok(batches[BATCHES / 2])
}

/// Instructions per exchange, start and warming up left out.
fn counted(case: usize) -> Result<u64> {
    let all = |exchanges: u64| -> Result<u64> {
        let mut command = Command::new("valgrind");
        command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
        command.arg(std::env::current_exe()?);
        command.args(["--exchanges", &case.to_string(), &exchanges.to_string()]);
        let said = command.output()?.stderr;
        let said = String::from_utf8_lossy(&said);
        let count = said.lines().find_map(|line| line.split_once("Collected :"));
        Ok(count.ok_or_else(|| format!("valgrind: {said}"))?.1.trim().parse()?)
    };
    Ok((all(BATCH + COUNTED)? - all(BATCH)?) / COUNTED)
}

/// A guarded endpoint that gives one answer. Asked by number, it takes the answer in to its end.
fn scene(bytes: usize, stream: bool) -> Result<impl AsyncFn(u64) -> Result<()>> {
    let mut rng = Rng::new(bytes as u64);
    let bodies: Vec<String> = (0..64).map(|_| chat::body(&mut rng, bytes, stream)).collect();
    let log = tempfile::tempdir()?;
    let keyring = Keyring::new([7; 32]);
    let identity = identity::Settings {
        trusted_hops: vec!["0.0.0.0/0".parse()?],
        ..identity::Settings::default()
    };
    let decision_log =
        DecisionLog { path: Some(log.path().join("decisions.jsonl")), ..DecisionLog::default() };
    let telemetry = telemetry::Settings { decision_log, ..telemetry::Settings::default() };
    let shared = Shared {
        settings: ArcSwap::from_pointee(guard::Settings::default()),
        identifier: ArcSwap::from_pointee(Identifier::new(&identity, keyring.clone())?),
        records: Default::default(),
        engine: Arc::new(Engine::new(Default::default(), Policies::default())),
        telemetry: Arc::new(Telemetry::start(&telemetry, &[])?),
        keyring,
        clock: Clock::start(),
    };
    let answer = move |_: Request<Outbound<Full<Bytes>>>| async move {
        answer(stream).map_err(|why| UpstreamError::Broken(why.to_string()))
    };
    let layer = GuardLayer::new(Arc::new(shared));
    let service = ServiceBuilder::new().layer(layer).service(service_fn(answer));
    Ok(async move |number| {
        let _kept = &log;
        let response = service.clone().oneshot(request(&bodies, number)?).await?;
        let (head, mut body) = response.into_parts();
        while let Some(frame) = body.frame().await {
            frame?;
        }
        if head.status.is_success() { Ok(()) } else { Err(head.status.as_str().into()) }
    })
}

/// The next request of one of the accounts, whose prompt nobody has sent before.
fn request(bodies: &[String], number: u64) -> Result<Request<Full<Bytes>>> {
    let body = &bodies[number as usize % bodies.len()];
    let body = body.replace(FRESH, &format!("{number:016}"));
    let account = number % ACCOUNTS;
    Ok(Request::post("/v1/chat/completions")
        .header("host", "api.example.com")
        .header("user-agent", "OpenAI/Python 2.54.0")
        .header("authorization", format!("Bearer sk-bench-{account:04}-0123456789abcdef"))
        .header("x-forwarded-for", format!("82.10.{account}.7"))
        .header("accept", "application/json")
        .header("content-type", "application/json")
        .header("content-length", body.len())
        .body(Full::from(body))?)
}

type Chunk = std::result::Result<Frame<Bytes>, Infallible>;
type Told = Either<Full<Bytes>, StreamBody<stream::Iter<std::vec::IntoIter<Chunk>>>>;

fn answer(streamed: bool) -> Result<Response<Told>> {
    let kind = if streamed { "text/event-stream" } else { "application/json" };
    let body = if streamed {
        let chunks: Vec<_> =
            (0..CHUNKS).map(event).chain(["data: [DONE]\n\n".to_owned()]).collect();
        let chunks: Vec<Chunk> = chunks.into_iter().map(|it| Ok(Frame::data(it.into()))).collect();
        Either::Right(StreamBody::new(stream::iter(chunks)))
    } else {
        let text = "Water rises where the pull is strongest, and falls again as the planet turns. ";
        Either::Left(Full::from(format!(
            r#"{{"id":"chatcmpl-0123456789","object":"chat.completion","created":1750000000,"model":"m-1","choices":[{{"index":0,"message":{{"role":"assistant","content":"{}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":300,"completion_tokens":120,"total_tokens":420}}}}"#,
            text.repeat(8)
        )))
    };
    Ok(Response::builder().header("content-type", kind).body(body)?)
}

fn event(number: usize) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-0123456789\",\"object\":\"chat.completion.chunk\",\"model\":\"m-1\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\" word{number}\"}},\"finish_reason\":null}}]}}\n\n"
    )
}
