use proptest::prelude::*;

use super::super::samples::keyring;
use super::*;
use crate::dialect::{Delta, Finish, Usage};
use crate::signal::exchange::{Completion, UsageSource};

const ANSWER: &str = "  The tide follows the moon because its pull differs across the Earth,\n\n \
    so that two bulges of water form and the planet turns beneath them.\n";

fn part(turn: u32, role: Role, kind: Kind, text: &str) -> Part<'_> {
    Part { turn, role, kind, text: text.into() }
}

fn asking<'a>(parts: Vec<Part<'a>>) -> Request<'a> {
    Request { model: "m-1".into(), parts, ..Request::default() }
}

fn features(request: &Request<'_>) -> Prompt {
    inspect(request, Api::OpenaiChat, 1000, &keyring())
}

fn opening<'a>() -> Vec<Part<'a>> {
    vec![
        part(0, Role::System, Kind::Text, "Be a patient teacher of physics for curious children."),
        part(0, Role::User, Kind::Text, "Why does the sea rise? Think step by step."),
    ]
}

fn answered(prompt: &Prompt, deltas: &[Delta<'_>]) -> Completion {
    let mut answer = Answer::new(prompt, keyring());
    deltas.iter().for_each(|delta| answer.take(delta));
    answer.passed(10);
    answer.finish()
}

fn says<'a>(kind: Kind, text: &'a str) -> Delta<'a> {
    Delta { pieces: vec![(kind, text.into())], ..Delta::default() }
}

#[test]
fn every_feature_of_a_prompt_is_filled_in() {
    let mut request = asking(opening());
    request.presented = vec!["call_abcdef12".into(), "call_abcdef12".into(), "1".into()];
    request.tools =
        vec![Tool { name: "search".into(), params: vec![("q".into(), "string".into())] }];
    let prompt = features(&request);
    assert_eq!((prompt.model.as_str(), prompt.turns, prompt.bytes), ("m-1", 1, 1000));
    assert_eq!((prompt.phrases, prompt.system_phrases), (Phrases::ELICITS, Phrases::NONE));
    assert!(prompt.system.is_some() && prompt.user.is_none(), "the question has too few stems");
    assert!([prompt.tools, prompt.skeleton, prompt.last, prompt.body].iter().all(|tag| tag.0 != 0));
    assert_eq!(prompt.continues, Tag::default());
    assert_eq!(prompt.presented, [keyring().tag("id", b"call_abcdef12")]);
    assert!((25..80).contains(&prompt.tokens), "{}", prompt.tokens);
}

#[test]
fn an_empty_request_has_no_tags() {
    let prompt = features(&Request::default());
    let tags = [prompt.tools, prompt.skeleton, prompt.last, prompt.body, prompt.continues];
    assert_eq!(tags, [Tag::default(); 5]);
    assert_eq!(answered(&prompt, &[says(Kind::Text, ANSWER)]).continues, Tag::default());
}

#[test]
fn the_last_user_turn_is_the_last_one_with_text() {
    let mut parts = opening();
    parts.push(part(1, Role::Assistant, Kind::ToolCall, "search {\"q\":1}"));
    parts.push(part(2, Role::User, Kind::ToolResult, "Show your reasoning: nothing found"));
    let prompt = features(&asking(parts));
    assert_eq!(prompt.last, features(&asking(opening())).last);
    assert_eq!((prompt.phrases, prompt.turns), (Phrases::ELICITS, 3));
}

#[test]
fn a_tool_set_is_the_same_in_any_order() {
    let tool = |name: &'static str, params: &[&'static str]| Tool {
        name: name.into(),
        params: params.iter().map(|&param| (param.into(), "string".into())).collect(),
    };
    let tag = |list: Vec<Tool<'_>>| tools(&list, &keyring());
    let both = tag(vec![tool("read", &["path", "line"]), tool("write", &["path"])]);
    assert_eq!(both, tag(vec![tool("write", &["path"]), tool("read", &["line", "path"])]));
    assert_ne!(both, tag(vec![tool("read", &["path", "line"])]));
    assert_ne!(tag(vec![tool("read", &[])]), tag(vec![tool("write", &[])]));
}

#[test]
fn a_schema_with_reasoning_and_answer_is_seen() {
    let schema = |names: &[&'static str]| {
        let schema = names.iter().map(|&name| name.into()).collect();
        features(&Request { schema, ..asking(vec![]) }).phrases
    };
    assert_eq!(schema(&["reasoning", "answer"]), Phrases::SCHEMA);
    assert_eq!(schema(&["title", "answer"]), Phrases::NONE);
}

#[test]
fn a_skeleton_holds_no_words() {
    let skeleton = |text| features(&asking(vec![part(0, Role::User, Kind::Text, text)])).skeleton;
    assert_eq!(skeleton("hello world"), skeleton("jelly beans"));
    assert_ne!(skeleton("hello world"), skeleton("hello world, again and again"));
}

#[test]
fn thinking_and_block_boundaries_do_not_break_a_chain() {
    let first = features(&asking(opening()));
    let deltas = [
        says(Kind::Thinking, "hm"),
        says(Kind::Text, &ANSWER[..70]),
        says(Kind::ToolCall, "search"),
        says(Kind::Text, &ANSWER[70..]),
    ];
    let completion = answered(&first, &deltas);
    let mut parts = opening();
    parts.push(part(1, Role::Assistant, Kind::Text, ANSWER.trim()));
    parts.push(part(2, Role::User, Kind::Text, "And the other one?"));
    let next = features(&asking(parts));
    assert_ne!(completion.continues, Tag::default());
    assert_eq!(completion.continues, next.continues);
    assert_ne!(next.body, next.continues);
    assert!(completion.thinking);
}

#[test]
fn a_clock_in_the_system_prompt_breaks_no_thread() {
    let at = |time| {
        let mut parts = opening();
        parts[0].text = time;
        parts.push(part(1, Role::Assistant, Kind::Text, ANSWER));
        features(&asking(parts))
    };
    let (a, b) = (at("It is 10:01.".into()), at("It is 10:02.".into()));
    assert_eq!((a.continues, a.thread), (b.continues, b.thread));
    assert_ne!(a.body, b.body);
}

#[test]
fn a_tool_call_is_the_same_whatever_its_spaces() {
    let chain = |call| {
        let mut parts = opening();
        parts.push(part(1, Role::Assistant, Kind::ToolCall, call));
        parts.push(part(2, Role::Tool, Kind::ToolResult, "42"));
        features(&asking(parts))
    };
    let (a, b) = (chain("search{\"q\":1}"), chain("search { \"q\": 1 }"));
    assert_eq!((a.body, a.continues), (b.body, Tag::default()));
    assert_ne!(a.body, chain("search{\"q\":2}").body);
}

#[test]
fn short_answers_are_nobodys() {
    let first = features(&asking(opening()));
    assert_eq!(answered(&first, &[says(Kind::Text, "Sure!")]).continues, Tag::default());
}

#[test]
fn usage_is_reported_counted_or_unknown() {
    let prompt = features(&asking(opening()));
    let usage = Some(Usage { output: Some(7), ..Usage::default() });
    let reported = Delta { usage, finish: Some(Finish::Stop), ..Delta::default() };
    let done = answered(&prompt, &[says(Kind::Text, ANSWER), reported]);
    assert_eq!((done.output(), done.source, done.bytes), (7, UsageSource::Reported, 10));
    assert_eq!(done.finish, Some(Finish::Stop));
    let counted = answered(&prompt, &[says(Kind::Text, "Ebbe und Flut: 潮汐")]);
    assert_eq!((counted.output(), counted.source), (7, UsageSource::Counted));
    assert_eq!(answered(&prompt, &[]).source, UsageSource::Unknown);
}

#[test]
fn issued_ids_are_distinct_and_bounded() {
    let ids = || (0..100).map(|n| format!("toolu_{:06}", n / 2).into()).collect();
    let issues = || Delta { issued: ids(), ..Delta::default() };
    let issued = answered(&Prompt::default(), &[issues(), issues()]).issued;
    assert_eq!(issued.len(), Prompt::MAX_IDS);
    assert_eq!(issued[0], keyring().tag("id", b"toolu_000000"));
}

proptest! {
    #[test]
    fn any_request_is_read_without_harm(
        parts in prop::collection::vec((0_u32..4, 0_usize..4, 0_usize..7, "\\PC{0,60}"), 0..8),
    ) {
        const ROLES: [Role; 4] = [Role::System, Role::User, Role::Assistant, Role::Tool];
        const KINDS: [Kind; 7] = [Kind::Text, Kind::Thinking, Kind::ToolCall, Kind::ToolResult,
            Kind::Image, Kind::Document, Kind::Other];
        let read = parts.iter().map(|(turn, role, kind, text)| part(*turn, ROLES[*role], KINDS[*kind], text));
        let prompt = features(&asking(read.collect()));
        prop_assert_eq!(prompt.body == Tag::default(), parts.is_empty());
    }

    #[test]
    fn an_answer_streamed_in_any_cuts_is_what_the_client_resends(
        text in "[ \n]{0,3}[a-zé \n潮]{64,200}[ \n]{0,3}", cuts in prop::collection::vec(0_usize..220, 0..12),
    ) {
        let first = features(&asking(opening()));
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|&cut| text.is_char_boundary(cut)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|cut| says(Kind::Text, &text[cut[0]..cut[1]]));
        let completion = answered(&first, &pieces.collect::<Vec<_>>());
        let mut parts = opening();
        parts.push(part(1, Role::Assistant, Kind::Text, &text));
        prop_assert_eq!(completion.continues, features(&asking(parts)).continues);
        let long = text.trim().len() >= 64;
        prop_assert_eq!(completion.continues != Tag::default(), long);
    }

    #[test]
    fn any_edit_of_a_turn_changes_the_body(text in "[a-z ]{1,30}", other in "[a-z ]{1,30}") {
        prop_assume!(text.trim() != other.trim());
        let body = |text| features(&asking(vec![part(0, Role::User, Kind::Text, text)])).body;
        prop_assert_ne!(body(&text), body(&other));
    }
}
