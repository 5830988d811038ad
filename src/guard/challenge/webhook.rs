//! Step-up verification: the operator's own system is told of a challenged account, and says whether
//! it vouches for it.
//!
//! Both ways are signed as Standard Webhooks prescribe: `webhook-id`, `webhook-timestamp` and
//! `webhook-signature: v1,<base64 of HMAC-SHA256(secret, id.timestamp.body)>`.

use std::path::PathBuf;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Uri};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::Zeroizing;

use crate::engine::Verdict;
use crate::signal::Ask;
use crate::time::Timestamp;

/// How far the clocks of both sides may be apart, and how long an answer may be on its way.
pub(super) const WINDOW: Duration = Duration::from_secs(300);

/// Where challenged accounts are told of, and what the answer earns.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Nothing a caller sends is ever part of it.
    #[schemars(with = "String")]
    pub url: WebhookUrl,
    /// A file that holds the secret both sides sign with. Without it, the secret is taken from
    /// `STILLGUARD_WEBHOOK_SECRET`.
    pub secret_file: Option<PathBuf>,
    /// Work clears nobody: the link says that the account is verified elsewhere.
    #[serde(default)]
    pub required: bool,
    /// What an account earns that is verified, where the answer doesn't say; and how long one that is
    /// denied can't clear itself by work.
    #[serde(default = "clear_seconds")]
    pub clear_seconds: u32,
    #[serde(default = "clear_requests")]
    pub clear_requests: u32,
    /// The secret itself, put here by whoever reads the file.
    #[serde(skip)]
    #[schemars(skip)]
    pub secret: Option<Secret>,
}

fn clear_seconds() -> u32 {
    86_400
}

fn clear_requests() -> u32 {
    20_000
}

/// `http://…` or `https://…`, perhaps with path and query, without credentials.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebhookUrl(Uri);

/// Does not repeat the text, which may hold a password.
#[derive(Debug, thiserror::Error)]
#[error("a webhook goes to https://host/path or http://host/path, without credentials")]
pub struct NotAWebhookUrl;

impl TryFrom<String> for WebhookUrl {
    type Error = NotAWebhookUrl;

    fn try_from(text: String) -> Result<Self, NotAWebhookUrl> {
        let uri = text.parse::<Uri>().ok().filter(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.host().is_some_and(|host| !host.is_empty())
                && !text.contains(['@', '#'])
        });
        uri.map(Self).ok_or(NotAWebhookUrl)
    }
}

impl From<WebhookUrl> for String {
    fn from(url: WebhookUrl) -> Self {
        url.0.to_string()
    }
}

impl WebhookUrl {
    pub fn uri(&self) -> &Uri {
        &self.0
    }
}

/// What both sides sign with. Wiped when dropped, never shown.
#[derive(Clone, PartialEq)]
pub struct Secret(Zeroizing<Vec<u8>>);

#[derive(Debug, thiserror::Error)]
#[error(
    "the webhook's secret must be `whsec_` and base64, or some other text, of 16 bytes at least"
)]
pub struct WeakSecret;

impl Secret {
    const LEAST: usize = 16;

    /// `whsec_` and base64 of the bytes, as Standard Webhooks write it, or any other text as it stands.
    pub fn parse(text: &str) -> Result<Self, WeakSecret> {
        let text = text.trim();
        let bytes = match text.strip_prefix("whsec_") {
            Some(coded) => STANDARD.decode(coded).map_err(|_| WeakSecret)?,
            None => text.as_bytes().to_vec(),
        };
        let bytes = Zeroizing::new(bytes);
        if bytes.len() >= Self::LEAST { Ok(Self(bytes)) } else { Err(WeakSecret) }
    }

    fn signed(&self, id: &str, seconds: &str, body: &[u8]) -> hmac::Context {
        let mut mac = hmac::Context::with_key(&self.key());
        for part in [id.as_bytes(), b".", seconds.as_bytes(), b".", body] {
            mac.update(part);
        }
        mac
    }

    fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.0)
    }

    /// The signature field of a message.
    fn sign(&self, id: &str, seconds: &str, body: &[u8]) -> String {
        format!("v1,{}", STANDARD.encode(self.signed(id, seconds, body).sign()))
    }

    /// Whether one of the signatures in the field, separated by spaces, is this secret's.
    fn verifies(&self, field: &str, id: &str, seconds: &str, body: &[u8]) -> bool {
        let message = [id.as_bytes(), b".", seconds.as_bytes(), b".", body].concat();
        let signatures = field.split(' ').filter_map(|one| one.strip_prefix("v1,")).take(4);
        let mut decoded = signatures.filter_map(|one| STANDARD.decode(one).ok());
        // Compares in constant time.
        decoded.any(|signature| hmac::verify(&self.key(), &message, &signature).is_ok())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// An account was challenged: what the operator's system is told.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The refused exchange's. Stays the same however often delivery is tried.
    pub id: String,
    pub body: String,
}

impl Notice {
    /// Features and ids only. `link` is whole where the operator has said where people reach this
    /// proxy, else a path: what a caller says of the host goes nowhere.
    pub(super) fn new(ask: &Ask, verdict: &Verdict, link: &str, expires: Timestamp) -> Self {
        let signals: Vec<_> = verdict.evidence.iter().map(|one| one.signal.as_str()).collect();
        let body = json!({
            "type": "account.challenged",
            "timestamp": ask.at.as_millis() / 1000,
            "data": {
                "tenant": ask.caller.tenant.as_str(),
                "account": ask.caller.account,
                "reference": ask.id.to_string(),
                "score": verdict.score,
                "signals": signals,
                "link": link,
                "expires_at": expires.as_millis() / 1000,
            },
        });
        Self { id: ask.id.to_string(), body: body.to_string() }
    }

    /// The fields that go with the body when it is sent at `now`.
    pub fn fields(&self, secret: &Secret, now: Timestamp) -> [(&'static str, String); 3] {
        let seconds = (now.as_millis() / 1000).to_string();
        let signature = secret.sign(&self.id, &seconds, self.body.as_bytes());
        [("webhook-id", self.id.clone()), ("webhook-timestamp", seconds), (SIGNATURE, signature)]
    }
}

const SIGNATURE: &str = "webhook-signature";

/// What the operator's system says of an account.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct Word {
    pub(super) account: crate::identity::AccountId,
    pub(super) result: Finding,
    /// What a verified account earns, instead of what the file says.
    pub(super) seconds: Option<u32>,
    pub(super) requests: Option<u32>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Finding {
    Verified,
    Denied,
}

/// The id of a message whose signature and time are right, hashed.
pub(super) type MessageId = [u8; 16];

/// The word in `body`, if the secret's owner has sent it just now. Whatever is wrong, the answer is
/// the same: none.
pub(super) fn read(
    secret: &Secret,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Option<(MessageId, Word)> {
    let id = field(headers, "webhook-id").filter(|id| !id.is_empty() && id.len() <= 128)?;
    let seconds = field(headers, "webhook-timestamp")?;
    let sent = seconds.parse::<u64>().ok().filter(|_| seconds.len() <= 12)?;
    if (now.as_millis() / 1000).abs_diff(sent) > WINDOW.as_secs() {
        return None;
    }
    if !secret.verifies(field(headers, SIGNATURE)?, id, seconds, body) {
        return None;
    }
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, id.as_bytes());
    let id = digest.as_ref().get(..16)?.try_into().ok()?;
    Some((id, serde_json::from_slice(body).ok()?))
}

/// The one field of that name. Two are none: which of them was signed?
fn field<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut all = headers.get_all(name).iter();
    let first = all.next()?.to_str().ok()?;
    all.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::fakes;

    const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_500);

    fn secret(text: &str) -> Secret {
        Secret::parse(text).unwrap()
    }

    fn headers(fields: &[(&'static str, String)]) -> HeaderMap {
        let pairs = fields
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
        pairs.collect()
    }

    #[test]
    fn a_signature_is_that_of_standard_webhooks() {
        // Computed with openssl: HMAC-SHA256 of `msg_1.1790000000.{}` by the bytes 0 to 23.
        let secret = secret("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX");
        let field = secret.sign("msg_1", "1790000000", b"{}");
        assert_eq!(field, "v1,YxB3n4PfU9v1DfpMz3kf1YymsSPftN9KC/xPlV+lLPc=");
        assert!(secret.verifies(&format!("v1,AAAA v2,x {field}"), "msg_1", "1790000000", b"{}"));
    }

    #[test]
    fn a_secret_is_long_enough_and_never_shown() {
        for weak in ["", "short", "whsec_", "whsec_AAEC", "whsec_no base64 in here at all"] {
            assert!(Secret::parse(weak).is_err(), "{weak}");
        }
        let shown = format!("{:?}", secret(" sixteen bytes or more\n"));
        assert!(!shown.contains("sixteen"), "{shown}");
        assert_eq!(secret("sixteen bytes or more"), secret(" sixteen bytes or more\n"));
    }

    #[test]
    fn a_url_is_the_operators_and_carries_no_credentials() {
        let url = |text: &str| WebhookUrl::try_from(text.to_owned());
        for text in ["https://ops.example/hook?tenant=1", "http://127.0.0.1:9/x", "http://[::1]/"] {
            assert_eq!(String::from(url(text).unwrap()), text);
        }
        for bent in ["ops.example/hook", "ftp://x/", "https://", "https://a:b@x/", "/hook", "x#y"] {
            assert!(url(bent).is_err(), "{bent}");
        }
    }

    #[test]
    fn a_notice_tells_of_the_account_and_says_no_word_of_the_prompt() {
        let ask = fakes::ask(0x7f3a);
        let notice = Notice::new(&ask, &Verdict::default(), "/.stillguard/c/x", NOW);
        let told: serde_json::Value = serde_json::from_str(&notice.body).unwrap();
        let data = &told["data"];
        assert_eq!(told["type"], "account.challenged");
        assert_eq!(data["reference"], "sg_0000000000007f3a");
        assert_eq!(data["account"], format!("acct_{}", "07".repeat(16)));
        let mut names: Vec<_> = data.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        let expected = ["account", "expires_at", "link", "reference", "score", "signals", "tenant"];
        assert_eq!(names, expected);
    }

    const WORD: &str = r#"{"account":"acct_07070707070707070707070707070707","result":"verified"}"#;

    /// The fields of a callback with this body.
    fn sent(secret: &Secret, body: &str, at: Timestamp) -> HeaderMap {
        let notice = Notice { id: "msg_1".into(), body: body.into() };
        headers(&notice.fields(secret, at))
    }

    fn later(seconds: u64) -> Timestamp {
        NOW + Duration::from_secs(seconds)
    }

    #[test]
    fn a_signed_word_is_read_within_five_minutes_either_way() {
        let secret = secret("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX");
        let fields = sent(&secret, WORD, later(1000));
        let read_at = |seconds| read(&secret, &fields, WORD.as_bytes(), later(seconds));
        assert_eq!(read_at(1000).unwrap().1.result, Finding::Verified);
        assert!(read_at(700).is_some() && read_at(1300).is_some());
        assert!(read_at(699).is_none() && read_at(1301).is_none());
    }

    #[test]
    fn a_word_that_is_altered_or_signed_by_another_is_none() {
        let ours = secret("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX");
        let fields = sent(&ours, WORD, NOW);
        let with = |name: &'static str, value: &str| {
            let mut fields = fields.clone();
            fields.insert(name, value.parse().unwrap());
            fields
        };
        let body = WORD.as_bytes();
        assert!(read(&ours, &fields, body, NOW).is_some());
        assert!(read(&secret("another secret altogether"), &fields, body, NOW).is_none());
        assert!(read(&ours, &fields, WORD.replace("07", "08").as_bytes(), NOW).is_none());
        assert!(read(&ours, &with("webhook-id", "msg_2"), body, NOW).is_none());
        assert!(read(&ours, &with("webhook-timestamp", "1790000001"), body, NOW).is_none());
        assert!(read(&ours, &with(SIGNATURE, "v1,"), body, NOW).is_none());
        let mut twice = fields.clone();
        twice.append("webhook-id", "msg_1".parse().unwrap());
        assert!(read(&ours, &twice, body, NOW).is_none());
        for name in ["webhook-id", "webhook-timestamp", SIGNATURE] {
            let mut fields = fields.clone();
            fields.remove(name);
            assert!(read(&ours, &fields, body, NOW).is_none(), "{name}");
        }
    }

    #[test]
    fn what_went_out_is_no_word_when_it_comes_back() {
        let secret = secret("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX");
        let notice = Notice::new(&fakes::ask(1), &Verdict::default(), "", NOW);
        let fields = headers(&notice.fields(&secret, NOW));
        assert!(read(&secret, &fields, notice.body.as_bytes(), NOW).is_none());
    }
}
