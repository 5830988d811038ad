//! Bodies as they really come: coded, and such as not everybody reads alike.

use bytes::Bytes;
use http_body_util::BodyExt;
use proptest::prelude::*;
use stillguard::policy::{Bodies, Mode, Tenant, TenantSettings};

use super::scene::{
    CHAT, CHAT_ANSWER, Plan, Scene, Script, Step, answer, chat, encoded, post, post_coded, stream,
};

const CODINGS: [&str; 3] = ["gzip", "br", "zstd"];
const PATH: &str = "/v1/chat/completions";
const UNVETTED: &str = "stillguard_fail_open_total{reason=\"unvetted-body\"}";

fn lenient(tenant: &mut TenantSettings) {
    tenant.bodies = Some(Bodies::Lenient);
}

#[tokio::test(start_paused = true)]
async fn a_coded_body_is_read_and_forwarded_as_it_came() {
    let scene = Scene::new();
    scene.ask(chat("k")).await;
    let plain = scene.lines("ask").pop().unwrap()["ask"]["prompt"].clone();
    for coding in CODINGS {
        let coded = encoded(coding, CHAT.as_bytes());
        assert_eq!(scene.ask(post_coded(PATH, coding, coded.clone())).await.0, 200);
        let (head, body) = scene.last_forwarded();
        assert_eq!(
            (&body[..], &head.headers["content-encoding"]),
            (&coded[..], &coding.parse().unwrap())
        );
        assert_eq!(scene.lines("ask").pop().unwrap()["ask"]["prompt"], plain, "{coding}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_coded_body_hides_is_refused_as_if_it_were_plain() {
    let scene = Scene::new();
    for coding in CODINGS {
        let twice = br#"{"model":"a","model":"b","messages":[]}"#;
        let whole = encoded(coding, CHAT.as_bytes());
        let bomb = encoded(coding, &[&b"{"[..], &vec![b' '; 64 << 20], b"}"].concat());
        for (body, expected) in [
            (encoded(coding, twice), 400),
            (whole[..whole.len() - 1].to_vec(), 400),
            ([&whole[..], b"x"].concat(), 400),
            ([&whole[..], &whole[..]].concat(), 400),
            (b"\x00".to_vec(), 400),
            (Vec::new(), 400),
            (bomb, 413),
        ] {
            let (status, _, words) = scene.ask(post_coded(PATH, coding, body)).await;
            assert_eq!(status, expected, "{coding}: {words}");
            let words: serde_json::Value = serde_json::from_str(&words).unwrap();
            assert_eq!(words["error"]["type"], "invalid_request_error");
        }
    }
    assert_eq!(scene.forwarded(), 0);
    assert_eq!(scene.count("stillguard_ambiguous_body_total{reason=\"duplicate\"}"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_coded_body_is_read_whole_whether_it_is_short_or_long() {
    let scene = Scene::with(|_| {}, |guard| guard.max_buffered = 3 << 20);
    for (kib, status) in [(1_u64, 200), (1023, 200), (1024, 200), (1300, 200), (3500, 503)] {
        let words: String =
            (0..kib * 128).map(|n| format!("{:07x} ", n * 40_503 % 0xfff_ffff)).collect();
        let plain = CHAT.replace("What is a stanza?", &words);
        // Brotli's own encoder takes too long for so much.
        for coding in ["gzip", "zstd"] {
            let coded = encoded(coding, plain.as_bytes());
            let answered = scene.ask(post_coded(PATH, coding, coded)).await.0;
            assert_eq!(answered, status, "{kib} {coding}");
            if status == 200 {
                // Held by the endpoint until now, and counted for as long.
                drop(scene.last_forwarded());
            }
        }
        if status == 200 {
            let prompt = scene.lines("ask").pop().unwrap()["ask"]["prompt"].clone();
            assert!(prompt["tokens"].as_u64().unwrap() > kib * 64, "{prompt}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn only_codings_that_the_endpoint_is_said_to_decode_are_taken() {
    let scene = Scene::with(|_| {}, |guard| guard.codings.clear());
    let coded = encoded("gzip", CHAT.as_bytes());
    let (status, _, words) = scene.ask(post_coded(PATH, "gzip", coded)).await;
    assert_eq!(status, 415);
    assert!(words.contains("Send the request body without a content encoding."), "{words}");
}

#[tokio::test(start_paused = true)]
async fn a_lenient_tenant_is_forwarded_what_can_not_be_vetted_and_it_is_counted() {
    let scene = Scene::with(lenient, |guard| guard.max_ratio = 2);
    let odd =
        r#"{"model":"m-1","Messages":[],"messages":[{"role":"user","content":"What is it?"}]}"#;
    let mut form = post(PATH, &[("authorization", "Bearer k")], CHAT);
    form.headers_mut().insert("content-type", "text/plain".parse().unwrap());
    let zeros = encoded("gzip", &vec![0; 4 << 20]);
    let mut counted = 0;
    for (request, tokens) in [
        (post(PATH, &[("authorization", "Bearer k")], odd), true),
        (form, true),
        (post(PATH, &[("authorization", "Bearer k")], "not { json"), false),
        (post_coded(PATH, "lzma", b"\0\x01".to_vec()), false),
        (post_coded(PATH, "zstd", b"\0\x01".to_vec()), false),
        (post_coded(PATH, "gzip", zeros), false),
    ] {
        assert_eq!(scene.ask(request).await.0, 200);
        counted += 1;
        assert_eq!(scene.count(UNVETTED), counted);
        let ask = scene.lines("ask").pop().unwrap();
        assert_eq!(ask["ask"]["prompt"]["tokens"] != 0, tokens, "read as far as it goes: {ask}");
        assert_eq!(ask["ask"]["prompt"]["api"], "openai-chat");
    }
    assert_eq!(scene.count("stillguard_ambiguous_body_total{reason=\"alias\"}"), 1);
    assert_eq!(scene.ask(chat("k")).await.0, 200);
    assert_eq!(scene.count(UNVETTED), counted, "what is plain is not counted");
}

#[tokio::test(start_paused = true)]
async fn leniency_is_a_tenants_own_and_never_lets_half_a_body_pass() {
    let scene = Scene::with(lenient, |guard| guard.max_body = 100);
    let mut broken = chat("k");
    *broken.body_mut() = Script::new([Step::Chunk("{".into()), Step::Fail]);
    assert_eq!(scene.ask(broken).await.0, 400);
    let large = post(PATH, &[("authorization", "Bearer k")], &" ".repeat(101));
    assert_eq!(scene.ask(large).await.0, 413);
    assert_eq!(scene.forwarded(), 0);
    let mut policies = stillguard::policy::Settings::default();
    let name = "other".to_owned();
    let mode = Some(Mode::Enforce);
    lenient(&mut policies.defaults);
    let settings = TenantSettings { mode, bodies: Some(Bodies::Strict), ..Default::default() };
    policies.tenants.push(Tenant { name, settings });
    let policies = stillguard::policy::Policies::from(&policies);
    assert_eq!(policies.of(&"other".into()).bodies, Bodies::Strict);
    assert_eq!(policies.of(&"anyone".into()).bodies, Bodies::Lenient);
}

#[tokio::test(start_paused = true)]
async fn a_body_of_a_shape_nobody_knows_passes_and_is_counted() {
    let scene = Scene::new();
    for (body, unvetted) in
        [(r#"{"taskType":"TEXT_IMAGE"}"#, 1), (r#"{"prompt":"What is it?","max_gen_len":9}"#, 1)]
    {
        let request = post("/model/m/invoke", &[("authorization", "Bearer k")], body);
        assert_eq!(scene.ask(request).await.0, 200);
        assert_eq!(scene.count(UNVETTED), unvetted, "{body}");
    }
    assert_eq!(scene.lines("ask")[1]["ask"]["prompt"]["params"]["max_tokens"], 9);
}

const EVENTS: &str = "data: {\"id\":\"chatcmpl-123456\",\"choices\":[{\"delta\":\
    {\"content\":\"A verse.\"}}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":11,\
    \"completion_tokens\":3}}\n\ndata: [DONE]\n\n";

#[tokio::test(start_paused = true)]
async fn a_coded_answer_is_read_and_forwarded_as_it_came() {
    let scene = Scene::with(|_| {}, |guard| guard.narrow_accept_encoding = false);
    for coding in ["gzip", "br", "zstd", "deflate"] {
        for (streamed, plain) in [(false, CHAT_ANSWER), (true, EVENTS)] {
            let coded = encoded(coding, plain.as_bytes());
            let mut answered = if streamed { stream([]) } else { answer("") };
            let pieces = coded.chunks(7).map(Bytes::copy_from_slice);
            *answered.body_mut() = Script::new(pieces.map(Step::Chunk));
            answered.headers_mut().insert("content-encoding", coding.parse().unwrap());
            answered.headers_mut().remove("content-length");
            scene.plan(Plan::Answer(answered));
            let mut request = chat("k");
            request.headers_mut().insert("accept-encoding", coding.parse().unwrap());
            let body = scene.call(request).await.into_body().collect().await.unwrap();
            assert_eq!(body.to_bytes(), coded);
            assert_eq!(scene.last_forwarded().0.headers["accept-encoding"], coding);
            let completion = scene.last_end()["completion"].clone();
            assert_eq!(
                (&completion["usage"]["input"], &completion["usage"]["output"]),
                (&11.into(), &3.into()),
                "{coding}"
            );
            assert_eq!(completion["bytes"], coded.len());
            assert_eq!(completion["issued"].as_array().map(Vec::len), Some(1), "{completion}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_a_bomb_passes_unread_and_is_counted() {
    let scene = Scene::new();
    let bomb = encoded("gzip", &vec![b' '; 64 << 20]);
    let mut answered = answer("");
    *answered.body_mut() = Script::new([Step::Chunk(bomb.clone().into())]);
    answered.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    answered.headers_mut().remove("content-length");
    scene.plan(Plan::Answer(answered));
    let body = scene.call(chat("k")).await.into_body().collect().await.unwrap();
    assert_eq!(body.to_bytes(), bomb);
    assert_eq!(scene.count("stillguard_fail_open_total{reason=\"unreadable-answer\"}"), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn however_a_coded_body_is_cut_it_is_read_alike_and_forwarded_byte_for_byte(
        words in "[a-zé世 ]{0,400}",
        coding in prop::sample::select(CODINGS.to_vec()),
        cuts in prop::collection::vec(1..40_usize, 1..20),
    ) {
        let plain = CHAT.replace("What is a stanza?", &words);
        let coded = encoded(coding, plain.as_bytes());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let scene = Scene::new();
            let mut steps = Vec::new();
            let mut rest = &coded[..];
            for cut in cuts.iter().cycle() {
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                steps.push(Step::Chunk(Bytes::copy_from_slice(piece)));
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            let mut request = post_coded(PATH, coding, coded.clone());
            *request.body_mut() = Script::new(steps);
            assert_eq!(scene.ask(request).await.0, 200);
            assert_eq!(scene.last_forwarded().1, coded);
            scene.ask(post(PATH, &[("authorization", "Bearer k")], &plain)).await;
            let mut asks = scene.lines("ask");
            let [one, other] = [asks.pop(), asks.pop()].map(|ask| ask.unwrap()["ask"]["prompt"].clone());
            assert_eq!(one, other);
        });
    }
}
