use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::HeaderMap;
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::sync::Semaphore;

use super::body::{decoded, is_plain_too};
use super::head::is_json;
use super::*;
use crate::dialect::Reason;
use crate::guard::coding::Coding;
use crate::guard::coding::tests::encoded;
use crate::guard::settings::Settings;

/// Sends a chunk after each pause, then ends, fails or never does either.
struct Slow {
    chunks: Vec<&'static [u8]>,
    pause: Pin<Box<tokio::time::Sleep>>,
    every: Duration,
    fails: bool,
}

impl Slow {
    fn new(chunks: &[&'static [u8]], every: Duration) -> Self {
        let pause = Box::pin(tokio::time::sleep(every));
        Self { chunks: chunks.to_vec(), pause, every, fails: false }
    }
}

impl Body for Slow {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        std::task::ready!(self.pause.as_mut().poll(cx));
        let next = tokio::time::Instant::now() + self.every;
        self.pause.as_mut().reset(next);
        if self.chunks.is_empty() {
            return Poll::Ready(self.fails.then(|| Err("reset".into())));
        }
        let chunk = self.chunks.remove(0);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(chunk)))))
    }
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

fn reason(outcome: Result<impl Sized, Refusal>) -> Option<Reason> {
    outcome.err().map(|refusal| refusal.reason)
}

fn budget(kib: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(kib))
}

#[tokio::test(start_paused = true)]
async fn a_body_is_taken_whole_and_its_share_given_back() {
    let (settings, budget) = (Settings::default(), budget(8));
    let body = Slow::new(&[b"ab", b"", &[b'x'; 3000], b"cd"], Duration::from_millis(5));
    let body = collect(body, &settings, &budget).await.unwrap();
    assert_eq!((body.len(), &body[..2], &body[3002..]), (3004, &b"ab"[..], &b"cd"[..]));
    assert_eq!(budget.available_permits(), 5);
    let kept = body.slice(1..2);
    drop(body);
    assert_eq!(budget.available_permits(), 5);
    drop(kept);
    assert_eq!(budget.available_permits(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_body_beyond_the_process_budget_is_refused_for_now() {
    let body = Slow::new(&[&[0; 4000], &[0; 4000]], Duration::ZERO);
    let budget = budget(5);
    let refused = collect(body, &Settings::default(), &budget).await;
    assert_eq!(reason(refused), Some(Reason::Overloaded));
    assert_eq!(budget.available_permits(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_body_longer_than_it_may_be_is_refused_by_count() {
    let settings = Settings { max_body: 10, ..Settings::default() };
    let exact = Slow::new(&[b"12345", b"67890"], Duration::ZERO);
    assert_eq!(reason(collect(exact, &settings, &budget(8)).await), None);
    let longer = Slow::new(&[b"12345", b"678901"], Duration::ZERO);
    assert_eq!(reason(collect(longer, &settings, &budget(8)).await), Some(Reason::TooLarge));
}

#[tokio::test(start_paused = true)]
async fn a_dripped_body_meets_a_deadline_over_all_of_it() {
    let drip: Vec<&[u8]> = vec![b"x"; 1000];
    let began = tokio::time::Instant::now();
    let body = Slow::new(&drip, Duration::from_millis(900));
    let refused = collect(body, &Settings::default(), &budget(8)).await;
    assert_eq!(reason(refused), Some(Reason::RequestTimeout));
    assert!(began.elapsed() < Duration::from_secs(31));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_off_is_not_taken_for_a_short_one() {
    let mut body = Slow::new(&[b"{}"], Duration::ZERO);
    body.fails = true;
    let refused = collect(body, &Settings::default(), &budget(8)).await;
    assert_eq!(reason(refused), Some(Reason::BadRequest));
}

#[tokio::test]
async fn an_empty_body_costs_nothing() {
    let empty = Full::<Bytes>::default().map_err(|never: Infallible| match never {});
    let budget = budget(1);
    assert!(collect(empty, &Settings::default(), &budget).await.unwrap().is_empty());
    assert_eq!(budget.available_permits(), 1);
}

#[test]
fn only_json_in_utf8_is_read() {
    for kind in ["application/json", "Application/JSON; charset=UTF-8", "application/json;a=b"] {
        assert!(is_json(&headers(&[("content-type", kind)])), "{kind}");
    }
    for kind in ["text/plain", "application/json; charset=utf-16", "application/jsonl", ""] {
        assert!(!is_json(&headers(&[("content-type", kind)])), "{kind}");
    }
    assert!(is_json(&headers(&[])));
    let two = headers(&[("content-type", "application/json"), ("content-type", "text/plain")]);
    assert!(!is_json(&two));
}

#[test]
fn the_head_alone_refuses_what_can_not_be_read() {
    let settings = Settings { codings: vec![Coding::Gzip, Coding::Zstd], ..Settings::default() };
    let fits = |pairs: &[_]| reason(fits(&headers(pairs), &settings));
    assert_eq!(fits(&[("content-length", "10737418240")]), Some(Reason::TooLarge));
    assert_eq!(fits(&[("content-length", "33554432")]), None);
    let form = |pairs: &[_]| form(&headers(pairs), &settings).map_err(|refusal| refusal.reason);
    assert_eq!(form(&[("content-type", "text/plain")]), Err(Reason::Malformed));
    assert_eq!(form(&[("content-encoding", "identity")]), Ok(None));
    assert_eq!(form(&[("content-encoding", "gzip")]), Ok(Some(Coding::Gzip)));
    for odd in ["br", "deflate", "gzip, zstd", "lzma"] {
        assert_eq!(form(&[("content-encoding", odd)]), Err(Reason::UnsupportedEncoding), "{odd}");
    }
    let twice = [("content-encoding", "gzip"), ("content-encoding", "gzip")];
    assert_eq!(form(&twice), Err(Reason::UnsupportedEncoding));
}

#[test]
fn a_coded_body_comes_to_no_more_than_a_plain_one_may_and_counts_like_one() {
    let settings = Settings { max_body: 4 << 20, ..Settings::default() };
    let verse = b"A verse, and another one. ".repeat(100 << 10);
    for coding in settings.codings.clone() {
        let bodies = [&verse[..4000], &verse[..600 << 10], &vec![0; 40 << 20]];
        let [small, large, bomb] = bodies.map(|plain| encoded(coding, plain, usize::MAX));
        let buffers = budget(512);
        let body = decoded(coding, &small, &settings, &buffers).unwrap();
        assert_eq!((&body[..], buffers.available_permits()), (&verse[..4000], 508));
        drop(body);
        let reason = |coded: &[u8]| reason(decoded(coding, coded, &settings, &buffers));
        assert_eq!(reason(&large), Some(Reason::Overloaded));
        assert_eq!(reason(&small[..small.len() - 1]), Some(Reason::Malformed));
        assert_eq!(buffers.available_permits(), 512, "all of it is given back");
        let settings = Settings { max_body: 3000, ..settings.clone() };
        assert_eq!(
            super::tests::reason(decoded(coding, &small, &settings, &buffers)),
            Some(Reason::TooLarge)
        );
        let refused = decoded(coding, &bomb, &Settings::default(), &budget(0));
        assert_eq!(super::tests::reason(refused), Some(Reason::TooLarge), "it is never held");
        let buffers = budget(1 << 20);
        let refused = decoded(coding, &bomb, &Settings::default(), &buffers);
        assert_eq!(super::tests::reason(refused), Some(Reason::TooLarge), "{coding:?}");
    }
}

#[test]
fn coded_bytes_that_a_careless_reader_takes_for_json_are_refused() {
    for plain in ["{}", " \r\n\t{", "\u{feff}{"] {
        assert!(is_plain_too(plain.as_bytes()), "{plain}");
        let read = decoded(Coding::Br, plain.as_bytes(), &Settings::default(), &budget(8));
        assert_eq!(reason(read), Some(Reason::Ambiguous));
    }
    for wide in ["{".encode_utf16().next().unwrap().to_le_bytes(), [0, b'{']] {
        assert!(is_plain_too(&wide));
    }
    assert!(!is_plain_too(b"\x1f\x8b{") && !is_plain_too(b""));
}

#[test]
fn retries_are_counted_in_both_spellings() {
    let retry = |name, value| retry(&headers(&[(name, value)]));
    assert_eq!(retry("x-stainless-retry-count", "2"), 2);
    assert_eq!(retry("amz-sdk-request", "attempt=3; max=3"), 2);
    assert_eq!(retry("amz-sdk-request", "ttl=20; attempt=1"), 0);
    assert_eq!(retry("x-stainless-retry-count", "999"), 0);
    assert_eq!(retry("x-other", "2"), 0);
}

#[test]
fn sessions_of_the_head_are_added_to_those_of_the_body_once() {
    let keyring = crate::identity::Keyring::new([1; 32]);
    let id = "5d0f8a6e-1c2b-4f3a-9e77-0a1b2c3d4e5f";
    let mut headers = HeaderMap::new();
    for (name, value) in [("x-session-id", id), ("session_id", id), ("session-id", "front page")] {
        headers.insert(name, value.parse().unwrap());
    }
    let known = crate::signal::session_tag(id, &keyring).unwrap();
    let mut sessions = vec![Tag(1)];
    super::head::name_sessions(&headers, &keyring, &mut sessions);
    assert_eq!(sessions, [Tag(1), known]);
}
