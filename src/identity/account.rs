//! The billing identity of a request, from its tenant's source.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use http::header::{HeaderMap, HeaderName};
use zeroize::Zeroizing;

#[cfg(feature = "proxy")]
use super::jwt::Verifier;
use super::settings::{AccountSource, Invalid};
use super::{AccountId, Keyring, Unidentified};

/// The content of [`super::Settings::key_files`], by file name as the settings spell it.
pub type KeyTexts = BTreeMap<PathBuf, Zeroizing<Vec<u8>>>;

/// What a request offers to be known by.
pub(super) struct Offer<'a> {
    pub(super) headers: &'a HeaderMap,
    pub(super) credential: Option<&'a [u8]>,
    pub(super) trusted_hop: bool,
}

#[derive(Debug)]
pub(super) enum Source {
    Key,
    #[cfg(feature = "proxy")]
    Jwt(Verifier),
    Header(HeaderName),
}

impl Source {
    pub(super) fn new(source: &AccountSource, texts: &KeyTexts) -> Result<Self, Invalid> {
        match source {
            AccountSource::Key {} => Ok(Self::Key),
            AccountSource::Header(header) => header_name(&header.name).map(Self::Header),
            #[cfg(feature = "proxy")]
            AccountSource::Jwt(source) => Verifier::new(source, texts).map(Self::Jwt),
            #[cfg(not(feature = "proxy"))]
            AccountSource::Jwt(_) => {
                let _ = texts;
                Err(Invalid("identity.account: this build can't verify tokens".to_owned()))
            }
        }
    }

    /// Nothing for a request that offers no identity.
    pub(super) fn account(
        &self,
        tenant: &str,
        keyring: &Keyring,
        offer: &Offer<'_>,
    ) -> Result<Option<AccountId>, Unidentified> {
        let key = |key: &[u8]| keyring.account(tenant, "key", key);
        match self {
            Self::Key => Ok(offer.credential.map(key)),
            Self::Header(name) => {
                let told = if offer.trusted_hop { one(offer.headers, name)? } else { None };
                let told = told.map(|value| keyring.account(tenant, &header_label(name), value));
                Ok(told.or_else(|| offer.credential.map(key)))
            }
            #[cfg(feature = "proxy")]
            Self::Jwt(verifier) => {
                let Some(token) = offer.credential else { return Ok(None) };
                let claim = verifier.verify(token).ok_or(Unidentified::BadCredential)?;
                Ok(Some(self.named(tenant, keyring, &claim)))
            }
        }
    }

    /// The account that a key, a claim's value or a header's value names.
    pub(super) fn named(&self, tenant: &str, keyring: &Keyring, value: &str) -> AccountId {
        let label = match self {
            Self::Key => "key".to_owned(),
            #[cfg(feature = "proxy")]
            Self::Jwt(verifier) => format!("jwt:{}", verifier.claim()),
            Self::Header(name) => header_label(name),
        };
        keyring.account(tenant, &label, value.as_bytes())
    }
}

/// The account of a caller without credential. A host of IPv6 owns a /64, so that is one caller.
pub(super) fn by_address(tenant: &str, keyring: &Keyring, address: IpAddr) -> AccountId {
    match address {
        IpAddr::V4(v4) => keyring.account(tenant, "address", &v4.octets()),
        IpAddr::V6(v6) => keyring.account(tenant, "address", &v6.octets()[..8]),
    }
}

pub(super) fn header_name(name: &str) -> Result<HeaderName, Invalid> {
    name.parse().map_err(|_| Invalid(format!("identity: `{name}` is not a header's name")))
}

/// The value of a header that must not have two.
pub(super) fn one<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a [u8]>, Unidentified> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Unidentified::TwoCredentials),
        (value, None) => {
            let value = value.map(|value| value.as_bytes().trim_ascii());
            Ok(value.filter(|value| !value.is_empty()))
        }
    }
}

fn header_label(name: &HeaderName) -> String {
    format!("header:{name}")
}
