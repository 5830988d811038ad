//! How tenants and accounts are told apart: the `[identity]` table.

use std::path::{Path, PathBuf};

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `[identity]` table. Its defaults suit a proxy that faces the internet: nobody's forwarding
/// headers are believed, the API key is the account, and every caller is of one tenant.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Networks (CIDR) of the proxies in front whose forwarding headers are believed. Default: none.
    #[schemars(with = "Vec<String>")]
    pub trusted_hops: Vec<IpNet>,
    /// How many such proxies a request passes, the nearest included: the client is this many
    /// entries from the right of `address_header`. 0 takes the peer's address. Default: 1.
    pub hops: u8,
    /// The header in which the trusted hops report the client. Name only the one they write
    /// themselves: the other one reaches us as the client sent it. Default: x-forwarded-for.
    pub address_header: AddressHeader,
    /// What the billing identity is derived from. Default: the API key.
    pub account: AccountSource,
    /// Read the parameters `key`, `access_token`, `oauth_token`, `api-key` and `subscription-key` of a
    /// query as credentials, as Google's and Azure's APIs do. Turn it off where the upstream means
    /// something else by one of them. Default: true.
    pub query_key: bool,
    /// A header naming the organisation an account belongs to; from a trusted hop only, which
    /// must drop it from clients' requests. Default: none.
    pub org_header: Option<String>,
    /// A header of the trusted hops that names the end user a request is for. It goes before what the
    /// body says of one.
    pub end_user_header: Option<String>,
    /// A header that tells an account's provisioning attributes, as JSON with the members
    /// `created_at` (seconds), `plan`, `paid_invoices`, `payment_hash`, `pathway`,
    /// `mail_domain_hash`, `organisation`, `declared_reseller`, `verified`; from a trusted hop only,
    /// which removes it from what callers send.
    pub attributes_header: Option<String>,
    /// A file of such objects, one a line, each with the `account` it is about. Read again when it
    /// changes. Where it and the header differ, the header is believed.
    pub attributes_file: Option<PathBuf>,
    /// A database in MaxMind's format that tells the country of an address. Read again when it changes.
    pub country_file: Option<PathBuf>,
    /// One that tells its autonomous system.
    pub asn_file: Option<PathBuf>,
    /// What becomes of a request without a credential. Default: by-address.
    pub anonymous: Anonymous,
    /// The tenant of requests that no rule matches. Default: "default".
    pub default_tenant: String,
    /// Refuse requests that no rule matches. Default: false.
    pub require_tenant: bool,
    /// Rules: the longest `path_prefix` that matches wins, then the earlier in the file.
    pub tenants: Vec<TenantRule>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            trusted_hops: Vec::new(),
            hops: 1,
            address_header: AddressHeader::default(),
            account: AccountSource::default(),
            query_key: true,
            org_header: None,
            end_user_header: None,
            attributes_header: None,
            attributes_file: None,
            country_file: None,
            asn_file: None,
            anonymous: Anonymous::default(),
            default_tenant: "default".to_owned(),
            require_tenant: false,
            tenants: Vec::new(),
        }
    }
}

impl Settings {
    /// The files whose content [`super::Identifier::with_keys`] needs. This room reads none.
    pub fn key_files(&self) -> impl Iterator<Item = &Path> {
        let own = self.tenants.iter().filter_map(|rule| rule.account.as_ref());
        let jwt = std::iter::once(&self.account).chain(own).filter_map(|account| match account {
            AccountSource::Jwt(jwt) => Some(jwt),
            AccountSource::Key {} | AccountSource::Header(_) => None,
        });
        jwt.flat_map(JwtSource::files)
    }
}

/// Which header the trusted hops append the client's address to.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressHeader {
    #[default]
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

/// Requests that carry no credential.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Anonymous {
    /// One account for each address (IPv6: each /64, which one host can fill).
    #[default]
    ByAddress,
    Refuse,
}

/// A rule that assigns requests to a tenant. Every condition it states must hold.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TenantRule {
    /// The tenant's name; must be given.
    pub name: String,
    /// Host names without port: exact, or `*.suffix` for every name below it. Default: any.
    pub hosts: Vec<String>,
    /// Matches whole path segments: `/a` is `/a` and `/a/b`, not `/ab`. Default: any.
    pub path_prefix: Option<String>,
    /// How the tenant's API keys begin. Default: any.
    pub key_prefix: Option<String>,
    /// A header that a trusted hop sets. Default: none.
    pub header: Option<HeaderRule>,
    /// This tenant's account source. Default: that of `[identity]`.
    pub account: Option<AccountSource>,
}

/// A header and the exact value it must have.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderRule {
    pub name: String,
    pub value: String,
}

/// Where the billing identity comes from.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(tag = "from", rename_all = "kebab-case", deny_unknown_fields)]
pub enum AccountSource {
    /// The credential, in whichever spelling it comes.
    Key {},
    /// A claim of a verified JSON Web Token, sent as the credential.
    Jwt(JwtSource),
    /// A header set by a trusted hop, which must drop it from clients' requests; else the key.
    Header(HeaderSource),
}

impl Default for AccountSource {
    fn default() -> Self {
        Self::Key {}
    }
}

/// Exactly one of the three files must be named. The key's type decides which algorithms a token
/// may use; `none` never.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct JwtSource {
    /// The claim (a string or a number) that names the account. Default: "sub".
    pub claim: String,
    /// Public keys as a JSON Web Key Set; the token's `kid` picks one.
    pub jwks_file: Option<PathBuf>,
    /// One RSA, P-256, P-384 or Ed25519 public key.
    pub pem_file: Option<PathBuf>,
    /// A shared secret for HS256, at least 32 bytes; white space around it is ignored.
    pub hs256_file: Option<PathBuf>,
    /// The `iss` a token must carry. Default: any.
    pub issuer: Option<String>,
    /// The `aud` a token must carry. Default: any.
    pub audience: Option<String>,
}

impl Default for JwtSource {
    fn default() -> Self {
        Self {
            claim: "sub".to_owned(),
            jwks_file: None,
            pem_file: None,
            hs256_file: None,
            issuer: None,
            audience: None,
        }
    }
}

impl JwtSource {
    fn files(&self) -> impl Iterator<Item = &Path> {
        [&self.jwks_file, &self.pem_file, &self.hs256_file]
            .into_iter()
            .flatten()
            .map(|file| &**file)
    }
}

/// A header that names the account.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderSource {
    pub name: String,
}

/// Settings that can't work.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_table_is_the_default() {
        assert_eq!(serde_json::from_str::<Settings>("{}").unwrap(), Settings::default());
    }

    #[test]
    fn unknown_keys_are_refused_at_every_depth() {
        for text in [
            r#"{"trusted_hop": []}"#,
            r#"{"tenants": [{"name": "a", "host": "x"}]}"#,
            r#"{"account": {"from": "key", "claim": "sub"}}"#,
            r#"{"account": {"from": "jwt", "secret": "x"}}"#,
        ] {
            assert!(serde_json::from_str::<Settings>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn key_files_of_all_tenants_are_listed() {
        let text = r#"{"account": {"from": "jwt", "jwks_file": "a"},
            "tenants": [{"name": "t", "account": {"from": "jwt", "pem_file": "b"}}]}"#;
        let settings: Settings = serde_json::from_str(text).unwrap();
        assert_eq!(settings.key_files().collect::<Vec<_>>(), [Path::new("a"), Path::new("b")]);
    }
}
