//! The deployment's secrets and the operators' token: from their files, else from the environment, else
//! from where memory is kept.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use stillguard::config::{Config, process_environment};
use stillguard::guard::{self, BindKeys, Secret as WebhookSecret};
use stillguard::identity::{Keyring, key};
use stillguard::telemetry::Token;
use zeroize::Zeroizing;

use super::Failure;

const VARIABLE: &str = "STILLGUARD_SECRET";

/// Where the operators' token may be instead of a file.
pub(super) const ADMIN_TOKEN: &str = "STILLGUARD_ADMIN_TOKEN";

pub(super) type Secret = Zeroizing<[u8; 32]>;

/// What a secret's file holds, else its variable, and which of the two it was.
fn text(
    what: &str,
    (file, variable): (Option<&Path>, &str),
) -> Result<Option<(Zeroizing<String>, String)>, Failure> {
    let Some(file) = file else {
        let text = process_environment(variable).map(Zeroizing::new);
        return Ok(text.map(|text| (text, variable.to_owned())));
    };
    let name = file.display();
    let text = std::fs::read_to_string(file).map(Zeroizing::new);
    let text =
        text.map_err(|why| Failure::Unreadable(format!("can't read the {what} {name}: {why}")))?;
    Ok(Some((text, name.to_string())))
}

/// The configured secret, if there is one.
pub(super) fn configured(config: &Config) -> Result<Option<Secret>, Failure> {
    let file = config.secret_file.as_deref();
    let Some((digits, name)) = text("secret", (file, VARIABLE))? else { return Ok(None) };
    let name = if file.is_some() { format!("the content of {name}") } else { name };
    parse(&digits).map(Some).ok_or_else(|| Failure::Mistakes(format!("{name} {EXPECTED}")))
}

const EXPECTED: &str = "isn't 64 hex digits; `openssl rand -hex 32` makes a good secret";

const WEBHOOK_VARIABLE: &str = "STILLGUARD_WEBHOOK_SECRET";

const BIND_VARIABLE: &str = "STILLGUARD_BIND_KEYS";

/// The guard's settings with the keys that bind in their place, where there are any, and the webhook's
/// secret where there is a webhook. Blocks on the disk.
pub(super) fn guard(config: &Config, keyring: &Keyring) -> Result<guard::Settings, String> {
    let mut guard = config.guard.clone();
    if let Some(webhook) = &mut guard.challenge.webhook {
        let text = text("secret", (webhook.secret_file.as_deref(), WEBHOOK_VARIABLE));
        let (text, _) = text.map_err(|why| why.to_string())?.ok_or_else(|| {
            format!("guard.challenge.webhook has no secret_file, and {WEBHOOK_VARIABLE} is not set")
        })?;
        webhook.secret = Some(WebhookSecret::parse(&text).map_err(|why| why.to_string())?);
    }
    let written = text("keys that bind", (guard.bind.keys_file.as_deref(), BIND_VARIABLE));
    if let Some((text, name)) = written.map_err(|why| why.to_string())? {
        let keys = BindKeys::parse(&text, keyring).map_err(|why| format!("{name}: {why}"))?;
        guard.bind.keys = Some(keys.into());
    }
    Ok(guard)
}

/// The operators' token, if there is one.
pub(super) fn token(config: &Config) -> Result<Option<Token>, Failure> {
    let file = config.telemetry().admin.token_file;
    let Some((text, name)) = text("token", (file.as_deref(), ADMIN_TOKEN))? else {
        return Ok(None);
    };
    let token = Token::new(&text);
    token.map(Some).map_err(|why| Failure::Mistakes(format!("{name}: {why}")))
}

/// The secret that lies beside memory. Made where there is none yet: memory is of no use without.
pub(super) fn kept(directory: &Path) -> anyhow::Result<Secret> {
    if let Some(secret) = beside(directory)? {
        return Ok(secret);
    }
    let secret = random()?;
    save(directory, &secret)
        .with_context(|| format!("can't keep a secret in {}", directory.display()))?;
    Ok(secret)
}

/// The secret that lies beside memory, if there is one. One that is none is an error, not replaced:
/// under another, all that is remembered would be nobody's.
pub(super) fn beside(directory: &Path) -> anyhow::Result<Option<Secret>> {
    let file = directory.join(NAME);
    let digits = match std::fs::read_to_string(&file) {
        Ok(digits) => Zeroizing::new(digits),
        Err(why) if why.kind() == ErrorKind::NotFound => return Ok(None),
        Err(why) => return Err(why).with_context(|| format!("can't read {}", file.display())),
    };
    let secret = parse(&digits);
    secret.map(Some).with_context(|| format!("the content of {} {EXPECTED}", file.display()))
}

const NAME: &str = "secret";

/// Whole or not at all, and never over one that is there.
fn save(directory: &Path, secret: &Secret) -> io::Result<()> {
    let digits: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let digits = Zeroizing::new(digits + "\n");
    let unfinished = directory.join(format!("{NAME}.unfinished"));
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(digits.as_bytes())?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&unfinished, directory.join(NAME));
    std::fs::remove_file(&unfinished)?;
    linked?;
    File::open(directory)?.sync_all()
}

/// A secret for this process only.
pub(super) fn random() -> anyhow::Result<Secret> {
    let mut secret = Secret::default();
    aws_lc_rs::rand::fill(secret.as_mut_slice())
        .map_err(|_| anyhow::anyhow!("the system has no randomness to give"))?;
    Ok(secret)
}

fn parse(digits: &str) -> Option<Secret> {
    key(digits.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_four_hex_digits_are_a_secret() {
        assert_eq!(parse(&"0F".repeat(32)).as_deref(), Some(&[15; 32]));
        assert_eq!(parse(&format!(" {}\n", "a0".repeat(32))).as_deref(), Some(&[160; 32]));
    }

    #[test]
    fn anything_else_is_none() {
        for digits in
            ["", "00", &"0".repeat(63), &"0".repeat(65), &"+f".repeat(32), &"é".repeat(32)]
        {
            assert!(parse(digits).is_none(), "{digits}");
        }
    }

    #[test]
    fn a_kept_secret_is_made_once_and_shown_to_nobody() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        assert!(beside(dir.path()).unwrap().is_none());
        let secret = kept(dir.path()).unwrap();
        assert_eq!(kept(dir.path()).unwrap(), secret);
        assert_eq!(beside(dir.path()).unwrap(), Some(secret));
        let mode = std::fs::metadata(dir.path().join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(dir.path().join(NAME), "not hex").unwrap();
        assert!(kept(dir.path()).is_err() && beside(dir.path()).is_err());
        assert!(kept(&dir.path().join("nowhere")).is_err());
    }

    #[test]
    fn two_random_secrets_differ() {
        assert_ne!(random().unwrap(), random().unwrap());
    }
}
