use super::*;
use crate::dialect::json;

fn request(body: &str) -> Request<'_> {
    json::vet(body.as_bytes()).expect("one meaning");
    Batches.read_request(body.as_bytes()).expect("a request")
}

#[test]
fn every_line_counts_even_one_that_cannot_be_read() {
    let request = request(include_str!("../../../../tests/fixtures/dialect/anthropic/batch.json"));
    assert_eq!((request.params.completions(), &*request.model), (3, "grove-large"));
    let parts: Vec<_> = request.parts.iter().map(|p| (p.turn, p.role, &*p.text)).collect();
    let expected = [
        (0, Role::System, "You name trees."),
        (1, Role::User, "Needles in pairs?"),
        (3, Role::User, "White bark?"),
    ];
    assert_eq!(parts, expected);
}

#[test]
fn a_long_batch_is_counted_whole_and_read_up_to_the_apis_own_bound() {
    let line = r#"{"params":{"model":"m","messages":[{"role":"user","content":"x"}]}}"#;
    for (lines, read) in [(1000, 1000), (READ + 9, READ)] {
        let body = format!("{{\"requests\":[{}]}}", vec![line; lines as usize].join(","));
        let request = request(&body);
        assert_eq!((request.params.n, request.parts.len()), (lines, read as usize));
        assert!(request.parts.is_sorted_by_key(|part| part.turn));
    }
}

#[test]
fn a_batch_without_its_list_is_malformed() {
    let error = Batches.read_request(br#"{"requests":"secret"}"#).expect_err("malformed");
    assert_eq!(error.to_string(), "`requests` is required and must be an array");
}

#[test]
fn only_the_making_of_a_batch_is_spoken() {
    let speaks = |method, path| Batches.speaks(&method, path, &HeaderMap::new());
    assert!(speaks(Method::POST, "/v1/messages/batches"));
    assert!(!speaks(Method::GET, "/v1/messages/batches"));
    assert!(!speaks(Method::POST, "/v1/messages/batches/b_1/cancel"));
    assert!(!Messages.speaks(&Method::POST, "/v1/messages/batches", &HeaderMap::new()));
}
