use super::*;
use crate::dialect::{Reason, of};

#[test]
fn a_deployment_is_the_model_of_a_body_that_names_none() {
    let path = "/openai/deployments/plum-7/chat/completions?api-version=1";
    let dialect = of(&Method::POST, path, &HeaderMap::new()).expect("a dialect");
    let read = |body: &'static [u8]| dialect.read_call(path, body).expect("a request").model;
    assert_eq!(dialect.api(), Api::OpenaiChat);
    assert_eq!(read(br#"{"messages":[]}"#), "plum-7");
    assert_eq!(read(br#"{"model":"pear","messages":[]}"#), "pear");
}

#[test]
fn azures_refusal_has_its_status_as_code_and_no_type() {
    let key = (http::HeaderName::from_static("api-key"), http::HeaderValue::from_static("k"));
    let headers = [key].into_iter().collect();
    let dialect = of(&Method::POST, "/openai/v1/responses", &headers).expect("a dialect");
    let (message, reference) = ("Slow.", "sg_1");
    let wording =
        Wording { status: 429, reason: Reason::Throttled, message, reference, link: None };
    let expected =
        r#"{"error":{"code":"429","message":"Slow.","innererror":{"code":"rate_limit_exceeded"}}}"#;
    assert_eq!(dialect.refuse(&wording).body, expected);
}
