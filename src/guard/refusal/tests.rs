mod table;

use std::time::Duration;

use http::HeaderMap;

use super::*;
use crate::dialect::{Api, Delta, Request, Worded, sse};

/// Says what it was told, so that tests can read it.
#[derive(Debug)]
struct Plain;

impl Dialect for Plain {
    fn api(&self) -> Api {
        Api::Other
    }

    fn speaks(&self, _: &http::Method, _: &str, _: &HeaderMap) -> bool {
        true
    }

    fn read_request<'a>(&self, _: &'a [u8]) -> Result<Request<'a>, Malformed> {
        Ok(Request::default())
    }

    fn read_answer<'a>(&self, _: &'a [u8]) -> Result<Delta<'a>, Malformed> {
        Ok(Delta::default())
    }

    fn read_event<'a>(&self, _: sse::Event<'a>) -> Result<Delta<'a>, Malformed> {
        Ok(Delta::default())
    }

    fn refuse(&self, wording: &Wording<'_>) -> Worded {
        let link = wording.link.map(|link| (link.url.to_owned(), link.expires_at));
        let body = format!("{}|{}|{link:?}", wording.status, wording.message);
        Worded { headers: Vec::new(), body: body.into() }
    }

    fn break_stream(&self, _: &Wording<'_>) -> Bytes {
        Bytes::new()
    }
}

pub(super) const REASONS: [Reason; 22] = [
    Reason::Throttled,
    Reason::Challenged,
    Reason::Dropped,
    Reason::Region,
    Reason::Malformed,
    Reason::Sweep,
    Reason::Unbound,
    Reason::Ambiguous,
    Reason::BadRequest,
    Reason::MissingCredential,
    Reason::BadCredential,
    Reason::TwoCredentials,
    Reason::NoTenant,
    Reason::MethodNotAllowed,
    Reason::RequestTimeout,
    Reason::TooLarge,
    Reason::UriTooLong,
    Reason::HeadersTooLarge,
    Reason::UnsupportedEncoding,
    Reason::Overloaded,
    Reason::UpstreamFailed,
    Reason::UpstreamTimeout,
];

fn header<'a>(response: &'a Response<Full<Bytes>>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[test]
fn every_reason_is_an_error_and_names_the_decision() {
    for reason in REASONS {
        let response = respond(&Plain, reason, "sg_00000000000000aa");
        assert!(response.status().as_u16() >= 400, "{reason:?}");
        assert_eq!(header(&response, "x-stillguard-request-id"), "sg_00000000000000aa");
        assert_eq!(header(&response, "cache-control"), "no-store");
        let message = Refusal::from(reason).message("sg_00000000000000aa");
        assert!(message.is_ascii() && !message.contains('\n'), "{message}");
        assert!(message.ends_with(". Reference sg_00000000000000aa."), "{message}");
    }
}

#[test]
fn what_must_not_be_sent_again_says_so() {
    let is_final = |refusal: Refusal| {
        header(&refusal.respond(&Plain, "sg_1", None), "x-should-retry") == "false"
    };
    assert!(is_final(Refusal::dropped()));
    assert!(is_final(Refusal::challenged("https://x/y".into(), Timestamp::default())));
    assert!(is_final(Refusal::throttled(Wait::new(Duration::from_secs(31), 0), Scarce::Requests)));
    assert!(!is_final(Refusal::throttled(Wait::new(Duration::from_secs(29), 0), Scarce::Requests)));
    assert!(!is_final(Reason::Overloaded.into()));
}

#[test]
fn a_throttle_names_a_wait_that_clients_keep_to() {
    let refusal = Refusal::throttled(Wait::new(Duration::from_millis(2500), 7), Scarce::Requests);
    let response = refusal.respond(&Plain, "sg_1", None);
    assert_eq!(response.status(), 429);
    assert_eq!(header(&response, "retry-after"), "3");
    assert_eq!(header(&response, "retry-after-ms"), "2508");
    assert_eq!(header(&response, "x-stillguard-action"), "throttle");
    let refusal = Refusal::throttled(Wait::new(Duration::from_secs(4000), 7), Scarce::Requests);
    assert_eq!(header(&refusal.respond(&Plain, "sg_1", None), "retry-after"), "30");
}

#[test]
fn a_challenge_shows_its_link_early_and_followed_by_a_space() {
    let refusal = Refusal::challenged("https://x/c/1".into(), Timestamp::from_millis(9_500));
    let text = refusal.message("sg_1");
    assert!(text.starts_with("Verify this account to continue: https://x/c/1 (or run"), "{text}");
    let response = refusal.respond(&Plain, "sg_1", None);
    let body = format!("{:?}", response.body());
    assert!(body.contains("Some((") && body.contains("https://x/c/1") && body.contains(", 9)"));
}

#[test]
fn a_detail_stays_one_line_of_ascii() {
    let text = Refusal::malformed("`n\u{e9}\r\nx-evil: 1` is not a number").message("sg_1");
    assert_eq!(text, "`n???x-evil: 1` is not a number. Reference sg_1.");
}

#[test]
fn a_refusal_is_dated() {
    let now = Timestamp::from_millis(784_111_777_000);
    let response = Refusal::dropped().respond(&Plain, "sg_1", Some(now));
    assert_eq!(header(&response, "date"), "Sun, 06 Nov 1994 08:49:37 GMT");
}
