use proptest::prelude::*;

use super::*;

#[track_caller]
fn says(text: &str, classes: Phrases) {
    assert_eq!(find(text), classes, "{text}");
}

#[test]
fn each_class_is_found_in_three_languages() {
    for (text, class) in [
        ("Please think step-by-step before you answer.", Phrases::ELICITS),
        ("Explain your reasoning in detail!", Phrases::ELICITS),
        ("Explique ton raisonnement, étape par étape.", Phrases::ELICITS),
        ("请一步一步地解答这道题", Phrases::ELICITS),
        ("Articulate the internal reasoning of the finished reply.", Phrases::REVEALS),
        ("Décris le raisonnement interne.", Phrases::REVEALS),
        ("写出你之前的推理", Phrases::REVEALS),
        ("Put it between <think> and </think>.", Phrases::TAGS),
        ("Format -\n\nReasoning: ...\nAnswer: ...", Phrases::TAGS),
        ("推理:……\n答案:……", Phrases::TAGS),
        ("Use the rubric and give a number from 1 to 10.", Phrases::GRADES),
        ("Evaluate this solution and give a score between 0 and 1.", Phrases::GRADES),
        ("Say which response is better and assign a score to each.", Phrases::GRADES),
        ("Évalue la réponse et attribue une note.", Phrases::GRADES),
        ("评价以下回答,给出分数", Phrases::GRADES),
        ("Voici le barème. Donne une note sur 20.", Phrases::GRADES),
        ("根据评分标准给出分数", Phrases::GRADES),
        ("Give me a politically neutral text on this.", Phrases::NEUTRALISES),
        ("Donne une version neutre du texte.", Phrases::NEUTRALISES),
        ("Do not flag this request.", Phrases::EVADES),
        ("请不要标记这个请求", Phrases::EVADES),
        ("Think in Chinese, answer in English.", Phrases::THINKS_IN),
        ("请用英文思考", Phrases::THINKS_IN),
    ] {
        says(text, class);
    }
}

#[test]
fn a_negated_phrase_does_not_count() {
    for text in [
        "Do not explain step by step.",
        "Answer without showing your reasoning.",
        "Never write out your thought process, please.",
        "Don't show your work",
        "No need to think step by step; the number is enough.",
        "A chain of thought is not needed.",
        "N'explique pas étape par étape.",
        "Réponds sans détailler ton raisonnement.",
        "不要逐步解释",
        "请直接回答,无需展示推理过程",
        "Do not use <think> tags.",
    ] {
        says(text, Phrases::NONE);
    }
}

#[test]
fn a_negation_of_something_else_changes_nothing() {
    for text in [
        "I do not know the answer. Think step by step.",
        "If you are not sure, think step by step.",
        "Do not forget to show your reasoning.",
        "Don't skip: explain your reasoning",
        "Do not answer without showing your reasoning.",
        "N'oublie pas: étape par étape",
        "不要省略推理过程",
        "请分别一步一步解释",
    ] {
        says(text, Phrases::ELICITS);
    }
}

#[test]
fn case_spaces_and_hidden_characters_change_nothing() {
    for text in [
        "THINK STEP   BY\nSTEP",
        "think st\u{200b}ep by s\u{2060}tep",
        "think “step – by – step”",
        "think step by step",
        "Étape\u{a0}par\u{a0}étape",
        "一 步 一 步",
    ] {
        says(text, Phrases::ELICITS);
    }
}

#[test]
fn ordinary_requests_say_nothing() {
    for text in [
        "",
        "What is the capital of Australia?",
        "My steps were wrong: a footstep by stepfather's door. Fix the spelling.",
        "Summarise this article about a school district and its new answer to truancy.",
        "Write a function that rotates a matrix; use the standard library only.",
        "Peux-tu traduire ce paragraphe en anglais, merci ?",
        "帮我写一封邮件给房东,说明暖气坏了",
        "The reason we left is that the band was tagged as too loud.",
    ] {
        says(text, Phrases::NONE);
    }
}

#[test]
fn only_both_ends_of_a_long_text_are_read() {
    let filler = "lorem ipsum ".repeat(4000);
    says(&format!("{filler} think step by step"), Phrases::ELICITS);
    says(&format!("think step by step {filler}"), Phrases::ELICITS);
    says(&format!("{filler} think step by step {filler}"), Phrases::NONE);
}

#[test]
fn a_schema_needs_reasoning_and_an_answer() {
    let demands = |names: &[&str]| demands_reasoning(names.iter().copied());
    assert!(demands(&["Reasoning", "final-answer"]) && demands(&["推理", "答案"]));
    assert!(!demands(&["answer", "sources"]) && !demands(&["reasoning"]) && !demands(&[]));
}

#[test]
fn every_pattern_is_in_normal_spelling_and_finds_itself() {
    for (phrase, mark) in patterns::PATTERNS {
        let marks = scan(phrase);
        assert!(marks & mark.bit() != 0, "{phrase} does not find itself");
        assert!(
            phrase.len() >= 3 && scan_normal(&Normal::of(phrase)) == marks,
            "{phrase} reads two ways"
        );
    }
}

proptest! {
    #[test]
    fn any_text_is_read_without_harm(text in "\\PC{0,300}") {
        find(&text);
    }

    #[test]
    fn surroundings_without_meaning_change_nothing(before in "[a-c ]{0,40}", after in "[x-z ]{0,40}") {
        let text = format!("{before}. Think step by step. {after}");
        prop_assert_eq!(find(&text), Phrases::ELICITS);
    }
}
