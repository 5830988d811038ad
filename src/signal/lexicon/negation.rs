//! Whether the words around a phrase take it back.

use super::normal::Normal;

/// Words before a phrase, within its clause, that can negate it.
const REACH: usize = 6;

/// Bytes before a Chinese phrase that can negate it: eight characters.
const REACH_UNSPACED: usize = 24;

const NEGATORS: &[&str] = &[
    "not", "don", "dont", "doesn", "never", "without", "no", "avoid", "avoiding", "skip",
    "skipping", "omit", "omitting", "forget", "fail", "hesitate", "stop", "refrain", "instead",
    "unless", "needn", "cannot", "pas", "jamais", "sans", "evite", "evitez", "eviter", "aucun",
    "aucune", "inutile", "oublie", "oubliez", "oublier", "hesite", "hesitez", "omets", "omettre",
];

const NEGATORS_UNSPACED: &[&str] = &[
    "不要",
    "不用",
    "不必",
    "不需",
    "无需",
    "无须",
    "不能",
    "不得",
    "不可",
    "不许",
    "请勿",
    "切勿",
    "禁止",
    "避免",
    "没有",
    "而不",
    "请别",
    "千万别",
    "跳过",
    "省略",
    "忘记",
    "忘了",
];

/// True when an odd number of negators bears on the phrase: "do not forget to ..." asks for it.
pub(super) fn around(normal: &Normal, start: usize, end: usize) -> bool {
    let before = normal.clause_before(start);
    let words = before.rsplit(' ').filter(|word| !word.is_empty()).take(REACH);
    let spaced = words.filter(|word| NEGATORS.contains(word)).count();
    (spaced + unspaced(before) + usize::from(waived(normal.clause_after(end)))) % 2 == 1
}

fn unspaced(before: &str) -> usize {
    let near = crate::signal::sketch::words::tail(before, REACH_UNSPACED);
    if near.is_ascii() {
        return 0;
    }
    NEGATORS_UNSPACED.iter().map(|negator| near.matches(negator).count()).sum()
}

/// "... is not needed", "... n'est pas nécessaire", "……不需要".
fn waived(after: &str) -> bool {
    let words: [&str; 5] = {
        let mut words = after.split(' ').filter(|word| !word.is_empty());
        std::array::from_fn(|_| words.next().unwrap_or_default())
    };
    let need = |word: &&str| {
        ["needed", "required", "necessary", "wanted", "allowed", "necessaire", "requis"]
            .contains(word)
    };
    let not = words.iter().any(|word| ["not", "isn", "aren", "pas", "unnecessary"].contains(word));
    not && words.iter().any(need) || ["不需要", "不必要"].iter().any(|no| after.starts_with(no))
}
