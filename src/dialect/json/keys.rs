//! Keys of open objects: which come twice, and which pass for a scored key with a lenient reader.

use std::borrow::Cow;

use super::camel;

/// Keys that some dialect reads, wherever it reads them.
const SCORED: &[&str] = &[
    "arguments",
    "call_id",
    "chat_template_kwargs",
    "code",
    "container",
    "content",
    "contents",
    "conversation",
    "custom",
    "data",
    "effort",
    "enable_thinking",
    "enabled",
    "encrypted_content",
    "file",
    "file_id",
    "format",
    "function",
    "function_call",
    "functions",
    "generate_summary",
    "guided_json",
    "id",
    "include_reasoning",
    "input",
    "input_schema",
    "instructions",
    "json",
    "json_schema",
    "logprobs",
    "max_completion_tokens",
    "max_gen_len",
    "max_new_tokens",
    "max_output_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "model",
    "n",
    "name",
    "output",
    "output_config",
    "output_format",
    "parameters",
    "params",
    "previous_message_id",
    "previous_response_id",
    "prompt",
    "reasoning",
    "reasoning_content",
    "reasoning_effort",
    "refusal",
    "requests",
    "response_format",
    "role",
    "safety_identifier",
    "schema",
    "signature",
    "source",
    "stream",
    "structured_outputs",
    "suffix",
    "summary",
    "system",
    "temperature",
    "text",
    "thinking",
    "thread",
    "tool_call_id",
    "tool_calls",
    "tool_use_id",
    "tools",
    "top_logprobs",
    "top_p",
    "type",
    "user",
    "variables",
];

/// Scored keys whose objects hold scored keys in turn. Others (`parameters`, `schema`, `input`,
/// `metadata`) lead to objects of the caller's own making, where `Name` is a name like any other.
const LEADING: &[&str] = &[
    "chat_template_kwargs",
    "content",
    "conversation",
    "custom",
    "file",
    "format",
    "function",
    "function_call",
    "functions",
    "json_schema",
    "messages",
    "output",
    "output_config",
    "output_format",
    "params",
    "prompt",
    "reasoning",
    "requests",
    "response_format",
    "source",
    "structured_outputs",
    "summary",
    "system",
    "text",
    "thinking",
    "thread",
    "tool_calls",
    "tools",
];

pub(super) fn leads_to_scored(key: &str) -> bool {
    LEADING.contains(&key) || camel::LEADING.contains(&key)
}

/// Whether a reader that ignores case, as Go's does, takes `key` for a scored key it is not.
pub(super) fn is_alias(key: &str) -> bool {
    // Only capitals and letters beyond ASCII fold to another letter.
    let folds = |byte: u8| byte.is_ascii_uppercase() || !byte.is_ascii();
    let small = key.bytes().any(folds)
        && SCORED.iter().any(|scored| key.chars().map(fold).eq(scored.chars()));
    small || is_camel_alias(key)
}

/// The same for names with capitals: theirs have aliases in small letters, too.
fn is_camel_alias(key: &str) -> bool {
    let ascii = key.is_ascii();
    // What folds to ASCII is ASCII, or longer than it.
    let folded = |scored: &&&str| match ascii {
        true => key.eq_ignore_ascii_case(scored),
        false => key.len() >= scored.len() && key.chars().map(fold).eq(scored.chars().map(fold)),
    };
    camel::SCORED.iter().find(folded).is_some_and(|scored| *scored != key)
}

/// Simple case folding, as far as it ends in ASCII.
fn fold(letter: char) -> char {
    match letter {
        '\u{17F}' => 's',
        '\u{212A}' => 'k',
        _ => letter.to_ascii_lowercase(),
    }
}

/// Decoded keys of all open objects, those of the innermost last, with their places.
#[derive(Default)]
pub(super) struct Keys<'a>(Vec<(Cow<'a, str>, usize)>);

impl<'a> Keys<'a> {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn push(&mut self, key: Cow<'a, str>, at: usize) {
        self.0.push((key, at));
    }

    /// Forgets the innermost object, whose keys begin at `first`. Fails with the place of a key it
    /// has twice. Sorting, not hashing: no seed is at hand, and an unseeded hash can be flooded.
    pub(super) fn close(&mut self, first: usize) -> Result<(), usize> {
        let own = &mut self.0[first..];
        own.sort_unstable();
        let twice = own.windows(2).find(|pair| pair[0].0 == pair[1].0);
        match twice.map(|pair| pair[1].1) {
            Some(at) => Err(at),
            None => {
                self.0.truncate(first);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_leading_key_is_scored_and_no_scored_key_is_its_own_alias() {
        let scored = [SCORED, camel::SCORED].concat();
        assert!([LEADING, camel::LEADING].concat().iter().all(|key| scored.contains(key)));
        assert!(scored.iter().all(|key| !is_alias(key)));
    }

    #[test]
    fn letters_that_fold_to_ascii_make_aliases() {
        for key in ["Messages", "MESSAGES", "me\u{17F}\u{17F}ages", "N", "tool\u{5F}Calls"] {
            assert!(is_alias(key), "{key}");
        }
        for key in ["toolconfig", "ToolConfig", "system\u{49}nstruction\u{17F}", "PARTS"] {
            assert_eq!(is_alias(key), key.is_ascii(), "{key}");
        }
        assert!(is_alias("thin\u{212A}ingConfig"));
        assert!(!is_alias("Nachrichten") && !is_alias("größe") && !is_alias(""));
    }
}
