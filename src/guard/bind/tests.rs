use bytes::Bytes;
use http::{HeaderMap, Method};

use super::*;
use crate::identity::{Keyring, Tag};
use crate::policy::{self, Holder, Policies, TenantSettings};

fn caller(account: u8, org: u64) -> Caller {
    Caller { org: Some(Tag(org)), egress: Tag(0), ..Caller::sample(account) }
}

fn bond(caller: Caller, bind: policy::Bind) -> Bond {
    let defaults = TenantSettings { bind: Some(bind), ..TenantSettings::default() };
    let policies = Policies::from(&policy::Settings { defaults, tenants: Vec::new() });
    let dialect = dialect::of(&Method::POST, "/v1/messages", &HeaderMap::new()).unwrap();
    Bond {
        shapes: dialect.binds(),
        policy: Arc::clone(policies.defaults()),
        keys: Arc::new(Keys::own(&Keyring::new([1; 32]))),
        caller,
        now: Timestamp::default(),
        signed: false,
    }
}

fn body(seal: &str) -> Bytes {
    format!(r#"{{"messages":[{{"content":[{{"signature":"{seal}"}}]}}]}}"#).into()
}

fn bind(holder: Holder) -> policy::Bind {
    let signatures = Binding::Wrap;
    policy::Bind { signatures, holder, foreign: Unbound::Refuse, ..policy::Bind::default() }
}

#[test]
fn an_organisation_shares_what_its_accounts_are_given_unless_the_account_alone_holds_it() {
    let first = bond(caller(1, 5), bind(Holder::Organisation));
    let mut wrapping = Wrapping { bond: first, conversation: [0; 8], wrapped: 0 };
    let spot = Spot::Signature(crate::dialect::shape::Alphabet::Standard);
    let Placed::Other(seal) = wrapping.place(spot, "a seal of thinking") else {
        panic!("it is wrapped")
    };
    let came = |account, org, holder| {
        let unwrapped = bond(caller(account, org), bind(holder)).unwrap(&body(&seal));
        assert_eq!(unwrapped.body.as_deref(), Some(&body("a seal of thinking")[..]));
        let Bonds { verified, foreign, .. } = unwrapped.bonds;
        (verified, foreign, unwrapped.foreign.len(), unwrapped.asked())
    };
    assert_eq!(came(2, 5, Holder::Organisation), (1, 0, 0, Unbound::Count));
    assert_eq!(came(2, 5, Holder::Account), (0, 1, 0, Unbound::Refuse), "refused, no evidence");
    assert_eq!(came(2, 6, Holder::Organisation), (0, 1, 1, Unbound::Refuse));
    assert_eq!(came(1, 6, Holder::Account), (1, 0, 0, Unbound::Count), "an account may move");
}

#[test]
fn what_is_remembered_of_one_request_is_bounded() {
    let other = bond(caller(1, 5), bind(Holder::Account));
    let key = other.keys.first();
    let seals: Vec<String> = (0..100)
        .map(|n| {
            let text = format!("seal number {n}");
            let alphabet = crate::dialect::shape::Alphabet::Standard;
            let seal = seal::wrap(key, &caller(9, 9), (&text, alphabet), [1; 8]);
            format!(r#"{{"signature":"{seal}"}}"#)
        })
        .collect();
    let body = format!(r#"{{"messages":[{{"content":[{}]}}]}}"#, seals.join(","));
    let unwrapped = other.unwrap(&body.into());
    assert_eq!((unwrapped.bonds.foreign, unwrapped.foreign.len()), (100, Unwrapping::MOST));
}
