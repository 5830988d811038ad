//! How an account came to be, as far as the operator knows and tells.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Keyring, Tag};
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
    /// Somebody has checked who they are.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub verified: bool,
}

impl Attributes {
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the account is one of standing: verified, or old enough and paid for at least once.
    /// None where too little is known to say. Age alone is no standing: accounts are bought, and
    /// farms let theirs ripen; a paid invoice costs something for each.
    pub fn standing(&self, now: Timestamp, after_days: u16) -> Option<bool> {
        if self.verified {
            return Some(true);
        }
        let paid = self.paid_invoices? > 0;
        let old = self.created.map(|at| now.hours_since(at) >= f32::from(after_days) * 24.0);
        if paid { old } else { Some(false) }
    }
}

/// Attributes as they are told, in an exchange log or a trusted hop's header. Other members are
/// ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Told<'a> {
    /// Seconds since the epoch.
    created_at: Option<f64>,
    #[serde(borrow)]
    plan: Option<Cow<'a, str>>,
    paid_invoices: Option<u32>,
    #[serde(borrow)]
    payment_hash: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pathway: Option<Cow<'a, str>>,
    verified: Option<bool>,
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
        let payment = self.payment_hash.as_ref();
        Attributes {
            created,
            paid_invoices: self.paid_invoices,
            payment: payment.map(|hash| keyring.tag("payment", hash.as_bytes())),
            signup,
            verified: self.verified.unwrap_or_default(),
        }
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
        let verified = Attributes { verified: true, ..with(0, Some(0)) };
        assert_eq!(verified.standing(now, 7), Some(true));
    }
}
