//! From a file to a configuration, or to the list of everything wrong with it.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::Config;
use super::check::check;
use super::environment::Environment;
use super::mistake::{Mistake, Mistakes};
use super::tree::{Removed, Tree};
use super::weights::laid_over;
use crate::policy::Gravity;
use crate::time::Timestamp;

/// Enough for a person to work on, and a bound on the work that a wild file can cause.
const MOST_MISTAKES: usize = 50;

/// A configuration that can be used, and what somebody should look at all the same.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    pub warnings: Mistakes,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("can't read {}: {why}", path.display())]
    Unreadable { path: PathBuf, why: std::io::Error },
    #[error(transparent)]
    Mistakes(#[from] Mistakes),
}

/// The largest file that is read, in bytes: what is larger is some other file, or none that ends.
const LARGEST: u64 = 4 << 20;

/// Reads the file at `path`. Blocks on the disk.
pub fn load(path: &Path, env: Environment<'_>, now: Timestamp) -> Result<Loaded, Refused> {
    let text = text(path).map_err(|why| Refused::Unreadable { path: path.to_owned(), why })?;
    Ok(parse(&path.display().to_string(), &text, env, now)?)
}

/// What is in the file at `path`. Blocks on the disk.
pub(super) fn text(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(LARGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST {
        return Err(std::io::ErrorKind::FileTooLarge.into());
    }
    Ok(text)
}

/// Reads the text of a file, and the key files that it names. `file` is the name it is reported under, `now` tells which allowances
/// have ended.
pub fn parse(
    file: &str,
    text: &str,
    env: Environment<'_>,
    now: Timestamp,
) -> Result<Loaded, Mistakes> {
    let told = |all| Mistakes::new(file, text, all);
    let mut tree = Tree::parse(text).map_err(told)?;
    let mut found = tree.not_finite();
    found.append(&mut tree.expand(env));
    for mistake in &found {
        tree.remove(&mistake.span);
    }
    tree.inherit();
    let mut read = read(&mut tree, &mut found);
    if let Some(config) = &mut read {
        found.append(&mut check(config, &tree, now));
        found.extend(weigh(config, &tree));
    }
    found.truncate(MOST_MISTAKES);
    let refused = found.iter().any(|mistake| mistake.gravity == Gravity::Mistake);
    match read {
        Some(config) if !refused => Ok(Loaded { config, warnings: told(found) }),
        _ => Err(told(found)),
    }
}

/// Takes over the weights of the file that is named for them.
fn weigh(config: &mut Config, tree: &Tree<'_>) -> Option<Mistake> {
    let path = config.weights_file.as_ref()?;
    match laid_over(&config.signals, path) {
        Ok(signals) => config.signals = signals,
        Err(why) => return Some(Mistake::new(tree.span(&["weights_file"]), why)),
    }
    None
}

/// Reads the tree, and as long as that fails notes why, takes the culprit out and tries again:
/// serde stops at the first mistake, people want to see all.
fn read(tree: &mut Tree<'_>, found: &mut Vec<Mistake>) -> Option<Config> {
    let mut removed: Vec<Removed> = Vec::new();
    for _ in 0..MOST_MISTAKES {
        let error = match tree.read() {
            Ok(config) => return Some(config),
            Err(error) => error,
        };
        let span = error.span().unwrap_or(0..0);
        if !follows(error.message(), &span, &removed) {
            found.push(Mistake::from_serde(span.clone(), error.message()));
        }
        removed.push(tree.remove(&span)?);
    }
    None
}

/// Whether a key is missed only because it was taken out as a mistake of its own.
fn follows(said: &str, span: &std::ops::Range<usize>, removed: &[Removed]) -> bool {
    let missed = said.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    missed.is_some_and(|key| removed.iter().any(|out| out.key == key && out.table == *span))
}
