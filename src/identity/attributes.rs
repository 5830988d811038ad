//! How an account came to be, as far as the operator knows and tells.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Caller, Keyring, Tag};
use crate::time::Timestamp;

/// Provisioning attributes. What is not there is not known.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Attributes {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paid_invoices: Option<u32>,
    /// The payment instrument.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment: Option<Tag>,
    /// The hour of the sign-up, its plan and its pathway together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signup: Option<Tag>,
    /// The domain of the mail address it signed up with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail: Option<Tag>,
    /// Somebody has checked who they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
    /// It has said that others' requests come through it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reseller: Option<bool>,
}

/// What one source says of an account: its attributes, and whose it is.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Provision {
    pub attributes: Attributes,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub org: Option<Tag>,
}

impl Attributes {
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the account is one of standing: verified, or old enough and paid for at least once.
    /// None where too little is known to say. Age alone is no standing: accounts are bought, and
    /// farms let theirs ripen; a paid invoice costs something for each.
    pub fn standing(&self, now: Timestamp, after_days: u16) -> Option<bool> {
        if self.verified == Some(true) {
            return Some(true);
        }
        let paid = self.paid_invoices? > 0;
        let old = self.created.map(|at| now.hours_since(at) >= f32::from(after_days) * 24.0);
        if paid { old } else { Some(false) }
    }

    /// Whether others' requests are known to come through it.
    pub fn resells(&self) -> bool {
        self.reseller == Some(true)
    }

    /// What is said here, and where nothing is, what `other` says. Time and kind of a sign-up go
    /// together: half of one source's and half of another's would be nobody's.
    pub fn or(self, other: Self) -> Self {
        let own = self.created.is_some() || self.signup.is_some();
        let signup = if own { self } else { other };
        Self {
            created: signup.created,
            signup: signup.signup,
            paid_invoices: self.paid_invoices.or(other.paid_invoices),
            payment: self.payment.or(other.payment),
            mail: self.mail.or(other.mail),
            verified: self.verified.or(other.verified),
            reseller: self.reseller.or(other.reseller),
        }
    }
}

impl Provision {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Tells a caller's request what is known of its account. What an operator ordered goes first,
    /// then what a trusted hop says with the request, then the file: member by member.
    pub fn tell(caller: &mut Caller, ordered: Option<Self>, filed: Option<Self>) {
        let (ordered, filed) = (ordered.unwrap_or_default(), filed.unwrap_or_default());
        caller.attributes = ordered.attributes.or(caller.attributes).or(filed.attributes);
        caller.org = ordered.org.or(caller.org).or(filed.org);
    }
}

/// Attributes as they are told, in an exchange log or a trusted hop's header. Other members are
/// ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Told<'a> {
    /// Seconds since the epoch.
    pub(super) created_at: Option<f64>,
    #[serde(borrow)]
    pub(super) plan: Option<Cow<'a, str>>,
    pub(super) paid_invoices: Option<u32>,
    #[serde(borrow)]
    pub(super) payment_hash: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) pathway: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) mail_domain_hash: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) organisation: Option<Cow<'a, str>>,
    pub(super) declared_reseller: Option<bool>,
    pub(super) verified: Option<bool>,
}

impl Told<'_> {
    pub fn attributes(&self, keyring: &Keyring) -> Attributes {
        let created = self.created_at.map(Timestamp::from_seconds);
        let signup = created.map(|at| {
            let (plan, pathway) = (self.plan.as_deref(), self.pathway.as_deref());
            let hour = at.as_millis() / 3_600_000;
            let words = format!("{hour} {:?} {:?}", plan.unwrap_or(""), pathway.unwrap_or(""));
            keyring.tag("signup", words.as_bytes())
        });
        let tag = |domain, value: &Option<Cow<'_, str>>| {
            let value = value.as_deref().filter(|value| !value.is_empty());
            value.map(|value| keyring.tag(domain, value.as_bytes()))
        };
        Attributes {
            created,
            paid_invoices: self.paid_invoices,
            payment: tag("payment", &self.payment_hash),
            signup,
            mail: tag("mail", &self.mail_domain_hash),
            verified: self.verified,
            reseller: self.declared_reseller,
        }
    }

    pub fn provision(&self, keyring: &Keyring) -> Provision {
        let org = self.organisation.as_deref().filter(|org| !org.is_empty());
        let org = org.map(|org| keyring.tag("org", org.as_bytes()));
        Provision { attributes: self.attributes(keyring), org }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3_600_000;

    #[test]
    fn standing_takes_age_and_a_paid_invoice_or_a_check() {
        let now = Timestamp::from_millis(100 * DAY);
        let with = |days: u64, paid_invoices| Attributes {
            created: Some(Timestamp::from_millis((100 - days) * DAY)),
            paid_invoices,
            ..Attributes::default()
        };
        assert_eq!(with(30, Some(1)).standing(now, 7), Some(true));
        assert_eq!(with(3, Some(1)).standing(now, 7), Some(false));
        assert_eq!(with(90, Some(0)).standing(now, 7), Some(false));
        assert_eq!(with(90, None).standing(now, 7), None);
        assert_eq!(Attributes::default().standing(now, 7), None);
        let verified = Attributes { verified: Some(true), ..with(0, Some(0)) };
        assert_eq!(verified.standing(now, 7), Some(true));
    }

    #[test]
    fn the_first_source_that_says_a_thing_is_believed_and_sign_ups_are_never_mixed() {
        let at = |millis| Some(Timestamp::from_millis(millis));
        let order = Attributes { verified: Some(false), ..Attributes::default() };
        let header = Attributes { created: at(5), paid_invoices: Some(2), ..Attributes::default() };
        let file = Attributes {
            created: at(9),
            signup: Some(Tag(1)),
            paid_invoices: Some(0),
            payment: Some(Tag(2)),
            verified: Some(true),
            ..Attributes::default()
        };
        let known = order.or(header).or(file);
        assert_eq!((known.created, known.signup), (at(5), None));
        assert_eq!((known.paid_invoices, known.payment), (Some(2), Some(Tag(2))));
        assert_eq!(known.verified, Some(false), "an operator can take a check back");
    }

    #[test]
    fn what_is_told_is_kept_as_keyed_hashes_alone() {
        let told = r#"{"created_at": 7200, "plan": "team", "payment_hash": "visa-1",
            "mail_domain_hash": "m1", "organisation": "Harbour Ltd", "declared_reseller": true}"#;
        let told: Told<'_> = serde_json::from_str(told).unwrap();
        let keyring = Keyring::new([3; 32]);
        let provision = told.provision(&keyring);
        assert_eq!(provision.org, Some(keyring.tag("org", b"Harbour Ltd")), "as the header's");
        assert!(provision.attributes.resells() && provision.attributes.mail.is_some());
        let text = serde_json::to_string(&provision).unwrap();
        assert!(["visa-1", "Harbour", "team", "m1\""].iter().all(|word| !text.contains(word)));
        assert_eq!(serde_json::from_str::<Provision>(&text).unwrap(), provision);
    }
}
