//! `${NAME}` in the file's strings.

/// Looks a variable up. Passed in, so that a test has an environment of its own.
pub type Environment<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

/// The environment of this process.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn process(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Why a string could not be expanded.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum NotExpanded {
    #[error("`${{{0}}}` is not set in the environment")]
    Unset(String),
    #[error("`${{` is not closed; write `$${{` for the characters themselves")]
    Unclosed,
}

/// Replaces every `${NAME}`; `$${` stands for `${`. None when there is nothing to replace.
///
/// A value is never expanded again, so what a variable holds can't name another one.
pub(super) fn expand(text: &str, env: Environment<'_>) -> Result<Option<String>, NotExpanded> {
    if !text.contains("${") {
        return Ok(None);
    }
    let (mut expanded, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(start) = rest.find("${") {
        let (before, after) = (&rest[..start], &rest[start + 2..]);
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = after;
            continue;
        }
        let end = after.find('}').ok_or(NotExpanded::Unclosed)?;
        let name = &after[..end];
        expanded.push_str(before);
        expanded.push_str(&env(name).ok_or_else(|| NotExpanded::Unset(name.to_owned()))?);
        rest = &after[end + 1..];
    }
    expanded.push_str(rest);
    Ok(Some(expanded))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<Option<String>, NotExpanded> {
        let env = |name: &str| (name == "HOST").then(|| "${PORT}".to_owned());
        expand(text, &env)
    }

    #[test]
    fn variables_are_replaced_once() {
        assert_eq!(expanded("http://${HOST}/${HOST}").unwrap().unwrap(), "http://${PORT}/${PORT}");
        assert_eq!(expanded("a $HOST {HOST}"), Ok(None));
    }

    #[test]
    fn a_doubled_dollar_is_the_character() {
        assert_eq!(expanded("$${HOST} ${HOST}").unwrap().unwrap(), "${HOST} ${PORT}");
    }

    #[test]
    fn what_is_not_set_or_not_closed_is_said() {
        assert_eq!(expanded("${NOPE}"), Err(NotExpanded::Unset("NOPE".into())));
        assert_eq!(expanded("${HOST"), Err(NotExpanded::Unclosed));
    }
}
