//! Paths as servers route them, so that no alias of a scored path dodges scoring.

use std::borrow::Cow;

/// Whether `path` leads to a route that ends in `suffix`, however it is spelt: percent-encoded
/// once, with doubled or trailing slashes, with dot segments, with parameters of segments, or in
/// capitals, for which some servers don't care. A query is not part of it.
pub(super) fn leads_to(path: &str, suffix: &str) -> bool {
    let ends = |path: &str| {
        let end = path.len().checked_sub(suffix.len()).and_then(|start| path.get(start..));
        end.is_some_and(|end| end.eq_ignore_ascii_case(suffix))
    };
    let path = without_query(path);
    ends(path) || is_odd(path) && ends(&canonical(path))
}

/// What `parse` finds in the path as a server routes it: a name, borrowed if the path is spelt
/// plainly, and more.
pub(super) fn named<'a, T>(
    path: &'a str,
    parse: impl FnOnce(&str) -> Option<(&str, T)>,
) -> Option<(Cow<'a, str>, T)> {
    match canonical(path) {
        Cow::Borrowed(path) => parse(path).map(|(name, more)| (name.into(), more)),
        Cow::Owned(path) => parse(&path).map(|(name, more)| (name.to_owned().into(), more)),
    }
}

/// `path` in its shortest spelling, without a query. Borrowed if it is that already.
pub(super) fn canonical(path: &str) -> Cow<'_, str> {
    let path = without_query(path);
    if !is_odd(path) {
        return path.into();
    }
    String::from_utf8_lossy(&resolved(&decoded(path))).into_owned().into()
}

/// Whether it may have a shorter spelling. Asked a dozen times for each request.
fn is_odd(path: &str) -> bool {
    let mut slash = false;
    let odd = path.bytes().any(|byte| {
        let after = std::mem::replace(&mut slash, byte == b'/');
        matches!(byte, b'%' | b';' | b'\\') || after && matches!(byte, b'/' | b'.')
    });
    odd || slash
}

/// Names and values of a query, decoded.
pub(super) fn parameters(query: &str) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(name, value)| (decoded(name), decoded(value)))
}

fn without_query(path: &str) -> &str {
    memchr::memchr2(b'?', b'#', path.as_bytes()).map_or(path, |end| &path[..end])
}

/// `path` with every `%XX` replaced, once. What is not an escape stays.
fn decoded(path: &str) -> Cow<'_, [u8]> {
    if !path.contains('%') {
        return path.as_bytes().into();
    }
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        match after {
            [high, low, tail @ ..] if first == b'%' => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    rest = tail;
                    continue;
                }
                _ => out.push(first),
            },
            _ => out.push(first),
        }
        rest = after;
    }
    out.into()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| value.try_into().ok())
}

/// `path` without empty and dot segments, and its segments without parameters.
fn resolved(path: &[u8]) -> Vec<u8> {
    let mut segments = Vec::new();
    for segment in path.split(|&byte| byte == b'/' || byte == b'\\') {
        match segment.split(|&byte| byte == b';').next().unwrap_or_default() {
            b"" | b"." => {}
            b".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    let mut out = Vec::with_capacity(path.len());
    for segment in segments {
        out.push(b'/');
        out.extend_from_slice(segment);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SUFFIX: &str = "/chat/completions";

    #[test]
    fn every_spelling_of_a_route_leads_to_it() {
        for path in [
            "/v1/chat/completions",
            "/chat/completions",
            "/v1/chat/completions/",
            "/v1//chat///completions//",
            "/v1/chat%2Fcompletions",
            "/v1/chat%2fcompletions",
            "/v1/%63hat/completion%73",
            "/v1/./chat/x/../completions/.",
            "/v1/chat/%2e%2E/chat/completions",
            "/openai/deployments/d/chat/completions?api-version=1",
            "/openai/deployments/d/Chat/Completions",
            "/v1/chat;x=y/completions;",
            "/v1/chat%3Bx/completions",
            "/v1/chat\\completions",
        ] {
            assert!(leads_to(path, SUFFIX), "{path}");
        }
    }

    #[test]
    fn other_routes_do_not() {
        for path in [
            "",
            "/",
            "/v1/completions",
            "/v1/wechat/completions",
            "/v1/chat/completions/x",
            "/v1/chat%252Fcompletions",
            "/v1/chat/completions%",
            "/v1/models?next=/chat/completions",
            "/../..",
        ] {
            assert!(!leads_to(path, SUFFIX), "{path}");
        }
    }

    #[test]
    fn a_name_is_borrowed_from_a_plain_path_and_decoded_from_others() {
        let last = |path: &str| path.rsplit_once('/').map(|(_, name)| name.len());
        let parse = |path| named(path, |path| Some((path.rsplit_once('/')?.1, last(path))));
        assert!(matches!(parse("/v1/m?x=/y"), Some((Cow::Borrowed("m"), Some(1)))));
        assert_eq!(parse("/v1//%6D:x/"), Some(("m:x".into(), Some(3))));
        assert_eq!(parse("m"), None);
    }

    proptest! {
        #[test]
        fn no_path_panics_and_encoding_a_letter_changes_nothing(
            prefix in "(/[a-z0-9.]{0,4}){0,3}",
            at in 0..SUFFIX.len(),
        ) {
            let encoded = format!("{prefix}{}%{:02x}{}", &SUFFIX[..at], SUFFIX.as_bytes()[at], &SUFFIX[at + 1..]);
            prop_assert!(leads_to(&encoded, SUFFIX), "{}", encoded);
        }

        #[test]
        fn arbitrary_paths_never_panic(path in "[%/.a-f0-9é]{0,24}") {
            leads_to(&path, SUFFIX);
        }
    }
}
