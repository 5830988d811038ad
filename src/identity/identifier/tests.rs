use http::HeaderValue;
use proptest::prelude::*;

use super::*;
use crate::identity::{Client, HeaderRule, HeaderSource, TenantRule};

const KEY: (&str, &str) = ("authorization", "Bearer sk-1");

fn keyring() -> Keyring {
    Keyring::new([7; 32])
}

fn new(settings: &Settings) -> Identifier {
    Identifier::new(settings, keyring()).unwrap()
}

fn head(headers: &[(&str, &str)]) -> Parts {
    let mut request = http::Request::builder().uri("/v1/messages");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn from(address: &str) -> Peer {
    Peer { address: (address.parse::<std::net::IpAddr>().unwrap(), 1234).into(), tls: true }
}

fn ask(
    settings: &Settings,
    headers: &[(&str, &str)],
    peer: &str,
) -> Result<Identity, Unidentified> {
    new(settings).identify(&head(headers), from(peer))
}

fn account(settings: &Settings, headers: &[(&str, &str)], peer: &str) -> AccountId {
    ask(settings, headers, peer).unwrap().caller.account
}

fn behind_hop() -> Settings {
    Settings { trusted_hops: vec!["10.0.0.0/8".parse().unwrap()], ..Settings::default() }
}

fn tenant_by_key() -> TenantRule {
    TenantRule {
        name: "team".to_owned(),
        key_prefix: Some("sk-".to_owned()),
        ..TenantRule::default()
    }
}

#[test]
fn a_key_in_any_spelling_from_anywhere_is_one_account() {
    let settings = Settings::default();
    let first = ask(&settings, &[KEY, ("user-agent", "curl/8")], "1.2.3.4").unwrap();
    assert_eq!(first.caller.tenant.as_str(), "default");
    assert_eq!(first.caller.client, Client::Curl);
    assert_eq!(first.caller.egress, keyring().egress("1.2.3.200".parse().unwrap()));
    assert!(!first.trusted_hop);
    assert_eq!(account(&settings, &[("x-api-key", "sk-1")], "5.6.7.8"), first.caller.account);
    assert_ne!(account(&settings, &[("x-api-key", "sk-2")], "1.2.3.4"), first.caller.account);
}

#[test]
fn the_account_printed_for_a_key_is_the_one_identified() {
    let settings = Settings { tenants: vec![tenant_by_key()], ..Settings::default() };
    let caller = ask(&settings, &[KEY], "1.2.3.4").unwrap().caller;
    let team = TenantName::from("team");
    assert_eq!(caller.tenant, team);
    assert_eq!(new(&settings).account_id(&team, " sk-1\n"), caller.account);
    assert_ne!(new(&settings).account_id(&TenantName::from("default"), "sk-1"), caller.account);
}

#[test]
fn callers_without_key_are_told_apart_by_address_or_refused() {
    let settings = Settings::default();
    let of = |peer| account(&settings, &[], peer);
    assert_ne!(of("1.2.3.4"), of("1.2.3.5"));
    assert_eq!(of("1.2.3.4"), of("::ffff:1.2.3.4"));
    assert_eq!(of("2001:db8::1"), of("2001:db8::2"));
    assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
    let refusing = Settings { anonymous: Anonymous::Refuse, ..settings.clone() };
    let refused = ask(&refusing, &[], "1.2.3.4").unwrap_err();
    assert_eq!(refused, Unidentified::MissingCredential);
}

#[test]
fn two_credentials_are_refused() {
    let refused = ask(&Settings::default(), &[KEY, ("x-api-key", "sk-2")], "1.2.3.4");
    assert_eq!(refused.unwrap_err(), Unidentified::TwoCredentials);
}

#[test]
fn a_request_of_no_tenant_is_refused_where_one_is_required() {
    let settings =
        Settings { require_tenant: true, tenants: vec![tenant_by_key()], ..Settings::default() };
    assert!(ask(&settings, &[KEY], "1.2.3.4").is_ok());
    let refused = ask(&settings, &[("x-api-key", "other")], "1.2.3.4").unwrap_err();
    assert_eq!(refused, Unidentified::NoTenant);
}

#[test]
fn attributes_are_believed_from_a_trusted_hop_only_and_unreadable_ones_are_not_known() {
    let settings = Settings { attributes_header: Some("x-attributes".to_owned()), ..behind_hop() };
    let told =
        r#"{"created_at": 1790000000.5, "paid_invoices": 2, "payment_hash": "p1", "seats": 4}"#;
    let attributes = |told, from| {
        ask(&settings, &[KEY, ("x-attributes", told)], from).unwrap().caller.attributes
    };
    let known = attributes(told, "10.0.0.1");
    assert_eq!((known.paid_invoices, known.verified), (Some(2), None));
    assert_eq!(known.payment, Some(keyring().tag("payment", b"p1")));
    assert!(known.created.is_some() && known.signup.is_some());
    assert!(attributes(told, "1.2.3.4").is_unknown());
    assert!(attributes("{\"paid_invoices\": -1}", "10.0.0.1").is_unknown());
}

#[test]
fn headers_name_account_and_organisation_only_from_a_trusted_hop() {
    let settings = Settings {
        account: AccountSource::Header(HeaderSource { name: "x-account-id".to_owned() }),
        org_header: Some("x-org".to_owned()),
        end_user_header: Some("x-user".to_owned()),
        ..behind_hop()
    };
    let headers = [KEY, ("x-account-id", "ann"), ("x-org", "acme"), ("x-user", "bo")];
    let trusted = ask(&settings, &headers, "10.0.0.1").unwrap();
    assert!(trusted.trusted_hop);
    assert_eq!(trusted.caller.org, Some(keyring().tag("org", b"acme")));
    assert_eq!(trusted.caller.end_user, Some(keyring().tag("end-user", b"bo")));
    let named = new(&settings).account_id(&TenantName::from("default"), "ann");
    assert_eq!(trusted.caller.account, named);

    let spoofed = ask(&settings, &headers, "1.2.3.4").unwrap();
    assert_eq!((spoofed.caller.org, spoofed.caller.end_user), (None, None));
    assert_eq!(spoofed.caller.account, account(&Settings::default(), &[KEY], "1.2.3.4"));
    // Without the header, the key.
    assert_eq!(account(&settings, &[KEY], "10.0.0.1"), spoofed.caller.account);
    let twice = [("x-account-id", "ann"), ("x-account-id", "bob")];
    assert!(ask(&settings, &twice, "10.0.0.1").is_err());
}

#[cfg(feature = "proxy")]
#[test]
fn an_unverified_token_is_nobody() {
    use std::path::PathBuf;

    use crate::identity::JwtSource;

    let file = PathBuf::from("secret");
    let jwt = JwtSource { hs256_file: Some(file.clone()), ..JwtSource::default() };
    let settings = Settings { account: AccountSource::Jwt(jwt), ..Settings::default() };
    assert!(Identifier::new(&settings, keyring()).is_err(), "its key is missing");
    let texts = KeyTexts::from([(file, vec![7; 32].into())]);
    let identifier = Identifier::with_keys(&settings, keyring(), &texts).unwrap();
    let refused = identifier.identify(&head(&[KEY]), from("1.2.3.4")).unwrap_err();
    assert_eq!(refused, Unidentified::BadCredential);
}

#[test]
fn settings_that_cant_work_are_refused() {
    let why = |settings: &Settings| Identifier::new(settings, keyring()).unwrap_err().to_string();
    let header = HeaderRule { name: "x-t".to_owned(), value: "a".to_owned() };
    let by_header = TenantRule { header: Some(header), ..tenant_by_key() };
    let headers = Settings { tenants: vec![by_header], ..Settings::default() };
    assert!(why(&headers).contains("`team` is never believed without trusted_hops"));
    let org = Settings { org_header: Some("x-org".to_owned()), ..Settings::default() };
    assert!(why(&org).contains("org_header is never believed"));
    let user = Settings { end_user_header: Some("x-user".to_owned()), ..Settings::default() };
    assert!(why(&user).contains("end_user_header is never believed"));
    let bad_name = Settings { org_header: Some("x org".to_owned()), ..behind_hop() };
    assert!(why(&bad_name).contains("not a header's name"));
    let closed = Settings { require_tenant: true, ..Settings::default() };
    assert!(why(&closed).contains("refuses everything"));
    let nameless = Settings { default_tenant: String::new(), ..Settings::default() };
    assert!(why(&nameless).contains("default_tenant is empty"));
}

#[test]
fn nothing_that_is_printed_holds_a_secret() {
    let keyring = Keyring::new(*b"the-secret-of-this-deployment-..");
    let identifier = Identifier::new(&Settings::default(), keyring.clone()).unwrap();
    let identity = identifier.identify(&head(&[KEY]), from("1.2.3.4")).unwrap();
    let printed = format!("{keyring:?} {identifier:?} {:?}", identity.caller);
    assert!(printed.contains("Keyring(secret)"), "{printed}");
    for secret in ["sk-1", "the-secret", "116, 104, 101", "1.2.3.4"] {
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }
}

/// Every header that this room reads.
const READ: [&str; 14] = [
    "authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "sec-websocket-protocol",
    "x-forwarded-for",
    "forwarded",
    "host",
    "user-agent",
    "x-stainless-lang",
    "anthropic-version",
    "x-goog-api-client",
    "x-account-id",
    "x-org",
];

proptest! {
    #[test]
    fn any_header_values_from_anywhere_are_survived(
        values in proptest::collection::vec((0..READ.len(), proptest::collection::vec(any::<u8>(), 0..40)), 0..8),
        trusted in any::<bool>(),
    ) {
        let settings = Settings {
            account: AccountSource::Header(HeaderSource { name: "x-account-id".to_owned() }),
            org_header: Some("x-org".to_owned()),
            tenants: vec![tenant_by_key()],
            ..behind_hop()
        };
        let mut head = head(&[]);
        for (name, value) in values {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                head.headers.append(READ[name], value);
            }
        }
        let peer = if trusted { "10.0.0.1" } else { "1.2.3.4" };
        let identity = new(&settings).identify(&head, from(peer));
        if let (Ok(identity), false) = (identity, trusted) {
            prop_assert_eq!(identity.address.to_string(), peer);
        }
    }
}
