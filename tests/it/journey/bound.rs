//! Times and keys of what is bound, what lies beside it, and what can't be.

use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};
use stillguard::engine::Verdict;
use stillguard::guard::{BindKeys, Fault};
use stillguard::policy::{Action, Bind, Binding, Conversation, Shape, Unbound};

use super::binding::{CASES, Case, REFUSE, SEAL, WRAP, between, bound, of, outcome, plain};
use super::scene::{Plan, Scene, Script, Step, answer, encoded, post, post_coded};
use super::shaping::{both, names};

#[tokio::test(start_paused = true)]
async fn bare_seals_have_their_time_of_grace() {
    let case = &CASES[0];
    // The scene's clock stands in September 2026.
    for (until, status) in [("2027-01-01T00:00:00Z", 200), ("2026-01-01T00:00:00Z", 400)] {
        let bare_until = Some(until.parse().unwrap());
        let scene = bound(Bind { bare_until, ..REFUSE });
        let (got, _, saw) = scene.brings("own", case, SEAL).await;
        assert_eq!((got, saw.is_some()), (status, status == 200));
        assert_eq!(scene.count(&outcome("anthropic-messages", "bare")), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn altered_and_retired_ones_are_told_apart() {
    let case = &CASES[0];
    let first = bound(WRAP);
    let (_, seal) = first.issues("own", case).await;
    let mut altered = seal.clone();
    altered.replace_range(60..61, if &seal[60..61] == "A" { "B" } else { "A" });
    let scene = bound(REFUSE);
    let (status, said, _) = scene.brings("own", case, &altered).await;
    assert!(status == 400 && said.contains("must come back as they were issued"), "{said}");
    assert_eq!(scene.count(&outcome("anthropic-messages", "altered")), 1);

    let keyed = |written: &str, bind| {
        let keys = BindKeys::parse(written, &first.shared.keyring).unwrap();
        let keep = |tenant: &mut stillguard::policy::TenantSettings| tenant.bind = Some(bind);
        Scene::with(keep, |guard| guard.bind.keys = Some(keys.into()))
    };
    let (old, new) = ("0f".repeat(32), "a0".repeat(32));
    let (_, seal) = keyed(&old, WRAP).issues("own", case).await;
    let (status, _, saw) = keyed(&format!("{new}\n{old}"), REFUSE).brings("own", case, &seal).await;
    assert_eq!((status, saw.unwrap()), (200, case.brings.replace("SEAL", SEAL).into()));
    let rotated = keyed(&new, REFUSE);
    let (status, said, _) = rotated.brings("own", case, &seal).await;
    assert!(status == 400 && said.contains("issued too long ago"), "{said}");
    assert_eq!(rotated.count(&outcome("anthropic-messages", "retired")), 1);
    let (status, _, saw) = keyed(&new, WRAP).brings("own", case, &seal).await;
    assert_eq!((status, saw.unwrap()), (200, case.brings.replace("SEAL", SEAL).into()));
}

#[tokio::test(start_paused = true)]
async fn off_every_byte_passes_and_on_the_way_back_to_off_wrapped_ones_still_come_home() {
    let case = &CASES[0];
    let (_, seal) = bound(WRAP).issues("own", case).await;
    let off = bound(Bind::default());
    let (headers, bare) = off.issues("own", case).await;
    assert_eq!((bare.as_str(), headers.contains_key("content-length")), (SEAL, true));
    let (_, _, saw) = off.brings("own", case, &seal).await;
    assert_eq!(saw.unwrap(), case.brings.replace("SEAL", &seal));
    assert_eq!(off.lines("ask").pop().unwrap()["ask"]["prompt"]["bonds"], Value::Null);
    let ending = bound(Bind { signatures: Binding::Unwrap, ..REFUSE });
    let (headers, bare) = ending.issues("own", case).await;
    assert_eq!((bare.as_str(), headers.contains_key("content-length")), (SEAL, true));
    let (_, _, saw) = ending.brings("own", case, &seal).await;
    assert_eq!(saw.unwrap(), case.brings.replace("SEAL", SEAL));
    assert_eq!(ending.brings("own", case, SEAL).await.0, 200, "new ones are bare");
}

#[tokio::test(start_paused = true)]
async fn signals_see_the_ids_that_the_endpoint_issued() {
    for case in &CASES {
        let (with, without) = (bound(WRAP), bound(Bind::default()));
        let (_, seal) = with.issues("own", case).await;
        without.issues("own", case).await;
        let issued = |scene: &Scene| scene.last_end()["completion"]["issued"].clone();
        assert_eq!(issued(&with), issued(&without), "{}", case.path);
        assert!(issued(&with).as_array().is_some_and(|ids| !ids.is_empty()));
        with.brings("own", case, &seal).await;
        without.brings("own", case, SEAL).await;
        let presented = |scene: &Scene| {
            let ask = scene.lines("ask").pop().unwrap()["ask"]["prompt"].clone();
            (ask["presented"].clone(), ask["bytes"].clone(), ask["body"].clone())
        };
        assert_eq!(presented(&with), presented(&without), "{}", case.path);
    }
}

#[tokio::test(start_paused = true)]
async fn coded_bodies_are_decoded_where_they_are_bound() {
    let case = &CASES[0];
    let scene = Scene::with(
        |tenant| tenant.bind = Some(REFUSE),
        |guard| guard.narrow_accept_encoding = false,
    );
    for coding in ["gzip", "br", "zstd"] {
        let told = case.issues.replace("SEAL", SEAL);
        let mut answered: Response<Script> = answer("");
        let pieces = encoded(coding, told.as_bytes());
        *answered.body_mut() =
            Script::new(pieces.chunks(7).map(Bytes::copy_from_slice).map(Step::Chunk));
        answered.headers_mut().insert("content-encoding", coding.parse().unwrap());
        answered.headers_mut().insert("content-length", pieces.len().into());
        answered.headers_mut().insert("content-md5", "x".parse().unwrap());
        scene.plan(Plan::Answer(answered));
        let (_, headers, body) = scene.ask(of("k", case.path, plain(case))).await;
        let seal = between(&body, case.issues).to_owned();
        assert!(seal.starts_with("sgb1"));
        for gone in ["content-encoding", "content-length", "content-md5"] {
            assert!(!headers.contains_key(gone), "{gone}");
        }
        let brought = case.brings.replace("SEAL", &seal);
        let request = post_coded(case.path, coding, encoded(coding, brought.as_bytes()));
        assert_eq!(scene.ask(request).await.0, 200);
        let (head, saw) = scene.last_forwarded();
        assert_eq!(saw, case.brings.replace("SEAL", SEAL), "{coding}");
        assert!(!head.headers.contains_key("content-encoding"));
        assert_eq!(head.headers["content-length"], saw.len().to_string().as_str());
        assert_eq!(head.headers["accept-encoding"], "identity");
    }
}

#[tokio::test(start_paused = true)]
async fn a_signed_body_stays_and_nothing_is_wrapped_for_who_signs() {
    let case = &CASES[3];
    let signed = (
        "authorization",
        "AWS4-HMAC-SHA256 Credential=AKID/20260101/eu/bedrock/aws4_request, Signature=0",
    );
    let scene = bound(REFUSE);
    scene.plan(Plan::Answer(answer(&case.issues.replace("SEAL", SEAL))));
    let brought = case.brings.replace("SEAL", SEAL);
    let (status, headers, body) = scene.ask(post(case.path, &[signed], &brought)).await;
    assert_eq!((status, body), (200, case.issues.replace("SEAL", SEAL)));
    assert!(headers.contains_key("content-length"));
    assert_eq!(scene.last_forwarded().1, brought);
    let (_, seal) = scene.issues("own", case).await;
    let brought = case.brings.replace("SEAL", &seal);
    assert_eq!(scene.ask(post(case.path, &[signed], &brought)).await.0, 400, "another's");
}

#[tokio::test(start_paused = true)]
async fn a_seal_may_be_bound_to_the_words_its_conversation_began_with() {
    let case = &CASES[0];
    let bind = Bind { conversation: Conversation::Refuse, ..WRAP };
    let scene = bound(bind);
    let (_, seal) = scene.issues("own", case).await;
    assert_eq!(scene.brings("own", case, &seal).await.0, 200);
    let elsewhere = Case {
        brings: r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Another."},{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"SEAL"}]}]}"#,
        ..CASES[0]
    };
    assert_eq!(scene.brings("own", &elsewhere, &seal).await.0, 400);
    let asked = scene.lines("ask").pop().unwrap()["ask"]["prompt"]["bonds"].clone();
    assert_eq!(asked, json!({"verified": 1, "moved": 1}));
    let counted = bound(Bind { conversation: Conversation::Count, ..WRAP });
    assert_eq!(counted.brings("own", &elsewhere, &seal).await.0, 200);
    assert_eq!(counted.count(&outcome("anthropic-messages", "moved")), 1);
}

#[tokio::test(start_paused = true)]
async fn ids_of_calls_are_bound_by_a_switch_of_their_own() {
    let issues = r#"{"id":"msg_012345","content":[{"type":"thinking","thinking":"h","signature":<"s3al"|"s3al">},{"type":"tool_use","id":<"toolu_01A09q90qw90lq917835lq9"|"ID">,"name":"f","input":{}}],"usage":{"output_tokens":3}}"#;
    let brings = r#"{"model":"m","max_tokens":9,"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"ID","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"ID"}]}]}"#;
    let bind =
        Bind { signatures: Binding::Off, tool_ids: Binding::Wrap, foreign: Unbound::Strip, ..WRAP };
    let scene = bound(bind);
    let [told, expected] = both(issues);
    scene.plan(Plan::Answer(answer(&told)));
    let (_, _, body) = scene.ask(of("own", "/v1/messages", plain(&CASES[0]))).await;
    let id = between(&body, &expected.replace("ID", "SEAL")).to_owned();
    assert!(id.starts_with("toolu_01A09q90qw90lq917835lq9_sgb1") && id.len() <= 64, "{id}");
    for (key, bonds) in [("own", json!({"verified": 2})), ("b", json!({"foreign": 2}))] {
        let (status, _, _) = scene.ask(of(key, "/v1/messages", &brings.replace("ID", &id))).await;
        assert_eq!(status, 200, "an id of a call is never stripped");
        assert_eq!(scene.last_forwarded().1, brings.replace("ID", "toolu_01A09q90qw90lq917835lq9"));
        assert_eq!(scene.lines("ask").pop().unwrap()["ask"]["prompt"]["bonds"], bonds);
    }
    let own = brings.replace("ID", "toolu_of_my_own_making");
    assert_eq!(scene.ask(of("own", "/v1/messages", &own)).await.0, 200);
    assert_eq!(scene.last_forwarded().1, own, "callers make ids, too");
    let refuses = bound(Bind { foreign: Unbound::Refuse, ..bind });
    assert_eq!(refuses.ask(of("b", "/v1/messages", &brings.replace("ID", &id))).await.0, 400);
}

#[tokio::test(start_paused = true)]
async fn a_shaped_answer_is_bound_too_and_one_that_would_be_shaped_is_bound_alone() {
    let case = &CASES[0];
    for enforced in [true, false] {
        let shape = Shape { withhold_reasoning: true, ..Shape::default() };
        let scene =
            Scene::with(|tenant| (tenant.bind, tenant.shape) = (Some(REFUSE), Some(shape)), |_| {});
        let verdict = Verdict { action: Action::Shape, enforced, ..Verdict::default() };
        scene.fault(Fault::Judges(Box::new(verdict)));
        scene.plan(Plan::Answer(answer(&case.issues.replace("SEAL", SEAL))));
        let (_, headers, body) = scene.ask(of("own", case.path, plain(case))).await;
        let now = if enforced { case.issues.replace("\"hm\"", "\"\"") } else { case.issues.into() };
        let seal = between(&body, &now).to_owned();
        assert!(seal.starts_with("sgb1"), "{body}");
        assert_eq!(headers.contains_key("stillguard-shaped"), enforced);
        let end = scene.last_end()["completion"].clone();
        let deeds = if enforced { &end["shaped"] } else { &end["would_shape"] };
        assert_eq!((names(deeds), &end["wrapped"]), (vec!["reasoning"], &json!(1)));
        assert_eq!(end["thinking"], !enforced);
        assert_eq!(scene.brings("own", case, &seal).await.0, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn what_leaves_unread_is_counted() {
    let case = &CASES[0];
    let scene = Scene::with(|tenant| tenant.bind = Some(WRAP), |guard| guard.max_answer = 64);
    let told = case.issues.replace("SEAL", SEAL);
    let mut answered: Response<Script> = answer("");
    *answered.body_mut() =
        Script::new(told.as_bytes().chunks(50).map(Bytes::copy_from_slice).map(Step::Chunk));
    answered.headers_mut().remove("content-length");
    scene.plan(Plan::Answer(answered));
    assert_eq!(scene.ask(of("own", case.path, plain(case))).await.2, told);
    let mut html: Response<Script> = answer("<html>");
    html.headers_mut().insert("content-type", "text/html".parse().unwrap());
    scene.plan(Plan::Answer(html));
    assert_eq!(scene.ask(of("own", case.path, plain(case))).await.2, "<html>");
    assert_eq!(scene.count(&outcome("anthropic-messages", "missed")), 2);
    let mut failed: Response<Script> = answer(r#"{"type":"error"}"#);
    *failed.status_mut() = http::StatusCode::TOO_MANY_REQUESTS;
    scene.plan(Plan::Answer(failed));
    assert_eq!(scene.ask(of("own", case.path, plain(case))).await.0, 429);
    assert_eq!(scene.count(&outcome("anthropic-messages", "missed")), 2, "an error issues nothing");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_has_two_meanings_is_refused_as_ever_or_unwrapped_in_both() {
    let twice = r#"{"model":"m","max_tokens":9,"messages":[],"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"h","signature":"SEAL"}]}]}"#;
    let (_, seal) = bound(WRAP).issues("own", &CASES[0]).await;
    let (status, _, said) =
        bound(WRAP).ask(of("own", "/v1/messages", &twice.replace("SEAL", &seal))).await;
    assert!(status == 400 && said.contains("same key twice"), "{said}");
    let lenient = Scene::with(
        |tenant| {
            tenant.bind = Some(WRAP);
            tenant.bodies = Some(stillguard::policy::Bodies::Lenient);
        },
        |_| {},
    );
    let (status, ..) = lenient.ask(of("own", "/v1/messages", &twice.replace("SEAL", &seal))).await;
    assert_eq!((status, lenient.last_forwarded().1), (200, twice.replace("SEAL", SEAL).into()));
}
