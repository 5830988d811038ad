//! `stillguard id`: which account a key is, for group and allow lists.

use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use stillguard::identity::{Identifier, Keyring, TenantName};
use zeroize::Zeroizing;

use super::{Failure, home, print, read, secret};

#[derive(Args, Debug)]
pub(crate) struct Options {
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The tenant at which the key is used; its accounts differ from every other tenant's.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// The directory in which `serve` keeps its memory and the secret it has made.
    #[arg(long, value_name = "DIRECTORY", env = "STILLGUARD_STORE")]
    store: Option<PathBuf>,
}

/// Longer than any credential that identification takes.
const LONGEST: u64 = 16 << 10;

pub(super) fn id(options: &Options) -> Result<(), Failure> {
    let mut config = read(options.config.as_deref())?;
    home::lay_over(&mut config.store, options.store.as_deref());
    let beside = || home::directory(&config.store).map(|home| secret::beside(&home));
    let secret = match secret::configured(&config)? {
        Some(secret) => Some(secret),
        None => beside().transpose()?.flatten(),
    };
    let Some(secret) = secret else {
        let message = "an account id needs the deployment's secret: secret_file, STILLGUARD_SECRET, \
            or one that `stillguard serve` has made where it keeps its memory";
        return Err(Failure::Mistakes(message.into()));
    };
    let texts = config.key_texts().map_err(Failure::Unreadable)?;
    let identifier = Identifier::with_keys(&config.identity, Keyring::new(*secret), &texts)
        .map_err(|why| Failure::Mistakes(why.to_string()))?;
    let tenant = options.tenant.as_ref().unwrap_or(&config.identity.default_tenant);
    let key = key()?;
    let id = identifier.account_id(&TenantName::from(tenant.as_str()), &key);
    print(&format!("{id}\n"))
}

fn key() -> anyhow::Result<Zeroizing<String>> {
    let mut key = Zeroizing::new(String::new());
    std::io::stdin().take(LONGEST).read_to_string(&mut key).context("can't read the key")?;
    let trimmed = key.trim();
    if trimmed.is_empty() {
        bail!("no key on standard input: printf %s \"$KEY\" | stillguard id");
    }
    Ok(Zeroizing::new(trimmed.to_owned()))
}
