//! Puts the parts together: credential, address, tenant, account.

use http::HeaderName;
use http::request::Parts;

use super::account::{self, KeyTexts, Offer, Source};
use super::address::Hops;
use super::settings::{AccountSource, Anonymous, Invalid, Settings};
use super::tenant::{Rules, Sought};
use super::{
    AccountId, BadRow, Caller, Identity, Keyring, Peer, Register, TenantName, Told, Trace,
    Unidentified,
};
use super::{client, credential};

/// Tells who calls, by the operator's settings.
#[derive(Debug)]
pub struct Identifier {
    keyring: Keyring,
    hops: Hops,
    rules: Rules,
    /// In the order of the settings, to which [`Rules`] refers.
    tenants: Vec<Tenant>,
    /// Of requests that no rule matches; none when they are refused.
    default: Option<Tenant>,
    org_header: Option<HeaderName>,
    end_user_header: Option<HeaderName>,
    attributes_header: Option<HeaderName>,
    anonymous: Anonymous,
    query_key: bool,
}

#[derive(Debug)]
struct Tenant {
    name: TenantName,
    source: Source,
}

impl Identifier {
    /// For settings that name no key file.
    ///
    /// # Errors
    /// As [`Identifier::with_keys`].
    pub fn new(settings: &Settings, keyring: Keyring) -> Result<Self, Invalid> {
        Self::with_keys(settings, keyring, &KeyTexts::new())
    }

    /// With the content of the [`Settings::key_files`].
    ///
    /// # Errors
    /// Settings that contradict themselves, a rule that can never match, a key that can't be read.
    pub fn with_keys(
        settings: &Settings,
        keyring: Keyring,
        texts: &KeyTexts,
    ) -> Result<Self, Invalid> {
        needs_trusted_hop(settings)?;
        let tenant = |name: &str, account: &AccountSource| {
            let source = Source::new(account, texts)?;
            Ok::<_, Invalid>(Tenant { name: TenantName::from(name), source })
        };
        let of_rule = settings
            .tenants
            .iter()
            .map(|rule| tenant(&rule.name, rule.account.as_ref().unwrap_or(&settings.account)));
        let default = match (settings.require_tenant, settings.default_tenant.as_str()) {
            (true, _) if settings.tenants.is_empty() => {
                let why = "require_tenant refuses everything as there are no tenants";
                return Err(Invalid(format!("identity: {why}")));
            }
            (true, _) => None,
            (false, "") => return Err(Invalid("identity: default_tenant is empty".to_owned())),
            (false, name) => Some(tenant(name, &settings.account)?),
        };
        let named = |name: &Option<String>| name.as_deref().map(account::header_name).transpose();
        Ok(Self {
            keyring,
            hops: Hops::new(settings),
            rules: Rules::new(&settings.tenants)?,
            tenants: of_rule.collect::<Result<_, _>>()?,
            default,
            org_header: named(&settings.org_header)?,
            end_user_header: named(&settings.end_user_header)?,
            attributes_header: named(&settings.attributes_header)?,
            anonymous: settings.anonymous,
            query_key: settings.query_key,
        })
    }

    /// Reads the head of a request only. Constant time in the value of keys; keeps none.
    ///
    /// # Errors
    /// Why the request must be refused: see [`Unidentified`].
    pub fn identify(&self, head: &Parts, peer: Peer) -> Result<Identity, Unidentified> {
        let trusted_hop = self.hops.trusts(peer.address.ip());
        let address = self.hops.client(&head.headers, peer.address.ip());
        let credential = credential::find(head, self.query_key)?;
        let credential = credential.as_deref();

        let rule = self.rules.find(&Sought { head, credential, trusted_hop });
        let tenant = rule.and_then(|index| self.tenants.get(index)).or(self.default.as_ref());
        let Tenant { name, source } = tenant.ok_or(Unidentified::NoTenant)?;

        let offer = Offer { headers: &head.headers, credential, trusted_hop };
        let account = match (source.account(name.as_str(), &self.keyring, &offer)?, self.anonymous)
        {
            (Some(account), _) => account,
            (None, Anonymous::ByAddress) => {
                account::by_address(name.as_str(), &self.keyring, address)
            }
            (None, Anonymous::Refuse) => return Err(Unidentified::MissingCredential),
        };
        let told_by_hop = |header: &Option<HeaderName>| match header {
            Some(header) if trusted_hop => account::one(&head.headers, header),
            Some(_) | None => Ok(None),
        };
        let org = told_by_hop(&self.org_header)?;
        let end_user = told_by_hop(&self.end_user_header)?.filter(|user| !user.is_empty());
        let told = told_by_hop(&self.attributes_header)?;
        // What can't be read is not known: an account must not be lost over it.
        let told = told.and_then(|told| serde_json::from_slice::<Told<'_>>(told).ok());
        let told = told.map(|told| told.provision(&self.keyring)).unwrap_or_default();
        let caller = Caller {
            tenant: name.clone(),
            account,
            org: org.map(|org| self.keyring.tag("org", org)).or(told.org),
            end_user: end_user.map(|user| self.keyring.tag("end-user", user)),
            egress: self.keyring.egress(address),
            client: client::family(&head.headers),
            attributes: told.attributes,
            trace: Trace::of(&head.headers),
        };
        Ok(Identity { caller, address, trusted_hop })
    }

    /// What the text of a file tells of accounts. Those by name are of the default tenant where none
    /// is named.
    ///
    /// # Errors
    /// The first row that can't be read.
    pub fn register(&self, text: &[u8]) -> Result<Register, BadRow> {
        let default = self.default.as_ref().map(|tenant| tenant.name.clone());
        Register::read(text, &self.keyring, |tenant, name| {
            let tenant = tenant.or_else(|| default.clone()).unwrap_or_else(|| "default".into());
            self.account_id(&tenant, name)
        })
    }

    /// The account that `value` names at `tenant`: the key, or where the tenant's accounts come
    /// from a claim or a header, the value of that.
    pub fn account_id(&self, tenant: &TenantName, value: &str) -> AccountId {
        let known = self.tenants.iter().chain(&self.default).find(|known| known.name == *tenant);
        let source = known.map_or(&Source::Key, |known| &known.source);
        source.named(tenant.as_str(), &self.keyring, value.trim())
    }
}

/// What only a trusted hop may say is never said when there is none.
fn needs_trusted_hop(settings: &Settings) -> Result<(), Invalid> {
    let by_header = |account: &AccountSource| matches!(account, AccountSource::Header(_));
    let rule = settings
        .tenants
        .iter()
        .find(|rule| rule.header.is_some() || rule.account.as_ref().is_some_and(by_header));
    let what = match rule {
        Some(rule) => format!("the header of tenant `{}`", rule.name),
        None if by_header(&settings.account) => "the account's header".to_owned(),
        None if settings.org_header.is_some() => "org_header".to_owned(),
        None if settings.end_user_header.is_some() => "end_user_header".to_owned(),
        None if settings.attributes_header.is_some() => "attributes_header".to_owned(),
        None => return Ok(()),
    };
    match settings.trusted_hops.is_empty() {
        true => Err(Invalid(format!("identity: {what} is never believed without trusted_hops"))),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests;
