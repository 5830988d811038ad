use proptest::prelude::*;

use super::*;

fn sketch(text: &str) -> Sketch {
    Sketch::of(text, &Keyring::new([7; 32])).expect("enough stems")
}

const BASE: &str = "You are an expert mathematics tutor. Solve the problem below, explain every \
    step of your derivation, check the result with a second method, and finish with a boxed \
    numeric answer. Mention common mistakes that students make on this kind of exercise.";
const EDITED: &str = "You're a seasoned mathematics tutor. Solve the following problem, explaining \
    each step of the derivation; verify the result by a second method and finish with the boxed \
    answer. Also mention the mistakes students commonly make on such exercises.";
const REORDERED: &str = "Mention common mistakes students make on this kind of exercise. Finish \
    with a boxed numeric answer after you check the result with a second method. As an expert \
    mathematics tutor, solve the problem below and explain every step of your derivation.";
const UNRELATED: [&str; 3] = [
    "Write a friendly e-mail to the landlord about the broken heating in our kitchen and ask for \
     a plumber before Friday evening.",
    "Refactor this Rust module so that the connection pool closes idle sockets, and add an \
     integration test covering shutdown under load.",
    "Plan a seven day vegetarian menu for two adults and a toddler, using seasonal vegetables and \
     cheap pantry staples, with a shopping list.",
];

#[test]
fn edited_and_reordered_variants_stay_alike() {
    for variant in [EDITED, REORDERED] {
        let alike = sketch(BASE).jaccard(&sketch(variant));
        assert!(alike >= 0.43, "{alike}: {variant}");
    }
}

#[test]
fn unrelated_texts_are_not_alike() {
    for (at, text) in UNRELATED.iter().enumerate() {
        for other in UNRELATED[at + 1..].iter().chain([&BASE, &EDITED]) {
            let alike = sketch(text).jaccard(&sketch(other));
            assert!(alike <= 0.15, "{alike}: {text} / {other}");
        }
    }
}

#[test]
fn chinese_variants_are_alike_without_spaces() {
    let a = sketch("请逐步解答下面的数学题目,写出完整的推理过程,最后给出数值答案并检查结果");
    let b = sketch("请你逐步解答以下数学题目,写出完整推理过程,最后检查结果并给出数值答案");
    let c = sketch("帮我写一封邮件给房东,说明厨房暖气坏了,希望星期五之前派人来修理");
    assert!(a.jaccard(&b) >= 0.43, "{}", a.jaccard(&b));
    assert!(a.jaccard(&c) <= 0.15, "{}", a.jaccard(&c));
}

#[test]
fn hidden_characters_and_case_change_nothing() {
    let hidden = BASE.replace("tutor", "tu\u{200b}tor").replace("step", "S\u{2060}TEP");
    assert_eq!(sketch(BASE), sketch(&hidden));
}

#[test]
fn a_few_words_have_no_sketch() {
    let keyring = Keyring::new([7; 32]);
    for text in ["", "hello there, how are you?", "yes please", "go go go go go go go go"] {
        assert_eq!(Sketch::of(text, &keyring), None, "{text}");
    }
}

#[test]
fn another_secret_gives_another_sketch() {
    let other = Sketch::of(BASE, &Keyring::new([8; 32])).expect("enough stems");
    assert!(sketch(BASE).jaccard(&other) < 0.1);
}

#[test]
fn long_texts_are_sampled_alike() {
    let long = |from: u32| (from..from + 4000).map(|n| format!("word{n} ")).collect::<String>();
    let (a, b) = (sketch(&long(0)), sketch(&long(150)));
    // Head and tail shift by about a tenth; the unread middle can't matter.
    assert!(a.jaccard(&b) > 0.5, "{}", a.jaccard(&b));
    assert!(a.jaccard(&sketch(&long(50_000))) < 0.1);
}

#[test]
fn words_meet_in_their_stems() {
    for (a, b) in [
        ("explained", "explaining"),
        ("steps", "step"),
        ("queries", "query"),
        ("planned", "planning"),
        ("deriving", "derive"),
        ("commonly", "common"),
    ] {
        assert_eq!(stem::stem(a.as_bytes()), stem::stem(b.as_bytes()), "{a} {b}");
    }
    let stops = |word: &[u8]| {
        stem::is_stop(word.iter().rev().fold(0, |packed, &byte| packed << 8 | u64::from(byte)))
    };
    assert!(stops(b"the") && stops(b"nicht") && !stops(b"solve"));
}

#[test]
fn a_sketch_survives_its_spelling() {
    let text = serde_json::to_string(&sketch(BASE)).expect("serialises");
    assert_eq!(text.len(), 258);
    assert_eq!(serde_json::from_str::<Sketch>(&text).expect("parses"), sketch(BASE));
    for bad in ["", "\"zz\"", &text.replace('a', "+")[..], "\"é\""] {
        assert!(serde_json::from_str::<Sketch>(bad).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn order_does_not_matter(words in prop::collection::vec("[a-z]{3,9}", 12..40), by in 0_usize..40) {
        let mut turned = words.clone();
        turned.rotate_left(by % words.len());
        turned.reverse();
        let keyring = Keyring::new([1; 32]);
        prop_assert_eq!(
            Sketch::of(&words.join(" "), &keyring), Sketch::of(&turned.join(", "), &keyring));
    }

    #[test]
    fn any_text_is_read_without_harm(text in "\\PC{0,400}") {
        let _ = Sketch::of(&text, &Keyring::new([1; 32]));
    }
}
