//! Who is calling: the tenant whose policy applies, the account that is billed, and where it sits.
//!
//! Keys and addresses go in; keyed hashes come out. Nothing here keeps a key.

mod account;
mod address;
#[cfg(feature = "proxy")]
mod atlas;
mod attributes;
mod client;
mod credential;
mod encoding;
mod identifier;
#[cfg(feature = "proxy")]
mod jwt;
mod keyring;
mod register;
mod settings;
mod tenant;
mod trace;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::account::KeyTexts;
#[cfg(feature = "proxy")]
pub use self::atlas::{Atlas, Chart};
pub use self::attributes::{Attributes, Provision, Told};
pub use self::client::family as client_family;
pub use self::credential::{KEY_HEADERS, is_key_parameter};
pub use self::encoding::{key, percent};
pub use self::identifier::Identifier;
pub use self::keyring::{Keyring, TextStream};
pub use self::register::{BadRow, Register};
pub use self::settings::{
    AccountSource, AddressHeader, Anonymous, HeaderRule, HeaderSource, Invalid, JwtSource,
    Settings, TenantRule,
};
pub use self::trace::{Conflicts, Country, NotACountry, Trace};

/// One billing identity at one tenant: a keyed hash of its credential, claim or trusted header.
///
/// Printed as `acct_` and 32 hex digits.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AccountId(pub [u8; 16]);

/// A keyed 64-bit hash of something we must recognise again but may not keep: an issued id, an
/// egress network, an organisation, a stretch of prompt. Printed as 16 hex digits; zero is "none".
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Tag(pub u64);

/// The tenant's name, as the policy file spells it.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct TenantName(Arc<str>);

/// The caller of one exchange, as far as the proxy can tell. Features only: no key, no address.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Caller {
    pub tenant: TenantName,
    pub account: AccountId,
    /// The organisation that owns the account, where a trusted hop says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<Tag>,
    /// An aggregator's own user (`safety_identifier`, `metadata.user_id`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_user: Option<Tag>,
    /// The /24 (IPv4) or /48 (IPv6) the request came from.
    pub egress: Tag,
    pub client: Client,
    /// How the account came to be, where the operator tells.
    #[serde(default, skip_serializing_if = "Attributes::is_unknown")]
    pub attributes: Attributes,
    /// What else its connection and its head show.
    #[serde(default, skip_serializing_if = "Trace::is_unknown")]
    pub trace: Trace,
}

#[cfg(test)]
impl Caller {
    /// An account of whom nothing else is known, on a network of its own.
    pub(crate) fn sample(account: u8) -> Self {
        Self {
            tenant: "acme".into(),
            account: AccountId([account; 16]),
            org: None,
            end_user: None,
            egress: Tag(u64::from(account)),
            client: Client::Other,
            attributes: Attributes::default(),
            trace: Trace::default(),
        }
    }
}

/// The family of client software, from its own words. Easily forged: a cohort key, never trust.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Client {
    OpenaiPython,
    OpenaiJs,
    AnthropicPython,
    AnthropicJs,
    GoogleGenai,
    Boto,
    Litellm,
    Langchain,
    AiSdk,
    Curl,
    Browser,
    #[default]
    Other,
}

/// The other end of the connection: the socket's, or what a required PROXY preamble says.
///
/// `net` puts it into every request's extensions; `guard` hands it to [`Identifier::identify`].
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    pub address: SocketAddr,
    pub tls: bool,
}

/// Who a request comes from, as decided before its body is read.
#[derive(Clone, Debug)]
pub struct Identity {
    pub caller: Caller,
    /// The client's address: the peer's, or the one a counted trusted hop reports.
    pub address: IpAddr,
    /// The peer is a trusted hop: its forwarding headers are kept and extended, not replaced.
    pub trusted_hop: bool,
}

/// Why nobody could be made out. The guard turns each into a refusal.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unidentified {
    #[error("the request carries two different credentials")]
    TwoCredentials,
    #[error("the request carries no credential")]
    MissingCredential,
    #[error("no tenant answers to this request")]
    NoTenant,
    #[error("the credential can't be verified")]
    BadCredential,
}

impl TenantName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for TenantName {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for TenantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "acct_{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(hex(&mut [0; 16], [self.0]))
    }
}

/// Numbers as hex digits, all of each, in `text`. Lines of the decision log hold a dozen of them, for
/// which the formatting machine is too slow.
pub(crate) fn hex<N: Into<u64>>(text: &mut [u8], numbers: impl IntoIterator<Item = N>) -> &str {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let bytes = size_of::<N>() * 2;
    for (digits, number) in text.chunks_exact_mut(bytes).zip(numbers) {
        let number: u64 = number.into();
        for (place, digit) in digits.iter_mut().rev().enumerate() {
            *digit = DIGITS[(number >> (4 * place)) as usize & 15];
        }
    }
    // Nothing but digits is in it.
    std::str::from_utf8(text).unwrap_or_default()
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[derive(Clone, Debug, thiserror::Error)]
#[error("`{0}` is not an account id: acct_ and 32 hex digits are expected")]
pub struct NotAnAccount(String);

impl FromStr for AccountId {
    type Err = NotAnAccount;

    fn from_str(text: &str) -> Result<Self, NotAnAccount> {
        let hex = text.strip_prefix("acct_").filter(|hex| hex.len() == 32 && !hex.starts_with('+'));
        let value = hex.and_then(|hex| u128::from_str_radix(hex, 16).ok());
        value.map(|value| Self(value.to_be_bytes())).ok_or_else(|| NotAnAccount(text.to_owned()))
    }
}

#[derive(Clone, Debug, thiserror::Error)]
#[error("`{0}` is not a tag: 16 hex digits are expected")]
pub struct NotATag(String);

impl FromStr for Tag {
    type Err = NotATag;

    fn from_str(text: &str) -> Result<Self, NotATag> {
        let hex = Some(text).filter(|hex| hex.len() == 16 && !hex.starts_with('+'));
        let value = hex.and_then(|hex| u64::from_str_radix(hex, 16).ok());
        value.map(Self).ok_or_else(|| NotATag(text.to_owned()))
    }
}

impl Serialize for Tag {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match to.is_human_readable() {
            true => to.serialize_str(hex(&mut [0; 16], [self.0])),
            false => self.0.serialize(to),
        }
    }
}

impl Serialize for AccountId {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() { to.collect_str(self) } else { self.0.serialize(to) }
    }
}

/// Read as they print; as they are where people don't read along.
macro_rules! from_text {
    ($($name:ty),*) => { $(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                if !from.is_human_readable() {
                    return Deserialize::deserialize(from).map(Self);
                }
                let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )* };
}
from_text!(AccountId, Tag);
