//! Just enough of Rust's grammar to tell code from comments, texts and tests.

/// The source with comments and the insides of literals replaced by spaces; lines stay in place.
pub(super) fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_word = out.ends_with(|last: char| last.is_alphanumeric() || last == '_');
        let (kept, length) = match first {
            '/' if rest.starts_with("//") => (0, rest.find('\n').unwrap_or(rest.len())),
            '/' if rest.starts_with("/*") => (0, block_comment(rest)),
            '"' => (1, quoted(rest)),
            '\'' => (1, character(rest)),
            'r' | 'b' | 'c' if !after_word => match raw_text(rest) {
                Some(length) => (0, length),
                None => (1, 1),
            },
            other => (other.len_utf8(), other.len_utf8()),
        };
        let (token, tail) = rest.split_at(length);
        // Both delimiters of a literal are kept, so `expect("` can still be told from `expect(x`.
        let end = token.len() - usize::from(kept == 1 && length > 1);
        for (place, character) in token.char_indices() {
            let keep = place < kept || place >= end || character == '\n';
            out.push(if keep { character } else { ' ' });
        }
        rest = tail;
    }
    out
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        let step = match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                2
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                2
            }
            _ => 1,
        };
        at += step;
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted(text: &str) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, character)| {
        let ends = *character == '"' && !escaped;
        escaped = *character == '\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

/// The length of a character literal, or 1 for the tick of a lifetime.
fn character(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    match characters.next() {
        Some((_, '\\')) => text[3..].find('\'').map_or(1, |at| at + 4),
        Some(_) => match characters.next() {
            Some((at, '\'')) => at + 1,
            _ => 1,
        },
        None => 1,
    }
}

/// The length of `r"…"`, `r#"…"#` and the like, if one begins here.
fn raw_text(text: &str) -> Option<usize> {
    let prefix = ["r", "br", "cr"].into_iter().find(|prefix| {
        text.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(['"', '#']))
    })?;
    let hashes = text[prefix.len()..].chars().take_while(|&character| character == '#').count();
    let open = prefix.len() + hashes;
    text[open..].starts_with('"').then_some(())?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = text[open + 1..].find(&close).map(|at| open + 1 + at + close.len());
    Some(end.unwrap_or(text.len()))
}

/// Blanked code without the items marked `#[cfg(test)]`; lines stay in place.
pub(super) fn without_tests(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) =
        ["#[cfg(test)]", "#[cfg(all(test"].iter().filter_map(|mark| rest.find(mark)).min()
    {
        let (before, item) = rest.split_at(at);
        let (item, after) = item.split_at(item_end(item));
        out.push_str(before);
        out.extend(item.chars().filter(|&character| character == '\n'));
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Where an item ends: at its first semicolon outside all brackets, or where its braces close.
fn item_end(item: &str) -> usize {
    let (mut braces, mut brackets) = (0_usize, 0_usize);
    for (at, character) in item.char_indices() {
        match character {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets = brackets.saturating_sub(1),
            '{' => braces += 1,
            '}' if braces <= 1 => return at + 1,
            '}' => braces -= 1,
            ';' if braces == 0 && brackets == 0 => return at + 1,
            _ => {}
        }
    }
    item.len()
}

/// The segments right after `root::`, groups spelled out: of `root::{a::b, c}`, `a` and `c`.
pub(super) fn first_segments(code: &str, root: &str) -> Vec<String> {
    let mut found = Vec::new();
    for rest in after_paths(code, root) {
        match rest.strip_prefix('{') {
            Some(group) => found.extend(group_heads(group)),
            None => found.extend(Some(word(rest)).filter(|name| !name.is_empty())),
        }
    }
    found
}

fn group_heads(group: &str) -> Vec<String> {
    let mut depth = 1_usize;
    let mut heads = vec![String::new()];
    for character in group.chars() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => heads.push(String::new()),
            other if depth == 1 => heads.last_mut().unwrap().push(other),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    heads.iter().map(|head| word(head.trim())).filter(|head| !head.is_empty()).collect()
}

/// Whether the code names a path that begins with `root`.
pub(super) fn has_path(code: &str, root: &str) -> bool {
    after_paths(code, root).next().is_some()
}

fn after_paths<'a>(code: &'a str, root: &str) -> impl Iterator<Item = &'a str> {
    let start = format!("{root}::");
    let places: Vec<_> = code.match_indices(&start).map(|(at, _)| at).collect();
    let begins =
        |at: &usize| !code[..*at].ends_with(|last: char| last.is_alphanumeric() || last == '_');
    places.into_iter().filter(begins).map(move |at| code[at + start.len()..].trim_start())
}

/// The lengths of all chains of `super::`.
pub(super) fn super_chains(code: &str) -> Vec<usize> {
    let chain = |rest: &str| 1 + rest.split("::").take_while(|segment| *segment == "super").count();
    after_paths(code, "super").map(chain).collect()
}

/// Every function with a body, and its lines from `fn` to the closing brace.
pub(super) fn functions(code: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let begins = !code[..at].ends_with(|last: char| last.is_alphanumeric() || last == '_');
        let name = word(&code[at + 3..]);
        let item = &code[at..at + item_end(&code[at..])];
        if begins && !name.is_empty() && item.ends_with('}') {
            found.push((name, item.matches('\n').count() + 1));
        }
    }
    found
}

fn word(text: &str) -> String {
    text.chars().take_while(|character| character.is_alphanumeric() || *character == '_').collect()
}

#[test]
fn comments_and_literals_are_blanked_and_lifetimes_are_not() {
    for (text, plain) in [
        ("a // b\nc", "a     \nc"),
        ("a /* b /* c */ d */ e", "a                   e"),
        (r#"f("a\"b", 'x', '\'', '"')"#, r#"f("    ", ' ', '  ', ' ')"#),
        ("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)"),
        ("x(r#\"a \" b\"#) y", "x(          ) y"),
    ] {
        assert_eq!(blank(text), plain, "{text}");
    }
}

#[test]
fn functions_end_where_their_braces_close() {
    let code =
        "fn a() {\n if x { }\n}\ntrait T { fn b(); fn c() -> [u8; 2] { } }\ntype F = fn(u8);";
    assert_eq!(functions(code), [("a".to_owned(), 3), ("c".to_owned(), 1)]);
}
