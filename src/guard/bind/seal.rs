//! What wrappings are made of.
//!
//! A seal is wrapped in base64 of its place's alphabet: 30 bytes of head, the seal as it was, and a MAC
//! of 16 bytes over both. The head is a mark, two bytes that name the key, a version, what stands for
//! the account, for its organisation and for the conversation, 8 bytes each; zeroes where there is none.
//! A seal of N bytes leaves as about 4/3 (N + 46).
//!
//! The id of a call stays readable: `_sgb1` and 24 characters follow it, which are the key's name, 6
//! bytes that stand for its holder, and 10 of a MAC. It consists of what such ids consist of.
//!
//! MACs are keyed BLAKE3, compared in constant time.

use aws_lc_rs::constant_time;
use base64::Engine as _;
use base64::alphabet::STANDARD as PLUS_AND_SLASH;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::keys::{Key, Keys};
use crate::dialect::shape::Alphabet;
use crate::identity::Caller;

/// `sgb1` in base64 of either alphabet.
const MARK: [u8; 3] = [0xB2, 0x06, 0xF5];
const MARKED: &str = "sgb1";
const VERSION: u8 = 1;
const HEAD: usize = 30;
const MAC: usize = 16;

/// Before the last characters of an id of a call.
const CALL_MARK: &str = "_sgb1";
const CALL_TAIL: usize = 18;
const CALL_LETTERS: usize = 24;

/// SDKs that hold seals as bytes write them with the other two characters, or without padding.
const EITHER: GeneralPurpose = GeneralPurpose::new(
    &PLUS_AND_SLASH,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What stands for a conversation; zero for none.
pub(super) type Conversation = [u8; 8];

/// Whose something is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Whose {
    /// The caller's own.
    Own,
    /// That of another account of the caller's organisation.
    Kin,
    Foreign,
    /// Nobody's: it is not as it was made.
    Altered,
    /// Nobody can tell: its key holds no longer.
    Retired,
}

/// What was in a wrapping.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Opened {
    /// None where nothing can be taken for it.
    pub(super) text: Option<String>,
    pub(super) whose: Whose,
    pub(super) conversation: Conversation,
}

/// Wraps a seal for the caller.
pub(super) fn wrap(
    key: &Key,
    caller: &Caller,
    (text, alphabet): (&str, Alphabet),
    conversation: Conversation,
) -> String {
    let mut bytes = Vec::with_capacity(HEAD + text.len() + MAC);
    bytes.extend_from_slice(&MARK);
    bytes.extend_from_slice(&key.id);
    bytes.push(VERSION);
    bytes.extend_from_slice(&key.account(&caller.tenant, caller.account));
    bytes.extend_from_slice(&key.org(&caller.tenant, caller.org));
    bytes.extend_from_slice(&conversation);
    bytes.extend_from_slice(text.as_bytes());
    let mac: [u8; MAC] = key.mac("seal", &[&bytes]);
    bytes.extend_from_slice(&mac);
    match alphabet {
        Alphabet::Standard => STANDARD.encode(bytes),
        Alphabet::Url => URL_SAFE.encode(bytes),
    }
}

/// What a seal holds, if it is wrapped.
pub(super) fn open(keys: &Keys, caller: &Caller, wrapped: &str) -> Option<Opened> {
    if !wrapped.starts_with(MARKED) {
        return None;
    }
    let broken = Opened { text: None, whose: Whose::Altered, conversation: [0; 8] };
    let Some(parts) = Parts::of(wrapped) else { return Some(broken) };
    let (whose, conversation) = match keys.named(parts.key) {
        Some(key) => (parts.whose(key, caller), parts.conversation),
        None => (Whose::Retired, [0; 8]),
    };
    Some(Opened { text: Some(parts.text), whose, conversation })
}

/// The seal in a wrapping, or the id before its tail, whoever made it.
pub(in crate::guard) fn inside(text: &str) -> Option<String> {
    if text.starts_with(MARKED) {
        return Parts::of(text).map(|parts| parts.text);
    }
    Tail::of(text).map(|(id, _)| id.to_owned())
}

/// A wrapping, taken apart.
struct Parts {
    key: [u8; 2],
    account: [u8; 8],
    org: [u8; 8],
    conversation: Conversation,
    text: String,
    /// What the MAC is of, and the MAC.
    signed: Vec<u8>,
    mac: [u8; MAC],
}

impl Parts {
    fn of(wrapped: &str) -> Option<Self> {
        let letter = |byte: u8| match byte {
            b'-' => b'+',
            b'_' => b'/',
            byte => byte,
        };
        let letters: Vec<u8> = wrapped.bytes().map(letter).collect();
        let mut signed = EITHER.decode(letters).ok()?;
        let mac = *signed.last_chunk::<MAC>()?;
        signed.truncate(signed.len() - MAC);
        let (head, text) = signed.split_first_chunk::<HEAD>()?;
        let [_, _, _, one, other, VERSION, rest @ ..] = head else { return None };
        let (tags, _) = rest.as_chunks::<8>();
        let [account, org, conversation] = *tags else { return None };
        let text = std::str::from_utf8(text).ok()?.to_owned();
        Some(Self { key: [*one, *other], account, org, conversation, text, signed, mac })
    }

    fn whose(&self, key: &Key, caller: &Caller) -> Whose {
        let mac: [u8; MAC] = key.mac("seal", &[&self.signed]);
        let org = key.org(&caller.tenant, caller.org);
        if constant_time::verify_slices_are_equal(&mac, &self.mac).is_err() {
            Whose::Altered
        } else if self.account == key.account(&caller.tenant, caller.account) {
            Whose::Own
        } else if caller.org.is_some() && self.org == org {
            Whose::Kin
        } else {
            Whose::Foreign
        }
    }
}

/// Adds its tail to the id of a call. `shared`: it is the organisation's, where that is known.
pub(super) fn wrap_call(key: &Key, caller: &Caller, id: &str, shared: bool) -> String {
    let holder = match caller.org.filter(|_| shared) {
        Some(_) => key.org(&caller.tenant, caller.org),
        None => key.account(&caller.tenant, caller.account),
    };
    let mut tail = [0; CALL_TAIL];
    tail[..2].copy_from_slice(&key.id);
    tail[2..8].copy_from_slice(&holder[..6]);
    let mac: [u8; 10] = key.mac("call", &[&tail[2..8], id.as_bytes()]);
    tail[8..].copy_from_slice(&mac);
    format!("{id}{CALL_MARK}{}", URL_SAFE_NO_PAD.encode(tail))
}

/// What the id of a call is, if it has a tail.
pub(super) fn open_call(keys: &Keys, caller: &Caller, wrapped: &str) -> Option<Opened> {
    let (id, tail) = Tail::of(wrapped)?;
    let whose = keys.named(tail.key).map_or(Whose::Retired, |key| tail.whose(key, caller, id));
    Some(Opened { text: Some(id.to_owned()), whose, conversation: [0; 8] })
}

struct Tail {
    key: [u8; 2],
    holder: [u8; 6],
    mac: [u8; 10],
}

impl Tail {
    fn of(wrapped: &str) -> Option<(&str, Self)> {
        let start = wrapped.len().checked_sub(CALL_LETTERS + CALL_MARK.len())?;
        let (id, tail) = wrapped.split_at_checked(start)?;
        let letters = tail.strip_prefix(CALL_MARK)?;
        let mut bytes = [0; CALL_TAIL];
        URL_SAFE_NO_PAD.decode_slice(letters, &mut bytes).ok()?;
        let (key, rest) = bytes.split_first_chunk()?;
        let (holder, mac) = rest.split_first_chunk()?;
        Some((id, Self { key: *key, holder: *holder, mac: mac.try_into().ok()? }))
    }

    fn whose(&self, key: &Key, caller: &Caller, id: &str) -> Whose {
        let mac: [u8; 10] = key.mac("call", &[&self.holder, id.as_bytes()]);
        let stands_for = |tag: [u8; 8]| tag[..6] == self.holder;
        if constant_time::verify_slices_are_equal(&mac, &self.mac).is_err() {
            Whose::Altered
        } else if stands_for(key.account(&caller.tenant, caller.account)) {
            Whose::Own
        } else if caller.org.is_some() && stands_for(key.org(&caller.tenant, caller.org)) {
            Whose::Kin
        } else {
            Whose::Foreign
        }
    }
}

#[cfg(test)]
#[path = "seal_tests.rs"]
mod tests;
