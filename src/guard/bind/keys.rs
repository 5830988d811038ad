//! The keys that wrappings are made with: the first makes new ones, all of them verify.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::identity::{AccountId, Keyring, Tag, TenantName, key};

/// The `[guard.bind]` table.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// A file of keys, each 64 hex digits on a line of its own. Without it, they are taken from
    /// `STILLGUARD_BIND_KEYS`; without that, the one made from the deployment's secret does alone.
    pub keys_file: Option<PathBuf>,
    /// The keys themselves, put here by whoever reads the file.
    #[serde(skip)]
    #[schemars(skip)]
    pub keys: Option<std::sync::Arc<Keys>>,
}

/// One key: what names it in wrappings, and what they are made with. Wiped when dropped.
#[derive(Clone, PartialEq)]
pub(super) struct Key {
    pub(super) id: [u8; 2],
    secret: Zeroizing<[u8; 32]>,
}

/// Keys, at least one. The first makes wrappings.
#[derive(Clone, PartialEq)]
pub struct Keys(Vec<Key>);

/// What is written is no list of keys. Repeats nothing of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotKeys {
    #[error("line {0} isn't 64 hex digits; `openssl rand -hex 32` makes a good key")]
    NotHex(usize),
    #[error("line {0} is a key that is there before")]
    Twice(usize),
    #[error("there is no key")]
    None,
    #[error("more than {} keys", Keys::MOST)]
    TooMany,
}

impl Keys {
    /// Keys at once: a conversation lives for days, not for rotations.
    const MOST: usize = 16;

    /// The key that is made from the deployment's secret.
    pub fn own(keyring: &Keyring) -> Self {
        Self(vec![Key::new(Zeroizing::new(keyring.derive(DOMAIN)))])
    }

    /// Keys as they are written, newest first. Each is mixed with the deployment's secret, as account
    /// ids are: where that changes, everyone's wrapping is of a key that no longer holds, and not of
    /// another account. The deployment's own key goes on verifying what it has made.
    pub fn parse(text: &str, keyring: &Keyring) -> Result<Self, NotKeys> {
        let own = Self::own(keyring);
        let mix = Zeroizing::new(keyring.derive(MIXING));
        let mut keys: Vec<Key> = Vec::new();
        let lines = text.lines().map(str::trim).enumerate();
        for (at, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let written = key(line).ok_or(NotKeys::NotHex(at + 1))?;
            let key = Key::new(Zeroizing::new(*blake3::keyed_hash(&mix, &*written).as_bytes()));
            if keys.iter().chain(&own.0).any(|known| known.id == key.id) {
                return Err(NotKeys::Twice(at + 1));
            }
            keys.push(key);
        }
        match keys.len() {
            0 => Err(NotKeys::None),
            count if count > Self::MOST => Err(NotKeys::TooMany),
            _ => Ok(Self(keys.into_iter().chain(own.0).collect())),
        }
    }

    /// The key that makes wrappings.
    pub(super) fn first(&self) -> &Key {
        &self.0[0]
    }

    pub(super) fn named(&self, id: [u8; 2]) -> Option<&Key> {
        self.0.iter().find(|key| key.id == id)
    }
}

const DOMAIN: &str = "bind";
const MIXING: &str = "bind mix";

impl Key {
    /// Its id is a hash of it: nobody has to make one up, and two proxies agree.
    fn new(secret: Zeroizing<[u8; 32]>) -> Self {
        let mut key = Self { id: [0; 2], secret };
        key.id = key.mac("id", &[]);
        key
    }

    /// A keyed hash of `parts`, each with its length before it, within `domain`.
    pub(super) fn mac<const N: usize>(&self, domain: &str, parts: &[&[u8]]) -> [u8; N] {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        for part in [domain.as_bytes()].iter().chain(parts) {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        let mut mac = [0; N];
        hasher.finalize_xof().fill(&mut mac);
        mac
    }

    /// What stands for an account in wrappings: they name nobody.
    pub(super) fn account(&self, tenant: &TenantName, account: AccountId) -> [u8; 8] {
        self.mac("account", &[tenant.as_str().as_bytes(), &account.0])
    }

    /// The same of its organisation; zero where none is known.
    pub(super) fn org(&self, tenant: &TenantName, org: Option<Tag>) -> [u8; 8] {
        org.map_or([0; 8], |org| {
            self.mac("organisation", &[tenant.as_str().as_bytes(), &org.0.to_le_bytes()])
        })
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyring(secret: u8) -> Keyring {
        Keyring::new([secret; 32])
    }

    #[test]
    fn keys_are_hex_a_line_each_and_the_first_makes_wrappings() {
        let (old, new) = ("0f".repeat(32), "A0".repeat(32));
        let one = Keys::parse(&old, &keyring(1)).unwrap();
        let both = Keys::parse(&format!("# newest first\n {new}\n\n{old}\n"), &keyring(1)).unwrap();
        assert_ne!(both.first().id, one.first().id);
        assert!(both.named(one.first().id) == Some(one.first()));
        let own = Keys::own(&keyring(1));
        assert!(both.named(own.first().id) == Some(own.first()), "the deployment's own goes on");
        assert_eq!(format!("{both:?}"), "3 keys");
    }

    #[test]
    fn what_is_no_list_of_keys_is_told_by_its_line() {
        let key = "0f".repeat(32);
        let parse = |text: &str| Keys::parse(text, &keyring(1)).unwrap_err();
        assert_eq!(parse(""), NotKeys::None);
        assert_eq!(parse("\n0f"), NotKeys::NotHex(2));
        assert_eq!(parse(&format!("{key}\n{key}")), NotKeys::Twice(2));
        let many: String = (0..17).map(|n| format!("{n:064x}\n")).collect();
        assert_eq!(parse(&many), NotKeys::TooMany);
    }

    #[test]
    fn under_another_secret_the_same_key_is_another() {
        let key = "0f".repeat(32);
        let [one, two] = [1, 2].map(|secret| Keys::parse(&key, &keyring(secret)).unwrap());
        assert!(two.named(one.first().id).is_none());
    }
}
