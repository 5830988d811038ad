use proptest::prelude::*;

use super::*;
use crate::dialect::testing::streamed;

fn completions(body: &str) -> u32 {
    Completions.read_request(body.as_bytes()).expect("a request").params.completions()
}

#[test]
fn every_prompt_counts_as_often_as_it_is_answered() {
    assert_eq!(completions(r#"{"model":"m","prompt":["a","b"],"n":3}"#), 6);
    assert_eq!(completions(r#"{"prompt":"a"}"#), 1);
    assert_eq!(completions(r#"{"prompt":[1,2,3],"n":2}"#), 2);
    assert_eq!(completions(r#"{"prompt":[[1,2],[3]],"n":2}"#), 4);
}

#[test]
fn a_stream_says_its_text_and_ends() {
    let stream = "data: {\"id\":\"cmpl-plum\",\"choices\":[{\"text\":\"Ri\"}]}\n\ndata: \
        {\"choices\":[{\"text\":\"pe\",\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let told = streamed(&Completions, stream);
    assert_eq!(told.pieces, [(Kind::Text, "Ripe".to_owned())]);
    assert!(told.end.last && !told.end.error);
}

proptest! {
    #[test]
    fn nothing_panics(data in "[\\[\\]{}\":,a-z0-9]{0,64}") {
        let _ = Completions.read_request(data.as_bytes());
        let _ = Completions.read_answer(data.as_bytes());
    }
}
