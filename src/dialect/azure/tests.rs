use proptest::prelude::*;

use super::*;
use crate::dialect::{Link, Reason, Scarce, nearest, of};

const CHAT: &str = "/openai/deployments/teal/chat/completions?api-version=2026-01-01";

fn with_key() -> HeaderMap {
    let key = (http::HeaderName::from_static("api-key"), http::HeaderValue::from_static("k"));
    [key].into_iter().collect()
}

/// The API a post to `path` is of, and whether refusals are in Azure's words.
fn spoken(path: &str, headers: &HeaderMap) -> Option<(Api, bool)> {
    let dialect = of(&Method::POST, path, headers)?;
    Some((dialect.api(), is_azures(dialect)))
}

fn is_azures(dialect: &dyn Dialect) -> bool {
    dialect.refuse(&CHALLENGE).body.windows(10).any(|window| window == b"innererror")
}

const CHALLENGE: Wording<'_> = Wording {
    status: 403,
    reason: Reason::Challenged,
    scarce: Scarce::Requests,
    message: "Verify this account.",
    reference: "sg_7f3a9c21d0b4e655",
    link: Some(Link { url: "https://sg.example/c/x", expires_at: 1_790_000_000 }),
    retry_after: None,
};

#[test]
fn deployments_are_azures_whatever_the_key_is_called() {
    let (none, key) = (HeaderMap::new(), with_key());
    for headers in [&none, &key] {
        assert_eq!(spoken(CHAT, headers), Some((Api::OpenaiChat, true)));
        let path = "/openai/deployments/teal/embeddings";
        assert_eq!(spoken(path, headers), Some((Api::OpenaiEmbeddings, true)));
        let path = "/OpenAI/Deployments/teal/Completions";
        assert_eq!(spoken(path, headers), Some((Api::OpenaiCompletions, true)));
    }
}

#[test]
fn shared_routes_are_azures_by_its_key_or_its_sdk() {
    let path = "/openai/v1/responses";
    assert_eq!(spoken(path, &with_key()), Some((Api::OpenaiResponses, true)));
    assert_eq!(spoken(path, &HeaderMap::new()), Some((Api::OpenaiResponses, false)));
    let agent = |name: &'static str| {
        let name = http::HeaderValue::from_static(name);
        [(USER_AGENT, name)].into_iter().collect::<HeaderMap>()
    };
    let bearer = agent("AsyncAzureOpenAI/Python 3.54.0");
    assert_eq!(spoken(path, &bearer), Some((Api::OpenaiResponses, true)));
    assert_eq!(spoken(path, &agent("OpenAI/Python 3.54.0")), Some((Api::OpenaiResponses, false)));
    assert_eq!(spoken("/v1/chat/completions", &with_key()), Some((Api::OpenaiChat, false)));
}

#[test]
fn unread_routes_are_refused_in_the_nearest_words() {
    assert!(is_azures(nearest("/openai/deployments/teal/images/generations", &HeaderMap::new())));
    assert!(!is_azures(nearest("/v1/images/generations", &with_key())));
}

#[test]
fn a_deployment_is_the_model_whatever_the_body_names() {
    let dialect = of(&Method::POST, CHAT, &HeaderMap::new()).expect("a dialect");
    let read = |body: &'static [u8]| dialect.read_call(CHAT, body).expect("a request").model;
    assert_eq!(read(br#"{"messages":[]}"#), "teal");
    assert_eq!(read(br#"{"model":"pear","messages":[]}"#), "teal");
}

#[test]
fn a_deployment_is_read_in_any_spelling_of_the_path() {
    assert_eq!(deployment("/x/openai//deployments/te%61l/embeddings").as_deref(), Some("teal"));
    assert_eq!(deployment("/openai/deployments/teal"), None);
    assert_eq!(deployment("/v1/chat/completions"), None);
}

#[test]
fn a_challenge_is_azures_error_with_its_verification() {
    let worded = Azure(crate::dialect::openai::Chat).refuse(&CHALLENGE);
    let expected = concat!(
        r#"{"error":{"code":"403","message":"Verify this account.","#,
        r#""innererror":{"code":"verification_required"},"#,
        r#""verification":{"url":"https://sg.example/c/x","reference":"sg_7f3a9c21d0b4e655","#,
        r#""expires_at":1790000000}}}"#,
    );
    assert_eq!(worded.body, expected);
    let headers: HeaderMap = worded.headers.into_iter().collect();
    for name in ["x-request-id", "apim-request-id"] {
        assert_eq!(headers[name], "sg_7f3a9c21d0b4e655");
    }
}

proptest! {
    #[test]
    fn no_path_panics_and_a_deployment_keeps_its_case(
        name in "[A-Za-z0-9-]{1,12}",
        junk in "[%/.a-fOé]{0,16}",
    ) {
        let _ = deployment(&junk);
        let path = format!("/openai/deployments/{name}/chat/completions");
        prop_assert_eq!(deployment(&path), Some(name.as_str().into()));
    }
}
