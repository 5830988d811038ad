//! The token of a challenge: all of its state, sealed with a MAC, in 59 characters of a link.

use aws_lc_rs::{constant_time, hmac};

use crate::identity::{AccountId, TenantName};

const VERSION: u8 = 1;
const PAYLOAD: usize = 28;
const MAC: usize = 16;
/// Characters of a token.
pub(super) const LENGTH: usize = 59;

/// What a token says. Stateless: nothing is kept of a challenge nobody answers but whose it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Token {
    /// Leading zero bits every solution must show.
    pub bits: u8,
    /// Puzzles to solve.
    pub count: u8,
    /// Seconds since the epoch.
    pub issued: u32,
    /// Whose challenge it is, under a key of its own: a link names nobody.
    pub account: [u8; 12],
    /// The id of the exchange that was refused; unguessable, and spent with the first solution.
    pub nonce: [u8; 8],
}

/// Seals and opens tokens.
#[derive(Debug)]
pub(super) struct Mint {
    key: hmac::Key,
}

impl Mint {
    pub(super) fn new(key: [u8; 32]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &key) }
    }

    /// The tag that stands for `account` in tokens.
    pub(super) fn account(&self, tenant: &TenantName, account: AccountId) -> [u8; 12] {
        let mut mac = hmac::Context::with_key(&self.key);
        mac.update(b"sg-account-v1");
        // The name's length keeps `ab` + `c` and `a` + `bc` apart.
        mac.update(&(tenant.as_str().len() as u64).to_le_bytes());
        mac.update(tenant.as_str().as_bytes());
        mac.update(&account.0);
        first(mac.sign().as_ref())
    }

    pub(super) fn seal(&self, token: &Token) -> String {
        let payload = token.pack();
        let mut sealed = [0; PAYLOAD + MAC];
        sealed[..PAYLOAD].copy_from_slice(&payload);
        sealed[PAYLOAD..].copy_from_slice(&self.mac(&payload));
        encode(&sealed)
    }

    /// The token, if this key has sealed it and it is spelt as it was.
    pub(super) fn open(&self, text: &str) -> Option<Token> {
        let sealed = decode(text)?;
        let (payload, mac) = sealed.split_at(PAYLOAD);
        constant_time::verify_slices_are_equal(&self.mac(payload), mac).ok()?;
        Token::unpack(payload.try_into().ok()?)
    }

    fn mac(&self, payload: &[u8]) -> [u8; MAC] {
        let mut mac = hmac::Context::with_key(&self.key);
        mac.update(b"sg-challenge-v1");
        mac.update(payload);
        first(mac.sign().as_ref())
    }
}

impl Token {
    /// Version, level, bits, count, issued, account, nonce. The one level there is, is work.
    fn pack(&self) -> [u8; PAYLOAD] {
        let mut payload = [0; PAYLOAD];
        payload[..4].copy_from_slice(&[VERSION, 1, self.bits, self.count]);
        payload[4..8].copy_from_slice(&self.issued.to_be_bytes());
        payload[8..20].copy_from_slice(&self.account);
        payload[20..].copy_from_slice(&self.nonce);
        payload
    }

    fn unpack(payload: &[u8; PAYLOAD]) -> Option<Self> {
        let [VERSION, 1, bits, count, ..] = *payload else { return None };
        Some(Self {
            bits,
            count,
            issued: u32::from_be_bytes(first(&payload[4..8])),
            account: first(&payload[8..20]),
            nonce: first(&payload[20..]),
        })
    }
}

fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    let taken = bytes.len().min(N);
    array[..taken].copy_from_slice(&bytes[..taken]);
    array
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// base64url without padding.
fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - group.len()));
        for sextet in 0..=group.len() {
            let index = bits >> (18 - 6 * sextet) & 63;
            text.push(char::from(ALPHABET[index as usize]));
        }
    }
    text
}

/// The one spelling of 44 bytes: no padding, no spare bit set.
fn decode(text: &str) -> Option<[u8; PAYLOAD + MAC]> {
    if text.len() != LENGTH {
        return None;
    }
    let mut bytes = [0; PAYLOAD + MAC];
    for (group, place) in text.as_bytes().chunks(4).zip(bytes.chunks_mut(3)) {
        let mut bits = 0u32;
        for index in 0..4 {
            let sextet = group.get(index).map_or(Some(0), |letter| sextet(*letter))?;
            bits = bits << 6 | sextet;
        }
        let [_, whole @ ..] = bits.to_be_bytes();
        let taken = place.len();
        place.copy_from_slice(&whole[..taken]);
    }
    Some(bytes).filter(|bytes| encode(bytes) == text)
}

fn sextet(letter: u8) -> Option<u32> {
    Some(
        match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        }
        .into(),
    )
}

/// What is opened was sealed, and has one spelling. (A fuzzer that watches comparisons can copy what
/// was sealed.)
#[cfg(fuzzing)]
pub(super) fn fuzz(bytes: &[u8]) {
    let mint = Mint::new([7; 32]);
    let text = String::from_utf8_lossy(bytes);
    assert!(mint.open(&text).is_none_or(|token| mint.seal(&token) == text));
    let Some(token) = bytes.first_chunk().and_then(Token::unpack) else {
        return;
    };
    let sealed = mint.seal(&token);
    assert_eq!(mint.open(&sealed), Some(token));
    assert_eq!(Mint::new([8; 32]).open(&sealed), None);
    for at in 0..sealed.len() {
        let mut other = sealed.clone().into_bytes();
        other[at] = bytes.last().copied().unwrap_or(b'x') & 0x7f;
        let other = String::from_utf8_lossy(&other).into_owned();
        assert!(other == sealed || mint.open(&other).is_none());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token() -> Token {
        Token { bits: 12, count: 16, issued: 1_790_000_000, account: [7; 12], nonce: [9; 8] }
    }

    #[test]
    fn a_token_comes_back_whole() {
        let mint = Mint::new([1; 32]);
        let text = mint.seal(&token());
        assert_eq!(text.len(), LENGTH);
        assert_eq!(mint.open(&text), Some(token()));
    }

    #[test]
    fn every_changed_character_is_refused() {
        let mint = Mint::new([1; 32]);
        let text = mint.seal(&token());
        for at in 0..LENGTH {
            for letter in ALPHABET {
                let mut forged = text.clone().into_bytes();
                if std::mem::replace(&mut forged[at], *letter) != *letter {
                    assert_eq!(mint.open(std::str::from_utf8(&forged).unwrap()), None, "at {at}");
                }
            }
        }
    }

    #[test]
    fn another_deployments_token_is_refused() {
        assert_eq!(Mint::new([2; 32]).open(&Mint::new([1; 32]).seal(&token())), None);
    }

    #[test]
    fn accounts_of_two_tenants_are_two_accounts() {
        let mint = Mint::new([1; 32]);
        let tag = |tenant: &str| mint.account(&tenant.into(), AccountId([3; 16]));
        assert_ne!(tag("a"), tag("b"));
        assert_eq!(tag("a"), tag("a"));
    }

    proptest! {
        #[test]
        fn junk_opens_nothing_and_panics_nowhere(text in "\\PC{0,70}") {
            prop_assert_eq!(Mint::new([1; 32]).open(&text), None);
        }

        #[test]
        fn bytes_have_one_spelling(half: [u8; 22]) {
            let mut bytes = [0; 44];
            bytes[..22].copy_from_slice(&half);
            bytes[22..].copy_from_slice(&half);
            prop_assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }
    }
}
