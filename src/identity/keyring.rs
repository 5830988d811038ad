//! The deployment's secret, and every keyed hash made with it.

use std::net::IpAddr;

use rapidhash::v3::{RapidSecrets, rapidhash_v3_seeded};
use zeroize::Zeroizing;

use super::{AccountId, Tag};

/// Derives every pseudonym from one 32-byte deployment secret.
///
/// Two hashes are used. Credentials and ids, which a thief of the log could try to guess, go
/// through keyed BLAKE3 (about 90 ns). Stretches of prompt, of which there are many, go through a
/// seeded 64-bit hash (about 80 ns per KB) whose seed never leaves the process.
#[derive(Clone)]
pub struct Keyring {
    root: Zeroizing<[u8; 32]>,
    text: RapidSecrets,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keyring(secret)")
    }
}

impl Keyring {
    pub fn new(secret: [u8; 32]) -> Self {
        let root = Zeroizing::new(blake3::derive_key("stillguard 2026 identity", &secret));
        let seed = blake3::derive_key("stillguard 2026 text", &secret);
        let seed = u64::from_le_bytes(seed[..8].try_into().unwrap_or_default());
        Self { root, text: RapidSecrets::seed(seed) }
    }

    /// The account behind `credential` at `tenant`. `source` keeps a key and a claim apart.
    pub fn account(&self, tenant: &str, source: &str, credential: &[u8]) -> AccountId {
        let mut hasher = blake3::Hasher::new_keyed(&self.root);
        for part in [b"account", tenant.as_bytes(), source.as_bytes(), credential] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        let mut id = [0; 16];
        id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        AccountId(id)
    }

    /// A guess-resistant tag of a short value within `domain`.
    pub fn tag(&self, domain: &str, value: &[u8]) -> Tag {
        let mut hasher = blake3::Hasher::new_keyed(&self.root);
        for part in [domain.as_bytes(), value] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        let bytes = hasher.finalize();
        Tag(u64::from_le_bytes(bytes.as_bytes()[..8].try_into().unwrap_or_default()))
    }

    /// A key of its own for the purpose that `label` names.
    pub fn derive(&self, label: &str) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.root);
        for part in [b"derive", label.as_bytes()] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        *hasher.finalize().as_bytes()
    }

    /// A fast keyed hash of text: for sketches, templates and prefix chains.
    pub fn text(&self, text: &[u8]) -> u64 {
        rapidhash_v3_seeded(text, &self.text)
    }

    /// A keyed hash of text that comes in pieces: equal texts give equal hashes, however cut.
    pub fn text_stream(&self) -> TextStream {
        TextStream { seed: self.text, block: [0; BLOCK], len: STATE }
    }

    /// The /24 or /48 around an address. IPv4 in IPv6 clothes counts as IPv4.
    pub fn egress(&self, address: IpAddr) -> Tag {
        match address.to_canonical() {
            IpAddr::V4(v4) => self.tag("egress4", &v4.octets()[..3]),
            IpAddr::V6(v6) => self.tag("egress6", &v6.octets()[..6]),
        }
    }
}

/// The fast keyed hash over blocks, each beginning with the hash of the one before. Small, because
/// every answer under way holds two of them: a BLAKE3 hasher has two kilobytes.
#[derive(Clone)]
pub struct TextStream {
    seed: RapidSecrets,
    block: [u8; BLOCK],
    /// Bytes of the block that are filled, the state at its beginning included.
    len: usize,
}

const BLOCK: usize = 128;
const STATE: usize = 8;

impl TextStream {
    pub fn update(&mut self, mut text: &[u8]) -> &mut Self {
        while !text.is_empty() {
            if self.len == BLOCK {
                let state = rapidhash_v3_seeded(&self.block, &self.seed);
                self.block[..STATE].copy_from_slice(&state.to_le_bytes());
                self.len = STATE;
            }
            let room = &mut self.block[self.len..];
            let fits = room.len().min(text.len());
            room[..fits].copy_from_slice(&text[..fits]);
            self.len += fits;
            text = &text[fits..];
        }
        self
    }

    pub fn finish(&self) -> u64 {
        rapidhash_v3_seeded(&self.block[..self.len], &self.seed)
    }
}

impl std::fmt::Debug for TextStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TextStream(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_differ_by_tenant_source_key_and_secret() {
        let keyring = Keyring::new([1; 32]);
        let id = keyring.account("a", "key", b"k");
        assert_eq!(keyring.clone().account("a", "key", b"k"), id);
        for other in [
            keyring.account("b", "key", b"k"),
            keyring.account("a", "jwt:sub", b"k"),
            keyring.account("a", "key", b"l"),
            keyring.account("ak", "ey", b"k"),
            Keyring::new([2; 32]).account("a", "key", b"k"),
        ] {
            assert_ne!(other, id);
        }
        assert_eq!(id.to_string().parse::<AccountId>().unwrap(), id);
    }

    #[test]
    fn an_egress_is_a_network_and_mapped_addresses_are_ipv4() {
        let egress = |text: &str| Keyring::new([1; 32]).egress(text.parse().unwrap());
        assert_eq!(egress("1.2.3.4"), egress("1.2.3.250"));
        assert_eq!(egress("1.2.3.4"), egress("::ffff:1.2.3.9"));
        assert_ne!(egress("1.2.3.4"), egress("1.2.4.4"));
        assert_eq!(egress("2001:db8:1:2::3"), egress("2001:db8:1:9::"));
        assert_ne!(egress("2001:db8:1::"), egress("2001:db8:2::"));
    }

    #[test]
    fn texts_are_hashed_with_the_deployments_seed() {
        let (one, two) = (Keyring::new([1; 32]), Keyring::new([2; 32]));
        assert_eq!(one.text(b"hello"), one.clone().text(b"hello"));
        assert_ne!(one.text(b"hello"), two.text(b"hello"));
        assert_ne!(one.tag("a", b"x"), one.tag("b", b"x"));
    }

    #[test]
    fn a_text_that_comes_in_pieces_hashes_alike_however_it_is_cut() {
        let keyring = Keyring::new([1; 32]);
        let text: Vec<u8> = (0..1000_u32).map(|n| (n * 7) as u8).collect();
        for length in [0, 1, 119, 120, 121, 240, 241, 1000] {
            let whole = keyring.text_stream().update(&text[..length]).finish();
            for cut in 0..=length {
                let mut stream = keyring.text_stream();
                stream.update(&text[..cut]).update(&text[cut..length]);
                assert_eq!(stream.finish(), whole, "{length} bytes cut at {cut}");
            }
            let other = Keyring::new([2; 32]).text_stream().update(&text[..length]).finish();
            assert_ne!(other, whole, "{length} bytes");
        }
    }

    #[test]
    fn streams_of_different_texts_differ_at_every_length_and_place() {
        let keyring = Keyring::new([1; 32]);
        let mut seen = std::collections::BTreeSet::new();
        for length in 0..400 {
            assert!(seen.insert(keyring.text_stream().update(&vec![b'a'; length]).finish()));
        }
        for place in 0..400 {
            let mut text = vec![b'a'; 400];
            text[place] = b'b';
            assert!(seen.insert(keyring.text_stream().update(&text).finish()), "{place}");
        }
    }
}
