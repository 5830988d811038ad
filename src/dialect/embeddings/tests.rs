use super::*;

#[test]
fn every_input_counts_and_usage_has_no_output() {
    let body = br#"{"model":"m","input":["a","b",[1,2]]}"#;
    let request = Embeddings.read_request(body).expect("a request");
    assert_eq!((request.params.n, request.parts.len()), (3, 3));
    let answer = br#"{"data":[{"embedding":[0.5]}],"usage":{"prompt_tokens":5,"total_tokens":5}}"#;
    let usage = Embeddings.read_answer(answer).expect("an answer").usage.expect("usage");
    assert_eq!((usage.input, usage.output), (Some(5), Some(0)));
}
