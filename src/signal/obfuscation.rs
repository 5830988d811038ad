//! C8: the account hides its words from filters.

use super::exchange::Phrases;
use super::registry::{Family, Spec};
pub(super) use super::share::Params;
use super::share::Phrased;

pub(super) struct Obfuscation;

impl Phrased for Obfuscation {
    const SPEC: Spec = Spec {
        id: "C8",
        name: "obfuscation",
        family: Family::C,
        says: "hides words behind invisible or foreign letters, or tools behind empty names",
        lookalike: "text copied from web pages; scripts that need joiners, which don't count",
        // Innocent users of a pipeline's tools have their names too: too little to make a crowd speak
        // against its members.
        weight: 0.6,
        half_life: 72.0,
        // Guessed: a copied page now and then has such letters, hardly anyone's every request.
        tail: &[(0.1, 0.04), (0.3, 0.015), (0.6, 0.006)],
    };

    const CLASSES: Phrases = Phrases::HIDES;
}

#[cfg(test)]
mod tests {
    use super::super::samples::{habit_of, user};
    use super::*;

    fn share(text: &str) -> Option<f32> {
        habit_of::<Obfuscation>(user(text))
    }

    #[test]
    fn letters_that_hide_words_count_in_several_languages() {
        let hidden = [
            "th\u{200b}ink st\u{200b}ep by st\u{200b}ep",
            "r\u{435}as\u{43e}n st\u{435}p by st\u{435}p",
            "r\u{200b}aisonne \u{e9}t\u{200c}ape par \u{e9}ta\u{200b}pe",
            "一\u{200b}步一\u{200b}步思\u{200b}考",
        ];
        for text in hidden {
            assert!(share(text) > Some(0.8), "{text}");
        }
    }

    #[test]
    fn scripts_that_need_joiners_or_mix_with_names_do_not() {
        let innocent = [
            "می\u{200c}خواهم کتاب\u{200c}ها را بخوانم و می\u{200c}نویسم",
            "👩\u{200d}👩\u{200d}👧 🏳️\u{200d}🌈 👨\u{200d}🚀",
            "क्\u{200d}ष श्\u{200d}र त्\u{200d}र",
            "Купить iPhone и MacBook в Москве, USB-кабель, Wi-Fi",
            "com\u{ad}pu\u{ad}ta\u{ad}tion of hy\u{ad}phens",
            "Δx and πr² and μm",
            "ไทย\u{200b}ภาษา\u{200b}คำ\u{200b}ว่า",
            "one st\u{200b}ray mark",
            "L'été, déjà vu, où ça?",
        ];
        for text in innocent {
            assert_eq!(share(text), Some(0.0), "{text}");
        }
    }
}
