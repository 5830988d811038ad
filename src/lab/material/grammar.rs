//! Templates with `{slots}`: a handful of lists multiplies into thousands of sentences.

use super::super::rng::Rng;

/// A rule: its name and what it may become. An alternative may name further rules in braces.
pub type Rules = [(&'static str, &'static [&'static str])];

/// Rule sets, the first that knows a name wins.
#[derive(Clone, Copy, Debug)]
pub struct Grammar<'a>(pub &'a [&'a Rules]);

/// Rules inside rules inside rules: a set that refers to itself ends here.
const DEEPEST: u8 = 6;

impl Grammar<'_> {
    /// Fills every slot of `template`. `{n}` is a number from 2 to 99, `{N}` one from 100 to 9,999;
    /// a slot nobody knows is left as it stands.
    pub fn fill(&self, template: &str, rng: &mut Rng) -> String {
        let mut filled = String::with_capacity(template.len() * 2);
        self.fill_into(template, rng, &mut filled, 0);
        filled
    }

    fn fill_into(&self, template: &str, rng: &mut Rng, out: &mut String, depth: u8) {
        let mut rest = template;
        while let Some((before, slot, after)) = next_slot(rest) {
            out.push_str(before);
            match self.lookup(slot) {
                Some(choices) if depth < DEEPEST => {
                    self.fill_into(rng.pick(choices), rng, out, depth + 1);
                }
                _ => out.push_str(&number(slot, rng)),
            }
            rest = after;
        }
        out.push_str(rest);
    }

    fn lookup(&self, slot: &str) -> Option<&'static [&'static str]> {
        let mut rules = self.0.iter().flat_map(|rules| rules.iter());
        rules.find(|(name, _)| *name == slot).map(|(_, choices)| *choices)
    }
}

/// The first innermost pair of braces, so that the braces of quoted code do not hide a slot.
fn next_slot(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(end) = text[from..].find('}').map(|at| at + from) {
        if let Some(start) = text[..end].rfind('{') {
            return Some((&text[..start], &text[start + 1..end], &text[end + 1..]));
        }
        from = end + 1;
    }
    None
}

fn number(slot: &str, rng: &mut Rng) -> String {
    match slot {
        "n" => (2 + rng.below(98)).to_string(),
        "N" => (100 + rng.below(9900)).to_string(),
        other => format!("{{{other}}}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &Rules = &[("who", &["Ana", "Bo"]), ("deed", &["{who} waves {n} times"])];

    #[test]
    fn rules_may_name_rules() {
        let said = Grammar(&[RULES]).fill("Look: {deed}.", &mut Rng::new(1));
        assert!(said.starts_with("Look: ") && said.ends_with(" times."), "{said}");
        assert!(!said.contains('{'), "{said}");
    }

    #[test]
    fn a_rule_that_names_itself_ends() {
        const LOOP: &Rules = &[("a", &["{a}{a}"])];
        assert!(Grammar(&[LOOP]).fill("{a}", &mut Rng::new(1)).len() < 1000);
    }

    #[test]
    fn braces_of_quoted_code_do_not_hide_a_slot() {
        let said = Grammar(&[RULES]).fill("f() { {who}; }", &mut Rng::new(1));
        assert!(said == "f() { Ana; }" || said == "f() { Bo; }", "{said}");
    }

    #[test]
    fn an_unknown_slot_or_a_lone_brace_is_left_alone() {
        assert_eq!(Grammar(&[]).fill("f() { {x}", &mut Rng::new(1)), "f() { {x}");
    }
}
