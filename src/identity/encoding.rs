//! The encodings that credentials, keys and paths come in, decoded into memory that is wiped.

use zeroize::Zeroizing;

/// Percent-decodes; a `%` without two hex digits stands for itself. `+` is not a space: keys and
/// paths may hold it.
pub fn percent(text: &[u8]) -> Zeroizing<Vec<u8>> {
    // Never grows, so no copy is left behind by a reallocation.
    let mut out = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let decoded = match rest {
            [b'%', high, low, ..] => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        out.push(decoded.unwrap_or(*first));
        rest = if decoded.is_some() { &tail[2..] } else { tail };
    }
    out
}

/// The 32 bytes that 64 hex digits stand for.
pub fn key(digits: &str) -> Option<Zeroizing<[u8; 32]>> {
    let (digits, mut key) = (digits.as_bytes(), Zeroizing::new([0; 32]));
    if digits.len() != 2 * key.len() {
        return None;
    }
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = hex(pair[0])? << 4 | hex(pair[1])?;
    }
    Some(key)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Base64 of either alphabet, padded or not. Left-over bits are dropped, so that their value
/// can't make one secret look like many.
pub(super) fn base64(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut text = text;
    while let Some(shorter) = text.strip_suffix(b"=") {
        text = shorter;
    }
    let mut out = Zeroizing::new(Vec::with_capacity(text.len()));
    let (mut bits, mut held) = (0_u32, 0_u32);
    for &symbol in text {
        // Bits already written fall off at the top.
        bits = bits << 6 | sextet(symbol)?;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    Some(out)
}

fn sextet(symbol: u8) -> Option<u32> {
    let value = match symbol {
        b'A'..=b'Z' => symbol - b'A',
        b'a'..=b'z' => symbol - b'a' + 26,
        b'0'..=b'9' => symbol - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_decoding_leaves_what_is_no_escape() {
        assert_eq!(**percent(b"a%2Fb%zz%4+%"), *b"a/b%zz%4+%");
    }

    #[test]
    fn base64_of_every_length_and_spelling_is_decoded() {
        for (text, plain) in
            [("", ""), ("YQ==", "a"), ("YQ", "a"), ("YR==", "a"), ("YWI=", "ab"), ("YWJj", "abc")]
        {
            assert_eq!(**base64(text.as_bytes()).unwrap(), *plain.as_bytes(), "{text}");
        }
        assert_eq!(base64(b"-_+/"), base64(b"+/-_"));
        assert_eq!(base64(b"a b"), None);
    }
}
