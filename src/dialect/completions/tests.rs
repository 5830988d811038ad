use proptest::prelude::*;

use super::*;
use crate::dialect::tests::{Streamed, streamed};
use crate::dialect::{Finish, Usage, json};

fn request(body: &str) -> Request<'_> {
    json::vet(body.as_bytes()).expect("one meaning");
    Completions.read_request(body.as_bytes()).expect("a request")
}

#[test]
fn every_prompt_is_a_turn_and_is_answered_n_times() {
    let request = request(
        r#"{"model":"loom","prompt":["Once","Twice"],"suffix":"end.","n":3,"stream":true,
            "temperature":0.5,"max_tokens":16,"logprobs":0,"user":"weaver-2",
            "guided_json":{"properties":{"verdict":{}}}}"#,
    );
    let expected = Params {
        temperature: Some(0.5),
        max_tokens: Some(16),
        n: 6,
        logprobs: true,
        ..Params::default()
    };
    assert_eq!((request.params, request.stream), (expected, true));
    let parts: Vec<_> = request.parts.iter().map(|part| (part.turn, &*part.text)).collect();
    assert_eq!(parts, [(0, "Once"), (1, "Twice"), (1, "end.")]);
    assert_eq!(request.end_user.as_deref(), Some("weaver-2"));
    assert_eq!(request.schema, ["verdict"]);
}

#[test]
fn tokens_in_place_of_text_count_but_say_nothing() {
    let one = request(r#"{"prompt":[17,4,99]}"#);
    assert_eq!((one.params.n, one.parts.len()), (1, 1));
    let two = request(r#"{"prompt":[[17,4],[99]],"n":2}"#);
    assert_eq!((two.params.n, two.parts[0].kind), (4, Kind::Other));
}

#[test]
fn a_prompt_left_out_is_for_the_endpoint_to_judge() {
    let request = request(r#"{"model":null,"n":5}"#);
    assert_eq!((request.params.completions(), request.parts.len()), (1, 0));
}

#[test]
fn a_stream_gives_away_text_finish_and_usage() {
    let stream = include_str!("../../../tests/fixtures/dialect/completions/stream.sse");
    let Streamed { pieces, issued, usage, end } = streamed(&Completions, stream);
    assert_eq!(pieces, [(Kind::Text, "Warp and weft".to_owned())]);
    assert_eq!(issued, ["cmpl-loom01"]);
    let known = Usage { input: Some(11), output: Some(4), ..Usage::default() };
    assert_eq!((usage, end.finish), (known, Some(Finish::Length)));
    assert!(end.last && !end.error);
}

#[test]
fn chat_has_a_dialect_of_its_own() {
    let speaks = |path| Completions.speaks(&Method::POST, path, &HeaderMap::new());
    assert!(speaks("/v1/completions") && speaks("/v1//completion%73/"));
    assert!(!speaks("/v1/chat/completions") && !speaks("/v1/chat//completions/"));
}

proptest! {
    #[test]
    fn volume_is_prompts_times_n(prompts in 1..40_u32, n in 1..9_u32) {
        let texts: Vec<_> = (0..prompts).map(|text| format!("\"{text}\"")).collect();
        let body = format!("{{\"prompt\":[{}],\"n\":{n}}}", texts.join(","));
        prop_assert_eq!(request(&body).params.completions(), prompts * n);
    }

    #[test]
    fn no_value_in_a_field_without_words_fails_a_request(
        field in prop::sample::select(vec!["suffix", "n", "logprobs", "user", "stream"]),
        value in prop::sample::select(vec![
            "null", "true", "-1.5e3", "1e300", "\"x\"", "{}", "[[{}],null,7,{\"text\":[]}]",
        ]),
    ) {
        let body = format!("{{\"model\":\"m\",\"{field}\":{value}}}");
        prop_assert!(Completions.read_request(body.as_bytes()).is_ok(), "{}", body);
    }

    #[test]
    fn nothing_panics(data in "[\\[\\]{}\":,a-z0-9]{0,64}") {
        let _ = Completions.read_request(data.as_bytes());
        let _ = Completions.read_answer(data.as_bytes());
    }
}
