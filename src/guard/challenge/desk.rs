//! The challenge's endpoints, below `/.stillguard/`: never forwarded, and no use to a crawler.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, DATE,
    REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full, Limited};
use serde_json::json;

use super::token::Token;
use super::{Challenges, Outcome, Settings, expiry, webhook};
use crate::guard::refusal::date;
use crate::guard::throttle::Wait;
use crate::identity::Tag;
use crate::signal::{ExchangeId, Trial};

const PREFIX: &str = "/.stillguard/";
/// Where the operator's own verification reports.
const ATTEST: &str = "attest";
const PAGE: &str = include_str!("page.html");
const SAID: &str = include_str!("said.html");
/// What links begin with.
const LINKS: &str = "/.stillguard/c/";
const FILES: [(&str, &str, &str); 3] = [
    ("page.js", "text/javascript; charset=utf-8", include_str!("page.js")),
    ("worker.js", "text/javascript; charset=utf-8", include_str!("worker.js")),
    ("page.css", "text/css; charset=utf-8", include_str!("page.css")),
];
const POLICY: &str = "default-src 'none'; script-src 'self'; worker-src 'self'; \
    connect-src 'self'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; \
    base-uri 'none'";
/// An answer is some 400 bytes.
const MAX_BODY: usize = 2048;
const BODY_TIME: Duration = Duration::from_secs(10);

/// Who comes to the desk, and what the desk needs to serve them.
pub(in crate::guard) struct Visit<'a> {
    pub settings: &'a Settings,
    pub address: IpAddr,
    /// The visitor's network.
    pub from: Tag,
    /// Scheme and authority that links start with.
    pub base: &'a str,
    /// Has the engine take in a step of a challenge; false when it does not know the account.
    pub tried: &'a (dyn Fn(&Trial) -> bool + Sync),
}

/// Whether a path is the desk's own.
pub(in crate::guard) fn owns(path: &str) -> bool {
    path.starts_with(PREFIX)
}

/// Where `token` is answered.
pub(in crate::guard) fn link(base: &str, token: &str) -> String {
    format!("{}{PREFIX}c/{token}", base.trim_end_matches('/'))
}

/// Answers a request below the prefix.
pub(in crate::guard) async fn answer<B>(
    challenges: &Challenges,
    head: &Parts,
    body: B,
    visit: Visit<'_>,
) -> Response<Full<Bytes>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut response = match challenges.look(visit.address, visit.settings) {
        Ok(()) => serve(challenges, head, body, &visit).await,
        Err(wait) => report(head, Outcome::TooFast(wait)),
    };
    if let Some(date) = date(challenges.clock.now()) {
        response.headers_mut().insert(DATE, date);
    }
    response
}

async fn serve<B>(
    challenges: &Challenges,
    head: &Parts,
    body: B,
    visit: &Visit<'_>,
) -> Response<Full<Bytes>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let name = head.uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let reading = head.method == Method::GET || head.method == Method::HEAD;
    match (FILES.iter().find(|file| file.0 == name), name.strip_prefix("c/")) {
        (Some((_, kind, text)), _) if reading => file(kind, text),
        (None, Some(text)) if reading => show(challenges, head, text, visit),
        (None, Some(text)) if head.method == Method::POST => {
            take(challenges, (head, text), body, visit).await
        }
        (None, None) if name == ATTEST && head.method == Method::POST => {
            hear(challenges, head, body, visit).await
        }
        (None, None) => report(head, Outcome::Unknown),
        _ => {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "text/plain", String::new());
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
            response
        }
    }
}

/// The challenge as a page or as JSON. Changes nothing: chats and scanners open links too.
fn show(
    challenges: &Challenges,
    head: &Parts,
    text: &str,
    visit: &Visit<'_>,
) -> Response<Full<Bytes>> {
    let Some(token) = challenges.open(text) else { return report(head, Outcome::Unknown) };
    if let Err(outcome) = challenges.is_open(&token, visit.settings) {
        return report(head, outcome);
    }
    let url = link(visit.base, text);
    if wants_page(head) {
        let page = PAGE.replace("{{url}}", &url).replace("{{reference}}", &reference(&token));
        return plain(StatusCode::OK, "text/html; charset=utf-8", page);
    }
    let body = json!({
        "algorithm": "sg-pow-v1",
        "token": text,
        "bits": token.bits,
        "count": token.count,
        "expires_at": expiry(&token, visit.settings).as_millis() / 1000,
        "submit": url,
        "reference": reference(&token),
    });
    plain(StatusCode::OK, "application/json", body.to_string())
}

/// Takes a posted answer: the seal first, then the pace, and only then the body.
async fn take<B>(
    challenges: &Challenges,
    (head, text): (&Parts, &str),
    body: B,
    visit: &Visit<'_>,
) -> Response<Full<Bytes>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let Some(token) = challenges.open(text) else { return report(head, Outcome::Unknown) };
    if let Err(outcome) = challenges.is_open(&token, visit.settings) {
        return report(head, outcome);
    }
    if let Err(wait) = challenges.pace(&token, visit.address, visit.settings) {
        return report(head, Outcome::TooFast(wait));
    }
    let body = match whole(head, body).await {
        Ok(body) => body,
        Err(response) => return *response,
    };
    let solutions = solutions(&body);
    let solutions: Vec<_> = solutions.iter().map(String::as_str).collect();
    report(head, challenges.settle((text, &token), &solutions, visit))
}

/// Takes the word of the operator's system. Without one there is no such endpoint.
async fn hear<B>(
    challenges: &Challenges,
    head: &Parts,
    body: B,
    visit: &Visit<'_>,
) -> Response<Full<Bytes>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let webhook = visit.settings.webhook.as_ref();
    let Some((webhook, secret)) = webhook.and_then(|hook| Some((hook, hook.secret.as_ref()?)))
    else {
        return report(head, Outcome::Unknown);
    };
    let body = match whole(head, body).await {
        Ok(body) => body,
        Err(response) => return *response,
    };
    let now = challenges.clock.now();
    let Some((id, word)) = webhook::read(secret, &head.headers, &body, now) else {
        return report(head, Outcome::Unsigned);
    };
    report(head, challenges.hear((id, &word), webhook, visit))
}

/// The whole body, or what to say instead.
async fn whole<B>(head: &Parts, body: B) -> Result<Bytes, Box<Response<Full<Bytes>>>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let too_large = || Box::new(plain(StatusCode::PAYLOAD_TOO_LARGE, "text/plain", String::new()));
    let declared = head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if declared.and_then(|value| value.parse().ok()).is_some_and(|bytes: usize| bytes > MAX_BODY) {
        return Err(too_large());
    }
    let body = Limited::new(body, MAX_BODY).collect();
    match tokio::time::timeout(BODY_TIME, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
        _ => Err(Box::new(report(head, Outcome::Wrong))),
    }
}

/// `{"solution": ["...", ...]}` or a form's `solution=...`, whose 16 entries may be separated by
/// anything that is no hex digit. Whatever else is there is no solution.
fn solutions(body: &[u8]) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Posted {
        solution: Vec<String>,
    }
    if let Ok(Posted { solution }) = serde_json::from_slice(body) {
        return solution;
    }
    let text = std::str::from_utf8(body).unwrap_or_default();
    let field = text.split('&').find_map(|field| field.strip_prefix("solution="));
    unescape(field.unwrap_or_default())
        .split(|c: char| !c.is_ascii_hexdigit())
        .filter(|piece| !piece.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Percent-encoded bytes become what they stand for; only separators need that, so bytes beyond
/// ASCII may become anything.
fn unescape(field: &str) -> String {
    let mut pieces = field.split('%');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match piece.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                text.push(char::from(byte));
                text.push_str(piece.get(2..).unwrap_or_default());
            }
            None => text.push_str(piece),
        }
    }
    text
}

fn report(head: &Parts, outcome: Outcome) -> Response<Full<Bytes>> {
    let says = match outcome {
        Outcome::Cleared { .. } => "Verified. Your program can go on as it is.",
        Outcome::Noted => "Noted.",
        Outcome::Wrong => "That is not the solution.",
        Outcome::Denied => {
            "This account can't be verified here. Please ask the provider of the API."
        }
        Outcome::Elsewhere => {
            "The provider of this API verifies this account itself, and has been told. There is nothing \
             to do here."
        }
        Outcome::Unsigned => "This message is not signed as it must be.",
        Outcome::Unknown => "There is no such challenge.",
        Outcome::Spent => "This challenge has been answered already.",
        Outcome::Expired => "This challenge has expired. Your program's next error has a new one.",
        Outcome::TooFast(_) => "Too many answers. Please retry shortly.",
    };
    let mut response = if wants_page(head) {
        // As a link's page does, it finds its files from where it stands: a proxy in front may have put
        // something before the prefix.
        let up = if head.uri.path().starts_with(LINKS) { "../" } else { "" };
        let page = SAID.replace("{{up}}", up).replace("{{says}}", says);
        plain(outcome.status(), "text/html; charset=utf-8", page)
    } else {
        let mut body = json!({ "status": outcome.name(), "message": says });
        if let Outcome::Cleared { seconds, requests } = outcome {
            body["seconds"] = seconds.into();
            body["requests"] = requests.into();
        }
        plain(outcome.status(), "application/json", body.to_string())
    };
    if let Outcome::TooFast(wait) = outcome {
        response.headers_mut().insert(RETRY_AFTER, Wait::new(wait, 0).seconds.into());
    }
    response
}

fn file(kind: &'static str, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = plain(StatusCode::OK, kind, String::new());
    *response.body_mut() = Full::new(Bytes::from_static(text.as_bytes()));
    let briefly = HeaderValue::from_static("public, max-age=300");
    response.headers_mut().insert(CACHE_CONTROL, briefly);
    response
}

fn plain(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("x-robots-tag"), "noindex"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn wants_page(head: &Parts) -> bool {
    let accepted = head.headers.get_all(ACCEPT).iter();
    accepted.filter_map(|value| value.to_str().ok()).any(|value| value.contains("text/html"))
}

/// The id of the refused exchange, which is what the refusal called its reference.
fn reference(token: &Token) -> String {
    ExchangeId(crate::identity::Tag(u64::from_be_bytes(token.nonce))).to_string()
}
