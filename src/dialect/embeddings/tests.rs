use http::header::HeaderMap;

use super::*;
use crate::dialect::{Kind, json};

fn request(body: &str) -> Request<'_> {
    json::vet(body.as_bytes()).expect("one meaning");
    Embeddings.read_request(body.as_bytes()).expect("a request")
}

#[test]
fn each_input_counts_and_is_a_turn() {
    let request = request(r#"{"model":"e","input":["flax","hemp","flax"],"user":"weaver-4"}"#);
    assert_eq!(request.params.completions(), 3);
    let parts: Vec<_> = request.parts.iter().map(|part| (part.turn, &*part.text)).collect();
    assert_eq!(parts, [(0, "flax"), (1, "hemp"), (2, "flax")]);
    assert_eq!(request.end_user.as_deref(), Some("weaver-4"));
}

#[test]
fn one_text_or_one_list_of_tokens_is_one_input() {
    assert_eq!(request(r#"{"input":"flax"}"#).params.n, 1);
    let tokens = request(r#"{"input":[3,1,4]}"#);
    assert_eq!((tokens.params.n, tokens.parts[0].kind), (1, Kind::Other));
    assert_eq!(request(r#"{"input":[[3],[1,4]]}"#).params.n, 2);
    assert_eq!(request(r#"{"input":["a","b",[1,2]]}"#).params.n, 3);
}

#[test]
fn an_answer_has_usage_and_no_words() {
    let body = br#"{"object":"list","data":[{"index":0,"embedding":[0.5,-1e-3]}],
        "usage":{"prompt_tokens":8,"total_tokens":8}}"#;
    let delta = Embeddings.read_answer(body).expect("an answer");
    let usage = Usage { input: Some(8), output: Some(0), ..Usage::default() };
    assert_eq!((delta.usage, delta.pieces.len()), (Some(usage), 0));
    assert!(!delta.error);
}

#[test]
fn usage_left_out_stays_unknown() {
    assert_eq!(Embeddings.read_answer(b"{\"data\":[]}").expect("an answer").usage, None);
}

#[test]
fn only_posts_to_embeddings_are_spoken() {
    let speaks = |method, path| Embeddings.speaks(&method, path, &HeaderMap::new());
    assert!(speaks(Method::POST, "/v1/embeddings"));
    assert!(!speaks(Method::GET, "/v1/embeddings") && !speaks(Method::POST, "/v1/embed"));
}
