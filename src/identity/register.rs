//! What a file tells of many accounts: one JSON object a line, with the members of the trusted
//! hops' header besides the account.
//!
//! JSON lines rather than CSV: members have types, may be left out, and are spelt as in the header,
//! the admin call and the exchange log, so there is one form to learn and no quoting of our own.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use serde::Deserialize;

use super::{AccountId, Keyring, Provision, TenantName, Told};

/// Provisions by account, about 170 bytes each.
#[derive(Clone, Debug, Default)]
pub struct Register(HashMap<AccountId, Provision, KeyHash>);

/// Ids are keyed hashes already: nobody can aim for a collision.
type KeyHash = BuildHasherDefault<rapidhash::fast::RapidHasher<'static>>;

/// Why a register can't be read, and where.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{line}:{column}: {why}")]
pub struct BadRow {
    pub line: usize,
    pub column: usize,
    pub why: String,
}

/// Accounts one register tells of at most.
const MOST_ROWS: usize = 2_000_000;

/// Bytes of the longest row.
const LONGEST_ROW: usize = 16 << 10;

/// A row. Unlike in a header, an unknown member is a mistake: here somebody can mend it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row<'a> {
    /// By its id,
    account: Option<AccountId>,
    /// or by what the account is derived from, as `stillguard id` takes it, and its tenant.
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    tenant: Option<Cow<'a, str>>,
    #[serde(default)]
    created_at: Option<f64>,
    #[serde(borrow, default)]
    plan: Option<Cow<'a, str>>,
    #[serde(default)]
    paid_invoices: Option<u32>,
    #[serde(borrow, default)]
    payment_hash: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pathway: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    mail_domain_hash: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    organisation: Option<Cow<'a, str>>,
    #[serde(default)]
    declared_reseller: Option<bool>,
    #[serde(default)]
    verified: Option<bool>,
}

impl Register {
    /// Reads a whole register, or nothing of it. `named` gives the account of a name at a tenant;
    /// none stands for the default one.
    ///
    /// # Errors
    /// The first row that can't be read, or that tells of an account a second time.
    pub fn read(
        text: &[u8],
        keyring: &Keyring,
        named: impl Fn(Option<TenantName>, &str) -> AccountId,
    ) -> Result<Self, BadRow> {
        let mut rows = Self::default();
        for (line, row) in (1..).zip(text.split(|&byte| byte == b'\n')) {
            if row.trim_ascii().is_empty() {
                continue;
            }
            let bad = |column, why: &str| BadRow { line, column, why: why.to_owned() };
            if row.len() > LONGEST_ROW {
                return Err(bad(LONGEST_ROW, "the line is longer than 16 KiB"));
            }
            let row: Row<'_> =
                serde_json::from_slice(row).map_err(|why| bad(why.column().max(1), &told(&why)))?;
            let account = match (row.account, &row.name) {
                (Some(account), None) if row.tenant.is_none() => account,
                (None, Some(name)) => named(row.tenant.as_deref().map(TenantName::from), name),
                _ => {
                    return Err(bad(1, "`account`, or `name` with or without `tenant`, is needed"));
                }
            };
            if rows.0.len() >= MOST_ROWS {
                return Err(bad(1, "there are more than 2,000,000 accounts"));
            }
            if rows.0.insert(account, row.told().provision(keyring)).is_some() {
                return Err(bad(1, "a line above tells of this account already"));
            }
        }
        Ok(rows)
    }

    pub fn of(&self, account: AccountId) -> Option<Provision> {
        self.0.get(&account).copied()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> Told<'a> {
    /// Attributes alone, as a row of the register has them.
    ///
    /// # Errors
    /// What is wrong, quoting nothing.
    pub fn strictly(text: &'a str) -> Result<Self, String> {
        let row: Row<'a> = serde_json::from_str(text).map_err(|why| told(&why))?;
        match (&row.account, &row.name, &row.tenant) {
            (None, None, None) => Ok(row.told()),
            _ => Err("the account is named beside the attributes".to_owned()),
        }
    }
}

impl<'a> Row<'a> {
    fn told(self) -> Told<'a> {
        Told {
            created_at: self.created_at,
            plan: self.plan,
            paid_invoices: self.paid_invoices,
            payment_hash: self.payment_hash,
            pathway: self.pathway,
            mail_domain_hash: self.mail_domain_hash,
            organisation: self.organisation,
            declared_reseller: self.declared_reseller,
            verified: self.verified,
        }
    }
}

/// What is wrong, without its place, which is told beside it, and without what the file says there:
/// a message goes into logs.
fn told(why: &serde_json::Error) -> String {
    let text = why.to_string();
    let end = text.rfind(" at line ").unwrap_or(text.len());
    let text = &text[..end];
    // An id that is none is quoted by its own message.
    let quoted = text.strip_prefix('`').and_then(|rest| rest.split_once('`'));
    let pieces = quoted.map_or(text, |(_, rest)| rest).split('"').step_by(2);
    pieces.collect::<Vec<_>>().join("…").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Register, BadRow> {
        let keyring = Keyring::new([3; 32]);
        Register::read(text.as_bytes(), &keyring.clone(), |tenant, name| {
            let tenant = tenant.unwrap_or_else(|| "default".into());
            keyring.account(tenant.as_str(), "key", name.as_bytes())
        })
    }

    const ONE: &str = r#"{"account":"acct_00000000000000000000000000000001","paid_invoices":3}"#;

    #[test]
    fn accounts_are_told_of_by_id_or_by_name() {
        let keyring = Keyring::new([3; 32]);
        let text = format!(
            "{ONE}\r\n\n{}\n{}\n",
            r#"{"name": "sk-a", "verified": true}"#,
            r#"{"name": "sk-a", "tenant": "acme", "organisation": "Harbour"}"#
        );
        let rows = read(&text).unwrap();
        assert_eq!(rows.len(), 3);
        let mut one = [0; 16];
        one[15] = 1;
        assert_eq!(rows.of(AccountId(one)).unwrap().attributes.paid_invoices, Some(3));
        let of = |tenant| rows.of(keyring.account(tenant, "key", b"sk-a")).unwrap();
        assert_eq!(of("default").attributes.verified, Some(true));
        assert_eq!(of("acme").org, Some(keyring.tag("org", b"Harbour")));
        assert_eq!(rows.of(AccountId([9; 16])), None);
    }

    #[test]
    fn the_first_mistake_is_told_with_line_and_column_and_without_what_stands_there() {
        for (row, column, why) in [
            (r#"{"name":"sk-secret","paid_invoice":3}"#, 34, "unknown field `paid_invoice`"),
            (r#"{"name":"a","paid_invoices":"sk-secret"}"#, 39, "invalid type: string …, expected"),
            (r#"{"name":"a""#, 11, "EOF while parsing an object"),
            (r#"{"paid_invoices":3}"#, 1, "`account`, or `name`"),
            (r#"{"account":"sk-secret"}"#, 23, "is not an account id"),
            (ONE, 1, "already"),
        ] {
            let bad = read(&format!("{ONE}\n\n{row}\n")).unwrap_err();
            assert_eq!((bad.line, bad.column), (3, column), "{bad}");
            assert!(bad.why.contains(why) && !bad.to_string().contains("sk-secret"), "{bad}");
        }
        assert!(read(&format!("{{\"name\":\"{}\"}}", "x".repeat(17 << 10))).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_panic(text: String, cut in 0_usize..80) {
            let _ = read(&text);
            let _ = read(&ONE[..cut.min(ONE.len())]);
        }
    }
}
